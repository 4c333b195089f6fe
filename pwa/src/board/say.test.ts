import { describe, expect, test } from 'vitest';
import { boardWords } from '../i18n/board';
import { en as enFirst } from '../i18n/en';
import { later as enLater } from '../i18n/en_later';
import { sayer, speakingFix } from './say';

const en = { ...enFirst, ...enLater };

const say = sayer(en, boardWords.en, 'Europe/London');

describe('instants', () => {
  test('a time of the day itself needs no day, another one says which', () => {
    expect(say.time('2026-11-19T09:40:59Z', '2026-11-19')).toBe('09:40');
    expect(say.time('2026-11-18T18:10:00Z', '2026-11-19')).toBe('Wed 18:10');
    expect(say.time('2026-10-02T17:10:00Z', '2026-11-19')).toBe('2 Oct 18:10');
  });

  test('the zone decides the hour', () => {
    expect(say.time('2026-11-19T09:40:00Z', undefined, 'Asia/Shanghai')).toBe('17:40');
  });

  test('an unknown instant is said to be unknown', () => {
    expect(say.time(null)).toBe('not known');
  });

  test('a day is written out, another year with its number', () => {
    expect(say.day('2026-11-19', '2026-11-20')).toBe('Thu 19 Nov');
    expect(say.day('2025-11-19', '2026-11-20')).toBe('19 Nov 2025');
  });
});

test('lengths carry their unit and seconds below a minute', () => {
  expect([40, 2460, 9180].map(say.length)).toEqual(['40 s', '41 min', '2 h 33']);
});

test('the fix the server judged speaks, else the more accurate one, never a reason for none', () => {
  const rough = { lat: 60, lon: 25, accuracy_m: 80, taken_at: '2026-11-19T09:40:00Z' };
  const fine = { ...rough, accuracy_m: 9 };
  expect(speakingFix(rough, fine)).toBe(fine);
  expect(speakingFix(fine, rough)).toBe(fine);
  expect(speakingFix({ none: 'denied' }, rough)).toBe(rough);
  expect(speakingFix(rough, null)).toBe(rough);
  expect(speakingFix(rough, fine, 80)).toBe(rough);
  expect(speakingFix({ none: 'denied' }, null)).toBeNull();
});
