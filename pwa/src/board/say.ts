/**
 * Numbers and instants as the board writes them. Pure: words, zone and day are arguments; spaces and digits follow the words'
 * locale.
 */
import type { Day, Fix, Instant, Position } from '../data';
import type { BoardWords } from '../i18n/board';
import type { Words } from '../i18n/en';
import { wallOf } from '../ui/ribbon/ribbon';
import { shift } from './day';

export interface Say {
  t: Words;
  w: BoardWords;
  zone: string;
  /** "09:40", with the day before it when that is not `day`. */
  time: (instant: Instant | number | null, day?: Day, zone?: string) => string;
  /** "Thu 19 November", with the year when it is not the present one. */
  day: (day: Day, year?: number) => string;
  /** A length of seconds: "40 s", "41 min", "2 h 33". */
  length: (seconds: number) => string;
  /** "38 m", "1.4 km", "9,300 km". */
  metres: (metres: number) => string;
  accuracy: (metres: number) => string;
  percent: (share: number) => string;
  ago: (ms: number) => string;
}

export function sayer(t: Words, w: BoardWords, zone: string): Say {
  const cache = new Map<string, Intl.DateTimeFormat>();
  const format = (name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => {
    const found = cache.get(name) ?? new Intl.DateTimeFormat(t.locale, { ...options, timeZone: 'UTC' });
    cache.set(name, found);
    return found;
  };
  const numbers = new Intl.NumberFormat(t.locale, { maximumFractionDigits: 0 });
  const tenths = new Intl.NumberFormat(t.locale, { maximumFractionDigits: 1 });
  const shares = new Intl.NumberFormat(t.locale, { style: 'percent' });

  function time(instant: Instant | number | null, day?: Day, at = zone): string {
    const ms = typeof instant === 'number' ? instant : Date.parse(instant ?? '');
    if (!Number.isFinite(ms)) return t.notKnown;
    const wall = wallOf(ms, at);
    const minute = Math.floor(wall.minute);
    const clock = `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
    if (day === undefined || wall.day === day) return clock;
    const near = wall.day > shift(day, -7) && wall.day < shift(day, 7);
    const name = near
      ? format('weekday', { weekday: 'short' })
      : format('date', { day: 'numeric', month: 'short' });
    return `${name.format(Date.parse(`${wall.day}T00:00Z`))} ${clock}`;
  }

  function length(seconds: number): string {
    const whole = Math.max(0, Math.round(seconds));
    if (whole < 60) return t.seconds(whole);
    const minutes = Math.floor(whole / 60);
    return minutes < 60 ? t.min(minutes) : t.hmin(Math.floor(minutes / 60), minutes % 60);
  }

  function metres(value: number): string {
    if (value < 999.5) return t.metres(numbers.format(value));
    return t.kilometres((value < 10_000 ? tenths : numbers).format(value / 1000));
  }

  function ago(ms: number): string {
    const minutes = Math.floor(ms / 60_000);
    if (minutes < 1) return t.justNow;
    if (minutes < 60) return t.agoMinutes(minutes);
    return minutes < 48 * 60 ? t.agoHours(Math.floor(minutes / 60)) : t.agoDays(Math.floor(minutes / 1440));
  }

  function day(value: Day, year?: number): string {
    const other = year !== undefined && Number(value.slice(0, 4)) !== year;
    return format(other ? 'year' : 'day', {
      weekday: 'short',
      day: 'numeric',
      month: other ? 'short' : 'long',
      ...(other ? { year: 'numeric' } : {}),
    })
      .format(Date.parse(`${value}T00:00Z`))
      .replace(',', '');
  }

  return {
    t,
    w,
    zone,
    time,
    day,
    length,
    metres,
    accuracy: (value) => t.accuracyOf(metres(value)),
    percent: (share) => shares.format(share),
    ago,
  };
}

export function isPosition(fix: Fix | null | undefined): fix is Position {
  return !!fix && 'lat' in fix && typeof fix.lat === 'number' && typeof fix.lon === 'number';
}

/** The fix which speaks for the check-in: the more accurate of first and best. */
export function speakingFix(first: Fix | null, best: Fix | null): Position | null {
  if (!isPosition(best)) return isPosition(first) ? first : null;
  return isPosition(first) && first.accuracy_m < best.accuracy_m ? first : best;
}
