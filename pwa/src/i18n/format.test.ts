import { describe, expect, it } from 'vitest';
import { en } from './en';
import * as f from './format';
import { zh } from './zh';

const AT = Date.parse('2026-11-19T14:06:09Z');

describe('times', () => {
  it('are 24 hour, in the zone that is asked for', () => {
    expect(f.clock(AT, 'Europe/London')).toBe('14:06');
    expect(f.clock('2026-11-19T00:06:09Z', 'Asia/Shanghai')).toBe('08:06');
    expect(f.clock('2026-11-19T00:00:00Z', 'UTC')).toBe('00:00');
    expect(f.clockSeconds(AT, 'America/New_York')).toBe('09:06:09');
  });

  it('are empty for what is no instant, and UTC in a zone nobody knows', () => {
    expect(f.clock('nonsense', 'UTC')).toBe('');
    expect(f.clock(AT, 'Mars/Olympus')).toBe('14:06');
  });

  it('put a day in the zone it happened in', () => {
    expect(f.dayOf('2026-11-19T20:00:00Z', 'Asia/Shanghai')).toBe('2026-11-20');
    expect(f.dayOf('2026-11-19T20:00:00Z', 'Europe/London')).toBe('2026-11-19');
  });

  it('write dates as each language does', () => {
    expect(f.dayLong(en, '2026-11-19')).toBe('Thursday 19 November');
    expect(f.dayLong(zh, '2026-11-19')).toBe('11月19日 星期四');
    expect(f.dayShort(en, '2026-11-07')).toBe('7 Nov');
    expect(f.dayShort(en, '2025-11-07', '2026-01-01')).toBe('7 Nov 2025');
    expect(f.dayShort(zh, '2026-11-07')).toBe('11月7日');
    expect(f.dayWeekday(en, '2026-11-26')).toBe('Thu 26 Nov');
    expect(f.dayWeekday(zh, '2026-11-26')).toBe('11月26日 周四');
  });

  it('count days over months, years and clock changes', () => {
    expect(f.daysBetween('2026-12-31', '2027-01-01')).toBe(1);
    expect(f.addDays('2026-02-28', 1)).toBe('2026-03-01');
    expect(f.addDays('2026-10-25', 1)).toBe('2026-10-26');
    expect(f.dayAgo(en, '2026-11-19', '2026-11-19')).toBe('today');
    expect(f.dayAgo(en, '2026-11-07', '2026-11-19')).toBe('12 days ago');
    expect(f.dayAgo(zh, '2026-11-20', '2026-11-19')).toBe('明天');
  });

  it('say an age in its largest whole unit', () => {
    expect(f.ago(en, 1_000)).toBe('just now');
    expect(f.ago(en, 20_000)).toBe('20 s ago');
    expect(f.ago(en, 6 * 60_000)).toBe('6 min ago');
    expect(f.ago(zh, 60_000)).toBe('1 分钟前');
    expect(f.ago(en, 5 * 3_600_000)).toBe('5 h ago');
    expect(f.ago(en, 30 * 3_600_000)).toBe('yesterday');
  });

  it('never round a duration up to what it is not', () => {
    expect(f.duration(en, 29 * 60 + 59)).toBe('29 min');
    expect(f.duration(en, 153 * 60)).toBe('2 h 33');
    expect(f.duration(zh, 120 * 60)).toBe('2 小时');
    expect(f.timer(23 * 60 + 41)).toBe('23:41');
    expect(f.timer(3723)).toBe('1:02:03');
    expect(f.timer(-5)).toBe('00:00');
  });
});

describe('places', () => {
  it('are as exact as they deserve', () => {
    expect(f.distance(en, 38.4)).toBe('38 m');
    expect(f.distance(en, 123)).toBe('120 m');
    expect(f.distance(en, 999)).toBe('1.0 km');
    expect(f.distance(zh, 2_412)).toBe('2.4 公里');
    expect(f.distance(en, 5_600_000)).toBe('5,600 km');
    expect(f.accuracy(en, 6)).toBe('±6 m');
  });

  it('lie in the eight directions of the wind', () => {
    const from = { lat: 51.5, lon: -0.12 };
    expect(f.bearing(en, from, { lat: 51.6, lon: -0.12 })).toBe('N');
    expect(f.bearing(en, from, { lat: 51.5, lon: 0 })).toBe('E');
    expect(f.bearing(zh, from, { lat: 51.4, lon: -0.28 })).toBe('西南');
  });
});

describe('reasons', () => {
  it('are words for every code of the rules, and the code itself where it is unknown', () => {
    expect(f.reasonShort(en, 'TOO_SHORT')).toBe('too short');
    expect(f.reasonLong(zh, 'CLOCK_OFF')).toContain('5 分钟');
    expect(f.reasonShort(en, 'NEW_CODE')).toBe('NEW_CODE');
    expect(f.reasonLong(en, 'NEW_CODE')).toContain('NEW_CODE');
  });
});
