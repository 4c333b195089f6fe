import { moment } from './clock';
import { announce, mutationsChanged, needDesk, openDesk, save, tell } from './desk';
import { decisionKey, type PendingDecision } from './matters';
import { saving } from './storage';
import { SaveError, type DecidedOn, type Id, type Op, type Verdict } from './types';
import { uuid } from './uuid';

/** A decision may be taken back this long without a trace; after that, deciding anew is the way. */
const UNDO_MS = 6_000;
const ALLOWED: Record<DecidedOn, readonly Verdict[]> = {
  conflict: ['take', 'keep'],
  parked: ['retry', 'discard'],
  amendment: ['approve', 'decline'],
  suggestion: ['approve', 'decline'],
  visit: ['accept', 'ask', 'decline'],
};

export const DECIDE = 'decide:';
const draftKey = (key: string) => DECIDE + key;
const timers = new Map<string, ReturnType<typeof setTimeout>>();

/**
 * Decides on a thing: kept as a durable draft, shown as decided from then on, and recorded after 6 s, when the page
 * hides, by `commitDecision`, or at the next start. Deciding again replaces what is kept; on what was recorded it is
 * a new decision (the way to undo one later). Rejects with `SaveError` `NOT_ALLOWED` for a verdict that the thing
 * does not know, or a visit declined without a word.
 */
export async function decide(on: DecidedOn, id: Id, verdict: Verdict, word?: string): Promise<void> {
  const at = moment();
  const desk = needDesk();
  const said = word?.trim() || null;
  if (!ALLOWED[on].includes(verdict)) throw new SaveError('NOT_ALLOWED', `${on} knows no ${verdict}`);
  if (on === 'visit' && verdict === 'decline' && !said) {
    throw new SaveError('NOT_ALLOWED', 'a visit is declined with a word only');
  }
  const here = on === 'parked' ? desk.model.parked().find((p) => p.id === id) : undefined;
  if (here && !here.fromServer) {
    // It never left this phone, so nobody else has a say in it.
    if (here.code !== 'TOO_LARGE') throw new SaveError('NOT_ALLOWED', 'the server has not told of it yet');
    const changed = await saving(() => desk.outbox.putAway(id, verdict === 'discard'));
    return mutationsChanged(desk, changed);
  }
  const key = decisionKey(on, id);
  const pending: PendingDecision = { on, id, verdict, word: said, at, undoUntil: Date.now() + UNDO_MS };
  await saving(() => desk.outbox.saveDraft(draftKey(key), pending));
  announce(desk.model.setDecision(key, pending));
  tell(desk, { type: 'outbox' });
  arm(pending);
}

/** Takes a decision back. False when it was already recorded: then decide anew. */
export async function undoDecide(id: Id): Promise<boolean> {
  const desk = needDesk();
  const pending = desk.model.pendingDecisions().find((p) => p.id === id);
  if (!pending) return false;
  const key = decisionKey(pending.on, id);
  clearTimeout(timers.get(key));
  timers.delete(key);
  const was = await saving(() => desk.outbox.clearDraft(draftKey(key)));
  announce(desk.model.setDecision(key, null));
  tell(desk, { type: 'outbox' });
  return was;
}

/** Records a kept decision now. Does nothing when there is none (any more). */
export async function commitDecision(id: Id): Promise<void> {
  const pending = openDesk()
    ?.model.pendingDecisions()
    .find((p) => p.id === id);
  if (pending) await record(pending);
}

async function record(pending: PendingDecision): Promise<void> {
  const desk = openDesk();
  if (!desk) return;
  const key = decisionKey(pending.on, pending.id);
  clearTimeout(timers.get(key));
  timers.delete(key);
  const ops: Op[] = [
    { field: 'on_kind', op: 'set', old: null, new: pending.on },
    { field: 'on_id', op: 'set', old: null, new: pending.id },
    { field: 'verdict', op: 'set', old: null, new: pending.verdict },
  ];
  if (pending.word) ops.push({ field: 'word', op: 'set', old: null, new: pending.word });
  const body = { kind: 'decision', entity: uuid(), verb: 'create' as const, base: 0, at: pending.at, ops };
  await save([body], { onlyIf: draftKey(key), clear: [draftKey(key)] });
  if (openDesk() === desk) announce(desk.model.setDecision(key, null));
}

/** Records every kept decision, as when the page hides. The drafts are durable, so nothing depends on finishing. */
export function commitAllDecisions(): Promise<void>[] {
  return (openDesk()?.model.pendingDecisions() ?? []).map((pending) => record(pending).catch(() => {}));
}

/** After a start, and when a sleeping phone may have lost its timers: what is due is recorded, the rest armed. */
export function resumeDecisions(): void {
  for (const timer of timers.values()) clearTimeout(timer);
  timers.clear();
  for (const pending of openDesk()?.model.pendingDecisions() ?? []) arm(pending);
}

function arm(pending: PendingDecision): void {
  const key = decisionKey(pending.on, pending.id);
  clearTimeout(timers.get(key));
  const due = () => {
    timers.delete(key);
    record(pending).catch(() => arm({ ...pending, undoUntil: Date.now() + UNDO_MS }));
  };
  timers.set(key, setTimeout(due, Math.min(UNDO_MS, Math.max(0, pending.undoUntil - Date.now()))));
}
