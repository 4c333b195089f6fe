import { moment } from './clock';
import { needDesk, openDesk, save, visitChanged } from './desk';
import { isPosition } from './model';
import type { Draftless } from './outbox';
import { follow } from './place';
import { saving } from './storage';
import type { Id, NoPosition, Op, Position } from './types';

/** How long the fix of a check-in is improved, and the accuracy at which it is good enough. */
const PATIENCE_MS = 3 * 60_000;
const GOOD_M = 25;

/** What is known so far, kept as a draft so that a killed browser can go on or finish it. */
export interface Search {
  until: number;
  best: Position | null;
}
export const searchKey = (visit: Id) => `locate:${visit}`;

export function newSearch(first: Position | null): Search {
  return { until: Date.now() + PATIENCE_MS, best: first };
}

const running = new Map<Id, (reason: NoPosition) => Promise<void>>();

/**
 * Improves the fix of a check-in that is already saved: the first position becomes `check_in_fix`, the most
 * accurate one within 3 minutes (or the first within ±25 m) `check_in_best_fix`. Both are written once, because
 * evidence may be written once only; the draft of the search tells whether it is still to be done.
 */
export async function locate(visit: Id, search: Search): Promise<void> {
  if (typeof navigator === 'undefined' || !navigator.locks) return look(visit, search);
  await navigator.locks.request(`rounds-${searchKey(visit)}`, { ifAvailable: true }, async (lock) => {
    // Without: another tab is at it. And it may have ended while the lock was awaited.
    if (lock && (await openDesk()?.outbox.loadDraft(searchKey(visit)))) await look(visit, search);
  });
}

async function look(visit: Id, search: Search): Promise<void> {
  if (running.has(visit)) return;
  const desk = needDesk();
  let done = () => {};
  const ended = new Promise<void>((resolve) => (done = resolve));
  let over = false;
  let best = search.best;
  let last: NoPosition = 'timeout';
  // One after the other: the first fix must be in the outbox before the best one is.
  let queue: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>) => (queue = queue.then(work, work));

  const stop = follow(
    (fix) => {
      if (over) return;
      if (!best || fix.accuracy_m < best.accuracy_m) best = fix;
      const now = best;
      void inTurn(async () => {
        if (firstFixMissing(visit))
          await writeFixes(visit, [{ field: 'check_in_fix', op: 'set', old: null, new: fix }]);
        await saving(() =>
          desk.outbox.replaceDraft(searchKey(visit), { ...search, best: now } satisfies Search),
        );
      }).catch(() => {});
      if (fix.accuracy_m <= GOOD_M) void end('timeout');
    },
    (reason) => {
      last = reason;
      if (reason === 'denied' || reason === 'unsupported') void end(reason);
    },
  );
  const timer = setTimeout(() => void end(last), Math.max(0, search.until - Date.now()));

  async function end(reason: NoPosition): Promise<void> {
    if (over) return queue;
    over = true;
    clearTimeout(timer);
    stop();
    running.delete(visit);
    return inTurn(async () => {
      desk.model.setLocating(visit, false);
      await finish(visit, best, reason === 'timeout' ? last : reason);
      if (openDesk() === desk) visitChanged(desk, visit);
    })
      .catch(() => {})
      .finally(done);
  }
  running.set(visit, end);
  desk.model.setLocating(visit, true);
  visitChanged(desk, visit);
  if (desk.model.visit(visit)?.status !== 'open') void end('timeout');
  await ended;
}

/**
 * Ends the search of a visit now (it is being checked out) and resolves when what was found is written: evidence
 * of a check-in may be added while the visit is open only.
 */
export async function endLocating(visit: Id): Promise<void> {
  const end = running.get(visit);
  if (end) return end('timeout');
  const left = await openDesk()?.outbox.loadDraft(searchKey(visit));
  if (left) await finish(visit, (left.value as Search).best, 'timeout');
}

/** Ends every search without a word, as when somebody signs out: the sensor is not read for nobody. */
export function dropSearches(): void {
  for (const end of [...running.values()]) void end('timeout');
}

/** After a start: goes on with searches whose time is not over, finishes the others with what they had. */
export async function resumeLocating(): Promise<void> {
  const desk = needDesk();
  running.clear();
  for (const { key, value } of await desk.outbox.allDrafts('locate:')) {
    const visit = key.slice('locate:'.length);
    const search = value as Search;
    const v = desk.model.visit(visit);
    if (v?.status === 'open' && !v.pendingCheckOut && Date.now() < search.until) {
      void locate(visit, search).catch(() => {});
    } else await finish(visit, search.best, 'timeout');
  }
}

function firstFixMissing(visit: Id): boolean {
  const fix = openDesk()?.model.visit(visit)?.checkInFix ?? null;
  return fix === null;
}

async function finish(visit: Id, best: Position | null, reason: NoPosition): Promise<void> {
  const v = openDesk()?.model.visit(visit);
  const ops: Op[] = [];
  if (v) {
    const first = v.checkInFix;
    if (first === null)
      ops.push({ field: 'check_in_fix', op: 'set', old: null, new: best ?? { none: reason } });
    else if (
      best &&
      v.checkInBestFix === null &&
      (!isPosition(first) || best.accuracy_m < first.accuracy_m)
    ) {
      ops.push({ field: 'check_in_best_fix', op: 'set', old: null, new: best });
    }
  }
  await writeFixes(visit, ops, true);
}

async function writeFixes(visit: Id, ops: Op[], last = false): Promise<void> {
  const version = openDesk()?.model.value('visit', visit)?.version ?? 0;
  const wanted: Draftless[] = ops.length
    ? [{ kind: 'visit', entity: visit, verb: 'update', base: version, at: moment(), ops }]
    : [];
  const key = searchKey(visit);
  await save(wanted, { onlyIf: key, ...(last ? { clear: [key] } : {}) });
}
