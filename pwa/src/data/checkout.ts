import { moment } from './clock';
import { needDesk, openDesk, save, visitChanged } from './desk';
import { endLocating } from './locating';
import type { PendingCheckOut } from './model';
import { takeFix } from './place';
import { saving } from './storage';
import { SaveError, type CheckOutInput, type Fix, type Id, type Op } from './types';

/** A check-out may be taken back this long; then it is recorded and a change is a correction request. */
const UNDO_MS = 6_000;
const PLACE_PATIENCE_MS = 30_000;

const draftKey = (visit: Id) => `checkout:${visit}`;
const placeKey = (visit: Id) => `outfix:${visit}`;
const timers = new Map<Id, ReturnType<typeof setTimeout>>();

/**
 * Keeps moment and place of a check-out as a durable draft and resolves when that is stored. It is recorded after
 * 6 s, when the page hides, by `commitCheckOut`, or at the next start.
 */
export async function checkOut(visit: Id, input: CheckOutInput = {}): Promise<void> {
  const tapped = input.at ?? moment();
  const desk = needDesk();
  const v = desk.model.visit(visit);
  if (!v) throw new SaveError('UNKNOWN_RECORD', visit);
  if (v.status !== 'open')
    throw new SaveError('NOT_ALLOWED', `a visit that is ${v.status} cannot be checked out`);
  if (v.pendingCheckOut) return;
  const pending: PendingCheckOut = {
    at: tapped,
    undoUntil: Date.now() + UNDO_MS,
    ...(input.lateReason ? { lateReason: input.lateReason } : {}),
  };
  // Asked for at the tap itself; a moment typed later has no place.
  const place = input.at ? null : takeFix({ patienceMs: PLACE_PATIENCE_MS });
  await saving(() => desk.outbox.saveDraft(draftKey(visit), pending));
  desk.model.setPending(visit, pending);
  visitChanged(desk, visit);
  void endLocating(visit).catch(() => {});
  void place?.then((fix) => placeFound(visit, fix)).catch(() => {});
  arm(visit, pending);
}

/** Takes the check-out back. False when it was already recorded. */
export async function undoCheckOut(visit: Id): Promise<boolean> {
  const desk = needDesk();
  clearTimeout(timers.get(visit));
  const was = await saving(() => desk.outbox.clearDraft(draftKey(visit)));
  desk.model.setPending(visit, null);
  visitChanged(desk, visit);
  return was;
}

/** Records a kept check-out now. Does nothing when there is none (any more). */
export async function commitCheckOut(visit: Id): Promise<void> {
  const desk = openDesk();
  const pending = desk?.model.pendingOf(visit);
  if (!desk || !pending) return;
  clearTimeout(timers.get(visit));
  await endLocating(visit);
  const v = desk.model.visit(visit);
  // Unknown here (a rescued phone, a wiped one) is no reason to lose it: the server knows the visit.
  if (v?.status === 'done') {
    await desk.outbox.clearDraft(draftKey(visit));
  } else {
    const ops: Op[] = [
      { field: 'check_out', op: 'set', old: null, new: pending.at },
      { field: 'status', op: 'go', old: 'open', new: 'done' },
    ];
    if (pending.fix) ops.push({ field: 'check_out_fix', op: 'set', old: null, new: pending.fix });
    if (pending.lateReason) {
      ops.push({ field: 'late_reason', op: 'set', old: v?.lateReason ?? null, new: pending.lateReason });
    }
    await save([{ kind: 'visit', entity: visit, verb: 'update', base: v?.version ?? 0, at: moment(), ops }], {
      onlyIf: draftKey(visit),
      clear: [draftKey(visit)],
      put: pending.fix ? [] : [{ key: placeKey(visit), value: { at: pending.at } }],
    });
  }
  desk.model.setPending(visit, null);
  if (openDesk() === desk) visitChanged(desk, visit);
}

/** Records every kept check-out, as when the page hides. The drafts are durable, so nothing depends on finishing. */
export function commitAllCheckOuts(): Promise<void>[] {
  return [...timers.keys()].map((visit) => commitCheckOut(visit).catch(() => {}));
}

/** After a start: records what was kept, and closes searches for a place that died with the page. */
export async function resumeCheckOuts(): Promise<void> {
  const desk = needDesk();
  for (const timer of timers.values()) clearTimeout(timer);
  timers.clear();
  for (const { key, value } of await desk.outbox.allDrafts('checkout:')) {
    arm(key.slice('checkout:'.length), value as PendingCheckOut);
  }
  for (const { key } of await desk.outbox.allDrafts('outfix:')) {
    const visit = key.slice('outfix:'.length);
    void placeFound(visit, { none: 'timeout' }).catch(() => {});
  }
}

function arm(visit: Id, pending: PendingCheckOut): void {
  clearTimeout(timers.get(visit));
  const record = () => {
    timers.delete(visit);
    commitCheckOut(visit).catch(() => arm(visit, { ...pending, undoUntil: Date.now() + UNDO_MS }));
  };
  timers.set(visit, setTimeout(record, Math.max(0, pending.undoUntil - Date.now())));
}

/** The place of a check-out: into the draft while that lasts, as a change of its own after it was recorded. */
async function placeFound(visit: Id, fix: Fix): Promise<void> {
  const desk = openDesk();
  if (!desk) return;
  const pending = desk.model.pendingOf(visit);
  if (pending) {
    const known = { ...pending, fix };
    desk.model.setPending(visit, known);
    await desk.outbox.replaceDraft(draftKey(visit), known);
    return;
  }
  const v = desk.model.visit(visit);
  const ops: Op[] =
    v && v.checkOutFix === null ? [{ field: 'check_out_fix', op: 'set', old: null, new: fix }] : [];
  await save(
    v && ops.length
      ? [{ kind: 'visit', entity: visit, verb: 'update', base: v.version, at: moment(), ops }]
      : [],
    { onlyIf: placeKey(visit), clear: [placeKey(visit)] },
  );
}
