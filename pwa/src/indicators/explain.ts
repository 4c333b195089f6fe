/**
 * A reading in words: why it is as it is, sentence by sentence, as `server/indicators/explain.py` puts it, from the same
 * word lists. Pure.
 */
import en from '../../../server/indicators/words_en.json';
import zh from '../../../server/indicators/words_zh-Hans.json';
import { Fraction } from './fraction';
import { addDays } from './periods';
import type { Evidence, Indicator, Reading } from './score';

export type Explained = typeof en;
export const wordsOf = (language: string): Explained => (language.startsWith('zh') ? zh : en);

type Row = Pick<Indicator, 'direction' | 'weight' | 'cap' | 'unit'>;
type Read = Pick<
  Reading,
  'actual' | 'target' | 'share' | 'points' | 'reasons' | 'evidence' | 'unapproved'
> & { period: { starts_on: string; ends_on: string } };

const LEFT_OUT = ['NO_TARGET', 'NO_CASES'] as const;
/** Reasons with a sentence of their own, in the order in which they are told. */
const TOLD = [
  'NO_VISITS',
  'NO_VALUES',
  'OWN_PERIOD',
  'PRO_RATA',
  'DEFAULT_TARGET',
  'UNAPPROVED_LEFT_OUT',
  'STILL_WAITING',
] as const;

/** The sentences of one reading and of what stands behind it; `row` is its row of the scheme, `cap` the scheme's. */
export function explain(reading: Read, row: Row, cap: string, language: string): string[] {
  return [...sentences(reading, row, cap, language), evidenceText(reading.evidence, wordsOf(language))];
}

/** The same without what stands behind it, where a screen shows the records themselves. */
export function sentences(reading: Read, row: Row, cap: string, language: string): string[] {
  const w = wordsOf(language);
  const unit = row.unit || 'count';
  const lower = row.direction === 'lower';
  const has = (code: string) => reading.reasons.includes(code);
  const known = {
    actual: amount(reading.actual, unit, w),
    target: amount(reading.target, unit, w),
    unapproved: amount(reading.unapproved, unit, w),
    share: short(reading.share, 2),
    weight: short(row.weight, 2),
    points: Fraction.of(reading.points).fixed(2),
    cap: short(row.cap ?? cap, 2),
    from: dayText(reading.period.starts_on, w),
    to: dayText(addDays(reading.period.ends_on, -1), w),
  };
  const missing = LEFT_OUT.filter(has);
  const general = (['NORMALISED', 'WEIGHT_SPREAD'] as const).filter(has);
  const odd = (['CAPPED', 'ZERO_IS_BEST', 'BELOW_ZERO'] as const).find(has);
  const plain = lower ? 'lower' : 'higher';
  const said = [
    missing.length === 2
      ? w.amount.nothing
      : missing[0] === 'NO_TARGET'
        ? w.amount.no_target
        : missing[0] === 'NO_CASES'
          ? w.amount.no_cases
          : w.amount[plain],
    missing.length ? w.points.left_out : w.points[odd ?? plain],
    ...(general.length === 2 ? [w.share.both] : general.map((code) => w.share[code])),
    ...TOLD.filter(has).map((code) => w.reasons[code]),
  ];
  return said.map((one) => fill(one, known));
}

function evidenceText({ counted, not_counted: others }: Evidence, w: Explained): string {
  if (counted.length === 0 && others.length === 0) return w.evidence.none;
  return fill(others.length ? w.evidence.others : w.evidence.some, {
    counted: grouped(`${counted.length}`),
    count: counted.length === 1 ? w.count_one : w.count,
    n: grouped(`${others.length}`),
    do_not: others.length === 1 ? w.do_not_one : w.do_not,
    parts: inOrder(others)
      .map(([code, ids]) => fill(w.part, { n: grouped(`${ids.length}`), why: why(code, w) }))
      .join(w.comma),
  });
}

/** Why something does not count, in a few words. */
export function why(code: string, w: Explained): string {
  return (w.why as Record<string, string>)[code] ?? w.why.other;
}

/** What does not count by its code, the most frequent first, then by name. */
export function inOrder(others: Evidence['not_counted']): [code: string, ids: string[]][] {
  const found = new Map<string, string[]>();
  for (const { id, code } of others) {
    const known = found.get(code);
    if (known) known.push(id);
    else found.set(code, [id]);
  }
  return [...found].sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1));
}

const fill = (pattern: string, known: Record<string, string>): string =>
  pattern.replace(/\{(\w+)\}/g, (_, name: string) => known[name] ?? '');

/** A number in its unit; empty where there is none. Hours are told in hours and minutes. */
export function amount(text: string | null, unit: string, w: Explained): string {
  if (text === null) return '';
  if (unit === 'share') {
    const percent = Fraction.of(text).times(Fraction.HUNDRED);
    return fill(w.units.share, { n: short(percent.fixed(8), 1) });
  }
  if (unit === 'hours') {
    const half = Fraction.of('0.5');
    const exact = Fraction.of(text).times(Fraction.of(60)).plus(half);
    const minutes = Number(exact.num / exact.den);
    const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
    const key = !hours && rest ? 'minutes' : rest ? 'hours_minutes' : 'hours';
    return fill(w.units[key], { h: grouped(`${hours}`), m: `${rest}` });
  }
  const pattern = (w.units as Record<string, string>)[unit] ?? w.units.count;
  return fill(pattern, { n: short(text, 2) });
}

/** At most so many places, half even, thousands set apart. */
export function short(text: string, places: number): string {
  const [, sign = '', whole = '0', after = ''] =
    /^(-?)(\d+)\.?(\d*)$/.exec(Fraction.of(text).short(places)) ?? [];
  return `${sign}${grouped(whole)}${after ? `.${after}` : ''}`;
}

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ',');

export function dayText(day: string, w: Explained): string {
  const [year, month, number] = day.split('-').map(Number) as [number, number, number];
  return fill(w.day, { day: `${number}`, month: w.months[month - 1] ?? '', year: `${year}` });
}
