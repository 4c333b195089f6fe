import { describe, expect, it } from 'vitest';
import { scoreWords } from './score';

/** What the server names as a cause of an adjustment (`server/indicators/close.py`). */
const KINDS = ['visit', 'follow_up', 'customer', 'value', 'target', 'day_off', 'person'];

describe('what is told of a closing that was looked at again', () => {
  it.each(Object.entries(scoreWords))('names each cause by a word of its own: %s', (_, w) => {
    const unknown = w.causeOf('another', true);
    const told = KINDS.flatMap((kind) => [w.causeOf(kind, true), w.causeOf(kind, false)]);
    expect(new Set([...told, unknown]).size).toBe(2 * KINDS.length + 1);
  });
});
