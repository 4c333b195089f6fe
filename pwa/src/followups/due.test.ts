import { describe, expect, it } from 'vitest';
import { dueAt, groupOf, templateDue, TEMPLATES, type Due } from './due';
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
