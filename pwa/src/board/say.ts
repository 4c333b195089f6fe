/** What the board writes in words and numbers. Pure: words, zone and day are arguments. */
import type { Day, Fix, Instant, Position } from '../data';
import type { BoardWords } from '../i18n/board';
import type { Words } from '../i18n/en';
import {
  accuracy,
  addDays,
  ago,
  clock,
  dayOf,
  dayShort,
  dayWeekday,
  distance,
  duration,
  reasonLong,
  reasonShort,
} from '../i18n/format';

export interface Say {
  t: Words;
  w: BoardWords;
  /** The reader's zone: one scale of hours for all rows. */
  zone: string;
  /** "09:40"; with the day before it ("Wed 18:10", "2 Oct 18:10") when that is not `day`. */
  time: (instant: Instant | number | null, day?: Day, zone?: string) => string;
  /** "Thu 19 Nov"; of another year than `today`'s with its number. */
  day: (day: Day, today: Day) => string;
  /** A length in seconds: "40 s", "41 min", "2 h 33". */
  length: (seconds: number) => string;
  metres: (metres: number) => string;
  accuracy: (metres: number) => string;
  percent: (share: number) => string;
  ago: (ms: number) => string;
  reason: (code: string) => string;
  sentence: (code: string) => string;
}

export function sayer(t: Words, w: BoardWords, zone: string): Say {
  const percents = new Intl.NumberFormat(t.locale, { style: 'percent' });
  const weekdays = new Intl.DateTimeFormat(t.locale, { weekday: 'short', timeZone: 'UTC' });

  function time(instant: Instant | number | null, day?: Day, at = zone): string {
    const written = instant === null ? '' : clock(instant, at);
    if (instant === null || written === '') return t.notKnown;
    const own = dayOf(instant, at);
    if (day === undefined || own === day) return written;
    const near = own > addDays(day, -7) && own < addDays(day, 7);
    return `${near ? weekdays.format(Date.parse(`${own}T12:00Z`)) : dayShort(t, own, day)} ${written}`;
  }

  return {
    t,
    w,
    zone,
    time,
    day: (day, today) =>
      day.slice(0, 4) === today.slice(0, 4) ? dayWeekday(t, day) : dayShort(t, day, today),
    length: (seconds) => (seconds < 60 ? t.seconds(Math.max(0, Math.round(seconds))) : duration(t, seconds)),
    metres: (metres) => distance(t, metres),
    accuracy: (metres) => accuracy(t, metres),
    percent: (share) => percents.format(share),
    ago: (ms) => ago(t, ms),
    reason: (code) => reasonShort(t, code),
    sentence: (code) => reasonLong(t, code),
  };
}

export function isPosition(fix: Fix | null | undefined): fix is Position {
  return !!fix && 'lat' in fix && typeof fix.lat === 'number' && typeof fix.lon === 'number';
}

/** The fix which speaks for the check-in: the one the server judged (it tells its accuracy), else the more accurate. */
export function speakingFix(
  first: Fix | null,
  best: Fix | null,
  judged: number | null = null,
): Position | null {
  const fixes = [first, best].filter(isPosition).sort((a, b) => a.accuracy_m - b.accuracy_m);
  return fixes.find((fix) => judged !== null && Math.abs(fix.accuracy_m - judged) < 0.1) ?? fixes[0] ?? null;
}
