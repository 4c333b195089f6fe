import { describe, expect, test } from 'vitest';
import type { Conclusion, ServerVisit } from '../data';
import { boardWords } from '../i18n/board';
import { en as enFirst } from '../i18n/en';
import { later as enLater } from '../i18n/en_later';
import { zh as zhFirst } from '../i18n/zh';
import { later as zhLater } from '../i18n/zh_later';
import { tell } from './evidence';
import { sayer } from './say';

const en = { ...enFirst, ...enLater };
const zh = { ...zhFirst, ...zhLater };

const DATE = '2026-11-19';
const now = Date.parse('2026-11-19T14:52:00Z');
const say = sayer(en, boardWords.en, 'Europe/London');
const names = { outcome: (code: string) => `<${code}>`, kind: (code: string) => `<${code}>` };
const distance = () => 71;

function visit(more: Partial<ServerVisit> = {}, server: Partial<Conclusion> = {}): ServerVisit {
  const moment = { wall: '2026-11-19T10:20:00Z', mono_ms: 0, life: 'l', offset_ms: 0, zone: 'Europe/London' };
  return {
    id: 'v',
    version: 1,
    status: 'done',
    mode: 'in_person',
    kind: 'store_call',
    planned_date: null,
    planned_time: null,
    outcome: 'order',
    late_reason: null,
    minutes: 'Tasted three teas',
    next_step: null,
    tags: [],
    check_in: moment,
    check_out: { ...moment, wall: '2026-11-19T11:01:00Z' },
    check_in_fix: { lat: 60.17, lon: 24.94, accuracy_m: 6, taken_at: moment.wall },
    check_in_best_fix: null,
    check_out_fix: null,
    customer: { id: 'c', name: 'Copper Kettle', lat: 60.17, lon: 24.94, radius_m: 200 },
    rep: { id: 'r', name: 'Mira' },
    server: {
      day: DATE,
      zone: 'Europe/London',
      check_in_at: '2026-11-19T10:20:00Z',
      check_out_at: '2026-11-19T11:01:00Z',
      duration_s: 2460,
      trust: 'verified',
      trust_reasons: ['IN_RADIUS'],
      valid: true,
      reasons: [],
      distance_m: 38,
      accuracy_m: 6,
      fix_age_s: 2,
      doubt_ms: 400,
      back_filled: false,
      written_at: '2026-11-19T10:20:01Z',
      received_at: '2026-11-19T11:04:00Z',
      estimated_end: null,
      missed: false,
      accepted: false,
      ...server,
    },
    ...more,
  };
}
const told = (v: ServerVisit) => tell(v, DATE, now, say, names, distance);
const line = (v: ServerVisit, term: string) => told(v).lines.find((l) => l.term === term);

