import { writable, type Readable } from 'svelte/store';
import { openDesk } from './desk';
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

  return {
    async load() {
      if (text !== null) return text;
      await last.catch(() => {});
      const row = await openDesk()?.outbox.loadDraft(name);
      if (row) savedAt.set(row.at);
      return row ? String(row.value) : null;
    },
    save(next) {
      text = next;
      waiting.set(name, write);
      // Not put off by further keys: who types without a pause is kept as well.
      timer ??= setTimeout(() => void write().catch(() => {}), WITHIN_MS);
    },
    flush: write,
    async clear() {
      clearTimeout(timer);
      timer = undefined;
      text = null;
      waiting.delete(name);
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
