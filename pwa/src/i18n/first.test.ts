import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { en } from './en';
import { later } from './en_later';

const SRC = resolve(import.meta.dirname, '..');
const IMPORTS = /^\s*(?:import|export)\s+(?!type\b)(?:[^;]*?from\s*)?'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm;
/** Screens, which wait for all words, and the words themselves. */
const WAITS = new Set(['app/later.svelte.ts', 'i18n/i18n.svelte.ts']);

/** What may run before the later words are here: all that main.ts leads to but screens that wait for them. */
function before(file: string, seen = new Map<string, string>()): Map<string, string> {
  const name = relative(SRC, file);
  if (seen.has(name)) return seen;
  const source = readFileSync(file, 'utf8');
  seen.set(name, source);
  for (const [, now, then] of source.matchAll(IMPORTS)) {
    if (then !== undefined && WAITS.has(name)) continue;
    const base = resolve(dirname(file), (now ?? then)!);
    const found = [base, `${base}.ts`, `${base}/index.ts`].find(
      (path) => /\.(ts|svelte)$/.test(path) && existsSync(path),
    );
    if (found) before(found, seen);
  }
  return seen;
}

describe('the words of the first load', () => {
  const sources = [...before(resolve(SRC, 'main.ts'))].filter(([name]) => !/^i18n\/(en|zh)/.test(name));
  const asked = new Map<string, string[]>();
  for (const [name, source] of sources)
    for (const [, key] of source.matchAll(/\b(?:t|words)\.(\w+)/g))
      asked.set(key!, [...(asked.get(key!) ?? []), name]);

  it('are followed from main.ts to the last sheet of the first screen', () => {
    const names = sources.map(([name]) => name);
    expect(names).toEqual(
      expect.arrayContaining(['visits/CheckInFlow.svelte', 'inbox/AskPush.svelte', 'i18n/format.ts']),
    );
    expect(names).not.toContain('people/SignIn.svelte');
  });

  it('have each word that the first screens ask for, so that none of them ever says undefined', () => {
    for (const key of Object.keys(later))
      expect(asked.get(key), `${key} belongs into en.ts and zh.ts`).toBeUndefined();
  });

  it('have no word that only a later screen asks for, because each costs every start', () => {
    const idle = Object.keys(en).filter((key) => !asked.has(key));
    expect(idle, 'these belong into en_later.ts and zh_later.ts').toEqual([]);
  });
});
