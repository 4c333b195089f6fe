import { Fraction } from '../indicators/fraction';

/** A row of a scheme while it is being written: numbers as typed. */
export interface Draft {
  data: Record<string, unknown>;
  weight: string;
}

/** A decimal as people type it, or null. */
export function typed(text: string): Fraction | null {
  const clean = text.trim().replace(/\s/g, '').replace(',', '.');
  try {
    return /^\d{1,15}(\.\d{1,9})?$/.test(clean) ? Fraction.of(clean) : null;
  } catch {
    return null;
  }
}

/** Sum of the weights; null while one of them is no number. */
export function sumOf(rows: Draft[]): Fraction | null {
  let sum = Fraction.ZERO;
  for (const row of rows) {
    const weight = typed(row.weight);
    if (weight === null) return null;
    sum = sum.plus(weight);
  }
  return sum;
}

/** The same shares as weights that sum to exactly 100, with two places: what rounding leaves over goes to the largest. */
export function toHundred(weights: Fraction[]): string[] {
  const sum = weights.reduce((all, one) => all.plus(one), Fraction.ZERO);
  if (sum.isZero) return weights.map((one) => one.short(2));
  const shares = weights.map((one) => Fraction.of(one.times(Fraction.HUNDRED).over(sum).fixed(2)));
  const left = Fraction.HUNDRED.minus(shares.reduce((all, one) => all.plus(one), Fraction.ZERO));
  const largest = shares.reduce((best, one, i) => (one.compare(shares[best]!) > 0 ? i : best), 0);
  return shares.map((one, i) => (i === largest ? one.plus(left) : one).short(2));
}
