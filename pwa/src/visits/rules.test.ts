import { describe, expect, it } from 'vitest';
import { hints, instantOf, minMinutes, progress, usualKind } from './rules';

const kind = (code: string, minutes = 30) => ({
  code,
  name: code,
  nameZh: code,
  minMinutes: { in_person: minutes, online: minutes, phone: 0 },
});

describe('a typed time', () => {
  it('is the instant of that wall clock in that zone', () => {
    expect(instantOf('2026-11-19', '14:08', 'Europe/London')).toBe(Date.parse('2026-11-19T14:08:00Z'));
    expect(instantOf('2026-07-19', '14:08', 'Europe/London')).toBe(Date.parse('2026-07-19T13:08:00Z'));
    expect(instantOf('2026-11-19', '08:00', 'Asia/Shanghai')).toBe(Date.parse('2026-11-19T00:00:00Z'));
  });

  it('stands on the right side of both clock changes', () => {
    expect(instantOf('2026-03-29', '00:30', 'Europe/London')).toBe(Date.parse('2026-03-29T00:30:00Z'));
    expect(instantOf('2026-03-29', '02:30', 'Europe/London')).toBe(Date.parse('2026-03-29T01:30:00Z'));
    expect(instantOf('2026-10-25', '01:30', 'Europe/London')).toBe(Date.parse('2026-10-25T00:30:00Z'));
    expect(instantOf('2026-10-25', '02:30', 'Europe/London')).toBe(Date.parse('2026-10-25T02:30:00Z'));
  });

  it('is nothing when it is not a time', () => {
    expect(instantOf('', '14:08', 'UTC')).toBeNull();
    expect(instantOf('2026-11-19', '', 'UTC')).toBeNull();
  });
});

describe('hints', () => {
  it("are the organisation's own numbers, else the product's", () => {
    expect(hints({}).minChars).toBe(10);
    expect(hints({ min_note_chars: 20 }).minChars).toBe(20);
    expect(minMinutes(kind('store_call', 10), 'in_person')).toBe(10);
    expect(minMinutes(undefined, 'online')).toBe(30);
    expect(minMinutes(undefined, 'phone')).toBe(0);
  });

  it('begin with the kind last used', () => {
    const kinds = [kind('negotiation'), kind('store_call')];
    expect(usualKind(kinds)).toBe('store_call');
    expect(usualKind(kinds, [{ kind: 'gone' }, { kind: 'negotiation' }])).toBe('negotiation');
    expect(usualKind([])).toBe('store_call');
  });
});

describe('the line of a running visit', () => {
  it('reaches its mark exactly when the time counts, and its end never', () => {
    expect(progress(0, 1800).at).toBe(0);
    expect(progress(1800, 1800)).toEqual({ at: 0.82, mark: 0.82 });
    expect(progress(1799, 1800).at).toBeLessThan(0.82);
    expect(progress(86_400, 1800).at).toBeLessThan(1);
    expect(progress(600, 0).mark).toBeNull();
  });
});
