/**
 * What scores are made of, as this phone holds it: schemes, targets, values, days off, what was closed; own visits,
 * promises and customers. No part of the first page.
 */
import { derived, type Readable } from 'svelte/store';
import { bestTime, dayIn, moment, zone } from './clock';
import { needDesk, openDesk, save, ticks } from './desk';
import { ask } from './http';
import type { Model } from './model';
import type { Honoured, PlaceLine, Standing } from './places';
import { search, seen } from './reading';
import {
  SaveError,
  type Asked,
  type Day,
  type Id,
  type Moment,
  type Op,
  type Receipt,
  type Visit,
} from './types';
import { uuid } from './uuid';

/** One record by its names on the wire. */
export interface Held {
  id: Id;
  data: Record<string, unknown>;
  receipt: Receipt;
}
export interface HeldFollowUp extends Held {
  /** Local day on which it was done; null while it is not. */
  doneDay: Day | null;
  /** ms since 1970, best time. */
  doneAt: number | null;
}
export type ScoreKind = 'scheme' | 'target' | 'value' | 'day_off' | 'closing' | 'appeal';

/** The records of one of the kinds that scores are made of; live, archived ones left out. */
export function held(kind: ScoreKind): Readable<Held[]> {
  return derived([ticks('score')], () => {
    const model = openDesk()?.model;
    return model ? recordsOf(model, kind) : [];
  });
}

function recordsOf(
  model: Model,
  kind: string,
  wanted: (id: Id, data: Record<string, unknown>) => boolean = () => true,
): Held[] {
  // One who became a customer did so, even if put away since.
  const away = (data: Record<string, unknown>) => data['archived'] === true && kind !== 'customer';
  return model.records(kind, (id, data) => !away(data) && wanted(id, data));
}

/** What a person did that scores are made of; whoever asks says from which day on. */
export interface Work {
  visits: Visit[];
  followUps: HeldFollowUp[];
  customers: Held[];
}

/** The work of a person as far as this phone holds it, live. */
export function workOf(person: Id, from: Day): Readable<Work> {
  return derived([ticks('visit'), ticks('followUp'), ticks('customer')], () => {
    const model = openDesk()?.model;
    if (!model) return { visits: [], followUps: [], customers: [] };
    const visits = model.myVisits({ limit: Infinity, from }).filter((visit) => visit.repId === person);
    const owed = (_: Id, data: Record<string, unknown>) => (data['owner_id'] ?? person) === person;
    const followUps = recordsOf(model, 'follow_up', owed).map((one) => {
      const done = one.data['status'] === 'done' ? (one.data['done'] as Moment | null | undefined) : null;
      const doneAt = done ? bestTime(done) : null;
      return { ...one, doneAt, doneDay: doneAt === null ? null : dayIn(doneAt, done?.zone ?? zone()) };
    });
    const theirs = (id: Id, data: Record<string, unknown>) =>
      (data['owner_id'] === person || data['won_by'] === person) && model.survivor(id) === id;
    const customers = recordsOf(model, 'customer', theirs);
    return { visits, followUps, customers };
  });
}

/** From when to when somebody is here, as far as it is said: the first day, and the first day no more. */
export function tenureOf(person: Id): { joined: Day | null; left: Day | null } {
  const data = openDesk()?.model.value('person', person)?.data ?? {};
  const day = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null);
  return { joined: day(data['joined_on']), left: day(data['left_on']) };
}

/** How far from their place somebody still is with a customer, metres; null: no place is on record. */
export function radiusOf(customer: Id): number | null {
  const known = openDesk()?.model.customer(customer);
  return known === undefined || known.lat === null ? null : known.radiusM;
}

/** A customer's id after merges, as visits may name an earlier one. */
export function survivorOf(customer: Id): Id {
  return openDesk()?.model.survivor(customer) ?? customer;
}

const setting = (field: string, value: unknown, old: unknown): Op => ({ field, op: 'set', old, new: value });

/** Makes a record of these kinds; resolves with its id when it is on this phone. */
export async function makeRecord(kind: ScoreKind, values: Record<string, unknown>): Promise<Id> {
  const [id] = await makeRecords(kind, [values]);
  return id!;
}

/** Several at once, in one transaction. */
export async function makeRecords(kind: ScoreKind, all: Record<string, unknown>[]): Promise<Id[]> {
  const ids = all.map(() => uuid());
  await save(
    all.map((values, i) => ({
      kind,
      entity: ids[i]!,
      verb: 'create' as const,
      base: 0,
      at: moment(),
      ops: Object.entries(values)
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([field, value]) => setting(field, value, null)),
    })),
  );
  return ids;
}

