import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Held, Receipt, Visit, Work } from '../data';
import { factsOf, myScore, needOf, schemeIn, trend, upcoming, type Ground } from './mine';
import { periodOf } from './periods';

const SENT: Receipt = { state: 'sent', sentAt: null, unsent: 0, waiting: null };
const PHONE: Receipt = { ...SENT, state: 'phone', unsent: 1 };
const row = (id: string, data: Record<string, unknown>): Held => ({ id, data, receipt: SENT });

let made = 0;
function visit(day: string, more: Partial<Visit> = {}): Visit {
  const at = Date.parse(`${day}T09:00:00Z`);
  const server = { valid: true, reasons: [], trust: 'verified', duration_s: 2400, back_filled: false };
  return {
    id: `v${String(++made).padStart(4, '0')}`,
    status: 'done',
    customerId: `c${made}`,
    mode: 'in_person',
    kind: 'store_call',
    plannedDate: null,
    lateReason: null,
    minutes: 'They asked for a quote.',
    checkIn: { wall: new Date(at).toISOString() },
    checkOut: { wall: new Date(at + 2_400_000).toISOString() },
    checkInFix: null,
    checkInBestFix: null,
    checkInAt: at,
    checkOutAt: at + 2_400_000,
    durationS: 2400,
    day,
    zone: 'UTC',
    pendingCheckOut: null,
    distanceM: null,
    server,
    receipt: SENT,
    ...more,
  } as unknown as Visit;
}
/** As a phone has it that was not heard yet. */
const unsent = (day: string, more: Partial<Visit> = {}) =>
  visit(day, { server: null, receipt: PHONE, ...more });

const SCHEME = { status: 'approved', name: 'Field', valid_from: '2026-01-01' };
const VISITS = { code: 'valid_visits', weight: '60' };
function ground(more: Partial<Ground> = {}, work: Partial<Work> = {}): Ground {
  return {
    me: 'rob',
    team: 'north',
    role: 'rep',
    teams: [
      { id: 'north', name: 'North', parent_id: 'all' },
      { id: 'all', name: 'All', parent_id: null },
    ],
    schemes: [row('s1', { ...SCHEME, indicators: [VISITS, { code: 'plans_kept', weight: '40' }] })],
    targets: [
      row('t1', {
        indicator: 'valid_visits',
        person_id: 'rob',
        period: 'month',
        starts_on: '2026-11-01',
        amount: '84',
        status: 'held',
      }),
    ],
    values: [],
    daysOff: [],
    closings: [],
    work: { visits: [], followUps: [], customers: [], ...work },
    rules: { kinds: new Map(), minChars: 10, backfillLimitH: 48, radiusOf: () => 200 },
    weekStart: 0,
    zone: 'UTC',
    now: Date.parse('2026-11-19T12:00:00Z'),
    today: '2026-11-19',
    ...more,
  };
}
const NOVEMBER = periodOf('month', '2026-11-19');
const reading = (g: Ground, code = 'valid_visits') =>
  myScore(g, NOVEMBER).score!.readings.find((r) => r.indicator === code)!;

