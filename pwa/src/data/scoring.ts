/**
 * What scores are made of, as this phone holds it: schemes, targets, values, days off, what was closed; own visits,
 * promises and customers. No part of the first page.
 */
import { derived, type Readable } from 'svelte/store';
import { bestTime, dayIn, moment, zone } from './clock';
import { needDesk, openDesk, save, ticks } from './desk';
import type { Model } from './model';
import { SaveError, type Day, type Id, type Moment, type Op, type Receipt, type Visit } from './types';
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
  return derived([ticks('organisation'), ticks('outbox')], () => {
    const model = openDesk()?.model;
    return model ? recordsOf(model, kind) : [];
  });
}

function recordsOf(model: Model, kind: string): Held[] {
  const out: Held[] = [];
  for (const id of model.ids(kind)) {
    const value = model.value(kind, id);
    if (!value || value.data['archived'] === true) continue;
    out.push({ id, data: value.data, receipt: model.receipt(kind, id) });
  }
  return out;
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
    const followUps = recordsOf(model, 'follow_up')
      .filter(({ data }) => (data['owner_id'] ?? person) === person)
      .map((one) => {
        const done = one.data['status'] === 'done' ? (one.data['done'] as Moment | null | undefined) : null;
        const doneAt = done ? bestTime(done) : null;
        return { ...one, doneAt, doneDay: doneAt === null ? null : dayIn(doneAt, done?.zone ?? zone()) };
      });
    const customers = recordsOf(model, 'customer').filter(
      ({ id, data }) => model.survivor(id) === id && (data['owner_id'] ?? person) === person,
    );
    return { visits, followUps, customers };
  });
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
