import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fraction } from '../indicators/fraction';
import { sumOf, toHundred, typed } from './scheme';

describe('weights', () => {
  it('are read as people type them', () => {
    expect(typed(' 12,5 ')?.short(2)).toBe('12.5');
    for (const wrong of ['', '-1', 'x', '1e3', '1.2.3']) expect(typed(wrong), wrong).toBeNull();
    expect(
      sumOf([
        { data: {}, weight: '40' },
        { data: {}, weight: '80' },
      ])?.short(2),
    ).toBe('120');
    expect(sumOf([{ data: {}, weight: '' }])).toBeNull();
  });

  it('are brought to exactly 100, in proportion', () => {
    expect(toHundred([40, 80].map(Fraction.of))).toEqual(['33.33', '66.67']);
    expect(toHundred(Array.from({ length: 11 }, () => Fraction.ONE)).slice(0, 2)).toEqual(['9.1', '9.09']);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 20 }), (weights) => {
        const sum = toHundred(weights.map(Fraction.of)).reduce(
          (all, one) => all.plus(Fraction.of(one)),
          Fraction.ZERO,
        );
        expect(sum.compare(Fraction.HUNDRED)).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});
