import { get, writable, type Readable } from 'svelte/store';
import { isQuota } from './handle';
import { SaveError, type StorageTrouble } from './types';

const trouble = writable<StorageTrouble | null>(null);

/** The last failure to save on this phone; null again after the next save that worked. */
export const storageTrouble: Readable<StorageTrouble | null> = { subscribe: trouble.subscribe };

const persistedStore = writable<boolean | null>(null);
export const persisted: Readable<boolean | null> = { subscribe: persistedStore.subscribe };

/** Makes room by giving up what can be read again; true if there was something. Set by whoever holds the desk. */
export const relief = { free: (): Promise<boolean> => Promise.resolve(false) };

/**
 * Runs a write; what the browser throws becomes a `SaveError` and stays in sight until a write works again. Without
 * room, the copy of the server's data is given up first and the write is tried once more: work comes before it.
 */
export async function saving<T>(write: () => Promise<T>): Promise<T> {
  try {
    const result = await write().catch(async (error: unknown) => {
      if (!isQuota(error) || !(await relief.free().catch(() => false))) throw error;
      return write();
    });
    if (get(trouble) !== null) trouble.set(null);
    return result;
  } catch (error) {
    if (error instanceof SaveError) throw error;
    const code = isQuota(error) ? 'QUOTA' : 'BROKEN';
    const detail = (error as { message?: string }).message ?? String(error);
    trouble.set({ code, detail, at: Date.now() });
    if (code === 'QUOTA') void lookAtRoom();
    throw new SaveError(code, detail);
  }
}

/** Asks the browser never to evict this site's storage. False or null (cannot be asked) is no reason to stop. */
export async function persist(): Promise<boolean | null> {
  if (typeof navigator === 'undefined' || !navigator.storage?.persist) return null;
  try {
    const granted = (await navigator.storage.persisted()) || (await navigator.storage.persist());
    persistedStore.set(granted);
    return granted;
  } catch {
    return null;
  }
}

/** Whether the browser has promised it already; asks nobody. */
export async function lookPersisted(): Promise<void> {
  if (typeof navigator === 'undefined' || !navigator.storage?.persisted) return;
  persistedStore.set(await navigator.storage.persisted().catch(() => null));
}

let asked = false;
let lookedAt = -Infinity;
const LOOK_MS = 60_000;

/**
 * After something was saved. The first time in a page life the browser is asked to keep this storage for good: now
 * there is something worth keeping, and Firefox shows a question that should have a reason. Then room is looked at.
 */
export function afterSave(): void {
  if (!asked) {
    asked = true;
    void persist();
  }
  const now = performance.now();
  if (now - lookedAt < LOOK_MS) return;
  lookedAt = now;
  void lookAtRoom();
}

const LOW_BYTES = 20 * 1024 * 1024;
const LOW_SHARE = 0.1;
export interface Room {
  quota: { used: number; allowed: number } | null;
  nearlyFull: boolean;
}
const roomStore = writable<Room>({ quota: null, nearlyFull: false });
/** How much room is left on this phone, as last estimated. */
export const room: Readable<Room> = { subscribe: roomStore.subscribe };

/** Estimates anew. */
export async function lookAtRoom(): Promise<void> {
  const now = await quota().catch(() => null);
  const left = now ? now.allowed - now.used : Infinity;
  const nearlyFull = now !== null && (left < LOW_BYTES || left < now.allowed * LOW_SHARE);
  roomStore.set({ quota: now, nearlyFull });
}

/** Bytes used and allowed, null where the browser does not tell. */
export async function quota(): Promise<{ used: number; allowed: number } | null> {
  if (typeof navigator === 'undefined' || !navigator.storage?.estimate) return null;
  const { usage, quota: allowed } = await navigator.storage.estimate();
  return usage === undefined || allowed === undefined ? null : { used: usage, allowed };
}
