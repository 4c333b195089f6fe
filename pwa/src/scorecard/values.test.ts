import { describe, expect, it } from 'vitest';
import { stepOf } from './values';

describe('a value', () => {
  it('goes from its person to the manager to finance or the administrator, and nobody steps for another', () => {
    expect(stepOf('entered', 'manager')).toBe('confirmed');
    expect(stepOf('entered', 'administrator')).toBe('confirmed');
    expect(stepOf('confirmed', 'administrator')).toBe('reviewed');
    expect(stepOf('confirmed', 'finance')).toBe('reviewed');
    expect(stepOf('confirmed', 'manager')).toBeNull();
    expect(stepOf('entered', 'finance')).toBeNull();
    for (const status of ['entered', 'confirmed', 'reviewed', 'declined'])
      expect(stepOf(status, 'rep'), status).toBeNull();
    for (const status of ['reviewed', 'declined'])
      for (const role of ['manager', 'finance', 'administrator']) expect(stepOf(status, role)).toBeNull();
  });
});
