import { describe, expect, it } from 'vitest';
import { indicatorOf } from '../indicators/catalogue';
import { periodOf } from '../indicators/periods';
import type { Reading } from '../indicators/score';
import { cTwice, differences, distribution, ranked, ranks, type Scored } from './team';

const period = periodOf('month', '2026-11-01');
const rows = new Map(
  ['valid_visits', 'response_time'].map((code) => [code, indicatorOf({ code, weight: '1' })]),
);
function person(name: string, total: string | null, grade: string | null, actuals: string[] = []): Scored {
  const readings = actuals.map((actual, i) => ({
    indicator: [...rows.keys()][i],
    actual,
    target: '10',
    attainment: '1',
    points: '50',
  })) as Reading[];
  const score = { period, scheme: { id: 's', version: 1 }, readings, total, grade, reasons: [] };
  return { id: name, name, teamId: null, score, before: [] };
}

describe('a team in a table', () => {
  const team = [
    person('Bo', '79.90', 'B'),
    person('Al', '100.00', 'S'),
    person('Cy', null, null),
    person('Di', '79.90', 'B'),
  ];

  it('is in the order of the totals as numbers, with shared ranks', () => {
    expect(ranked(team, 'en').map((one) => one.id)).toEqual(['Al', 'Bo', 'Di', 'Cy']);
    expect([...ranks(team)]).toEqual([
      ['Bo', 2],
      ['Al', 1],
      ['Di', 2],
    ]);
  });

  it('shows the shares of the grades among those who have one', () => {
    expect(distribution(team).map((one) => [one.grade, one.n])).toEqual([
      ['S', 1],
      ['A', 0],
      ['B', 2],
      ['C', 0],
    ]);
    expect(distribution([]).every((one) => one.percent === 0)).toBe(true);
  });

  it('flags C twice running and nothing else', () => {
    const low = person('Ed', '60.00', 'C');
    expect(cTwice({ ...low, before: ['C'] })).toBe(true);
    expect(cTwice({ ...low, before: ['B', 'C'] })).toBe(false);
    expect(cTwice(low)).toBe(false);
  });

  it('compares ways of working only where it points at nobody', () => {
    const many = Array.from({ length: 9 }, (_, i) => person(`P${i}`, `${50 + i}.00`, 'C', ['10', '4']));
    const best = person('Top', '95.00', 'S', ['20', '2']);
    // Means of all ten: 11 visits, 3.8 hours.
    expect(differences([...many, best], rows)).toEqual([
      { code: 'valid_visits', top: '20.000000', mean: '11.000000' },
      { code: 'response_time', top: '2.000000', mean: '3.800000' },
    ]);
    expect(differences([best, ...many.slice(0, 3)], rows)).toEqual([]);
  });
});
