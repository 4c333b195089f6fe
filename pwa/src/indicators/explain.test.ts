import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { amount, explain, short, wordsOf } from './explain';

interface Case {
  name: string;
  reading: Parameters<typeof explain>[0];
  indicator: Parameters<typeof explain>[1];
  en: string[];
  zh: string[];
}
const file = new URL('../../../tests/server/indicators/explained.json', import.meta.url);
const { cap, cases } = JSON.parse(readFileSync(file, 'utf8')) as { cap: string; cases: Case[] };

describe('a reading explains itself as the server explains it', () => {
  for (const each of cases) {
    it(each.name, () => {
      expect(explain(each.reading, each.indicator, cap, 'en')).toEqual(each.en);
      expect(explain(each.reading, each.indicator, cap, 'zh-Hans')).toEqual(each.zh);
    });
  }

  it('tells numbers in their unit', () => {
    const w = wordsOf('en');
    expect(amount('0.954545', 'share', w)).toBe('95.5 %');
    expect(amount('1.6', 'hours', w)).toBe('1 h 36');
    expect(amount('1234567.891', 'money', w)).toBe('1,234,567.89');
    expect(amount('-0.5', 'count', w)).toBe('-0.5');
    expect(amount('12.000000', 'from a later release', w)).toBe('12');
    expect(amount(null, 'count', w)).toBe('');
    expect(short('-1234.5', 2)).toBe('-1,234.5');
  });
});
