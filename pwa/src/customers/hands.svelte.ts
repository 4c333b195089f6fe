import { fromStore } from 'svelte/store';
import { people, session, type PersonName } from '../data';
import { i18n } from '../i18n/i18n.svelte';
import { territoryWords, type TerritoryWords } from '../i18n/territory';

const held = { people: fromStore(people), session: fromStore(session) };

export const words = (): TerritoryWords =>
  i18n.language === 'zh-Hans' ? territoryWords.zh : territoryWords.en;

/** Whether the reader may give customers to others. */
export function leads(): boolean {
  return ['manager', 'administrator'].includes(held.session.current.me?.person.role ?? '');
}

/** Who may own customers in the reader's hands: active people of the teams they lead, everybody for who administrates. */
export function owners(): PersonName[] {
  const me = held.session.current.me;
  if (!me) return [];
  const teams = new Set(me.teams.map((team) => team.id));
  const everybody = me.person.role === 'administrator';
  return [...held.people.current.values()]
    .filter((p) => p.active && (p.role === 'rep' || p.role === 'manager'))
    .filter((p) => everybody || (p.teamId !== null && teams.has(p.teamId)))
    .sort((a, b) => a.name.localeCompare(b.name, i18n.t.locale));
}
