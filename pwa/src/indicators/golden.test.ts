import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { levelOf, schemeOf } from './catalogue';
import { explain } from './explain';
import { Fraction } from './fraction';
import { measure, NO_FACTS, type Facts, type FollowUpFact } from './measure';
import {
  MONDAY_TO_FRIDAY,
  ownPeriod,
  periodOf,
  type Calendar,
  type Period,
  type PeriodKind,
} from './periods';
import { score, type Actual, type Scheme, type Score, type Target } from './score';
import { targetOf, type Wanted } from './targets';

type Data = Record<string, unknown>;
interface Case {
  name: string;
  period?: { kind: PeriodKind; starts_on: string };
  week_start?: number;
  calendar?: { weekdays?: number[]; off?: string[]; worked?: string[]; joined?: string; left?: string };
  scheme: Data;
  targets?: Record<string, string> | (Data & { indicator: string; period: PeriodKind; starts_on: string })[];
  facts?: Data;
  actuals?: Record<string, string | { part: string; whole: string } | null>;
  as_of?: string;
  today?: string;
  expected: Data;
}
const folder = new URL('../../../tests/server/indicators/', import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
const { cases } = read('golden.json') as { cases: Case[] };
/** Case -> indicator -> the sentences in which the server tells its reading. */
const inWords = read('golden_in_words.json') as Record<
  string,
  Record<string, { en: string[]; zh: string[] }>
>;
const templates = read('../../../server/indicators/templates.json') as Record<string, Data[]>;

/** A case of the file, played by this port. */
function play(one: Case): { score: Score; scheme: Scheme } {
  const weekStart = one.week_start ?? 0;
  const given = one.period ?? { kind: 'month', starts_on: '2026-01-01' };
  const period = periodOf(given.kind, given.starts_on, weekStart);
  const template = one.scheme['template'] as string | undefined;
  const scheme = schemeOf({ indicators: template ? templates[template] : [], ...one.scheme });
  const periods = new Map(scheme.indicators.map((i) => [i.code, ownPeriod(i.period, period, weekStart)]));
  const today = one.today ?? one.as_of?.slice(0, 10) ?? period.ends_on;
  const as_of = Date.parse(one.as_of ?? `${period.ends_on}T00:00:00Z`);
  const actuals = new Map<string, Actual>();
  if (one.facts) {
    const facts = factsOf(one.facts);
    for (const i of scheme.indicators) {
      const found = measure(i, facts, periods.get(i.code)!, { as_of, today });
      if (found) actuals.set(i.code, found);
    }
  }
  for (const [code, value] of Object.entries(one.actuals ?? {})) {
    if (value === null) continue;
    const [part, whole] = typeof value === 'object' ? [value.part, value.whole] : [value, '1'];
    const none = code === 'conversion' && Fraction.of(whole).isZero;
    actuals.set(code, {
      part: Fraction.of(none ? 0 : part),
      whole: Fraction.of(none ? 1 : whole),
      evidence: { kind: '', counted: [], not_counted: [] },
      reasons: none ? ['NO_VISITS'] : [],
      unapproved: null,
    });
  }
  const targets = targetsOf(one, scheme, periods, weekStart);
  return { score: score(scheme, period, periods, targets, actuals), scheme };
}

function targetsOf(one: Case, scheme: Scheme, periods: Map<string, Period>, weekStart: number) {
  const found = new Map<string, Target>();
  for (const i of scheme.indicators) {
    if (i.target !== null) found.set(i.code, { amount: Fraction.of(i.target), reasons: ['DEFAULT_TARGET'] });
  }
  if (!Array.isArray(one.targets)) {
    for (const [code, amount] of Object.entries(one.targets ?? {}))
      found.set(code, { amount: Fraction.of(amount), reasons: [] });
    return found;
  }
  const days = one.calendar;
  const calendar: Calendar = {
    weekdays: days?.weekdays ? new Set(days.weekdays) : MONDAY_TO_FRIDAY,
    off: new Set(days?.off),
    worked: new Set(days?.worked),
    joined: days?.joined ?? null,
    left: days?.left ?? null,
  };
  for (const i of scheme.indicators) {
    const wanted = one.targets
      .filter((row) => row.indicator === i.code && (row['status'] ?? 'held') === 'held')
      .map((row): Wanted => ({
        period: periodOf(row.period, row.starts_on, weekStart),
        amount: Fraction.of(String(row['amount'])),
      }));
    const target = targetOf(periods.get(i.code)!, wanted, calendar, levelOf(i));
    if (target) found.set(i.code, target);
  }
  return found;
}

function factsOf(data: Data): Facts {
  const rows = (name: string) => (data[name] ?? []) as Data[];
  const at = (value: unknown) => (typeof value === 'string' ? Date.parse(value) : null);
  const nothing = { due_day: null, done_day: null, requested_day: null, kind: null, status: 'open' };
  return {
    ...NO_FACTS,
    own: (data['own'] ?? []) as string[],
    visits: rows('visits').map((v) => ({
      reasons: [],
      duration_s: 0,
      planned_day: null,
      back_filled: false,
      valid: false,
      status: 'done',
      ...v,
    })) as unknown as Facts['visits'],
    follow_ups: rows('follow_ups').map((f) => ({
      ...nothing,
      ...f,
      due_at: at(f['due_at']),
      done_at: at(f['done_at']),
      requested_at: at(f['requested_at']),
      answered_at: at(f['answered_at']),
    })) as unknown as FollowUpFact[],
    won: rows('won').map((c) => ({ approved: true, ...c })) as unknown as Facts['won'],
    values: rows('values').map((v) => ({ status: 'reviewed', ...v })) as unknown as Facts['values'],
  };
}

/** Where what was found is not as expected; readings may be named by code. */
function differences(expected: unknown, found: unknown, path = ''): string[] {
  if (typeof expected === 'object' && expected !== null && !Array.isArray(expected)) {
    const inside = Array.isArray(found)
      ? Object.fromEntries(found.map((one) => [(one as { indicator: string }).indicator, one as unknown]))
      : ((found ?? {}) as Data);
    return Object.entries(expected).flatMap(([name, value]) =>
      differences(value, (inside as Data)[name], `${path}.${name}`),
    );
  }
  const [want, got] = [JSON.stringify(expected), JSON.stringify(found)];
  return want === got ? [] : [`${path}: ${got} was found, ${want} expected`];
}

describe('the golden table, on the phone', () => {
  it('is not empty', () => expect(cases.length).toBeGreaterThan(30));
  for (const one of cases) {
    it(one.name, () => {
      const { score: found, scheme } = play(one);
      expect(differences(one.expected, found)).toEqual([]);
      const said = found.readings.map((reading) => {
        const row = scheme.indicators.find((each) => each.code === reading.indicator)!;
        const tell = (language: string) => explain(reading, row, scheme.cap, language);
        return [reading.indicator, { en: tell('en'), zh: tell('zh-Hans') }];
      });
      expect(Object.fromEntries(said)).toEqual(inWords[one.name]);
    });
  }
});
