import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fraction } from './fraction';

const f = (value: number | string) => Fraction.of(value);

describe('a fraction', () => {
  it('reads decimals as they are written and nothing else', () => {
    expect(f('89.995').fixed(3)).toBe('89.995');
    expect(f('1E+2').fixed(0)).toBe('100');
    expect(f('-0.50').short(4)).toBe('-0.5');
    for (const wrong of ['', '1,5', 'NaN', '0x10', '1.2.3', '--1', 'Infinity'])
      expect(() => f(wrong)).toThrow();
  });

  it('rounds a half to the even neighbour', () => {
    const rounded = ['89.995', '89.985', '-0.005', '0.015', '2.675'].map((text) => f(text).fixed(2));
    expect(rounded).toEqual(['90.00', '89.98', '0.00', '0.02', '2.68']);
    expect(f(2).over(f(3)).fixed(2)).toBe('0.67');
    expect(f('0.0000001').fixed(2)).toBe('0.00');
  });

  it('loses nothing: what is divided and multiplied again is what it was', () => {
    const decimal = fc.tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 6 }));
    fc.assert(
      fc.property(decimal, fc.integer({ min: 1, max: 1e6 }), ([n, places], by) => {
        const value = Fraction.of(`${n}e-${places}`);
        expect(value.over(f(by)).times(f(by)).compare(value)).toBe(0);
        expect(value.plus(f(by)).minus(f(by)).compare(value)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('knows the whole number it needs', () => {
    expect(f('7.01').ceiling()).toBe(8);
    expect(f('7').ceiling()).toBe(7);
    expect(f('-0.5').ceiling()).toBe(0);
  });
});
