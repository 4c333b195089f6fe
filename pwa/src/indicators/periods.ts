/**
 * Periods of the calendar and working days, as `server/indicators/periods.py` has them. Pure; days are `YYYY-MM-DD`, and
 * a period is half-open: `ends_on` is the first day after it.
 */
export type PeriodKind = 'day' | 'week' | 'month' | 'quarter' | 'half' | 'year';
export const PERIODS: readonly PeriodKind[] = ['day', 'week', 'month', 'quarter', 'half', 'year'];

export interface Period {
  kind: PeriodKind;
  starts_on: string;
  ends_on: string;
}

/** `weekdays`: 0 = Monday. `joined` is the first day that counts for somebody, `left` the first that does not any more. */
export interface Calendar {
  weekdays: ReadonlySet<number>;
  off: ReadonlySet<string>;
  joined?: string | null;
  left?: string | null;
  /** Days of a weekend that are worked. */
  worked?: ReadonlySet<string>;
}
export const MONDAY_TO_FRIDAY: ReadonlySet<number> = new Set([0, 1, 2, 3, 4]);

const MONTHS = { month: 1, quarter: 3, half: 6, year: 12 };
const DAY_MS = 86_400_000;
const at = (day: string): number => Date.parse(`${day}T00:00:00Z`);
const text = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

export function addDays(day: string, n: number): string {
  return text(at(day) + n * DAY_MS);
}
/** 0 = Monday. */
export function weekdayOf(day: string): number {
  return (new Date(at(day)).getUTCDay() + 6) % 7;
}

/** The period of this kind that holds a day. */
export function periodOf(kind: PeriodKind, day: string, weekStart = 0): Period {
  if (kind === 'day') return { kind, starts_on: day, ends_on: addDays(day, 1) };
  if (kind === 'week') {
    const first = addDays(day, -((weekdayOf(day) - weekStart + 7) % 7));
    return { kind, starts_on: first, ends_on: addDays(first, 7) };
  }
  const length = MONTHS[kind];
  const [year, month] = [Number(day.slice(0, 4)), Number(day.slice(5, 7)) - 1];
  const first = Math.floor(month / length) * length;
  return {
    kind,
    starts_on: text(Date.UTC(year, first, 1)),
    ends_on: text(Date.UTC(year, first + length, 1)),
  };
}

export const before = (p: Period, weekStart = 0): Period =>
  periodOf(p.kind, addDays(p.starts_on, -1), weekStart);
export const after = (p: Period, weekStart = 0): Period => periodOf(p.kind, p.ends_on, weekStart);
export const holds = (p: Period, day: string): boolean => p.starts_on <= day && day < p.ends_on;
export const same = (a: Period, b: Period): boolean => a.kind === b.kind && a.starts_on === b.starts_on;

/** Over which period an indicator of a kind is read: a longer one than the score's is the last that has ended with it. */
export function ownPeriod(kind: PeriodKind | null, period: Period, weekStart = 0): Period {
  if (kind === null || PERIODS.indexOf(kind) <= PERIODS.indexOf(period.kind)) return period;
  const holding = periodOf(kind, addDays(period.ends_on, -1), weekStart);
  return holding.ends_on <= period.ends_on ? holding : before(holding, weekStart);
}

export function* daysOf(period: Period): Generator<string> {
  for (let day = period.starts_on; day < period.ends_on; day = addDays(day, 1)) yield day;
}

/** Whether the organisation works that day. */
export const isPlanned = (c: Calendar, day: string): boolean =>
  (c.weekdays.has(weekdayOf(day)) || !!c.worked?.has(day)) && !c.off.has(day);
/** The same days for whoever was always there. */
export const everybodys = (c: Calendar): Calendar => ({ ...c, joined: null, left: null });
/** Whether the person is there that day. */
export const isTheirs = (c: Calendar, day: string): boolean =>
  (!c.joined || day >= c.joined) && (!c.left || day < c.left);
export const works = (c: Calendar, day: string): boolean => isTheirs(c, day) && isPlanned(c, day);

/** Their working days from `today`, today included, to the period's end. */
export function daysLeft(calendar: Calendar, period: Period, today: string): number {
  let n = 0;
  for (const day of daysOf(period)) if (day >= today && works(calendar, day)) n++;
  return n;
}
