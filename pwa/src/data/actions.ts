import { claim, moment } from './clock';
import { afterPaint, needDesk, save } from './desk';
import { draftName, endingDraft } from './drafts';
import { endLocating, locate, newSearch, searchKey } from './locating';
import { isPosition } from './model';
import type { Draftless } from './outbox';
import {
  SaveError,
  type CheckInInput,
  type CustomerEdit,
  type Day,
  type Id,
  type Mode,
  type Moment,
  type NewCustomerInput,
  type Op,
  type PastVisitInput,
  type PlanInput,
  type Verb,
} from './types';
import { uuid } from './uuid';

export { checkOut, undoCheckOut, commitCheckOut } from './checkout';

const set = (field: string, value: unknown, old: unknown = null): Op => ({
  field,
  op: 'set',
  old,
  new: value,
});

/**
 * Checks in: resolves with the visit's id when it is on this phone, before any position is known. For a visit in
 * person the position is then looked for (3 min or ±25 m) and added by itself.
 */
export async function checkIn(input: CheckInInput): Promise<Id> {
  const tapped = input.at ?? moment();
  const desk = needDesk();
  const planned = input.planned ? desk.model.value('visit', input.planned) : undefined;
  if (input.planned && !planned) throw new SaveError('UNKNOWN_RECORD', input.planned);
  const visit = input.planned ?? uuid();
  const ops: Op[] = [];
  if (planned) {
    const { data } = planned;
    ops.push(
      { field: 'status', op: 'go', old: data['status'] ?? 'planned', new: 'open' },
      set('check_in', tapped),
    );
    if (data['mode'] !== input.mode) ops.push(set('mode', input.mode, data['mode'] ?? null));
    if (data['kind'] !== input.kind) ops.push(set('kind', input.kind, data['kind'] ?? null));
  } else {
    ops.push(
      set('customer_id', needDesk().model.survivor(input.customer)),
      set('mode', input.mode),
      set('kind', input.kind),
      set('status', 'open'),
      set('check_in', tapped),
    );
  }
  if (input.fix) ops.push(set('check_in_fix', input.fix));
  const inPerson = input.mode === 'in_person';
  const search = newSearch(isPosition(input.fix) ? input.fix : null);
  await save(
    [wanted('visit', visit, planned ? 'update' : 'create', ops, planned?.version)],
    inPerson ? { put: [{ key: searchKey(visit), value: search }] } : {},
    'later',
  );
  if (inPerson) {
    desk.model.setLocating(visit, true);
    afterPaint(() => afterPaint(() => void locate(visit, search).catch(() => {})));
  }
  return visit;
}

/** Sets the outcome by its code; null takes it back. */
export async function setOutcome(visit: Id, code: string | null): Promise<void> {
  await setField('visit', visit, 'outcome', code);
}

/**
 * The minutes as they now read, whole. `draft` is the key of a draft that ends with it, in the same transaction.
 */
export async function setMinutes(
  visit: Id,
  minutes: string,
  options: { draft?: string } = {},
): Promise<void> {
  await setText('visit', visit, 'minutes', minutes, options.draft);
}

export async function setNextStep(
  visit: Id,
  nextStep: string,
  options: { draft?: string } = {},
): Promise<void> {
  await setText('visit', visit, 'next_step', nextStep, options.draft);
}

/** A visit that turns out to be a call or a meeting online needs no place: the search for one ends. */
export async function setMode(visit: Id, mode: Mode): Promise<void> {
  const { data, version } = known('visit', visit);
  const old = data['mode'] ?? null;
  if (old === mode) return;
  const ops = [set('mode', mode, old)];
  if (mode === 'in_person') await save([wanted('visit', visit, 'update', ops, version)]);
  else await withoutSearch(visit, ops, version);
}
export async function setKind(visit: Id, code: string): Promise<void> {
  await setField('visit', visit, 'kind', code);
}

/** Plans a visit; resolves with its id. */
export async function planVisit(input: PlanInput): Promise<Id> {
  const visit = uuid();
  const ops = [
    set('customer_id', needDesk().model.survivor(input.customer)),
    set('mode', input.mode),
    set('kind', input.kind),
    set('status', 'planned'),
    set('planned_date', input.date),
  ];
  if (input.time) ops.push(set('planned_time', input.time));
  if (input.repeat) ops.push(set('repeat', input.repeat));
  await save([wanted('visit', visit, 'create', ops)]);
  return visit;
}

/** Moves a plan; `repeat` null: it comes no more after this once. */
export async function movePlan(
  visit: Id,
  to: { date: Day; time?: string | null; repeat?: string | null },
): Promise<void> {
  const { data, version } = known('visit', visit);
  const ops: Op[] = [];
  if (data['planned_date'] !== to.date) ops.push(set('planned_date', to.date, data['planned_date'] ?? null));
  if (to.time !== undefined && (data['planned_time'] ?? null) !== to.time) {
    ops.push(set('planned_time', to.time, data['planned_time'] ?? null));
  }
  if (to.repeat !== undefined && (data['repeat'] ?? null) !== to.repeat)
    ops.push(set('repeat', to.repeat, data['repeat'] ?? null));
  if (ops.length > 0) await save([wanted('visit', visit, 'update', ops, version)]);
}

