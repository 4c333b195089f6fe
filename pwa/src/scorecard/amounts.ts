/** Amounts as people type them, and how one amount is given to several. Pure. */
import { Fraction } from '../indicators/fraction';
import { typed } from './scheme';

/** A decimal that may be below 0, as a return or a credit note is; null for anything else. */
export function signed(text: string): Fraction | null {
  const clean = text.trim().replace(/^[−–]/, '-');
  if (!clean.startsWith('-')) return typed(clean);
  const amount = typed(clean.slice(1));
  return amount && Fraction.ZERO.minus(amount);
}

/**
 * An amount given to `n` people, as evenly as it goes: the sum is the amount again. Of what is counted in `places`
 * decimals, the first get one unit more where it does not divide; a `level`, such as a share, is the same for each.
 */
export function spread(amount: Fraction, n: number, places: number, level: boolean): Fraction[] {
  if (level) return Array.from({ length: n }, () => amount);
  const given: Fraction[] = [];
  let left = amount;
  const unit = Fraction.ONE.over(Fraction.of(10 ** places));
  for (let others = n; others > 0; others--) {
    const each = Fraction.of(left.over(unit).over(Fraction.of(others)).ceiling()).times(unit);
    // What is finer than a unit goes with the last.
    given.push(others === 1 ? left : each.compare(left) > 0 ? left : each);
    left = left.minus(given.at(-1)!);
  }
  return given;
}
