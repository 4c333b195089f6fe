import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inboxWords } from '../i18n/inbox';
import { compose, pathOf } from './compose';

const times = (at: string, all: boolean) => (all ? at.slice(0, 10) : at.slice(11, 16));
const { en, zh } = inboxWords;
const ID = '939bf0e0-8a21-4fae-8190-06d67e068fc3';

describe('a notice', () => {
  it('says in the inbox what it says on the lock screen, in both languages', () => {
    for (const [words, name] of [
      [en, 'en'],
      [zh, 'zh-Hans'],
    ] as const) {
      const file = new URL(`../../../server/push/words_${name}.json`, import.meta.url);
      const server = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      for (const [rule, said] of Object.entries(words.said)) expect(said, rule).toEqual(server[rule]);
      expect(words.parts).toEqual(server['parts']);
      if (name === 'en') expect(words.partsOne).toEqual(server['parts_one']);
      expect([words.between, words.more, words.comma]).toEqual([
        server['between'],
        server['more'],
        server['comma'],
      ]);
    }
  });

  it('is put together from what is known, and leaves out what nobody said', () => {
    const due = { subject: 'Send the quote', customer: 'Halloway', due_at: '2026-11-26T15:00:00Z' };
    expect(compose({ rule: 'follow_up_due', words: due }, en, times)).toEqual([
      'Send the quote',
      'Halloway · due 15:00',
    ]);
    const given = { subject: 'Call', customer: 'Halloway', due_at: null };
    expect(compose({ rule: 'follow_up_assigned', words: given }, zh, times)).toEqual([
      '交给你：Call',
      'Halloway',
    ]);
    expect(compose({ rule: 'comment', words: { author: 'Mia', body: 'Well done' } }, en, times)).toEqual([
      'Mia',
      'Well done',
    ]);
    const day = { overdue: 2, not_visited: ['A', 'B', 'C', 'D'], minutes: 1 };
    expect(compose({ rule: 'morning', words: day }, en, times)[1]).toBe(
      '2 late · not visited lately: A, B, C and 1 more · 1 visit without minutes',
    );
    const star = { rule: 'process_star', words: { owner: 'Rob', month: '2026-10' } };
    expect([en, zh].map((w) => compose(star, w, times)[1])).toEqual(['October 2026', '2026年10月']);
    expect(compose({ rule: 'day_end', words: { open: 2 } }, en, times)[1]).toBe('2 visits still open');
    expect(compose({ rule: 'day_end', words: { open: 1 } }, en, times)[1]).toBe('1 visit still open');
    expect(compose({ rule: 'from a later version', words: {} }, en, times)).toEqual([en.other, '']);
  });

  it('that was put off says again what it said', () => {
    const words = { of: 'follow_up_due', subject: 'Send the quote', customer: 'Halloway' };
    expect(compose({ rule: 'snoozed', words }, en, times)[0]).toBe('Send the quote');
  });

  it('leads to what it is about', () => {
    const at = (rule: string, kind: string, words = {}) => pathOf({ rule, words }, { kind, id: ID });
    expect(at('follow_up_due', 'follow_up')).toBe(`/follow-ups/${ID}`);
    expect(at('visit_open', 'visit')).toBe(`/visits/${ID}`);
    expect(at('comment', 'comment', { on_kind: 'customer', on_id: ID })).toBe(`/customers/${ID}`);
    expect(at('team_day_end', 'person')).toBe('/board');
    expect(at('snoozed', 'notice')).toBeNull();
    const month = { month: '2026-10', owner_id: ID };
    expect(at('process_star', 'closing', month)).toBe('/scores?kind=month&day=2026-10-01');
    expect(at('low_twice', 'closing', month)).toBe(`/scores/${ID}?kind=month&day=2026-10-01`);
    expect(at('low_twice', 'closing')).toBe('/scores');
  });
});
