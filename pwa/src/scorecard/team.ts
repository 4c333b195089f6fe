/** A team's scores as a manager reads them. Pure. */
import type { ScoreTable } from '../data';
import { Fraction } from '../indicators/fraction';
import type { Indicator, Score } from '../indicators/score';

/** One person's score in a table. */
export interface Scored {
  id: string;
  name: string;
  teamId: string | null;
  score: Score;
  /** Grades of the periods before, the latest first. */
  before: (string | null)[];
}

/** The rows of a table, with the grades of the period before. */
export function scoredOf(table: ScoreTable, earlier: ScoreTable | null): Scored[] {
  const last = new Map(earlier?.scores.map((one) => [one.person.id, one.grade]));
  return table.scores.map((one) => ({
    id: one.person.id,
    name: one.person.name,
    teamId: one.person.team,
    score: { ...one, scheme: one.scheme ?? { id: '', version: 0 } } as unknown as Score,
    before: [last.get(one.person.id) ?? null],
  }));
}

const total = (one: Scored): Fraction | null =>
  one.score.total === null ? null : Fraction.of(one.score.total);

/** By total, the highest first; those without one last, by name. */
export function ranked(people: Scored[], locale: string): Scored[] {
  const names = new Intl.Collator(locale);
  return [...people].sort((a, b) => {
    const [x, y] = [total(a), total(b)];
    if (x && y) return y.compare(x) || names.compare(a.name, b.name);
    return Number(x === null) - Number(y === null) || names.compare(a.name, b.name);
  });
}

/** Person -> rank; equal totals share one. Who has no total has none. */
export function ranks(people: Scored[]): Map<string, number> {
  const found = new Map<string, number>();
  const totals = people.map(total);
  people.forEach((one, i) => {
    const own = totals[i];
    if (own) found.set(one.id, 1 + totals.filter((other) => other && other.compare(own) > 0).length);
  });
  return found;
}

export const USUAL: Record<string, [from: number, to: number]> = {
  S: [10, 15],
  A: [30, 40],
  B: [30, 40],
  C: [5, 10],
};

/** How many have each grade, with the share in percent. */
export function distribution(people: Scored[]): { grade: string; n: number; percent: number }[] {
  const graded = people.filter((one) => one.score.grade !== null);
  return Object.keys(USUAL).map((grade) => {
    const n = graded.filter((one) => one.score.grade === grade).length;
    return { grade, n, percent: graded.length ? (n * 100) / graded.length : 0 };
  });
}

/** C now and in the period before. */
export const cTwice = (one: Scored): boolean => one.score.grade === 'C' && one.before[0] === 'C';

export interface Difference {
  code: string;
  /** Mean actuals of the highest tenth, and of all. */
  top: string;
  mean: string;
}
/** Fewer than this and the highest tenth is one person among a handful, which would point at them. */
const LEAST = 5;
/** What differs by less is no way of working. */
const NOTABLE = Fraction.of('0.1');

/** In what the tenth with the highest totals works otherwise than the mean, the largest difference first. */
export function differences(people: Scored[], rows: ReadonlyMap<string, Indicator>): Difference[] {
  const scored = ranked(people, 'en').filter((one) => one.score.total !== null);
  if (scored.length < LEAST) return [];
  const top = scored.slice(0, Math.ceil(scored.length / 10));
  const found: (Difference & { by: Fraction })[] = [];
  for (const [code, row] of rows) {
    const [high, all] = [meanOf(top, code), meanOf(scored, code)];
    if (!high || !all || all.isZero) continue;
    const by = (row.direction === 'lower' ? all.minus(high) : high.minus(all)).over(all);
    if (by.compare(NOTABLE) > 0) found.push({ code, top: high.fixed(6), mean: all.fixed(6), by });
  }
  return found
    .sort((a, b) => b.by.compare(a.by))
    .map(({ code, top: high, mean }) => ({ code, top: high, mean }));
}

function meanOf(people: Scored[], code: string): Fraction | null {
  const actuals = people.flatMap((one) => {
    const reading = one.score.readings.find((r) => r.indicator === code);
    return reading?.actual ? [Fraction.of(reading.actual)] : [];
  });
  if (actuals.length === 0) return null;
  return actuals.reduce((sum, one) => sum.plus(one), Fraction.ZERO).over(Fraction.of(actuals.length));
}
