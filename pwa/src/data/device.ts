import { answer, finished } from './idb';
import type { Id, Me } from './types';

/** Somebody who once signed in on this phone and whose outbox may still hold work. */
export interface Known {
  person: Id;
  name: string;
  email: string;
  organisation: string;
}
export interface DeviceState {
  me: Me | null;
  known: Known[];
  last: { organisation: string; email: string } | null;
  /** Signed out here while the server could not be told: its session must still be ended. */
  endSession: boolean;
}
const FRESH: DeviceState = { me: null, known: [], last: null, endSession: false };

let opening: Promise<IDBDatabase> | null = null;

/** The handle all share. It is asked for at once, so that the storage wakes up while the page puts itself together. */
function open(): Promise<IDBDatabase> {
  return (opening ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open('rounds-device', 10);
    asked.onupgradeneeded = () => asked.result.createObjectStore('kv', { keyPath: 'key' });
    asked.onsuccess = () => {
      const db = asked.result;
      db.onversionchange = () => db.close();
      db.onclose = () => (opening = null);
      resolve(db);
    };
    asked.onerror = () => {
      opening = null;
      reject(asked.error!);
    };
  }));
}

async function begin(mode: IDBTransactionMode): Promise<IDBTransaction> {
  const db = await open();
  try {
    return db.transaction('kv', mode, { durability: 'strict' });
  } catch {
    // Phones close databases of a page that slept.
    opening = null;
    return (await open()).transaction('kv', mode, { durability: 'strict' });
  }
}

async function stateIn(kv: IDBObjectStore): Promise<DeviceState> {
  return { ...FRESH, ...(await answer<{ value: DeviceState } | undefined>(kv.get('state')))?.value };
}

/**
 * Who is signed in on this phone. Neither outbox (one per person) nor replica (disposable) can hold that, and
 * `localStorage` may lose it with a killed browser.
 */
export const device = {
  async read(): Promise<DeviceState> {
    return stateIn((await begin('readonly')).objectStore('kv'));
  },
  async change(part: Partial<DeviceState>): Promise<DeviceState> {
    const writing = await begin('readwrite');
    const over = finished(writing);
    const kv = writing.objectStore('kv');
    const [value] = await Promise.all([
      stateIn(kv).then((before) => {
        const value = { ...before, ...part };
        kv.put({ key: 'state', value });
        return value;
      }),
      over,
    ]);
    return value;
  },
};