describe('my score on the phone', () => {
  it('counts a visit that is on this phone alone, and says that it is', () => {
    const [known, fresh] = [visit('2026-11-18'), unsent('2026-11-19')];
    const g = ground({}, { visits: [known, fresh] });
    expect(reading(g).actual).toBe('2');
    expect(reading(g).evidence.counted).toEqual([known.id, fresh.id]);
    expect([...myScore(g, NOVEMBER).unsent]).toEqual([fresh.id]);
  });

  it('expects of an unsent visit what the server will ask, each with its reason', () => {
    const why = (more: Partial<Visit>) => {
      const v = unsent('2026-11-19', more);
      return reading(ground({}, { visits: [v] })).evidence.not_counted.map((one) => one.code);
    };
    expect(why({})).toEqual([]);
    expect(why({ minutes: '  ' })).toEqual(['NO_MINUTES']);
    expect(why({ minutes: 'short' })).toEqual(['MINUTES_TOO_SHORT']);
    expect(why({ durationS: 1799 })).toEqual(['TOO_SHORT']);
    expect(why({ durationS: 60, mode: 'phone' })).toEqual([]);
    expect(why({ status: 'open', checkOut: null })).toEqual(['NOT_DONE']);
    const fix = { lat: 1, lon: 1, accuracy_m: 20, taken_at: '2026-11-19T08:59:30Z' };
    expect(why({ checkInFix: fix, distanceM: 500 })).toEqual(['IN_REVIEW']);
    expect(why({ checkInFix: fix, distanceM: 210 })).toEqual([]);
    // An old or rough position accuses nobody.
    const old = { ...fix, taken_at: '2026-11-19T08:50:00Z' };
    expect(why({ checkInFix: old, distanceM: 5000 })).toEqual([]);
    expect(why({ checkInFix: { ...fix, accuracy_m: 1500 }, distanceM: 5000 })).toEqual([]);
  });

  it('takes the word of the server where it has spoken and nothing has changed since', () => {
    const server = { valid: false, reasons: ['IN_REVIEW'], trust: 'review', duration_s: 2400 };
    const v = visit('2026-11-18', { server: server as unknown as Visit['server'] });
    expect(reading(ground({}, { visits: [v] })).evidence.not_counted).toEqual([
      { id: v.id, code: 'IN_REVIEW' },
    ]);
  });

  it('takes a plan for no visit of its day, and asks by its own day whether it was kept', () => {
    const visits = [
      visit('2026-11-18', { plannedDate: '2026-11-18' }),
      visit('2026-11-17', { status: 'missed', plannedDate: '2026-11-17' }),
      visit('2026-11-25', { status: 'planned', plannedDate: '2026-11-25' }),
    ];
    const g = ground({}, { visits });
    expect(reading(g).evidence).toEqual({ kind: 'visit', counted: [visits[0]!.id], not_counted: [] });
    expect(reading(g, 'plans_kept').evidence.not_counted.map((one) => one.code)).toEqual([
      'MISSED',
      'NOT_DUE_YET',
    ]);
  });

  it('never loses a point by one more valid visit', () => {
    const day = fc.integer({ min: 1, max: 19 }).map((n) => `2026-11-${String(n).padStart(2, '0')}`);
    fc.assert(
      fc.property(fc.array(day, { maxLength: 30 }), day, (days, one) => {
        const visits = days.map((d) => visit(d));
        const before = reading(ground({}, { visits }));
        const after = reading(ground({}, { visits: [...visits, unsent(one)] }));
        expect(Number(after.points)).toBeGreaterThanOrEqual(Number(before.points));
        expect(Number(after.actual)).toBe(Number(before.actual) + 1);
      }),
      { numRuns: 40 },
    );
  });

  it('says what today still needs: what is left over the working days that are left', () => {
    // 84 over November's 21 working days; on the 19th 8 are left: (84 − 20) ÷ 8 = 8 a day, 3 done.
    const visits = Array.from({ length: 20 }, () => visit('2026-11-10'));
    visits.push(visit('2026-11-19'), visit('2026-11-19'), unsent('2026-11-19'));
    const g = ground({}, { visits });
    const row = schemeIn(g, NOVEMBER)!.scheme.indicators[0]!;
    const need = needOf(g, row, NOVEMBER)!;
    expect([need.before, need.each, need.doneToday, need.today].map((f) => f.short(2))).toEqual([
      '20',
      '8',
      '3',
      '5',
    ]);
    expect([need.daysLeft, need.state]).toEqual([8, 'open']);
    const off = { ...g, daysOff: [row_off('2026-11-20', null), row_off('2026-11-23', 'ria')] };
    expect(needOf(off, row, NOVEMBER)!.daysLeft).toBe(7);
    expect(needOf({ ...g, today: '2026-11-21' }, row, NOVEMBER)!.state).toBe('free');
    const made = row_off('2026-11-21', null);
    const instead = {
      ...g,
      today: '2026-11-21',
      daysOff: [{ ...made, data: { ...made.data, worked: true } }],
    };
    expect(needOf(instead, row, NOVEMBER)!.state).toBe('open');
    const enough = {
      ...g,
      work: { ...g.work, visits: Array.from({ length: 84 }, () => visit('2026-11-10')) },
    };
    expect(needOf(enough, row, NOVEMBER)!.state).toBe('reached');
  });

  it('reads the scheme of the nearest team that holds, and tells of the one to come', () => {
    const indicators = [VISITS];
    const schemes = [
      row('everybody', { ...SCHEME, indicators }),
      row('north', { ...SCHEME, indicators, team_id: 'north' }),
      row('other', { ...SCHEME, indicators, team_id: 'south', valid_from: '2026-11-01' }),
      row('managers', { ...SCHEME, indicators, role: 'manager', valid_from: '2026-11-01' }),
      row('waiting', {
        ...SCHEME,
        indicators,
        status: 'proposed',
        team_id: 'north',
        valid_from: '2026-12-01',
      }),
      row('next', { ...SCHEME, indicators, team_id: 'all', valid_from: '2026-12-15' }),
    ];
    const g = ground({ schemes });
    expect(schemeIn(g, NOVEMBER)!.id).toBe('north');
    expect(upcoming(g).map((one) => one.id)).toEqual(['waiting', 'next']);
    expect(schemeIn(ground({ schemes: [] }), NOVEMBER)).toBeNull();
    expect(trend(g, NOVEMBER)).toEqual([]);
  });

  it('takes from the server who became a customer, and divides by the visits that it knows itself', () => {
    const schemes = [
      row('s', { ...SCHEME, indicators: [{ code: 'conversion', weight: '1', target: '0.1' }] }),
    ];
    const customers = [
      row('c1', { owner_id: 'rob', won_by: 'rob', customer_since: '2026-11-05' }),
      row('c2', { owner_id: 'ria', won_by: 'rob', customer_since: '2026-10-31' }),
      row('c3', { owner_id: 'rob', won_by: 'ria', customer_since: '2026-11-05' }),
    ];
    const visits = Array.from({ length: 5 }, () => visit('2026-11-18'));
    const g = ground({ schemes, targets: [] }, { visits: [...visits, unsent('2026-11-19')], customers });
    expect(reading(g, 'conversion').actual).toBe('0.166667');
    expect(reading(g, 'conversion').evidence.counted).toEqual(['c1']);
  });

  it('keeps the scheme that held on the first day of a period, and takes one that begins in it where none did', () => {
    const schemes = [
      row('old', { ...SCHEME, indicators: [VISITS] }),
      row('new', { ...SCHEME, indicators: [VISITS], valid_from: '2026-11-10' }),
    ];
    const idIn = (g: Ground, day: string, kind: 'week' | 'month') => schemeIn(g, periodOf(kind, day))?.id;
    expect(idIn(ground({ schemes }), '2026-11-19', 'month')).toBe('old');
    expect(idIn(ground({ schemes }), '2026-11-19', 'week')).toBe('new');
    expect(idIn(ground({ schemes }), '2026-12-01', 'month')).toBe('new');
    expect(idIn(ground({ schemes: schemes.slice(1) }), '2026-11-19', 'month')).toBe('new');
    expect(idIn(ground({ schemes: schemes.slice(1) }), '2026-10-19', 'month')).toBeUndefined();
  });

  it('answers a request by the first visit that counts', () => {
    const asked = '2026-11-18T08:00:00Z';
    const request = {
      ...row('f1', { kind: 'request', status: 'open', customer_id: 'cx', requested_at: asked }),
      doneAt: null,
      doneDay: null,
    };
    const visits = [
      unsent('2026-11-18', { customerId: 'cx', checkInAt: Date.parse('2026-11-18T09:30:00Z') }),
    ];
    const facts = factsOf(ground({}, { visits, followUps: [request] })).facts;
    expect(facts.follow_ups[0]!.answered_at).toBe(Date.parse('2026-11-18T09:30:00Z'));
  });
});

function row_off(on: string, person_id: string | null): Held {
  return row(`off ${on}`, { on, person_id, name: 'Day off' });
}
