import { describe, expect, it } from 'vitest';
import { counts, lengthOf, lineAfter, markOf, mayCount, wantsMinutes, type StopVisit } from './stops';

const done = (part: Partial<StopVisit> = {}): StopVisit => ({
  status: 'done',
  minutes: 'long enough words',
  receipt: { state: 'sent' },
  server: { valid: true, trust: 'verified', reasons: [] },
  ...part,
});
const invalid = (...reasons: string[]) => done({ server: { valid: false, trust: 'verified', reasons } });

describe('a stop', () => {
  it('is filled only when the server has counted it', () => {
    expect(markOf(done())).toBe('counted');
    expect(markOf(done({ server: null }))).not.toBe('counted');
    expect(markOf(done({ receipt: { state: 'phone' } }))).toBe('phone');
    expect(counts(done({ server: null }))).toBe(false);
  });

  it('is ringed while something can still make it count, and plain when nothing can', () => {
    expect(markOf(invalid('NO_MINUTES'))).toBe('may');
    expect(markOf(invalid('TOO_SHORT'))).toBe('not');
    expect(markOf(invalid('NO_MINUTES', 'TOO_SHORT'))).toBe('not');
    expect(mayCount(done({ server: null }))).toBe(true);
  });

  it('shows review before anything else that is known of it', () => {
    expect(markOf(done({ server: { valid: false, trust: 'review', reasons: ['IN_REVIEW'] } }))).toBe(
      'review',
    );
  });

  it('hatches the line below what the server does not have', () => {
    expect(lineAfter(done({ receipt: { state: 'phone' } }), false)).toBe('hatched');
    expect(lineAfter(done(), false)).toBe('solid');
    expect(lineAfter(done({ status: 'planned' }), false)).toBe('dashed');
    expect(lineAfter(done(), true)).toBe('none');
  });

  it('counts characters as people do', () => {
    expect(lengthOf('  价格已谈妥👍  ')).toBe(6);
    expect(wantsMinutes(done({ minutes: '         x' }), 10)).toBe(true);
    expect(wantsMinutes(done({ status: 'open', minutes: '' }), 10)).toBe(false);
  });
});
