import { writable, type Readable } from 'svelte/store';
import { openDesk } from './desk';
import type { DraftRow, Outbox } from './outbox';
import { saving } from './storage';

/** Longest time a key stays in memory only. */
const WITHIN_MS = 200;

export interface Draft {
  /** What was kept, or null. */
  load(): Promise<string | null>;
  /** Keeps this text; durable within 300 ms, at once when the page hides. Call it at every input event. */
  save(text: string): void;
  /** Writes now what is not yet written. Rejects with `SaveError` when the phone cannot store it. */
  flush(): Promise<void>;
  /** Forgets it: the action that took the text has resolved. */
  clear(): Promise<void>;
  /** Device time (ms) at which the text last became durable. */
  savedAt: Readable<number | null>;
}

/** Where a draft lies in the outbox. */
export const draftName = (key: string) => `text:${key}`;

const waiting = new Map<string, () => Promise<void>>();
/** Drafts in use on this page, by name: what ends one of them must reach what it still has in memory. */
const inUse = new Map<string, Set<{ typed: number; forget(): void }>>();

/**
 * An action is about to take the text of this draft (its row goes in the same transaction). Call what comes back
 * once that is stored: what still waited to be written must not bring the draft back, unless somebody typed on.
 */
export function endingDraft(key: string): () => void {
  const before = [...(inUse.get(draftName(key)) ?? [])].map((one) => [one, one.typed] as const);
  return () => {
    for (const [one, typed] of before) if (one.typed === typed) one.forget();
  };
}

let asking: { of: Outbox; names: Set<string>; answer: Promise<Map<string, DraftRow>> } | null = null;

/** The stored draft of this name. A screen asks for several at once; they are read in one go. */
async function stored(name: string): Promise<DraftRow | undefined> {
  const of = openDesk()?.outbox;
  if (!of) return undefined;
  if (asking?.of !== of) {
    const names = new Set<string>();
    const answer = Promise.resolve().then(() => {
      asking = null;
      return of.loadDrafts([...names]);
    });
    asking = { of, names, answer };
  }
  const mine = asking!;
  mine.names.add(name);
  return (await mine.answer).get(name);
}

/** Text being typed, under a key such as `minutes:<visit id>`; belongs to the person who is signed in. */
export function draft(key: string): Draft {
  const name = draftName(key);
  const savedAt = writable<number | null>(null);
  let text: string | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    waiting.delete(name);
    const desk = openDesk();
    if (text === null || !desk) return last;
    const value = text;
    text = null;
    last = saving(() => desk.outbox.saveDraft(name, value)).then(
      () => savedAt.set(Date.now()),
      (error) => {
        // Still in memory, tried again with the next key or the next flush.
        text ??= value;
        waiting.set(name, write);
        throw error;
      },
    );
    return last;
  }

  const handle = {
    typed: 0,
    forget() {
      clearTimeout(timer);
      timer = undefined;
      text = null;
      waiting.delete(name);
      if (inUse.get(name)?.delete(handle) && inUse.get(name)!.size === 0) inUse.delete(name);
      savedAt.set(null);
    },
  };
  return {
    async load() {
      if (text !== null) return text;
      await last.catch(() => {});
      const row = await stored(name);
      if (row) savedAt.set(row.at);
      return row ? String(row.value) : null;
    },
    save(next) {
      text = next;
      handle.typed++;
      waiting.set(name, write);
      if (!inUse.has(name)) inUse.set(name, new Set());
      inUse.get(name)!.add(handle);
      // Not put off by further keys: who types without a pause is kept as well.
      timer ??= setTimeout(() => void write().catch(() => {}), WITHIN_MS);
    },
    flush: write,
    async clear() {
      handle.forget();
      await last.catch(() => {});
      await openDesk()?.outbox.clearDraft(name);
      savedAt.set(null);
    },
    savedAt: { subscribe: savedAt.subscribe },
  };
}

/** Writes every draft that still waits, as when the page hides or reloads. */
export async function flushDrafts(): Promise<void> {
  await Promise.allSettled([...waiting.values()].map((write) => write()));
}
