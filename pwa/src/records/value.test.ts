import { describe, expect, it } from 'vitest';
import { en as enFirst } from '../i18n/en';
import { later as enLater } from '../i18n/en_later';
import { recordWords } from '../i18n/records';
import { zh as zhFirst } from '../i18n/zh';
import { later as zhLater } from '../i18n/zh_later';
import { moment, valueOf, type Names } from './value';

const en = { ...enFirst, ...enLater };
const zh = { ...zhFirst, ...zhLater };

const ID = '939bf0e0-8a21-4fae-8190-06d67e068fc3';
const names: Names = {
  t: en,
  w: recordWords.en,
  zone: 'Europe/London',
  today: '2026-11-21',
  person: (id) => (id === ID ? 'Petra' : ''),
  team: () => '',
  customer: (id) => (id === ID ? 'Fennimore’s' : ''),
  kind: (code) => (code === 'sales_call' ? 'Sales call' : ''),
  outcome: (code) => (code === 'order' ? 'Order' : ''),
};
const said = (field: string, value: unknown, kind = 'visit') => valueOf(kind, field, value, names);

describe('a value', () => {
  it('is told by name, state or code in words', () => {
    expect(said('owner_id', ID)).toBe('Petra');
    expect(said('customer_id', ID)).toBe('Fennimore’s');
    expect(said('outcome', 'order')).toBe('Order');
    expect(said('kind', 'sales_call')).toBe('Sales call');
    expect(said('status', 'missed')).toBe('Missed');
    expect(said('mode', 'in_person')).toBe('In person');
    expect(said('lifecycle', 'lead', 'customer')).toBe('Lead');
    expect(said('archived', true, 'customer')).toBe('archived');
  });

  it('is a day, a time or a place as people say it', () => {
    expect(said('planned_date', '2026-11-24')).toBe('Tue 24 Nov');
    expect(said('planned_time', '14:30:00')).toBe('14:30');
    expect(said('check_in', { wall: '2026-11-21T14:06:40.000Z', offset_ms: -60_000 })).toBe('today 14:05');
    expect(said('check_in_fix', { lat: 51.5, lon: -0.1, accuracy_m: 9, taken_at: '' })).toBe(
      'Position, ±9 m',
    );
    expect(said('check_in_fix', { none: 'denied' })).toBe('position not allowed');
    expect(said('lon', -0.12)).toBe('0.12000° W');
    expect(said('radius_m', 200)).toBe('200 m');
  });

  it('that nobody knows is never an id and never JSON', () => {
    const other = '00000000-8a21-4fae-8190-06d67e068fc3';
    for (const field of ['owner_id', 'team_id', 'customer_id', 'visit_id'])
      expect(said(field, other), field).not.toContain(other);
    expect(said('strange', { deep: { deeper: [1] } })).not.toMatch(/[{}[\]"]/);
    expect(said('tags', ['vip', 'cold'])).toBe('vip, cold');
    expect(said('phone', null)).toBe('empty');
  });
});

it('a moment is told by the day of the reader', () => {
  expect(moment('2026-11-21T00:30:00Z', names)).toBe('today 00:30');
  expect(moment('2026-11-20T23:30:00Z', names)).toBe('yesterday 23:30');
  expect(moment('2026-11-07T12:00:00Z', names)).toBe('7 Nov, 12:00');
  const chinese = { ...names, t: zh, w: recordWords.zh };
  expect(moment('2025-11-07T12:00:00Z', chinese)).toBe('2025年11月7日 12:00');
});
