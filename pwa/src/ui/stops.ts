/** How a visit stands on the line. Pure; `visit` is anything with these few words of a visit. */
export interface StopVisit {
  status: 'planned' | 'open' | 'done' | 'missed' | 'cancelled';
  minutes: string;
  receipt: { state: 'phone' | 'sent' | 'merged' | 'needs-you' };
  server: { valid: boolean; trust: 'verified' | 'unverified' | 'review' | null; reasons: string[] } | null;
}
export type StopMark = 'counted' | 'may' | 'not' | 'review' | 'open' | 'planned' | 'phone' | 'off';

/** Reasons which a person can still lift: words can be written, a manager can look. */
const MAY_YET = new Set([
  'NO_MINUTES',
  'MINUTES_TOO_SHORT',
  'IN_REVIEW',
  'BACK_FILLED',
  'NOT_DONE',
  'NO_CHECK_OUT',
]);

/** Filled only when the server has counted it; what it does not have is hatched, what may yet count is ringed. */
export function markOf(visit: StopVisit): StopMark {
  if (visit.status === 'planned') return 'planned';
  if (visit.status === 'missed' || visit.status === 'cancelled') return 'off';
  if (visit.status === 'open') return 'open';
  if (visit.receipt.state === 'phone') return 'phone';
  if (visit.server?.valid) return 'counted';
  if (visit.server?.trust === 'review') return 'review';
  return mayCount(visit) ? 'may' : 'not';
}

/** Not counted so far, but nothing final speaks against it. */
export function mayCount(visit: StopVisit): boolean {
  if (visit.status === 'open') return true;
  if (visit.status !== 'done') return false;
  if (!visit.server || visit.receipt.state === 'phone') return true;
  return !visit.server.valid && visit.server.reasons.every((code) => MAY_YET.has(code));
}

export function counts(visit: StopVisit): boolean {
  return visit.status === 'done' && visit.server?.valid === true;
}

/** The visit is over and its minutes are missing or too short. */
export function wantsMinutes(visit: StopVisit, minChars: number): boolean {
  return visit.status === 'done' && lengthOf(visit.minutes) < minChars;
}

/** Characters as people count them, without the blanks around. */
export function lengthOf(text: string): number {
  return [...text.trim()].length;
}

/** The piece of line below a stop. */
export function lineAfter(visit: StopVisit, last: boolean): 'solid' | 'dashed' | 'hatched' | 'none' {
  if (last) return 'none';
  if (visit.status === 'done') return visit.receipt.state === 'phone' ? 'hatched' : 'solid';
  return 'dashed';
}
