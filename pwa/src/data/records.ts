import { moment } from './clock';
import { needDesk, save } from './desk';
import { draftName, endingDraft } from './drafts';
import { SaveError, type CommentedKind, type Correctable, type Id, type Op } from './types';
import { uuid } from './uuid';

const set = (field: string, value: unknown, old: unknown = null): Op => ({
  field,
  op: 'set',
  old,
  new: value,
});

/** How a field settles where it is not a plain value (PROTOCOL, "Kinds and fields"). */
const TEXTS = new Set(['minutes', 'next_step', 'note']);
const SETS = new Set(['tags', 'photos']);
/** Evidence is written once; what differs later is a correction request. */
const EVIDENCE = new Set([
  'check_in',
  'check_out',
  'check_in_fix',
  'check_in_best_fix',
  'check_out_fix',
  'done',
]);

/**
 * Asks for a correction of a visit (an amendment): `changes` are new values by wire name, `reason` says why
 * (1 to 500 characters). Whoever leads approves or declines. Resolves with its id when it is on this phone.
 */
export async function requestCorrection(
  visit: Id,
  changes: Partial<Record<Correctable, unknown>>,
  reason: string,
  options: { draft?: string } = {},
): Promise<Id> {
  const said = reason.trim();
  if (said === '') throw new SaveError('NOT_ALLOWED', 'a correction needs a reason');
  if (Object.keys(changes).length === 0) throw new SaveError('NOT_ALLOWED', 'nothing to correct');
  if (!needDesk().model.value('visit', visit)) throw new SaveError('UNKNOWN_RECORD', visit);
  const ops = [set('visit_id', visit), set('reason', said), set('changes', changes)];
  return create('amendment', ops, options.draft);
}

/** Adds a comment (1 to 5,000 characters) to a record; resolves with its id. `draft`: the draft that ends with it. */
export async function addComment(
  kind: CommentedKind,
  id: Id,
  body: string,
  options: { draft?: string } = {},
): Promise<Id> {
  const said = body.trim();
  if (said === '') throw new SaveError('NOT_ALLOWED', 'an empty comment');
  const on = kind === 'customer' ? needDesk().model.survivor(id) : id;
  return create('comment', [set('on_kind', kind), set('on_id', on), set('body', said)], options.draft);
}

async function create(kind: string, ops: Op[], draft?: string): Promise<Id> {
  const entity = uuid();
  const clear = draft ? [draftName(draft)] : [];
  const ended = draft ? endingDraft(draft) : null;
  await save([{ kind, entity, verb: 'create', base: 0, at: moment(), ops }], { clear });
  ended?.();
  return entity;
}

/**
 * Brings an earlier value of a field back, as an ordinary update of today. Evidence of a visit cannot be brought
 * back so (`NOT_ALLOWED`): that is a correction request. A value that holds already writes nothing.
 */
export async function restoreValue(kind: string, id: Id, field: string, value: unknown): Promise<void> {
  const { model } = needDesk();
  const entity = kind === 'customer' ? model.survivor(id) : id;
  const known = model.value(kind, entity);
  if (!known) throw new SaveError('UNKNOWN_RECORD', id);
  if (EVIDENCE.has(field)) throw new SaveError('NOT_ALLOWED', `${field} is evidence`);
  const old = known.data[field] ?? null;
  const ops = backTo(field, old, value ?? null);
  if (ops.length === 0) return;
  await save([{ kind, entity, verb: 'update', base: known.version, at: moment(), ops }]);
}

function backTo(field: string, old: unknown, value: unknown): Op[] {
  if (SETS.has(field)) {
    const [now, then] = [listOf(old), listOf(value)];
    const add = then.filter((v) => !now.includes(v));
    const remove = now.filter((v) => !then.includes(v));
    const ops: Op[] = [];
    if (add.length > 0) ops.push({ field, op: 'add', values: add });
    if (remove.length > 0) ops.push({ field, op: 'remove', values: remove });
    return ops;
  }
  if (JSON.stringify(old) === JSON.stringify(value)) return [];
  if (field === 'status') return [{ field, op: 'go', old, new: value }];
  if (TEXTS.has(field)) return [{ field, op: 'text', old, new: value ?? '' }];
  return [set(field, value, old)];
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
