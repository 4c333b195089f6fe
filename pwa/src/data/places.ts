/** The organisation's setting of who sees places, and what the server says of them. */
import { moment } from './clock';
import { needDesk, save } from './desk';
import type { Id, Op } from './types';
import { uuid } from './uuid';

/** What a rep is shown of places in their team: nothing, their own, everybody's name, place and total. */
export type Shown = 'off' | 'own' | 'all';
/** The choice in force; what is not set, or is none of them, is one's own place. */
export const shownOf = (settings: Record<string, unknown>): Shown => {
  const said = settings['leaderboard'];
  return said === 'off' || said === 'all' ? said : 'own';
};

/** One place in a team; `total` is decimal text. */
export interface PlaceLine {
  person: { id: Id; name: string };
  rank: number;
  total: string;
}
/** Where somebody stands between result and quality, each a total of its part as decimal text. */
export interface Standing {
  quadrant: string;
  result: string;
  quality: string;
}
/** An honour of a month as it was announced. */
export interface Honoured {
  honour: string;
  people: { id: Id; name: string }[];
}

/** Sets a setting of the organisation; the server takes it from an administrator alone. Throws `SaveError`. */
export async function putSetting(key: string, value: unknown): Promise<void> {
  const { model } = needDesk();
  const set = (field: string, to: unknown, old: unknown): Op => ({ field, op: 'set', old, new: to });
  const id = [...model.ids('setting')].find((one) => model.value('setting', one)?.data['key'] === key);
  const known = id === undefined ? undefined : model.value('setting', id);
  if (id === undefined || !known) {
    const ops = [set('key', key, null), set('value', value, null)];
    await save([{ kind: 'setting', entity: uuid(), verb: 'create', base: 0, at: moment(), ops }]);
    return;
  }
  const old = known.data['value'] ?? null;
  if (JSON.stringify(old) === JSON.stringify(value)) return;
  const ops = [set('value', value, old)];
  await save([{ kind: 'setting', entity: id, verb: 'update', base: known.version, at: moment(), ops }]);
}
