/**
 * Geometry of a day ribbon: instants become positions on a line of hours. Pure; no clock, no DOM.
 *
 * Minutes are counted from 00:00 of the ribbon's day on the wall clock of `zone`, so a visit that runs past midnight has
 * more than 1,440 and one of another zone may have fewer than 0. Positions are shares of the ribbon's length, 0 to 1.
 */

/** What a visit looks like on the ribbon. `plain` took place and does not count. */
export type Look = 'counts' | 'plain' | 'review' | 'open' | 'planned' | 'missed';

export interface RibbonVisit {
  visit: string;
  /** Instants, RFC 3339; null while unknown. */
  from: string | null;
  to: string | null;
  /** "HH:MM" or "HH:MM:SS" on the rep's wall clock. */
  planned_time: string | null;
  status: string;
  valid: boolean | null;
  trust: string | null;
}

/** First and last minute of the drawn line; both whole hours. */
export interface Scale {
  from: number;
  to: number;
}

export interface Piece {
  visit: string;
  look: Look;
  /** True for a running visit whose place wants a second look. */
  review: boolean;
  x: number;
  width: number;
}

/** Minutes from which on nothing is known, up to which. */
export interface Unknown {
  from: number;
  to: number;
}

export interface Band {
  x: number;
  width: number;
}

export const DAY = 1440;
const FIRST = 8 * 60;
const LAST = 18 * 60;
/** A planned visit has no length yet; this much room is drawn for it. */
const PLANNED_MIN = 30;
/** A day may reach into its neighbours (another zone, a night shift) but never by more than this. */
const REACH = 12 * 60;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    const options: Intl.DateTimeFormatOptions = {
      calendar: 'iso8601',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    };
    try {
      format = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone });
    } catch {
      // An old phone may not know a new zone's name: UTC is wrong by hours but still in order.
      format = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' });
    }
    formats.set(zone, format);
  }
  return format;
}

const QUARTER = 900_000;
const offsets = new Map<string, number>();

/**
 * Milliseconds by which the wall clock of `zone` is ahead of UTC at `instant`. Zones change their offset on quarters of an
 * hour, so it is worked out once a quarter: a board of a thousand reps asks tens of thousands of times.
 */
