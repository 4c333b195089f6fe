import { i18n } from '../i18n/i18n.svelte';
import { addDays, periodOf, type Period, type PeriodKind } from '../indicators/periods';
import { words } from './ground.svelte';

const noon = (day: string) => Date.parse(`${day}T12:00:00Z`);
const format = (options: Intl.DateTimeFormatOptions, day: string) =>
  new Intl.DateTimeFormat(i18n.t.locale, { ...options, timeZone: 'UTC' }).format(noon(day));

/** `November`, `16 – 22 Nov`, `Thu 19 Nov`, `Q3 2026`; with the year when it is not this one. */
export function periodName(period: Period, today: string): string {
  const { kind, starts_on: from } = period;
  const other = from.slice(0, 4) !== today.slice(0, 4);
  const chinese = i18n.t.locale.startsWith('zh');
  const year = Number(from.slice(0, 4));
  const month = Number(from.slice(5, 7));
  if (kind === 'day') return i18n.dayWeekday(from);
  if (kind === 'week')
    return `${i18n.dayShort(from, today)} – ${i18n.dayShort(addDays(period.ends_on, -1), today)}`;
  if (kind === 'month') return format({ month: 'long', ...(other ? { year: 'numeric' } : {}) }, from);
  if (kind === 'year') return chinese ? `${year}年` : `${year}`;
  const n = kind === 'quarter' ? Math.ceil(month / 3) : Math.ceil(month / 6);
  if (kind === 'quarter') return chinese ? `${year}年第${n}季度` : `Q${n} ${year}`;
  return chinese ? `${year}年${n === 1 ? '上' : '下'}半年` : `H${n} ${year}`;
}

/** Short, for the foot of a chart. */
export function periodShort(period: Period): string {
  const { kind, starts_on: from } = period;
  if (kind === 'month') return format({ month: 'short' }, from);
  return i18n.dayShort(from);
}

/** `S from 90`: the next grade and where it begins. */
export function nextGrade(
  total: string | null,
  grades: readonly (readonly [string, number])[],
): string | null {
  if (total === null) return null;
  const above = [...grades].reverse().find(([, from]) => Number(total) < from);
  return above ? words().gradeFrom(above[0], String(above[1])) : null;
}

/** The period that an address names: `?kind=week&day=2026-11-16`; what is not said is the month, and today. */
export function periodAsked(query: string, today: string, weekStart: number, kinds: PeriodKind[]): Period {
  const asked = new URLSearchParams(query);
  const kind = kinds.find((one) => one === asked.get('kind')) ?? 'month';
  const day = asked.get('day') ?? '';
  const known = /^\d{4}-\d{2}-\d{2}$/.test(day) && day <= today ? day : today;
  return periodOf(kind, known, weekStart);
}