describe('what is known of a visit', () => {
  test('a plain one says time, place, that it counts and how it was captured', () => {
    expect(told(visit())).toMatchObject({
      look: 'counts',
      place: '38 m, ±6 m',
      late: false,
      doubtful: false,
    });
    expect(line(visit(), 'Time')).toMatchObject({
      text: '10:20 – 11:01 · 41 min',
      notes: ['The phone’s clock agreed'],
    });
    expect(line(visit(), 'Place')).toMatchObject({
      text: 'Verified · 38 m from the customer, ±6 m',
      notes: ['taken at the tap'],
    });
    expect(line(visit(), 'How it was captured')).toMatchObject({
      text: 'Logged on the spot',
      notes: ['reached the server 11:04'],
    });
  });

  test('a review names its reasons in words and accuses nobody', () => {
    const odd = visit(
      {},
      { trust: 'review', trust_reasons: ['TOO_FAR'], valid: false, reasons: ['IN_REVIEW'], distance_m: 480 },
    );
    expect(told(odd)).toMatchObject({ look: 'review', review: true, reasons: [] });
    expect(line(odd, 'Place')?.notes).toContain(en.reasons.TOO_FAR[1]);
    expect(line(odd, 'Valid visit')).toMatchObject({
      text: 'Does not count',
      notes: [en.reasons.IN_REVIEW[1]],
    });
  });

  test('an accepted visit in review counts and says who made it so', () => {
    const accepted = visit({}, { trust: 'review', trust_reasons: ['TOO_FAR'], accepted: true });
    expect(told(accepted)).toMatchObject({ look: 'counts', review: false });
    expect(line(accepted, 'Valid visit')?.notes).toEqual(['Accepted by a manager']);
  });

  test('a clock two hours fast is shown beside the right times', () => {
    const fast = visit({
      check_in: {
        wall: '2026-11-19T12:20:00Z',
        mono_ms: 0,
        life: 'l',
        offset_ms: -7_200_000,
        zone: 'Europe/London',
      },
    });
    expect(told(fast).doubtful).toBe(true);
    expect(line(fast, 'Time')).toMatchObject({
      text: '10:20 – 11:01 · 41 min',
      notes: ['The phone’s clock was 2 h fast. It showed 12:20, corrected here.'],
    });
  });

  test('two readings of the clock that disagree are told as doubt', () => {
    const doubt = visit({}, { doubt_ms: 900_000 });
    expect(told(doubt).doubtful).toBe(true);
    expect(line(doubt, 'Time')?.notes).toEqual(['Two readings of the phone’s clock differ by 15 min']);
  });

  test('logged late says by how much and the rep’s reason', () => {
    const late = visit(
      { late_reason: 'Phone was empty' },
      { back_filled: true, written_at: '2026-11-19T13:40:00Z' },
    );
    expect(told(late).late).toBe(true);
    expect(line(late, 'How it was captured')).toMatchObject({
      text: 'Logged 3 h 20 after the check-in',
      notes: ['reached the server 11:04', 'Phone was empty'],
    });
  });

  test('no position is said with its reason, a later fix with its age', () => {
    const none = visit(
      { check_in_fix: { none: 'timeout' } },
      {
        trust: 'unverified',
        trust_reasons: ['NO_POSITION_TIMEOUT'],
        distance_m: null,
        accuracy_m: null,
        fix_age_s: null,
      },
    );
    expect(told(none).place).toBe('');
    expect(line(none, 'Place')).toMatchObject({
      text: 'Unverified · No position',
      notes: [en.reasons.NO_POSITION_TIMEOUT[1]],
    });
    expect(line(visit({}, { fix_age_s: -140 }), 'Place')?.notes).toEqual(['taken 2 min after the tap']);
    expect(line(visit({}, { fix_age_s: 360 }), 'Place')?.notes).toEqual(['6 min old at the tap']);
  });

  test('a running visit counts its minutes up to now and has no end', () => {
    const running = visit(
      { status: 'open', check_out: null, outcome: null, minutes: null },
      { check_out_at: null, duration_s: null, valid: false, reasons: ['NOT_DONE'] },
    );
    expect(told(running)).toMatchObject({ look: 'open', seconds: 272 * 60 });
    expect(line(running, 'Time')?.text).toBe('10:20 · 4 h 32 so far');
    expect(line(running, 'Valid visit')?.text).toBe('May count');
  });

  test('a visit of another zone keeps its own times and says so', () => {
    const far = visit({}, { zone: 'Asia/Shanghai' });
    expect(line(far, 'Time')?.text).toBe('18:20 – 19:01 · 41 min');
    expect(line(far, 'Time')?.notes[0]).toBe('Times in Asia/Shanghai');
  });

  test('a plan has neither times nor evidence', () => {
    const plan = visit(
      { status: 'planned', check_in: null, check_out: null, check_in_fix: null, planned_time: '16:00' },
      { check_in_at: null, check_out_at: null, duration_s: null, trust: null, valid: false },
    );
    expect(told(plan)).toMatchObject({ look: 'planned', begin: null, seconds: null });
    expect(told(plan).lines.map((l) => l.term)).toEqual(['Kind']);
  });

  test('the same in Chinese leaves no English word of the board', () => {
    const chinese = sayer(zh, boardWords.zh, 'Europe/London');
    const { lines } = tell(
      visit({ outcome: null, minutes: null }),
      DATE,
      now,
      chinese,
      { ...names, kind: () => '门店' },
      distance,
    );
    expect(lines.flatMap((l) => [l.term, l.text, ...l.notes]).join(' ')).not.toMatch(/[A-Za-z]{3,}/);
  });
});
