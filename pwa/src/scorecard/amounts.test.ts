import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fraction } from '../indicators/fraction';
import { signed, spread } from './amounts';

const texts = (all: Fraction[]) => all.map((one) => one.short(9));

describe('amounts', () => {
  it('of values may lie below 0', () => {
    expect(signed('-12,5')?.short(2)).toBe('-12.5');
    expect(signed('−3')?.short(2)).toBe('-3');
    expect(signed(' 7 ')?.short(2)).toBe('7');
    for (const wrong of ['', '-', '--1', '1-', 'x']) expect(signed(wrong), wrong).toBeNull();
  });

  it('of a team are spread evenly, whole where things are counted, and the same for each where it is a level', () => {
    expect(texts(spread(Fraction.of(100), 3, 0, false))).toEqual(['34', '33', '33']);
    expect(texts(spread(Fraction.of(2), 3, 0, false))).toEqual(['1', '1', '0']);
    expect(texts(spread(Fraction.of('10'), 4, 2, false))).toEqual(['2.5', '2.5', '2.5', '2.5']);
    expect(texts(spread(Fraction.of('0.8'), 2, 0, true))).toEqual(['0.8', '0.8']);
  });

  it('that were spread make the amount again', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), fc.integer({ min: 1, max: 40 }), (cents, n) => {
        const amount = Fraction.of(cents).over(Fraction.HUNDRED);
        const given = spread(amount, n, 0, false);
        expect(given).toHaveLength(n);
        expect(given.every((one) => one.compare(Fraction.ZERO) >= 0)).toBe(true);
        expect(given.reduce((sum, one) => sum.plus(one), Fraction.ZERO).compare(amount)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
