import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bandOf,
  lookOf,
  minuteOf,
  minuteOfTime,
  piecesOf,
  type RibbonVisit,
  scaleOf,
  share,
  spanOf,
  ticksOf,
  wallOf,
} from './ribbon';

const DAY = '2026-11-19';
const LONDON = 'Europe/London';
const now = Date.parse('2026-11-19T14:52:00Z');

function visit(more: Partial<RibbonVisit> = {}): RibbonVisit {
  return {
    visit: 'a',
    from: null,
    to: null,
    planned_time: null,
    status: 'done',
    valid: true,
    trust: 'verified',
    ...more,
  };
}

describe('the wall clock', () => {
  test('an instant falls on the minute that the zone shows', () => {
    expect(minuteOf('2026-11-19T09:40:30Z', DAY, LONDON)).toBe(580.5);
    expect(minuteOf('2026-11-19T09:40:00Z', DAY, 'Asia/Shanghai')).toBe(17 * 60 + 40);
    expect(minuteOf('2026-11-19T09:40:00Z', DAY, 'Asia/Kathmandu')).toBe(15 * 60 + 25);
  });

  test('minutes go on past midnight and below it', () => {
    expect(minuteOf('2026-11-20T00:30:00Z', DAY, LONDON)).toBe(1470);
    expect(minuteOf('2026-11-18T23:30:00Z', DAY, LONDON)).toBe(-30);
  });

  test('midnight is the zeroth minute and not the last', () => {
    expect(wallOf(Date.parse('2026-11-19T00:00:00Z'), LONDON)).toEqual({ day: DAY, minute: 0 });
  });

  test('summer time ends between one second and the next', () => {
    expect(wallOf(Date.parse('2026-10-25T00:59:59Z'), LONDON).minute).toBeCloseTo(119.98, 1);
    expect(wallOf(Date.parse('2026-10-25T01:00:00Z'), LONDON).minute).toBe(60);
    expect(wallOf(Date.parse('2026-10-03T15:30:00Z'), 'Australia/Lord_Howe')).toEqual({
      day: '2026-10-04',
      minute: 150,
    });
  });

  test('no instant, a broken one and an unknown zone do not throw', () => {
    expect(minuteOf(null, DAY, LONDON)).toBeNull();
    expect(minuteOf('soon', DAY, LONDON)).toBeNull();
    expect(minuteOf('2026-11-19T09:40:00Z', DAY, 'Nowhere/Never')).toBe(580);
  });

  test('a planned time is read with and without seconds', () => {
    expect(minuteOfTime('09:30')).toBe(570);
    expect(minuteOfTime('09:30:00')).toBe(570);
    expect(minuteOfTime('')).toBeNull();
    expect(minuteOfTime(null)).toBeNull();
  });
});

describe('the look of a visit', () => {
  test('what counts is told from what does not and from what needs a look', () => {
    expect(lookOf(visit())).toBe('counts');
    expect(lookOf(visit({ valid: false }))).toBe('plain');
    expect(lookOf(visit({ valid: false, trust: 'review' }))).toBe('review');
    expect(lookOf(visit({ status: 'open', valid: false }))).toBe('open');
    expect(lookOf(visit({ status: 'planned' }))).toBe('planned');
    expect(lookOf(visit({ status: 'missed' }))).toBe('missed');
  });

  test('an accepted visit in review simply counts', () => {
    expect(lookOf(visit({ valid: true, trust: 'review' }))).toBe('counts');
  });

  test('a cancelled visit is not drawn', () => {
    expect(lookOf(visit({ status: 'cancelled' }))).toBeNull();
    expect(spanOf(visit({ status: 'cancelled', planned_time: '10:00' }), DAY, LONDON, now)).toBeNull();
  });
});

describe('where a visit lies', () => {
  test('a running visit reaches to now', () => {
    const span = spanOf(visit({ status: 'open', from: '2026-11-19T14:20:00Z' }), DAY, LONDON, now);
    expect(span).toEqual({ from: 860, to: 892 });
  });

  test('a planned visit stands at its time', () => {
    expect(spanOf(visit({ status: 'planned', planned_time: '16:00' }), DAY, LONDON, now)).toEqual({
      from: 960,
      to: 990,
    });
  });

  test('a planned visit without a time is not drawn', () => {
    expect(spanOf(visit({ status: 'planned' }), DAY, LONDON, now)).toBeNull();
  });

  test('the hour repeated in autumn does not turn a visit round', () => {
    const span = spanOf(
      visit({ from: '2026-10-25T00:40:00Z', to: '2026-10-25T01:10:00Z' }),
      '2026-10-25',
      LONDON,
      now,
    );
    expect(span).toEqual({ from: 100, to: 130 });
  });

  test('an end before its beginning gives no negative length', () => {
    const span = spanOf(
      visit({ from: '2026-11-19T10:00:00Z', to: '2026-11-19T09:00:00Z' }),
      DAY,
      LONDON,
      now,
    );
    expect(span).toEqual({ from: 600, to: 600 });
  });
});

