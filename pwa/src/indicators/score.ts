/**
 * A score of readings: scheme x targets x actuals, as `server/indicators/score.py` has it, to the last digit. Pure and
 * exact; decimals come in as text, decimals go out as text.
 */
import { Fraction } from './fraction';
import { same, type Period, type PeriodKind } from './periods';

export type Direction = 'higher' | 'lower';

/** One row of a scheme, by its names on the wire. */
export interface Indicator {
  code: string;
  kind: string;
  direction: Direction;
  weight: string;
  cap: string | null;
  unit: string;
  period: PeriodKind | null;
  source: string;
  combine: string | null;
  target: string | null;
  name: string;
  name_zh: string | null;
}
export interface Scheme {
  id: string;
  version: number;
  indicators: Indicator[];
  cap: string;
}
export interface Evidence {
  kind: string;
  counted: string[];
  not_counted: { id: string; code: string }[];
}
/** What was measured: `part` ÷ `whole`; a whole of 0 says that there was no case. */
export interface Actual {
  part: Fraction;
  whole: Fraction;
  evidence: Evidence;
  reasons: string[];
  unapproved: string | null;
}
export interface Target {
  amount: Fraction;
  reasons: string[];
}
export interface Reading {
  indicator: string;
  kind: string;
  unit: string;
  direction: Direction;
  actual: string | null;
  part: string | null;
  whole: string | null;
  target: string | null;
  attainment: string | null;
  weight: string;
  share: string;
  points: string;
  reasons: string[];
  period: Period;
  evidence: Evidence;
  unapproved: string | null;
}
export interface Score {
  period: Period;
  scheme: { id: string; version: number };
  readings: Reading[];
  total: string | null;
  grade: string | null;
  reasons: string[];
}

/** Decimal places of what a reading tells; the total has two. */
const PLACES = 6;
export const GRADES: readonly (readonly [grade: string, from: number])[] = [
  ['S', 90],
  ['A', 80],
  ['B', 70],
  ['C', 0],
];
export const NO_EVIDENCE: Evidence = { kind: '', counted: [], not_counted: [] };

/** Every code a reading may carry, in the order in which they are told. */
export const REASONS = [
  'NO_TARGET',
  'NO_CASES',
  'NO_VISITS',
  'NO_VALUES',
  'CAPPED',
  'BELOW_ZERO',
  'ZERO_IS_BEST',
  'NORMALISED',
  'WEIGHT_SPREAD',
  'OWN_PERIOD',
  'PRO_RATA',
  'DEFAULT_TARGET',
  'UNAPPROVED_LEFT_OUT',
  'STILL_WAITING',
];

/** S, A, B or C of a rounded total. */
export function gradeOf(total: string): string {
  const found = Fraction.of(total);
  return GRADES.find(([, from]) => found.compare(Fraction.of(from)) >= 0)?.[0] ?? 'C';
}

/** actual ÷ target, or target ÷ actual where lower is better, held between 0 and the cap; and what is to be said. */
export function attainmentOf(
  direction: Direction,
  cap: Fraction,
  actual: Fraction,
  target: Fraction,
): [Fraction, string[]] {
  const lower = direction === 'lower';
  if (lower && actual.compare(Fraction.ZERO) <= 0) return [cap, ['ZERO_IS_BEST']];
  const found = lower ? target.over(actual) : actual.over(target);
  if (found.compare(Fraction.ZERO) < 0) return [Fraction.ZERO, ['BELOW_ZERO']];
  return found.compare(cap) > 0 ? [cap, ['CAPPED']] : [found, []];
}

type ByCode<T> = ReadonlyMap<string, T>;

/** The score of one person or team in one period. Missing targets and actuals leave an indicator out. */
export function score(
  scheme: Scheme,
  period: Period,
  periods: ByCode<Period>,
  targets: ByCode<Target>,
  actuals: ByCode<Actual>,
): Score {
  const weights = scheme.indicators.map((each) => Fraction.of(each.weight));
  const measured = scheme.indicators.map((each) =>
    measure(
      each.direction,
      Fraction.of(each.cap ?? scheme.cap),
      targets.get(each.code),
      actuals.get(each.code),
    ),
  );
  const sum = (list: Fraction[]) => list.reduce((all, one) => all.plus(one), Fraction.ZERO);
  const allIn = sum(weights);
  const kept = sum(weights.filter((_, i) => measured[i]!.found !== null));
  const general: string[] = [];
  if (allIn.compare(Fraction.HUNDRED) !== 0) general.push('NORMALISED');
  if (kept.compare(allIn) !== 0) general.push('WEIGHT_SPREAD');

  let total = Fraction.ZERO;
  const readings = scheme.indicators.map((each, i): Reading => {
    const { found, said } = measured[i]!;
    const reasons = new Set(said);
    let [share, points] = [Fraction.ZERO, Fraction.ZERO];
    if (found !== null && !kept.isZero) {
      share = weights[i]!.times(Fraction.HUNDRED).over(kept);
      points = share.times(found);
      total = total.plus(points);
      for (const code of general) reasons.add(code);
    }
    const own = periods.get(each.code) ?? period;
    if (!same(own, period)) reasons.add('OWN_PERIOD');
    const [actual, target] = [actuals.get(each.code), targets.get(each.code)];
    return {
      indicator: each.code,
      kind: each.kind,
      unit: each.unit,
      direction: each.direction,
      actual: actual && !actual.whole.isZero ? actual.part.over(actual.whole).short(PLACES) : null,
      part: actual && !actual.whole.isZero ? actual.part.short(12) : null,
      whole: actual && !actual.whole.isZero ? actual.whole.short(12) : null,
      target: target ? target.amount.short(PLACES) : null,
      attainment: found?.short(PLACES) ?? null,
      weight: weights[i]!.short(12),
      share: share.short(PLACES),
      points: points.short(PLACES),
      reasons: REASONS.filter((code) => reasons.has(code)),
      period: own,
      evidence: actual?.evidence ?? NO_EVIDENCE,
      unapproved: actual?.unapproved ?? null,
    };
  });
  const said = kept.isZero ? null : total.fixed(2);
  return {
    period,
    scheme: { id: scheme.id, version: scheme.version },
    readings,
    total: said,
    grade: said === null ? null : gradeOf(said),
    reasons: kept.isZero ? ['NOTHING_MEASURED'] : general,
  };
}

function measure(
  direction: Direction,
  cap: Fraction,
  target: Target | undefined,
  actual: Actual | undefined,
): { found: Fraction | null; said: string[] } {
  const said = [...(target?.reasons ?? []), ...(actual?.reasons ?? [])];
  const missing: string[] = [];
  if (!target || (direction === 'higher' && target.amount.compare(Fraction.ZERO) <= 0))
    missing.push('NO_TARGET');
  if (!actual || actual.whole.isZero) missing.push('NO_CASES');
  if (missing.length || !target || !actual) return { found: null, said: [...said, ...missing] };
  const [found, odd] = attainmentOf(direction, cap, actual.part.over(actual.whole), target.amount);
  return { found, said: [...said, ...odd] };
}
