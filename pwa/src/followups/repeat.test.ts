import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { repeatWords } from '../i18n/repeat';
import { choiceOf, CHOICES, readRule, ruleText, weekday, writeRule } from './repeat';

const { en, zh } = repeatWords;
const day = (date: string) => date.slice(5);
const said = (rule: string, date = '2026-11-26') => [
  ruleText(readRule(rule)!, date, en, day),
  ruleText(readRule(rule)!, date, zh, day),
];

describe('a rule of repetition', () => {
  it('is said in plain words of both languages', () => {
    expect(said('FREQ=DAILY')).toEqual(['every day', '每天']);
    expect(said('FREQ=WEEKLY;BYDAY=MO')).toEqual(['every Monday', '每周一']);
    expect(said('FREQ=WEEKLY;BYDAY=TH,MO')).toEqual(['every Monday and Thursday', '每周一、周四']);
    expect(said('FREQ=WEEKLY')).toEqual(['every Thursday', '每周四']);
    expect(said('FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR')).toEqual(['Monday to Friday', '周一至周五']);
    expect(said('FREQ=WEEKLY;INTERVAL=2;BYDAY=MO')).toEqual(['every 2 weeks on Monday', '每 2 周的周一']);
    expect(said('FREQ=MONTHLY;BYMONTHDAY=21')).toEqual(['every month on the 21st', '每月 21 日']);
    expect(said('FREQ=MONTHLY')).toEqual(['every month on the 26th', '每月 26 日']);
    expect(said('FREQ=MONTHLY;BYMONTHDAY=-1')).toEqual(['every month on the last day', '每月 最后一天']);
    expect(said('FREQ=MONTHLY;BYDAY=2TU')).toEqual(['every month on the 2nd Tuesday', '每月 第 2 个周二']);
    expect(said('FREQ=MONTHLY;BYDAY=-1FR')[0]).toBe('every month on the last Friday');
    expect(said('FREQ=DAILY;UNTIL=20261221')).toEqual(['every day until 12-21', '每天，至 12-21']);
    expect(said('FREQ=YEARLY;COUNT=3')).toEqual(['every year, 3 times', '每年，共 3 次']);
  });

  it('that a choice makes is one the server takes, and reads as the same choice again', () => {
    const pattern =
      /^FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;(INTERVAL|BYDAY|BYMONTHDAY|COUNT|UNTIL)=[0-9A-Z+,-]+)*$/;
    const server = readFileSync(new URL('../../../sync/recurrence.py', import.meta.url), 'utf8');
    expect(server).toContain(pattern.source);
    for (const choice of CHOICES) {
      for (const date of ['2026-11-26', '2026-11-30', '2028-02-29']) {
        for (const until of ['', '2029-01-01']) {
          const rule = writeRule(choice, date, [], until);
          if (choice === 'none') expect(rule).toBeNull();
          else expect(rule).toMatch(pattern);
          expect(choiceOf(readRule(rule))).toBe(choice);
          expect(readRule(rule)?.until ?? '').toBe(rule ? until : '');
        }
      }
    }
  });

  it('names the days that were chosen, in the order of a week, and the day itself where none was', () => {
    expect(writeRule('weekly', '2026-11-26', [4, 1], '')).toBe('FREQ=WEEKLY;BYDAY=MO,TH');
    expect(writeRule('weekly', '2026-11-26', [], '')).toBe('FREQ=WEEKLY;BYDAY=TH');
    expect(weekday('2026-11-22')).toBe(7);
  });

  it('keeps the end of a month at its end', () => {
    expect(writeRule('monthly', '2027-01-31', [], '')).toBe('FREQ=MONTHLY;BYMONTHDAY=-1');
    expect(writeRule('monthly', '2027-01-30', [], '')).toBe('FREQ=MONTHLY;BYMONTHDAY=30');
  });

  it('that no choice says is left as it is', () => {
    for (const rule of [
      'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO',
      'FREQ=MONTHLY;BYDAY=2TU',
      'FREQ=YEARLY',
      'FREQ=DAILY;COUNT=3',
    ])
      expect(choiceOf(readRule(rule)), rule).toBe('other');
    expect(readRule('every now and then')).toBeNull();
  });

  it('has each of its words in both languages', () => {
    expect(Object.keys(zh)).toEqual(Object.keys(en));
    expect(Object.keys(zh.choices)).toEqual(Object.keys(en.choices));
  });
});