/** Cancels a visit that is planned or open. */
export async function cancelVisit(visit: Id, reason?: string): Promise<void> {
  const { data, version } = known('visit', visit);
  const from = data['status'];
  if (from === 'cancelled') return;
  if (from !== 'planned' && from !== 'open')
    throw new SaveError('NOT_ALLOWED', `${String(from)} cannot be cancelled`);
  const ops: Op[] = [{ field: 'status', op: 'go', old: from, new: 'cancelled' }];
  if (reason) ops.push(set('late_reason', reason, data['late_reason'] ?? null));
  await withoutSearch(visit, ops, version);
}

/** Logs a visit afterwards, done and without any position; the server marks it as back-filled where it is. */
export async function logPastVisit(input: PastVisitInput): Promise<Id> {
  if (!(input.from < input.to)) throw new SaveError('NOT_ALLOWED', 'a visit ends after it begins');
  const visit = uuid();
  const ops = [
    set('customer_id', needDesk().model.survivor(input.customer)),
    set('mode', input.mode),
    set('kind', input.kind),
    set('status', 'done'),
    set('check_in', claim(input.from)),
    set('check_out', claim(input.to)),
  ];
  if (input.outcome) ops.push(set('outcome', input.outcome));
  if (input.minutes) ops.push(set('minutes', input.minutes));
  if (input.nextStep) ops.push(set('next_step', input.nextStep));
  if (input.lateReason) ops.push(set('late_reason', input.lateReason));
  await save([wanted('visit', visit, 'create', ops)]);
  return visit;
}

/** Makes a customer, a lead of one's own; resolves with its id. */
export async function createCustomer(input: NewCustomerInput, options: { draft?: string } = {}): Promise<Id> {
  const customer = input.id ?? uuid();
  const ops = [set('name', input.name.trim())];
  for (const field of ['address', 'phone', 'contact', 'note'] as const) {
    const value = input[field]?.trim();
    if (value) ops.push(set(field, value));
  }
  if (input.position) ops.push(set('lat', input.position.lat), set('lon', input.position.lon));
  const clear = options.draft ? [draftName(options.draft)] : [];
  const ended = options.draft ? endingDraft(options.draft) : null;
  await save([wanted('customer', customer, 'create', ops)], { clear });
  ended?.();
  return customer;
}

/** Edits what a rep may edit of a customer; only what differs is written. */
export async function editCustomer(
  id: Id,
  edit: CustomerEdit,
  options: { draft?: string } = {},
): Promise<void> {
  const customer = needDesk().model.survivor(id);
  const { data, version } = known('customer', customer);
  const ops: Op[] = [];
  for (const field of ['name', 'address', 'phone', 'contact'] as const) {
    const value = edit[field];
    const old = data[field] ?? null;
    if (value !== undefined && value !== (old ?? '')) ops.push(set(field, value, old));
  }
  if (edit.note !== undefined && edit.note !== (data['note'] ?? '')) {
    ops.push({ field: 'note', op: 'text', old: data['note'] ?? null, new: edit.note });
  }
  if (edit.tags) {
    const before = Array.isArray(data['tags']) ? (data['tags'] as string[]) : [];
    const add = edit.tags.filter((t) => !before.includes(t));
    const remove = before.filter((t) => !edit.tags!.includes(t));
    if (add.length > 0) ops.push({ field: 'tags', op: 'add', values: add });
    if (remove.length > 0) ops.push({ field: 'tags', op: 'remove', values: remove });
  }
  const clear = options.draft ? [draftName(options.draft)] : [];
  if (ops.length > 0 || clear.length > 0) {
    const ended = options.draft ? endingDraft(options.draft) : null;
    await save(ops.length ? [wanted('customer', customer, 'update', ops, version)] : [], { clear });
    ended?.();
  }
}

// ---- parts -----------------------------------------------------------------------------------------------------

function wanted(kind: string, entity: Id, verb: Verb, ops: Op[], base = 0, at: Moment = moment()): Draftless {
  return { kind, entity, verb, base, at, ops };
}

/** Saves and ends the search for a place; as its draft goes with it, nothing more is written about that place. */
async function withoutSearch(visit: Id, ops: Op[], version: number): Promise<void> {
  await save([wanted('visit', visit, 'update', ops, version)], { clear: [searchKey(visit)] });
  await endLocating(visit);
}

function known(kind: string, id: Id) {
  const value = needDesk().model.value(kind, id);
  if (!value) throw new SaveError('UNKNOWN_RECORD', id);
  return value;
}

async function setField(kind: string, id: Id, field: string, value: unknown): Promise<void> {
  const { data, version } = known(kind, id);
  const old = data[field] ?? null;
  if (old === value) return;
  await save([wanted(kind, id, 'update', [set(field, value, old)], version)]);
}

async function setText(kind: string, id: Id, field: string, value: string, draft?: string): Promise<void> {
  const { data, version } = known(kind, id);
  const old = data[field] ?? null;
  const clear = draft ? [draftName(draft)] : [];
  const same = (old ?? '') === value;
  if (same && clear.length === 0) return;
  const ops: Op[] = [{ field, op: 'text', old, new: value }];
  const ended = draft ? endingDraft(draft) : null;
  await save(same ? [] : [wanted(kind, id, 'update', ops, version)], { clear });
  ended?.();
}
