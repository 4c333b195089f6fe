import { describe, expect, it } from 'vitest';
import { stepOf } from './values';

describe('a value', () => {
  it('goes from its person to the manager to the administrator, and nobody steps for another', () => {
    expect(stepOf('entered', 'manager')).toBe('confirmed');
    expect(stepOf('entered', 'administrator')).toBe('confirmed');
    expect(stepOf('confirmed', 'administrator')).toBe('reviewed');
    expect(stepOf('confirmed', 'manager')).toBeNull();
    for (const status of ['entered', 'confirmed', 'reviewed', 'declined'])
      for (const role of ['rep', 'finance']) expect(stepOf(status, role), `${status} ${role}`).toBeNull();
    for (const status of ['reviewed', 'declined'])
      for (const role of ['manager', 'administrator']) expect(stepOf(status, role)).toBeNull();
  });
});
