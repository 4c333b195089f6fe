import type { ReasonCode, FirstWords } from './en';

/**
 * Numbers and times in words. All pure: words (which carry their locale), values, zone and the present moment come
 * in as arguments. Instants are milliseconds since 1970 or RFC 3339 text, days `YYYY-MM-DD`, zones IANA names.
 */
export type When = number | string;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Making a formatter costs a hundred times more than using it; an unknown zone falls back to UTC. */
function format(
  locale: string,
  zone: string,
  key: string,
  options: Intl.DateTimeFormatOptions,
): Intl.DateTimeFormat {
  const name = `${locale}|${zone}|${key}`;
  let known = formats.get(name);
  if (!known) {
    try {
      known = new Intl.DateTimeFormat(locale, { ...options, timeZone: zone });
    } catch {
      known = new Intl.DateTimeFormat(locale, { ...options, timeZone: 'UTC' });
    }
    formats.set(name, known);
  }
  return known;
}

const ms = (when: When): number => (typeof when === 'number' ? when : Date.parse(when));

/** `14:06`, always 24 hours; empty for an unreadable instant. */
export function clock(when: When, zone: string): string {
  const at = ms(when);
  if (!Number.isFinite(at)) return '';
  return format('en-GB', zone, 'clock', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at);
}

/** `14:06:40`. */
export function clockSeconds(when: When, zone: string): string {
  const at = ms(when);
  if (!Number.isFinite(at)) return '';
  const options = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const;
  return format('en-GB', zone, 'seconds', options).format(at);
}

/** Calendar day of an instant in a zone, `YYYY-MM-DD`. */
export function dayOf(when: When, zone: string): string {
  const at = ms(when);
  if (!Number.isFinite(at)) return '';
  return format('en-CA', zone, 'day', { year: 'numeric', month: '2-digit', day: '2-digit' }).format(at);
}

const noon = (day: string): number => Date.parse(`${day}T12:00:00Z`);

/** `Thursday 19 November`, `11月19日 星期四`. */
export function dayLong(words: FirstWords, day: string): string {
  const at = noon(day);
  if (!Number.isFinite(at)) return day;
  const date = format(words.locale, 'UTC', 'monthday', { day: 'numeric', month: 'long' }).format(at);
  const weekday = format(words.locale, 'UTC', 'weekday', { weekday: 'long' }).format(at);
  return words.locale.startsWith('zh') ? `${date} ${weekday}` : `${weekday} ${date}`;
}

/** `7 Nov`, `11月7日`; with the year when it is not this one. */
export function dayShort(words: FirstWords, day: string, today?: string): string {
  const at = noon(day);
  if (!Number.isFinite(at)) return day;
  const other = today !== undefined && today.slice(0, 4) !== day.slice(0, 4);
  if (other) {
    return format(words.locale, 'UTC', 'yearday', { day: 'numeric', month: 'short', year: 'numeric' }).format(
      at,
    );
  }
  return format(words.locale, 'UTC', 'shortday', { day: 'numeric', month: 'short' }).format(at);
}

/** `Thu 26 Nov`, `11月26日 周四`. */
export function dayWeekday(words: FirstWords, day: string): string {
  const at = noon(day);
  if (!Number.isFinite(at)) return day;
  const weekday = format(words.locale, 'UTC', 'wd', { weekday: 'short' }).format(at);
  const date = dayShort(words, day);
  return words.locale.startsWith('zh') ? `${date} ${weekday}` : `${weekday} ${date}`;
}

/** Whole days from `a` to `b`; negative when b lies before a. */
export function daysBetween(a: string, b: string): number {
  return Math.round((noon(b) - noon(a)) / 86_400_000);
}

/** The day `n` days after. */
export function addDays(day: string, n: number): string {
  return new Date(noon(day) + n * 86_400_000).toISOString().slice(0, 10);
}

/** `today`, `yesterday`, `12 days ago`, `tomorrow`. */
export function dayAgo(words: FirstWords, day: string, today: string): string {
  const n = daysBetween(day, today);
  if (!Number.isFinite(n)) return day;
  if (n === 0) return words.todayWord;
  return n > 0 ? words.agoDays(n) : words.inDays(-n);
}

/** Age of something `milliseconds` old: `just now`, `20 s ago`, `6 min ago`, `5 h ago`, `yesterday`. */
export function ago(words: FirstWords, milliseconds: number): string {
  const s = Math.max(0, Math.round(milliseconds / 1000));
  if (s < 5) return words.justNow;
  if (s < 60) return words.agoSeconds(s);
  const m = Math.floor(s / 60);
  if (m < 60) return words.agoMinutes(m);
  const h = Math.floor(m / 60);
  if (h < 24) return words.agoHours(h);
  return words.agoDays(Math.floor(h / 24));
}

/** `41 min`, `2 h 33`; whole minutes, rounded down as the rule of validity does. */
export function duration(words: FirstWords, seconds: number): string {
  const m = Math.max(0, Math.floor(seconds / 60));
  return m < 60 ? words.min(m) : words.hmin(Math.floor(m / 60), m % 60);
}

/** A running clock: `23:41`, `1:02:03`. */
export function timer(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  const h = Math.floor(s / 3600);
  const rest = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return h ? `${h}:${rest}` : rest;
}

/** `38 m`, `120 m`, `2.4 km`, `87 km`; metres are rounded to 10 from 100 on, for nobody can use more. */
export function distance(words: FirstWords, metres: number): string {
  if (!Number.isFinite(metres)) return words.notKnown;
  if (metres < 100) return words.metres(String(Math.round(metres)));
  if (metres < 995) return words.metres(String(Math.round(metres / 10) * 10));
  const km = metres / 1000;
  return words.kilometres(km < 9.95 ? km.toFixed(1) : grouped(words, Math.round(km)));
}

/** `±6 m`. */
export function accuracy(words: FirstWords, metres: number): string {
  return words.accuracyOf(distance(words, metres));
}

/** `5,000`. */
export function grouped(words: FirstWords, n: number): string {
  return new Intl.NumberFormat(words.locale).format(n);
}

/** Bytes as `12 MB`, one decimal below 10. */
export function megabytes(words: FirstWords, bytes: number): string {
  const mb = bytes / 1_000_000;
  return words.megabytes(mb < 10 ? mb.toFixed(1) : String(Math.round(mb)));
}

/** Short word for a reason code; an unknown code is shown as it is, for silence would be worse. */
export function reasonShort(words: FirstWords, code: string): string {
  return (words.reasons[code as ReasonCode] ?? words.unknownReason(code))[0];
}

/** Sentence for a reason code. */
export function reasonLong(words: FirstWords, code: string): string {
  return (words.reasons[code as ReasonCode] ?? words.unknownReason(code))[1];
}

/** Eight-point bearing from one place to another, as a word. */
export function bearing(
  words: FirstWords,
  from: { lat: number; lon: number },
  to: { lat: number; lon: number },
): string {
  const rad = Math.PI / 180;
  const dLon = (to.lon - from.lon) * rad;
  const y = Math.sin(dLon) * Math.cos(to.lat * rad);
  const x =
    Math.cos(from.lat * rad) * Math.sin(to.lat * rad) -
    Math.sin(from.lat * rad) * Math.cos(to.lat * rad) * Math.cos(dLon);
  const angle = (Math.atan2(y, x) / rad + 360) % 360;
  return words.compass[Math.round(angle / 45) % 8] ?? '';
}
