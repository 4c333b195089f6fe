import { fromStore } from 'svelte/store';
import {
  held,
  kinds,
  people,
  radiusOf,
  serverNow,
  session,
  settings,
  survivorOf,
  tenureOf,
  teams,
  today,
  workOf,
  type Day,
} from '../data';
import { i18n } from '../i18n/i18n.svelte';
import { scoreWords, type ScoreWords } from '../i18n/score';
import { wordsOf, type Explained } from '../indicators/explain';
import { schemeOf } from '../indicators/catalogue';
import { earliest, type Ground } from '../indicators/mine';
import { addDays, periodOf } from '../indicators/periods';
import { hints } from '../visits/rules';

/** How far back own visits lie on a phone. */
const KEPT_DAYS = 180;

const rows = {
  schemes: fromStore(held('scheme')),
  targets: fromStore(held('target')),
  values: fromStore(held('value')),
  daysOff: fromStore(held('day_off')),
  closings: fromStore(held('closing')),
  kinds: fromStore(kinds),
  people: fromStore(people),
  session: fromStore(session),
  settings: fromStore(settings),
  teams: fromStore(teams),
  today: fromStore(today),
};
/** By person and first day: one screen reads this month and, once that is painted, all there is. */
const work = new Map<string, { readonly current: Ground['work'] }>();
function workSince(person: string, from: Day): Ground['work'] {
  const key = `${person} ${from}`;
  let store = work.get(key);
  if (!store) work.set(key, (store = fromStore(workOf(person, from))));
  return store.current;
}

/**
 * Everything one's own score is made of, as this phone holds it now; null while nobody is signed in. Visits `since` that
 * day, else all there are: reading the old ones takes a slow phone longer than showing this month.
 */
export function ground(since?: Day): Ground | null {
  const me = rows.session.current.me;
  if (!me) return null;
  const day = rows.today.current;
  const from = since ?? addDays(day, -KEPT_DAYS);
  const set = rows.settings.current;
  const kindOf = new Map(rows.kinds.current.map((k) => [k.code, k]));
  const weekdays = set['working_days'];
  return {
    me: me.person.id,
    team: me.person.team,
    role: me.person.role,
    teams: [...rows.teams.current, ...me.teams],
    schemes: rows.schemes.current,
    targets: rows.targets.current,
    values: rows.values.current,
    daysOff: rows.daysOff.current,
    closings: rows.closings.current,
    ...tenureOf(me.person.id),
    work: workSince(me.person.id, from),
    rules: {
      kinds: kindOf,
      minChars: hints(set).minChars,
      backfillLimitH: typeof set['backfill_limit_h'] === 'number' ? set['backfill_limit_h'] : 48,
      radiusOf,
    },
    weekStart: Number(me.organisation.week_start) || 0,
    ...(Array.isArray(weekdays) ? { weekdays: weekdays as number[] } : {}),
    zone: i18n.zone,
    now: serverNow(),
    today: day,
    survivor: survivorOf,
  };
}

/** The first day that any reading of this month looks at. */
export function firstNeeded(): Day {
  const day = rows.today.current;
  const week = Number(rows.session.current.me?.organisation.week_start) || 0;
  const month = periodOf('month', day, week);
  return (
    rows.schemes.current.map((one) => earliest(schemeOf(one.data), month, week)).sort()[0] ?? month.starts_on
  );
}

export const personName = (id: string | null): string =>
  (id === null ? undefined : rows.people.current.get(id)?.name) ?? '–';

const chinese = () => i18n.language === 'zh-Hans';
/** Words of the screens, and those shared with the server. */
export const words = (): ScoreWords => (chinese() ? scoreWords.zh : scoreWords.en);
export const shared = (): Explained => wordsOf(i18n.language);
export const indicatorName = (row: { name: string; name_zh: string | null; code: string }): string =>
  (chinese() ? row.name_zh : null) || row.name || row.code;

export const schemeName = (one: { name: string; nameZh: string | null }): string =>
  (chinese() ? one.nameZh : null) || one.name;

/** The name of a team, or of everybody. */
export const teamName = (id: string | null | undefined): string =>
  id
    ? ([...rows.teams.current, ...(rows.session.current.me?.teams ?? [])].find((t) => t.id === id)?.name ??
      '–')
    : words().whole;

/** The teams a reader leads, as choices; with everybody for who administrates. */
export function teamChoices(everybody: boolean): { value: string; label: string }[] {
  const led = rows.session.current.me?.teams ?? [];
  const teams = (everybody ? rows.teams.current : led)
    .map((t) => ({ value: t.id, label: t.name }))
    .sort((a, b) => a.label.localeCompare(b.label, i18n.t.locale));
  return everybody ? [{ value: '', label: words().whole }, ...teams] : teams;
}