function offsetAt(instant: number, zone: string): number {
  const quarter = Math.floor(instant / QUARTER);
  const key = `${zone} ${quarter}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    const part: Record<string, string> = {};
    for (const { type, value } of formatOf(zone).formatToParts(quarter * QUARTER)) part[type] = value;
    const year = (part.year ?? '1970').padStart(4, '0');
    const shown = Date.parse(`${year}-${part.month}-${part.day}T${part.hour}:${part.minute}:${part.second}Z`);
    offset = shown - quarter * QUARTER;
    if (offsets.size > 10_000) offsets.clear();
    offsets.set(key, offset);
  }
  return offset;
}

/** Calendar day (YYYY-MM-DD) and minute of the day (with its fraction) that `zone` shows at `instant` (ms since 1970). */
export function wallOf(instant: number, zone: string): { day: string; minute: number } {
  const shown = instant + offsetAt(instant, zone);
  const day = Math.floor(shown / 86_400_000);
  return {
    day: new Date(day * 86_400_000).toISOString().slice(0, 10),
    minute: (shown - day * 86_400_000) / 60_000,
  };
}

/** Minutes from 00:00 of `day` on the wall clock of `zone`; null for no instant or one that cannot be read. */
export function minuteOf(instant: string | number | null, day: string, zone: string): number | null {
  if (instant === null) return null;
  const at = typeof instant === 'number' ? instant : Date.parse(instant);
  if (!Number.isFinite(at)) return null;
  const wall = wallOf(at, zone);
  return (Date.parse(`${wall.day}T00:00Z`) - Date.parse(`${day}T00:00Z`)) / 60_000 + wall.minute;
}

/** "09:30" or "09:30:00" → 570; null when it is no time. */
export function minuteOfTime(time: string | null): number | null {
  const match = /^(\d{1,2}):(\d{2})/.exec(time ?? '');
  return match ? Number(match[1]) * 60 + Number(match[2]) : null;
}

export function lookOf(visit: Pick<RibbonVisit, 'status' | 'valid' | 'trust'>): Look | null {
  if (visit.status === 'planned') return 'planned';
  if (visit.status === 'missed') return 'missed';
  if (visit.status === 'open') return 'open';
  if (visit.status !== 'done') return null;
  // A manager's acceptance makes a visit in review valid: then it simply counts.
  if (visit.valid) return 'counts';
  return visit.trust === 'review' ? 'review' : 'plain';
}

/**
 * Where a visit begins and ends, in minutes; null when it has no time at all (or was cancelled). A running visit ends at
 * `now`. The end is the beginning plus the elapsed time, so that an hour repeated in autumn cannot turn it round.
 */
export function spanOf(
  visit: RibbonVisit,
  day: string,
  zone: string,
  now: number,
): { from: number; to: number } | null {
  const look = lookOf(visit);
  if (look === null) return null;
  const from = minuteOf(visit.from, day, zone);
  if (from === null) {
    const planned = minuteOfTime(visit.planned_time);
    return planned === null ? null : { from: planned, to: planned + PLANNED_MIN };
  }
  const begin = Date.parse(visit.from as string);
  const end = visit.to === null ? (look === 'open' ? now : begin) : Date.parse(visit.to);
  const length = Number.isFinite(end) ? Math.max(0, (end - begin) / 60_000) : 0;
  return { from, to: from + Math.min(length, DAY) };
}

/**
 * One scale for all ribbons of a board: 8 to 18, and as much more as the visits need. `now` (minutes) moves the end on
 * in the evening; an early `now` does not pull the beginning back.
 */
export function scaleOf(spans: { from: number; to: number }[], now: number | null = null): Scale {
  let from = FIRST;
  let to = LAST;
  for (const span of spans) {
    from = Math.min(from, span.from);
    to = Math.max(to, span.to);
  }
  if (now !== null && now <= DAY) to = Math.max(to, now);
  return {
    from: Math.max(-REACH, Math.floor(from / 60) * 60),
    to: Math.min(DAY + REACH, Math.ceil(to / 60) * 60),
  };
}

/** Whole hours to label, at most `most` of them, as minutes. */
export function ticksOf(scale: Scale, most: number): number[] {
  const hours = (scale.to - scale.from) / 60;
  const step = [1, 2, 3, 4, 6, 12].find((n) => hours / n + 1 <= most) ?? 24;
  const ticks: number[] = [];
  for (let at = Math.ceil(scale.from / 60 / step) * step; at * 60 <= scale.to; at += step)
    ticks.push(at * 60);
  return ticks;
}

/** Position of a minute on the scale, held between 0 and 1. */
export function share(minute: number, scale: Scale): number {
  return Math.min(1, Math.max(0, (minute - scale.from) / (scale.to - scale.from)));
}

/** The visits that have a time, in time order. */
export function piecesOf(
  visits: RibbonVisit[],
  day: string,
  zone: string,
  now: number,
  scale: Scale,
): Piece[] {
  const pieces: (Piece & { at: number })[] = [];
  for (const visit of visits) {
    const look = lookOf(visit);
    const span = spanOf(visit, day, zone, now);
    if (look === null || span === null || span.to < scale.from || span.from > scale.to) continue;
    const x = share(span.from, scale);
    pieces.push({
      visit: visit.visit,
      look,
      review: visit.trust === 'review' && !visit.valid,
      x,
      width: share(span.to, scale) - x,
      at: span.from,
    });
  }
  return pieces.sort((a, b) => a.at - b.at).map(({ at: _, ...piece }) => piece);
}

export function bandOf(unknown: Unknown | null, scale: Scale): Band | null {
  if (unknown === null) return null;
  const x = share(unknown.from, scale);
  const width = share(unknown.to, scale) - x;
  return width > 0 ? { x, width } : null;
}
