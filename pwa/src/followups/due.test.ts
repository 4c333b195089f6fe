import { describe, expect, it } from 'vitest';
import { dueAt, groupOf, onToday, templateDue, TEMPLATES, type Due } from './due';
import { addDays, clock, dayOf } from '../i18n/format';

const ZONES = ['Europe/London', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Shanghai'];
const iso = (due: Due, zone: string) => new Date(dueAt(due, zone)).toISOString();

describe('a template', () => {
  it('names a wall time that the clock shows when it is due, every day of a year in four zones', () => {
    for (const zone of ZONES) {
      for (let day = '2026-01-01'; day <= '2026-12-31'; day = addDays(day, 1)) {
        for (const template of TEMPLATES) {
          const due = templateDue(template, day);
          if (due.time === null) continue;
          const at = dueAt(due, zone);
          expect([dayOf(at, zone), clock(at, zone)], `${zone} ${day} ${template}`).toEqual([
            due.date,
            due.time,
          ]);
        }
      }
    }
  });

  it('of next Monday is always ahead, and a Monday', () => {
    expect(templateDue('monday', '2026-11-21')).toEqual({ date: '2026-11-23', time: '10:00' });
    expect(templateDue('monday', '2026-11-22')).toEqual({ date: '2026-11-23', time: '10:00' });
    expect(templateDue('monday', '2026-11-23')).toEqual({ date: '2026-11-30', time: '10:00' });
  });

  it('passes month ends and the leap day', () => {
    expect(templateDue('days3', '2028-02-27').date).toBe('2028-03-01');
    expect(templateDue('tomorrow', '2026-12-31')).toEqual({ date: '2027-01-01', time: '09:00' });
  });
});

describe('a due time', () => {
  it('follows the clock over a change: ten is ten before and after', () => {
    expect(iso({ date: '2026-03-28', time: '10:00' }, 'Europe/London')).toBe('2026-03-28T10:00:00.000Z');
    expect(iso({ date: '2026-03-29', time: '10:00' }, 'Europe/London')).toBe('2026-03-29T09:00:00.000Z');
    expect(iso({ date: '2026-11-01', time: '10:00' }, 'America/New_York')).toBe('2026-11-01T15:00:00.000Z');
    expect(iso({ date: '2026-10-04', time: '10:00' }, 'Australia/Lord_Howe')).toBe(
      '2026-10-03T23:00:00.000Z',
    );
    expect(iso({ date: '2026-11-21', time: '10:00' }, 'Asia/Shanghai')).toBe('2026-11-21T02:00:00.000Z');
  });

  // As `due_at` on the server: Python's fold 0.
  it('that the clocks leave out, or have twice, is taken by the clock as it was before', () => {
    expect(iso({ date: '2026-03-29', time: '01:30' }, 'Europe/London')).toBe('2026-03-29T01:30:00.000Z');
    expect(iso({ date: '2026-10-25', time: '01:30' }, 'Europe/London')).toBe('2026-10-25T00:30:00.000Z');
    expect(iso({ date: '2026-03-08', time: '02:30' }, 'America/New_York')).toBe('2026-03-08T07:30:00.000Z');
    expect(iso({ date: '2026-11-01', time: '01:30' }, 'America/New_York')).toBe('2026-11-01T05:30:00.000Z');
    expect(iso({ date: '2026-10-04', time: '02:15' }, 'Australia/Lord_Howe')).toBe(
      '2026-10-03T15:45:00.000Z',
    );
    expect(iso({ date: '2026-04-05', time: '01:45' }, 'Australia/Lord_Howe')).toBe(
      '2026-04-04T14:45:00.000Z',
    );
  });

  it('of all day is the midnight that ends it, on short and long days too', () => {
    expect(iso({ date: '2026-03-29', time: null }, 'Europe/London')).toBe('2026-03-29T23:00:00.000Z');
    expect(iso({ date: '2026-10-25', time: null }, 'Europe/London')).toBe('2026-10-26T00:00:00.000Z');
    expect(iso({ date: '2026-11-01', time: null }, 'America/New_York')).toBe('2026-11-02T05:00:00.000Z');
  });
});

describe('a follow-up', () => {
  const now = Date.parse('2026-11-19T14:00:00Z'); // a Thursday
  const at = (dueDate: string | null, dueTime: string | null = null, dueZone = 'UTC') =>
    groupOf({ dueDate, dueTime, dueZone }, now, 'UTC');

  it('stands with its day; late from the minute on, all day only when the day is over', () => {
    expect(at('2026-11-19', '14:00')).toBe('late');
    expect(at('2026-11-19', '14:01')).toBe('today');
    expect(at('2026-11-19')).toBe('today');
    expect(at('2026-11-18')).toBe('late');
    expect(at('2026-11-20')).toBe('tomorrow');
    expect(at('2026-11-22')).toBe('week');
    expect(at('2026-11-23')).toBe('later');
    expect(at(null)).toBe('later');
  });

  it('stands with the day it is where it is read', () => {
    expect(at('2026-11-20', '07:00', 'Asia/Shanghai')).toBe('today');
    expect(at('2026-11-19', '21:00', 'America/New_York')).toBe('tomorrow');
  });
});

describe('the line of today', () => {
  const now = Date.parse('2026-11-19T14:00:00Z');
  const at = (dueDate: string, dueTime: string | null, dueZone: string, zone: string, more = {}) =>
    onToday({ dueDate, dueTime, dueZone, status: 'open', doneAt: null, ...more }, now, zone);

  it('shows what was promised for another zone on the day and at the hour it has here', () => {
    // 07:00 on Friday in Shanghai is 23:00 on Thursday in London, and 18:00 in New York.
    expect(at('2026-11-20', '07:00', 'Asia/Shanghai', 'Europe/London')).toEqual({
      behind: false,
      at: '23:00',
    });
    expect(at('2026-11-20', '07:00', 'Asia/Shanghai', 'America/New_York')).toEqual({
      behind: false,
      at: '18:00',
    });
    // Where it is read in Shanghai it is 22:00 on Thursday: tomorrow's.
    expect(at('2026-11-20', '07:00', 'Asia/Shanghai', 'Asia/Shanghai')).toBeNull();
    // 21:00 on Thursday in New York is 02:00 on Friday in London.
    expect(at('2026-11-19', '21:00', 'America/New_York', 'Europe/London')).toBeNull();
  });

  it('puts what is late behind now by the instant, not by the hour that stands in it', () => {
    // 16:00 in Shanghai was 08:00 in London.
    expect(at('2026-11-19', '16:00', 'Asia/Shanghai', 'Europe/London')).toEqual({
      behind: true,
      at: '08:00',
    });
    expect(at('2026-11-19', '09:30', 'America/New_York', 'Europe/London')).toEqual({
      behind: false,
      at: '14:30',
    });
    expect(at('2026-11-18', '10:00', 'UTC', 'UTC')).toEqual({ behind: true, at: '' });
  });

  it('owes all day until the day is over where it was promised', () => {
    expect(at('2026-11-19', null, 'UTC', 'UTC')).toEqual({ behind: false, at: '~' });
    // In Kiritimati, 14 hours ahead, the 19th ended four hours ago.
    expect(at('2026-11-19', null, 'Pacific/Kiritimati', 'UTC')).toEqual({ behind: true, at: '~' });
    expect(at('2026-11-20', null, 'UTC', 'UTC')).toBeNull();
  });

  it('keeps what was done today, whenever it was due', () => {
    const done = { status: 'done', doneAt: now - 60_000 };
    expect(at('2026-11-25', '10:00', 'UTC', 'UTC', done)).toEqual({ behind: true, at: '~' });
    expect(at('2026-11-19', '10:00', 'UTC', 'UTC', { status: 'done', doneAt: now - 86_400_000 })).toBeNull();
    expect(at('2026-11-19', '10:00', 'UTC', 'UTC', { status: 'cancelled' })).toBeNull();
  });
});
