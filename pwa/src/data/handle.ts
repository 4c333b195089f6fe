import Dexie from 'dexie';

/** Whether the browser had no room for what was to be written. */
export function isQuota(error: unknown): boolean {
  const { name, message, inner } = (error ?? {}) as {
    name?: string;
    message?: string;
    inner?: { name?: string };
  };
  return /Quota/.test(`${name} ${inner?.name} ${message}`);
}

/** What a handle says that died under us: phones close databases of a page that slept, and of one that hogs memory. */
const DEAD = /InvalidState|Unknown|DatabaseClosed|Abort|OpenFailed|Timeout/;

function isDead(error: unknown): boolean {
  const { name = '', inner } = (error ?? {}) as { name?: string; inner?: { name?: string } };
  return !isQuota(error) && (DEAD.test(name) || DEAD.test(inner?.name ?? ''));
}

/** The browser's own handle of an open database, for what a hand waits for. One that is not open counts as dead. */
export function native(db: Dexie): IDBDatabase {
  const handle = db.backendDB() as IDBDatabase | null;
  if (!handle) throw new Dexie.DatabaseClosedError();
  return handle;
}

const closedByUs = new WeakSet<Dexie>();
/** From now on this handle stays closed. */
export function closeForGood(db: Dexie): void {
  closedByUs.add(db);
  db.close();
}

/**
 * Gives every asynchronous method of `of` (a class over `db`) a second life: one that finds the handle dead opens the
 * database again and runs once more. What failed was rolled back as a whole, so that running again doubles nothing.
 * Inside a transaction nothing is repeated; the method that began it is. `hopeless` is called when the second run
 * failed as well, before its error is passed on.
 */
export function lasting(db: Dexie, of: object, hopeless?: () => Promise<void>): void {
  let generation = 0;
  let opening: Promise<unknown> | null = null;

  function again(): Promise<unknown> {
    opening ??= (async () => {
      db.close({ disableAutoOpen: false });
      await db.open();
      generation++;
    })().finally(() => (opening = null));
    return opening;
  }

  for (const name of Object.getOwnPropertyNames(of)) {
    const method = Object.getOwnPropertyDescriptor(of, name)?.value as unknown;
    if (name === 'constructor' || typeof method !== 'function') continue;
    const run = method as (...args: unknown[]) => unknown;
    const twice = async (args: unknown[]) => {
      const begun = generation;
      try {
        return await run.apply(db, args);
      } catch (error) {
        if (closedByUs.has(db) || !isDead(error)) throw error;
        try {
          if (generation === begun) await again();
          return await run.apply(db, args);
        } catch (still) {
          if (hopeless && !closedByUs.has(db) && !isQuota(still)) await hopeless();
          throw still;
        }
      }
    };
    Object.defineProperty(db, name, {
      configurable: true,
      writable: true,
      value: (...args: unknown[]) => (Dexie.currentTransaction ? run.apply(db, args) : twice(args)),
    });
  }
}