/** Sets fields of one; a field that holds the value already is left out, and `status` goes from what it is. */
export async function changeRecord(kind: ScoreKind, id: Id, values: Record<string, unknown>): Promise<void> {
  const known = needDesk().model.value(kind, id);
  if (!known) throw new SaveError('UNKNOWN_RECORD', id);
  const ops: Op[] = [];
  for (const [field, value] of Object.entries(values)) {
    const old = known.data[field] ?? null;
    if (JSON.stringify(old) === JSON.stringify(value ?? null)) continue;
    ops.push(field === 'status' ? { field, op: 'go', old, new: value } : setting(field, value ?? null, old));
  }
  if (ops.length === 0) return;
  await save([{ kind, entity: id, verb: 'update', base: known.version, at: moment(), ops }]);
}

/** Reopens a closing that this phone need not hold; `version` as the server told it. Administrators only. */
export async function reopenClosing(id: Id, version: number, reason: string): Promise<void> {
  const ops: Op[] = [
    { field: 'status', op: 'go', old: 'closed', new: 'reopened' },
    setting('reason', reason, null),
  ];
  await save([{ kind: 'closing', entity: id, verb: 'update', base: version, at: moment(), ops }]);
}

// ---- as the server has them --------------------------------------------------------------------------------------

/** Numbers are decimal text; `evidence` is left out of tables. */
export interface ServerScore {
  person: { id: Id; name: string; team: Id | null };
  period: { kind: string; starts_on: Day; ends_on: Day };
  scheme: { id: Id; version: number; name?: string } | null;
  readings: Record<string, unknown>[];
  reasons: string[];
  total: string | null;
  grade: string | null;
  /** `none`: no scheme holds. */
  state: 'open' | 'closed' | 'reopened' | 'none';
  closing: Record<string, unknown> | null;
  /** In tables of who leads; null where a side was not measured. */
  quadrant?: Standing | null;
}
export interface ScoreTable {
  period: ServerScore['period'];
  team: Id | null;
  scores: ServerScore[];
  team_score: Omit<ServerScore, 'person' | 'state' | 'closing'> | null;
  /** How many have each grade. */
  grades: Record<string, number>;
  /** The shares, in percent, that are usual. */
  usual: Record<string, [string, string]>;
  /** A rep's own place in their team, where it is shown. */
  rank: { rank: number; of: number } | null;
  /** The places of a rep's team, where the organisation shows all of them. */
  leaderboard?: PlaceLine[] | null;
  /** Honours of a closed month, as they were announced. */
  honours?: Honoured[];
}
export interface Thing {
  id: Id;
  code?: string;
  day?: Day | null;
  customer?: { id: Id; name: string };
  subject?: string;
  due_date?: Day | null;
  on?: Day;
  amount?: string;
  source?: string;
}

type PeriodAsked = { period: string; starts_on: Day };

/** Scores of a team's subtree, or of all whom one leads. */
export function getScores(asked: PeriodAsked & { team?: Id }): Promise<Asked<ScoreTable>> {
  return seen<ScoreTable>(`/api/scores${search(asked)}`);
}
export function getScore(person: Id, asked: PeriodAsked): Promise<Asked<ServerScore>> {
  return seen<ServerScore>(`/api/scores/${encodeURIComponent(person)}${search(asked)}`);
}
/** The figures of one closing, without evidence: an appeal names it, and whoever answers holds no closing of others. */
export function getClosing(id: Id): Promise<Asked<ServerScore>> {
  return seen<ServerScore>(`/api/scores/closings/${encodeURIComponent(id)}`);
}
export function getEvidence(
  person: Id,
  asked: PeriodAsked & { indicator: string },
): Promise<Asked<{ kind: string; counted: Thing[]; not_counted: Thing[] }>> {
  return seen(`/api/scores/${encodeURIComponent(person)}/evidence${search(asked)}`);
}
/** Visits planned for days of a period; of these made; of those made with a follow-up, and with an outcome. */
export interface Funnel {
  planned: number;
  visited: number;
  followed: number;
  outcome: number;
}
export function getFunnel(asked: PeriodAsked & { team?: Id }): Promise<Asked<Funnel>> {
  return seen<Funnel>(`/api/scores/funnel${search(asked)}`);
}
/** How a scheme would have graded; `people` have a total by it, `unscored` have none. */
export interface Trial {
  period: ServerScore['period'];
  people: number;
  unscored: number;
  lowest: string | null;
  highest: string | null;
  grades: Record<string, number>;
}
/** Tries a scheme on a period at the server, which keeps nothing of it; null where it gives no answer. */
export async function tryScheme(
  indicators: Record<string, unknown>[],
  { team, ...period }: PeriodAsked & { team?: Id },
): Promise<Trial | null> {
  try {
    const body = { indicators, ...period, ...(team ? { team } : {}) };
    const answer = await ask('POST', '/api/scores/trial', { body });
    return answer.status === 200 ? (answer.body as Trial) : null;
  } catch {
    return null;
  }
}
/** Address of the same table as CSV. */
export const scoresCsv = (asked: PeriodAsked & { team?: Id }): string => `/api/scores/export${search(asked)}`;
