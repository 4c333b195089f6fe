import { describe, expect, it } from 'vitest';
import { boardWords } from './board';
import { deviceWords } from './device';
import { en as enFirst } from './en';
import { later as enLater } from './en_later';
import { followUpWords } from './followups';
import { inboxWords } from './inbox';
import { photoWords } from './photos';
import { placeWords } from './places';
import { recordWords } from './records';
import { scoreWords } from './score';
import { territoryWords } from './territory';
import { zh as zhFirst } from './zh';
import { later as zhLater } from './zh_later';

const en = { ...enFirst, ...enLater };
const zh = { ...zhFirst, ...zhLater };

type Tree = { [key: string]: unknown };

/** Every leaf with its path; functions are called with what their sentence may meet. */
function leaves(tree: Tree, path = ''): [string, unknown][] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const here = path ? `${path}.${key}` : key;
    return typeof value === 'object' && value !== null ? leaves(value as Tree, here) : [[here, value]];
  });
}
const said = (value: unknown): string =>
  typeof value === 'function' ? String((value as (...a: unknown[]) => unknown)(3, 4, 5, 6)) : String(value);

describe('words', () => {
  const rooms = {
    board: boardWords,
    device: deviceWords,
    followUps: followUpWords,
    inbox: inboxWords,
    photos: photoWords,
    places: placeWords,
    records: recordWords,
    score: scoreWords,
    territory: territoryWords,
  };
  const all = (language: 'en' | 'zh', shared: unknown): Map<string, unknown> => {
    const own = Object.entries(rooms).map(([room, words]) => [room, words[language]] as const);
    return new Map(leaves({ shared, ...Object.fromEntries(own) } as unknown as Tree));
  };
  const english = all('en', en);
  const chinese = all('zh', zh);

  it('are answered key by key in both languages', () => {
    expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort());
  });

  it('are never empty and never carry a hole', () => {
    for (const [key, value] of [...english, ...chinese]) {
      expect(said(value).trim(), key).not.toBe('');
      expect(said(value), key).not.toMatch(/undefined|\[object/);
    }
  });

  it('use one sort of kind words: no exclamation marks, no blame, 你 and never 您', () => {
    for (const [key, value] of [...english, ...chinese]) {
      expect(said(value), key).not.toMatch(/[!！]|suspicious|您|可疑/);
    }
  });

  it('close Chinese sentences with full-width marks', () => {
    for (const [key, value] of chinese) expect(said(value), key).not.toMatch(/\p{Script=Han}[,.?;:]/u);
  });

  it('say one of a thing without an s', () => {
    expect(en.agoDays(1)).toBe('yesterday');
    expect(en.changesSafe(1)).toContain('1 change since then is safe');
    expect(en.changesSafe(2)).toContain('2 changes since then are safe');
    expect(en.countNeedsYou(1)).toBe('1 needs you');
    expect(en.holdsCustomers(1)).toBe('1 customer');
  });
});
