import type { VisitKind } from '../data';

/** What the phone says of the server's rules, for hints only: the server decides. */
export interface Hints {
  minChars: number;
}

const numberOf = (value: unknown, otherwise: number): number =>
  typeof value === 'number' && Number.isFinite(value) ? value : otherwise;

/** From the organisation's settings rows; defaults are the product's. */
export function hints(settings: Record<string, unknown>): Hints {
  return { minChars: numberOf(settings['min_note_chars'], 10) };
}

/** The kind to begin with: the one last used (newest first in `used`), else a store call, else the first there is. */
export function usualKind(kinds: VisitKind[], used: { kind: string }[] = []): string {
  const known = new Set(kinds.map((k) => k.code));
  const last = used.find((v) => known.has(v.kind))?.kind;
  return last ?? (known.has('store_call') ? 'store_call' : (kinds[0]?.code ?? 'store_call'));
}

/** Minutes a visit of this kind and mode must last; PRODUCT's defaults for an unknown kind. */
export function minMinutes(kind: VisitKind | undefined, mode: 'in_person' | 'online' | 'phone'): number {
  return numberOf(kind?.minMinutes[mode], mode === 'phone' ? 0 : 30);
}

/** Where time stands on the line of a running visit, 0 to 1: the mark of "counts from" lies at 82 %. */
export function progress(seconds: number, minSeconds: number): { at: number; mark: number | null } {
  if (minSeconds <= 0) return { at: Math.min(0.97, seconds / 3600), mark: null };
  const mark = 0.82;
  const share = seconds / minSeconds;
  // Past the mark the rest of the line is approached and never reached: a visit has no latest end.
  const at = share <= 1 ? share * mark : mark + (1 - mark) * (1 - 1 / (1 + (share - 1) * 2)) * 0.85;
  return { at, mark };
}

/**
 * Instant of a wall time typed for a day in a zone, ms since 1970; null when unreadable. Where the clocks go forward
 * a skipped time means the moment after the gap; where they go back, the first of the two.
 */
export function instantOf(day: string, time: string, zone: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || !/^\d{2}:\d{2}$/.test(time)) return null;
  const wall = Date.parse(`${day}T${time}:00Z`);
  if (!Number.isFinite(wall)) return null;
  const before = wall - offsetAt(wall - 86_400_000, zone);
  if (offsetAt(before, zone) === wall - before) return before;
  const after = wall - offsetAt(wall + 86_400_000, zone);
  if (offsetAt(after, zone) === wall - after) return after;
  return before;
}

/** Zone's distance from UTC at an instant, ms. */
function offsetAt(at: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(at);
  const of = (type: string) => Number(parts.find((p) => p.type === type)?.value);
  const wall = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  return wall - Math.floor(at / 1000) * 1000;
}
