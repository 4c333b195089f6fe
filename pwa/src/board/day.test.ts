import { describe, expect, test } from 'vitest';
import type { BoardRep } from '../data';
import { arrange, contactOf, isDay, totalsOf, treeOf, unheard, unknownOf } from './day';

const DATE = '2026-11-19';
const LONDON = 'Europe/London';
const now = Date.parse('2026-11-19T14:52:00Z');

function rep(name: string, more: Partial<BoardRep> = {}): BoardRep {
  return {
    person: { id: name, name, team: null },
    visits: 0,
    valid_visits: 0,
    valid_minutes: 0,
    review: 0,
    parked: 0,
    first_check_in: null,
    last_check_out: null,
    open_visit: null,
    last_contact_at: '2026-11-19T14:49:00Z',
    unsent: 0,
    oldest_unsent: null,
    position: null,
    no_position_share: null,
    line: [],
    ...more,
  };
}
const contact = (r: BoardRep, date = DATE, at = now) => contactOf(r, date, LONDON, at);

describe('contact', () => {
  test('a rep in touch with nothing unsent is known, also without a visit', () => {
    expect(contact(rep('Rui'))).toEqual({ state: 'known' });
    expect(unknownOf(rep('Rui'), DATE, LONDON, now)).toBeNull();
  });

  test('unsent work and half an hour of silence is not synced, and hatched from the last contact to now', () => {
    const tomas = rep('Tomas', { last_contact_at: '2026-11-19T09:40:00Z', unsent: 4, visits: 2 });
    expect(contact(tomas)).toEqual({ state: 'unsynced', since: '2026-11-19T09:40:00Z', unsent: 4 });
    expect(unknownOf(tomas, DATE, LONDON, now)).toEqual({ from: 580, to: 892 });
  });

  test('one unsent record a few minutes after a contact is only mentioned', () => {
    const xu = rep('Xu', {
      last_contact_at: '2026-11-19T14:35:00Z',
      unsent: 1,
      oldest_unsent: '2026-11-19T14:34:00Z',
    });
    expect(contact(xu)).toEqual({ state: 'waiting', unsent: 1, oldest: '2026-11-19T14:34:00Z' });
    expect(unknownOf(xu, DATE, LONDON, now)).toBeNull();
  });

  test('a long silence is not synced even with nothing unsent at its beginning', () => {
    const silent = rep('Sol', { last_contact_at: '2026-11-19T11:00:00Z' });
    expect(contact(silent)).toMatchObject({ state: 'unsynced', unsent: 0 });
  });

  test('a phone that keeps quiet for an hour, or after work, is nothing unusual', () => {
    expect(contact(rep('Sol', { last_contact_at: '2026-11-19T13:55:00Z' })).state).toBe('known');
    const evening = Date.parse('2026-11-19T22:00:00Z');
    expect(contact(rep('Sol', { last_contact_at: '2026-11-19T17:30:00Z' }), DATE, evening).state).toBe(
      'known',
    );
  });

  test('before the working day the silence of the night is not called unsynced, later it is', () => {
    const yesterday = rep('Sol', { last_contact_at: '2026-11-18T17:50:00Z' });
    expect(contact(yesterday, DATE, Date.parse('2026-11-19T08:30:00Z')).state).toBe('early');
    expect(contact(yesterday, DATE, Date.parse('2026-11-19T10:00:00Z')).state).toBe('unsynced');
  });

  test('a rep never heard of is never shown as zero', () => {
    const fresh = rep('New', { last_contact_at: null, unsent: null });
    expect(contact(fresh)).toEqual({ state: 'never' });
    expect(unheard(contact(fresh))).toBe(true);
    expect(unknownOf(fresh, DATE, LONDON, now)?.to).toBe(892);
  });

  test('a past day is unknown after a last contact within it, and known after a later one', () => {
    const past = rep('Tomas', { last_contact_at: '2026-11-18T12:00:00Z' });
    expect(contact(past, '2026-11-18').state).toBe('unsynced');
    expect(unknownOf(past, '2026-11-18', LONDON, now)).toMatchObject({ from: 720 });
    expect(contact(rep('Rui'), '2026-11-18').state).toBe('known');
    expect(unknownOf(rep('Rui'), '2026-11-18', LONDON, now)).toBeNull();
  });

  test('work of a past day that is still on the phone is said there, later work is not', () => {
    const late = rep('Xu', { unsent: 2, oldest_unsent: '2026-11-18T15:00:00Z' });
    expect(contact(late, '2026-11-18')).toMatchObject({ state: 'waiting', unsent: 2 });
    expect(contact(late, '2026-11-17').state).toBe('known');
  });

  test('nothing is unknown about a day that has not come', () => {
    const silent = rep('Tomas', { last_contact_at: '2026-11-12T12:00:00Z', unsent: 9 });
    expect(contact(silent, '2026-11-20').state).toBe('ahead');
    expect(unknownOf(silent, '2026-11-20', LONDON, now)).toBeNull();
  });
});

describe('order and sums', () => {
  const reps = [
    rep('Zoë', { visits: 3, valid_visits: 2, valid_minutes: 70, review: 1 }),
    rep('Never', { last_contact_at: null }),
    rep('Älva', { visits: 1, valid_visits: 1, valid_minutes: 35 }),
    rep('Since ten', { last_contact_at: '2026-11-19T10:00:00Z', unsent: 1 }),
    rep('Since nine', { last_contact_at: '2026-11-19T09:00:00Z', unsent: 1, visits: 2, parked: 1 }),
  ];

  test('the longest silence comes first, those in touch follow by name', () => {
    const names = arrange(reps, contact, 'en').map((r) => r.person.name);
    expect(names).toEqual(['Since nine', 'Since ten', 'Never', 'Älva', 'Zoë']);
  });

  test('sums take all reps and count the unheard', () => {
    expect(totalsOf({ date: DATE, team: null, generated_at: '', reps }, contact, DATE)).toEqual({
      visits: 6,
      valid: 3,
      minutes: 105,
      review: 1,
      parked: 1,
      unsynced: 3,
      planned: 0,
    });
  });
});

describe('days', () => {
  test('only days that exist are taken from an address', () => {
    expect(isDay('2026-02-28')).toBe(true);
    expect(isDay('2026-02-30')).toBe(false);
    expect(isDay('today')).toBe(false);
    expect(isDay(null)).toBe(false);
  });
});

describe('teams', () => {
  test('a subtree is written level by level, a parent out of sight makes a top team', () => {
    const tree = treeOf(
      [
        { id: 'c', name: 'North 10', parent_id: 'a' },
        { id: 'b', name: 'North 2', parent_id: 'a' },
        { id: 'a', name: 'City', parent_id: 'unseen' },
        { id: 'd', name: 'Docks', parent_id: 'b' },
      ],
      'en',
    );
    expect(tree.map(({ team, depth }) => `${depth} ${team.name}`)).toEqual([
      '0 City',
      '1 North 2',
      '2 Docks',
      '1 North 10',
    ]);
  });
});
