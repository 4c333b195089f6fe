/**
 * Whether a visit counts, as this phone can tell before the server has said so: the reasons of `server/visits/rules.py`
 * that lie in the visit itself and in its place. Pure. What only the server knows (doubts of the clock, habits, accounts)
 * stays open, so an expectation is always marked as one.
 */
import type { Visit, VisitKind } from '../data';

export interface Rules {
  kinds: ReadonlyMap<string, VisitKind>;
  minChars: number;
  backfillLimitH: number;
  /** Radius of a customer's place, metres; null: no place is on record. */
  radiusOf(customer: string): number | null;
}
export interface Standing {
  valid: boolean;
  reasons: string[];
  /** False: the server has not said so yet. */
  certain: boolean;
}

const DEFAULT_MINUTES = { in_person: 30, online: 30, phone: 0 };
const STALE_S = 120;
const LATE_S = 180;
const USELESS_M = 1000;

export function standing(visit: Visit, rules: Rules): Standing {
  if (visit.server && visit.receipt.state !== 'phone' && visit.pendingCheckOut === null) {
    return { valid: visit.server.valid, reasons: visit.server.reasons, certain: true };
  }
  const reasons = whyNot(visit, rules);
  return { valid: reasons.length === 0, reasons, certain: false };
}

function whyNot(v: Visit, rules: Rules): string[] {
  if (v.status !== 'done') return ['NOT_DONE'];
  const reasons: string[] = [];
  const minutes = (rules.kinds.get(v.kind)?.minMinutes ?? DEFAULT_MINUTES)[v.mode];
  if (!v.checkIn) reasons.push('NO_CHECK_IN');
  if (!v.checkOut && minutes > 0) reasons.push('NO_CHECK_OUT');
  if (v.durationS !== null && v.durationS < minutes * 60) reasons.push('TOO_SHORT');
  const written = [...v.minutes.trim()].length;
  if (written < rules.minChars) reasons.push(written ? 'MINUTES_TOO_SHORT' : 'NO_MINUTES');
  if (v.server?.reasons.includes('BACK_FILLED')) reasons.push('BACK_FILLED');
  if (v.server?.declined) reasons.push('DECLINED');
  else if (v.mode === 'in_person' && !v.server?.accepted && inReview(v, rules)) reasons.push('IN_REVIEW');
  return reasons;
}

/** The server's word on the place where there is one, else the place rule: farther away than radius and accuracy. */
function inReview(v: Visit, rules: Rules): boolean {
  if (v.server?.trust) return v.server.trust === 'review';
  const radius = rules.radiusOf(v.customerId);
  const fix = [v.checkInFix, v.checkInBestFix]
    .filter((f) => f !== null && 'lat' in f)
    .sort((a, b) => a.accuracy_m - b.accuracy_m)[0];
  if (!fix || radius === null || v.distanceM === null || !v.checkIn) return false;
  const ageS = (Date.parse(v.checkIn.wall) - Date.parse(fix.taken_at)) / 1000;
  if (ageS > STALE_S || ageS < -LATE_S || fix.accuracy_m > USELESS_M) return false;
  return v.distanceM > radius + fix.accuracy_m;
}
