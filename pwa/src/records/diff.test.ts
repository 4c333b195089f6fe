import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diff, type Piece } from './diff';

const only = (pieces: Piece[], not: Piece['how']) =>
  pieces
    .filter((p) => p.how !== not)
    .map((p) => p.text)
    .join('');

// Letters, blanks, characters that are words of their own, and half of a surrogate pair.
const text = fc
  .array(fc.constantFrom('a', 'b', ' ', '\n', '店', '主', '。', '\ud83d'))
  .map((all) => all.join(''));

describe('the difference of two texts', () => {
  it('gives back both texts, whatever they are', () => {
    fc.assert(
      fc.property(text, text, (older, newer) => {
        const pieces = diff(older, newer);
        expect(only(pieces, 'added')).toBe(older);
        expect(only(pieces, 'gone')).toBe(newer);
      }),
    );
  });

  it('marks the passage that came to it, and nothing else', () => {
    expect(diff('Ring twice.', 'Ring twice.\n\nAsk for Ann.')).toEqual([
      { text: 'Ring twice.', how: 'same' },
      { text: '\n\nAsk for Ann.', how: 'added' },
    ]);
  });

  it('takes each Chinese character for a word', () => {
    expect(diff('订了十二箱', '订了二十箱柠檬油')).toContainEqual({ text: '订了', how: 'same' });
  });

  it('of texts too long to compare shows the middle as a whole', () => {
    const many = (word: string) => Array.from({ length: 2000 }, (_, i) => `${word}${i}`).join(' ');
    expect(diff(`a ${many('x')} z`, `a ${many('y')} z`).map((p) => p.how)).toEqual([
      'same',
      'gone',
      'added',
      'same',
    ]);
  });
});
