/** What one text has that another has not, word by word. Pure. */

export interface Piece {
  text: string;
  /** `same`: in both; `added`: in the newer alone; `gone`: in the older alone. */
  how: 'same' | 'added' | 'gone';
}

// Blanks are words of their own; from the CJK blocks on, where words are written without blanks, each character is one.
const WORDS = /[\u2e80-\ud7ff\uf900-\ufaff]|\s+|[^\s\u2e80-\ud7ff\uf900-\ufaff]+/gu;
/** Above so many pairs of words a comparison would hold up a tap; then the middle counts as changed as a whole. */
const PAIRS = 1_000_000;

/** The pieces of `newer` and of `older` in reading order; what went stands before what came in its place. */
export function diff(older: string, newer: string): Piece[] {
  const a = older.match(WORDS) ?? [];
  const b = newer.match(WORDS) ?? [];
  let from = 0;
  while (from < a.length && from < b.length && a[from] === b[from]) from++;
  let end = 0;
  while (end < a.length - from && end < b.length - from && a.at(-1 - end) === b.at(-1 - end)) end++;
  const pieces: Piece[] = [];
  const put = (how: Piece['how'], words: string[]) => {
    const text = words.join('');
    if (text === '') return;
    const last = pieces.at(-1);
    if (last?.how === how) last.text += text;
    else pieces.push({ text, how });
  };
  put('same', a.slice(0, from));
  const [x, y] = [a.slice(from, a.length - end), b.slice(from, b.length - end)];
  if (x.length * y.length > PAIRS) {
    put('gone', x);
    put('added', y);
  } else {
    between(x, y, put);
  }
  put('same', end ? a.slice(-end) : []);
  return pieces;
}

/** The longest common sequence of words, walked from the front. */
function between(x: string[], y: string[], put: (how: Piece['how'], words: string[]) => void): void {
  const width = y.length + 1;
  const length = new Uint32Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      length[i * width + j] =
        x[i] === y[j]
          ? length[(i + 1) * width + j + 1]! + 1
          : Math.max(length[(i + 1) * width + j]!, length[i * width + j + 1]!);
    }
  }
  let [i, j] = [0, 0];
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) {
      put('same', [x[i]!]);
      i++;
      j++;
    } else if (
      i < x.length &&
      (j === y.length || length[(i + 1) * width + j]! >= length[i * width + j + 1]!)
    ) {
      put('gone', [x[i++]!]);
    } else {
      put('added', [y[j++]!]);
    }
  }
}
