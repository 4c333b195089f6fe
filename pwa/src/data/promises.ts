import { moment, serverNow, zone } from './clock';
import { needDesk, save } from './desk';
import { SaveError, type Day, type Id, type Op, type Verb } from './types';
import { uuid } from './uuid';

const set = (field: string, value: unknown, old: unknown = null): Op => ({
  field,
  op: 'set',
  old,
  new: value,
});

/** Day and time on the wall of `zone`; the device's if left out. Without a time: all day. */
export interface Due {
  date: Day;
  time?: string | null;
  zone?: string;
}
export interface FollowUpInput {
  customer: Id;
  subject: string;
  /** Code of its kind, as `opportunity` or `request`. */
  kind?: string | null;
  due: Due | null;
  /** How it comes again, as RFC 5545 writes it; it needs a day. */
  repeat?: string | null;
  visit?: Id | null;
  /** Whose promise it is; the person signed in if left out. */
  owner?: Id;
  note?: string;
}

/** Makes a promise; resolves with its id when it is on this phone. `request` notes when the customer asked: now. */
export async function addFollowUp(input: FollowUpInput): Promise<Id> {
  const { model } = needDesk();
  const subject = input.subject.trim();
  if (subject === '') throw new SaveError('NOT_ALLOWED', 'a follow-up says what is owed');
  const ops = [
    set('customer_id', model.survivor(input.customer)),
    set('subject', subject),
    set('status', 'open'),
    set('due_zone', input.due?.zone ?? zone()),
  ];
  if (input.kind) ops.push(set('kind', input.kind));
  if (input.kind === 'request') ops.push(set('requested_at', new Date(serverNow()).toISOString()));
  if (input.due) {
    ops.push(set('due_date', input.due.date));
    if (input.due.time) ops.push(set('due_time', input.due.time));
    if (input.repeat) ops.push(set('repeat', input.repeat));
  }
  if (input.visit) ops.push(set('visit_id', input.visit));
  if (input.owner) ops.push(set('owner_id', input.owner));
  if (input.note?.trim()) ops.push(set('note', input.note.trim()));
  const id = uuid();
  await save([wanted('follow_up', id, 'create', ops)]);
  return id;
}

/**
 * Done, at this moment. Nothing happens to one that is done already. Resolves with what takes it back, also where the
 * follow-up is no longer on this phone by then: a leader holds those of others only while they are open.
 */
export async function completeFollowUp(id: Id): Promise<() => Promise<void>> {
  const { data, version } = known('follow_up', id);
  const from = data['status'] ?? 'open';
  if (from === 'done') return () => reopenFollowUp(id);
  if (from !== 'open') throw new SaveError('NOT_ALLOWED', `${String(from)} cannot be done`);
  await save([
    wanted(
      'follow_up',
      id,
      'update',
      [{ field: 'status', op: 'go', old: from, new: 'done' }, set('done', moment(), data['done'] ?? null)],
      version,
    ),
  ]);
  return () => (needDesk().model.value('follow_up', id) ? reopenFollowUp(id) : back(id, 'done', version));
}

/** Takes back "done" or "cancelled". */
export async function reopenFollowUp(id: Id): Promise<void> {
  await go(id, 'open');
}
/** Nothing is owed any more. Resolves with what takes it back, as `completeFollowUp` does. */
export async function cancelFollowUp(id: Id): Promise<() => Promise<void>> {
  const { version } = known('follow_up', id);
  await go(id, 'cancelled');
  return () =>
    needDesk().model.value('follow_up', id) ? reopenFollowUp(id) : back(id, 'cancelled', version);
}

async function back(id: Id, from: 'done' | 'cancelled', version: number): Promise<void> {
  await save([
    wanted('follow_up', id, 'update', [{ field: 'status', op: 'go', old: from, new: 'open' }], version),
  ]);
}

async function go(id: Id, to: 'open' | 'cancelled'): Promise<void> {
  const { data, version } = known('follow_up', id);
  const from = data['status'] ?? 'open';
  if (from === to) return;
  await save([
    wanted('follow_up', id, 'update', [{ field: 'status', op: 'go', old: from, new: to }], version),
  ]);
}

export interface FollowUpEdit {
  subject?: string;
  kind?: string | null;
  due?: Due | null;
  repeat?: string | null;
  owner?: Id;
  note?: string;
}

/** Changes what differs; a value equal to the present one writes nothing. */
export async function editFollowUp(id: Id, edit: FollowUpEdit): Promise<void> {
  const { data, version } = known('follow_up', id);
  const next: Record<string, unknown> = {};
  if (edit.subject !== undefined) next['subject'] = edit.subject.trim();
  if (edit.kind !== undefined) next['kind'] = edit.kind;
  if (edit.owner !== undefined) next['owner_id'] = edit.owner;
  if (edit.due !== undefined) {
    next['due_date'] = edit.due?.date ?? null;
    next['due_time'] = edit.due?.time ?? null;
    next['due_zone'] = edit.due?.zone ?? zone();
  }
  if (edit.repeat !== undefined) next['repeat'] = edit.repeat;
  const ops: Op[] = Object.entries(next)
    .filter(([field, value]) => (data[field] ?? null) !== value)
    .map(([field, value]) => set(field, value, data[field] ?? null));
  const note = edit.note?.trim();
  if (note !== undefined && note !== (data['note'] ?? ''))
    ops.push({ field: 'note', op: 'text', old: data['note'] ?? '', new: note });
  if (ops.length > 0) await save([wanted('follow_up', id, 'update', ops, version)]);
}

// ---- notices ---------------------------------------------------------------------------------------------------

/** Read, or not yet. */
export async function readNotice(id: Id, read = true): Promise<void> {
  const { data, version } = known('notice', id);
  const from = data['status'] ?? 'unread';
  const to = read ? 'read' : 'unread';
  if (from === to) return;
  await save([wanted('notice', id, 'update', [{ field: 'status', op: 'go', old: from, new: to }], version)]);
}

/** Comes back at `until` (ms since 1970, server time), null: not at all; read until then. Works without network. */
export async function snoozeNotice(id: Id, until: number | null): Promise<void> {
  const { data, version } = known('notice', id);
  const ops: Op[] = [
    set(
      'snoozed_until',
      until === null ? null : new Date(until).toISOString(),
      data['snoozed_until'] ?? null,
    ),
  ];
  if (data['status'] !== 'read')
    ops.push({ field: 'status', op: 'go', old: data['status'] ?? 'unread', new: 'read' });
  await save([wanted('notice', id, 'update', ops, version)]);
}

function known(kind: string, id: Id): { data: Record<string, unknown>; version: number } {
  const found = needDesk().model.value(kind, id);
  if (!found) throw new SaveError('UNKNOWN_RECORD', id);
  return found;
}

function wanted(kind: string, entity: Id, verb: Verb, ops: Op[], base = 0) {
  return { kind, entity, verb, base, at: moment(), ops };
}