describe('the scale', () => {
  test('an empty day shows 8 to 18', () => {
    expect(scaleOf([])).toEqual({ from: 480, to: 1080 });
  });

  test('an early and a late visit widen it to whole hours', () => {
    expect(scaleOf([{ from: 395, to: 1090 }])).toEqual({ from: 360, to: 1140 });
  });

  test('the evening moves its end on, the early morning does not pull its beginning back', () => {
    expect(scaleOf([], 19 * 60 + 5)).toEqual({ from: 480, to: 1200 });
    expect(scaleOf([], 60)).toEqual({ from: 480, to: 1080 });
  });

  test('every hour is labelled where there is room, every second one where not', () => {
    expect(ticksOf({ from: 480, to: 1080 }, 11).map((t) => t / 60)).toEqual([
      8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
    ]);
    expect(ticksOf({ from: 480, to: 1080 }, 6).map((t) => t / 60)).toEqual([8, 10, 12, 14, 16, 18]);
    expect(ticksOf({ from: 420, to: 1140 }, 7).map((t) => t / 60)).toEqual([8, 10, 12, 14, 16, 18]);
  });

  test('there are never more labels than asked for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -12, max: 8 }),
        fc.integer({ min: 18, max: 36 }),
        fc.integer({ min: 2, max: 12 }),
        (a, b, most) => {
          expect(ticksOf({ from: a * 60, to: b * 60 }, most).length).toBeLessThanOrEqual(Math.max(most, 3));
        },
      ),
    );
  });
});

describe('pieces', () => {
  const scale = scaleOf([]);

  test('they stand in time order at their share of the line', () => {
    const pieces = piecesOf(
      [
        visit({ visit: 'late', from: '2026-11-19T13:00:00Z', to: '2026-11-19T14:00:00Z' }),
        visit({ visit: 'early', from: '2026-11-19T08:00:00Z', to: '2026-11-19T09:00:00Z' }),
      ],
      DAY,
      LONDON,
      now,
      scale,
    );
    expect(pieces.map((p) => p.visit)).toEqual(['early', 'late']);
    expect(pieces[0]).toMatchObject({ x: 0, width: 0.1 });
    expect(pieces[1]?.x).toBeCloseTo(0.5);
    expect(pieces[1]?.width).toBeCloseTo(0.1);
  });

  test('a running visit in review keeps both marks', () => {
    const [piece] = piecesOf(
      [visit({ status: 'open', valid: false, trust: 'review', from: '2026-11-19T14:20:00Z' })],
      DAY,
      LONDON,
      now,
      scale,
    );
    expect(piece).toMatchObject({ look: 'open', review: true });
  });

  test('whatever the times, every piece lies on the line', () => {
    const instant = fc
      .integer({ min: Date.parse('2026-11-17T00:00Z'), max: Date.parse('2026-11-22T00:00Z') })
      .map((ms) => new Date(ms).toISOString());
    const any = fc.record({
      visit: fc.uuid(),
      from: fc.option(instant),
      to: fc.option(instant),
      planned_time: fc.option(fc.constantFrom('00:00', '12:30', '23:59')),
      status: fc.constantFrom('planned', 'open', 'done', 'missed', 'cancelled'),
      valid: fc.boolean(),
      trust: fc.constantFrom(null, 'verified', 'unverified', 'review'),
    });
    fc.assert(
      fc.property(
        fc.array(any),
        fc.constantFrom(LONDON, 'Pacific/Kiritimati', 'Pacific/Niue'),
        (visits, zone) => {
          const spans = visits.map((v) => spanOf(v, DAY, zone, now)).filter((s) => s !== null);
          const wide = scaleOf(spans, minuteOf(now, DAY, zone));
          for (const piece of piecesOf(visits, DAY, zone, now, wide)) {
            expect(piece.x).toBeGreaterThanOrEqual(0);
            expect(piece.width).toBeGreaterThanOrEqual(0);
            expect(piece.x + piece.width).toBeLessThanOrEqual(1 + 1e-9);
          }
        },
      ),
    );
  });
});

describe('the unknown', () => {
  const scale = scaleOf([]);

  test('it is hatched from the last contact to now', () => {
    const band = bandOf({ from: 580, to: 892 }, scale);
    expect(band?.x).toBeCloseTo(100 / 600);
    expect(band?.width).toBeCloseTo(312 / 600);
  });

  test('it begins with the line when the last contact was before it', () => {
    expect(bandOf({ from: -400, to: 540 }, scale)).toEqual({ x: 0, width: 0.1 });
  });

  test('nothing is hatched where everything is known or the time is not on the line', () => {
    expect(bandOf(null, scale)).toBeNull();
    expect(bandOf({ from: 100, to: 200 }, scale)).toBeNull();
    expect(share(2000, scale)).toBe(1);
  });
});
