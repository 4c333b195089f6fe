import type { RepeatWords } from '../i18n/repeat';

/**
 * How something comes again: the part of RFC 5545's rules that the server takes (`sync.recurrence`), and the plain choices
 * that are offered of it. Pure.
 */
export interface Rule {
  frequency: 'DAILY' | 'WEEKLY' | 'MONTHLY' | 'YEARLY';
  interval: number;
  /** Monday 1 to Sunday 7; `place`: which of the month (-1 the last), 0: each. */
  days: { place: number; day: number }[];
  /** -1: the last day of the month. */
  monthDays: number[];
  count: number | null;
  /** `YYYY-MM-DD`. */
  until: string | null;
}
export type Choice = 'none' | 'daily' | 'workdays' | 'weekly' | 'monthly' | 'other';
export const CHOICES: readonly Choice[] = ['none', 'daily', 'workdays', 'weekly', 'monthly'];

const DAYS = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'];
const WORKDAYS = [1, 2, 3, 4, 5];

/** The rule a text says; null where it says none that is known here. */
export function readRule(text: string | null): Rule | null {
  if (!text) return null;
  const parts = new Map(text.split(';').map((part) => part.split('=', 2) as [string, string]));
  const frequency = parts.get('FREQ') as Rule['frequency'];
  if (!['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'].includes(frequency)) return null;
  const days = [];
  for (const one of parts.get('BYDAY')?.split(',') ?? []) {
    const [, place, day] = /^([+-]?\d)?([A-Z]{2})$/.exec(one) ?? [];
    if (!day || !DAYS.includes(day)) return null;
    days.push({ place: Number(place ?? 0), day: DAYS.indexOf(day) + 1 });
  }
  const until = /^(\d{4})(\d{2})(\d{2})/.exec(parts.get('UNTIL') ?? '');
  return {
    frequency,
    interval: Number(parts.get('INTERVAL') ?? 1),
    days,
    monthDays: (parts.get('BYMONTHDAY')?.split(',') ?? []).map(Number),
    count: parts.has('COUNT') ? Number(parts.get('COUNT')) : null,
    until: until ? `${until[1]}-${until[2]}-${until[3]}` : null,
  };
}

/** Which of the plain choices a rule is; `other` is kept as it is. */
export function choiceOf(rule: Rule | null): Choice {
  if (!rule) return 'none';
  const { frequency, interval, days, monthDays, count } = rule;
  if (interval !== 1 || count !== null || days.some((d) => d.place !== 0)) return 'other';
  if (frequency === 'DAILY') return days.length === 0 ? 'daily' : 'other';
  if (frequency === 'WEEKLY') return same(days) ? 'workdays' : 'weekly';
  if (frequency === 'MONTHLY') return days.length === 0 && monthDays.length <= 1 ? 'monthly' : 'other';
  return 'other';
}
const same = (days: Rule['days']) => days.length === 5 && days.every((d) => WORKDAYS.includes(d.day));

/**
 * The rule of a plain choice for something whose first day is `date`; null: once. In months the last day of one is the last
 * of each, because a day that a month lacks is left out.
 */
export function writeRule(choice: Choice, date: string, days: number[], until: string): string | null {
  if (choice === 'none' || choice === 'other' || !date) return null;
  const end = until ? `;UNTIL=${until.replaceAll('-', '')}` : '';
  if (choice === 'daily') return `FREQ=DAILY${end}`;
  if (choice === 'monthly') return `FREQ=MONTHLY;BYMONTHDAY=${monthDay(date)}${end}`;
  const wanted = choice === 'workdays' ? WORKDAYS : days.length > 0 ? days : [weekday(date)];
  const named = [...new Set(wanted)].sort((a, b) => a - b).map((day) => DAYS[day - 1]);
  return `FREQ=WEEKLY;BYDAY=${named.join(',')}${end}`;
}

/** Monday 1 to Sunday 7. */
export function weekday(date: string): number {
  return new Date(`${date}T12:00:00Z`).getUTCDay() || 7;
}
function monthDay(date: string): number {
  const next = new Date(Date.parse(`${date}T12:00:00Z`) + 86_400_000);
  return next.getUTCDate() === 1 ? -1 : Number(date.slice(8));
}

/** "every Monday and Thursday until 21 Dec". `date`: the first day, for what the rule leaves to it; `day` puts a date in words. */
export function ruleText(
  rule: Rule,
  date: string | null,
  w: RepeatWords,
  day: (date: string) => string,
): string {
  const { frequency, interval: n, days, monthDays, until, count } = rule;
  const names = (list: number[]) => w.list(list.map((d) => w.weekdays[d - 1]!));
  let said: string;
  if (frequency === 'DAILY') said = w.daily(n);
  else if (frequency === 'YEARLY') said = w.yearly(n);
  else if (frequency === 'WEEKLY') {
    const each = days.length > 0 ? days.map((d) => d.day) : date ? [weekday(date)] : [];
    said = n === 1 && same(days) ? w.workdays : w.weekly(n, names(each.sort((a, b) => a - b)));
  } else {
    const places = days.map((d) => w.placed(d.place, w.weekdays[d.day - 1]!));
    const dates = (monthDays.length || days.length || !date ? monthDays : [monthDay(date)]).map(w.monthDay);
    said = w.monthly(n, w.list([...dates, ...places]));
  }
  if (count !== null) return w.times(said, count);
  return until ? w.until(said, day(until)) : said;
}
