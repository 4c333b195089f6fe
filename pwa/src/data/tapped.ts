import { answer, finished } from './idb';
import { clean } from './text';
import type { Id, Moment, Mutation, Op } from './types';
import { uuid } from './uuid';

/**
 * What a button on a notice says, while no page need be there: the service worker writes it into the outbox of whoever is
 * signed in, as a page would, and sends it.
 *
 * The worker starts with every page and every push, so this speaks to IndexedDB itself and brings no library along.
 * It can, because the outbox's form never changes; where a database is missing, none is made: then a page must do it.
 */
export type Deed = 'done' | 'snooze';
export interface Tap {
  deed: Deed;
  /** The notice that was tapped; it is read by that. */
  notice: Id | null;
  /** What `done` says is done. */
  followUp: Id | null;
  /** Until when `snooze` puts the notice off (ms since 1970, by this device). */
  until: number;
}
export interface Taken {
  person: Id;
  /** What was written: kinds of records; empty where all of it was so already. */
  wrote: string[];
}

/** As `Outbox` and `Replica` keep them; the rows are the same. */
interface Client {
  id: Id;
  predecessor: Id | null;
  nextSeq: number;
}
interface Kept {
  n: number;
  id: Id;
  client: Id;
  seq: number;
  state: string;
  body: Omit<Mutation, 'seq' | 'id'>;
  savedAt: number;
}
interface Held {
  version: number;
  data: Record<string, unknown>;
}

const life = uuid();
const MOST = 200;
const MOST_BYTES = 1024 * 1024;
const LARGEST = 256 * 1024;

/** Writes a tap durably, once; null where nobody is signed in here or nothing can be kept, so that a page must ask. */
export async function record(tap: Tap, now = Date.now()): Promise<Taken | null> {
  const person = await signedIn();
  if (!person) return null;
  const rows = await held(person, tap);
  const outbox = await opened(`rounds-outbox-${person}`);
  if (!outbox) return null;
  try {
    const writing = outbox.transaction(['kv', 'mutations'], 'readwrite', { durability: 'strict' });
    const over = finished(writing);
    over.catch(() => {});
    const [kv, mutations] = [writing.objectStore('kv'), writing.objectStore('mutations')];
    const client = (await answer<{ value: Client } | undefined>(kv.get('client')))?.value;
    if (!client) return null;
    const contact = await answer<{ value: { offsetMs: number | null } } | undefined>(kv.get('contact'));
    const pending = await answer<Kept[]>(mutations.index('settled').getAll(0));
    pending.sort((a, b) => a.n - b.n);
    const at = momentAt(now, contact?.value.offsetMs ?? null);
    const wanted = meant(tap, rows, pending, at);
    for (const body of wanted) {
      await answer(
        mutations.add({
          id: uuid(),
          client: client.id,
          seq: client.nextSeq++,
          state: 'unsent',
          settled: 0,
          body,
          savedAt: now,
          ackedAt: null,
          receipt: null,
        }),
      );
    }
    if (wanted.length > 0) await answer(kv.put({ key: 'client', value: client }));
    await over;
    tellPages(person);
    return { person, wrote: wanted.map((m) => m.kind) };
  } finally {
    outbox.close();
  }
}

/**
 * Sends what is unsent, without a page; true once the server has all of it. The answers are left to the next page: it sends
 * again what it has none for, and the server, which knows each by its number, gives the same.
 */
export async function send(app: string): Promise<boolean> {
  const person = await signedIn();
  const outbox = person ? await opened(`rounds-outbox-${person}`) : null;
  if (!outbox) return true;
  try {
    const reading = outbox.transaction(['kv', 'mutations'], 'readonly');
    const client = (await answer<{ value: Client } | undefined>(reading.objectStore('kv').get('client')))
      ?.value;
    const contact = await answer<{ value: { offsetMs: number | null } } | undefined>(
      reading.objectStore('kv').get('contact'),
    );
    const unsent = await answer<Kept[]>(reading.objectStore('mutations').index('state').getAll('unsent'));
    if (!client) return true;
    const mine = unsent.filter((row) => row.client === client.id).sort((a, b) => a.seq - b.seq);
    for (let from = 0; from < mine.length;) {
      const batch = fitting(mine.slice(from, from + MOST));
      if (batch.length === 0) return false;
      from += batch.length;
      const oldest = mine[from] ? new Date(mine[from]!.savedAt).toISOString() : null;
      const response = await fetch('/api/sync', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        credentials: 'same-origin',
        body: JSON.stringify({
          protocol: 1,
          client: client.id,
          predecessor: client.predecessor,
          sent: momentAt(Date.now(), contact?.value.offsetMs ?? null),
          device: {
            unsent: mine.length - from,
            oldest,
            app,
            persisted: null,
            push: typeof Notification === 'undefined' ? 'unsupported' : Notification.permission,
          },
          mutations: batch,
          pull: null,
        }),
      });
      if (response.status !== 200) return false;
    }
    return true;
  } finally {
    outbox.close();
  }
}

/** So much at once as a server takes; one that is too large by itself is a page's to put away. */
function fitting(rows: Kept[]): Mutation[] {
  const out: Mutation[] = [];
  let bytes = 0;
  for (const { seq, id, body } of rows) {
    const wire: Mutation = { seq, id, ...body };
    const size = new TextEncoder().encode(JSON.stringify(wire)).length;
    if (size > LARGEST || bytes + size > MOST_BYTES) break;
    bytes += size;
    out.push(wire);
  }
  return out;
}

/** The changes a tap means on top of what this phone knows; what is so already is not written again. */
function meant(
  tap: Tap,
  rows: Map<string, Held>,
  pending: Kept[],
  at: Moment,
): Omit<Mutation, 'seq' | 'id'>[] {
  const out: Omit<Mutation, 'seq' | 'id'>[] = [];
  const write = (kind: string, entity: Id, ops: Op[]) => {
    if (ops.length > 0) {
      const base = rows.get(`${kind} ${entity}`)?.version ?? 0;
      out.push(clean({ schema: 1, kind, entity, verb: 'update', base, at, ops }));
    }
  };
  const now = (kind: string, entity: Id, field: string): unknown => {
    let value: unknown = rows.get(`${kind} ${entity}`)?.data[field] ?? null;
    for (const { body } of pending) {
      if (body.kind !== kind || body.entity !== entity) continue;
      for (const op of body.ops) if (op.field === field && 'new' in op) value = op.new;
    }
    return value;
  };
  const set = (field: string, value: unknown, old: unknown): Op => ({ field, op: 'set', old, new: value });

  const { followUp, notice } = tap;
  if (tap.deed === 'done' && followUp && (now('follow_up', followUp, 'status') ?? 'open') === 'open') {
    write('follow_up', followUp, [
      { field: 'status', op: 'go', old: 'open', new: 'done' },
      set('done', at, now('follow_up', followUp, 'done')),
    ]);
  }
  if (notice) {
    const ops: Op[] = [];
    if (tap.deed === 'snooze') {
      ops.push(
        set('snoozed_until', new Date(tap.until).toISOString(), now('notice', notice, 'snoozed_until')),
      );
    }
    // The push may have been faster than the exchange: what this phone does not know yet was not read either.
    if ((now('notice', notice, 'status') ?? 'unread') === 'unread')
      ops.push({ field: 'status', op: 'go', old: 'unread', new: 'read' });
    write('notice', notice, ops);
  }
  return out;
}

/** The pages learn of it as they learn from each other. */
function tellPages(person: Id): void {
  const channel = new BroadcastChannel(`rounds-${person}`);
  channel.postMessage({ type: 'outbox' });
  channel.postMessage({ type: 'kick' });
  channel.close();
}

async function signedIn(): Promise<Id | null> {
  const device = await opened('rounds-device');
  if (!device) return null;
  try {
    const state = await answer<{ value: { me: { person: { id: Id } } | null } } | undefined>(
      device.transaction('kv').objectStore('kv').get('state'),
    );
    return state?.value.me?.person.id ?? null;
  } finally {
    device.close();
  }
}

/** What the copy of the server's data says of the things tapped; nothing where there is no copy. */
async function held(person: Id, tap: Tap): Promise<Map<string, Held>> {
  const out = new Map<string, Held>();
  try {
    const replica = await opened(`rounds-replica-${person}`);
    if (!replica) return out;
    try {
      const rows = replica.transaction('rows').objectStore('rows');
      for (const [kind, id] of [
        ['follow_up', tap.followUp],
        ['notice', tap.notice],
      ] as const) {
        const row = id ? await answer<Held | undefined>(rows.get([kind, id])) : undefined;
        if (row) out.set(`${kind} ${id}`, row);
      }
    } finally {
      replica.close();
    }
  } catch {
    // Disposable: without it the tap is written all the same.
  }
  return out;
}

function momentAt(now: number, offset_ms: number | null): Moment {
  return {
    wall: new Date(now).toISOString(),
    mono_ms: Math.round(performance.now()),
    life,
    offset_ms,
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
  };
}

/** A database that is there; null where none is. One that others want to change is let go at once. */
function opened(name: string): Promise<IDBDatabase | null> {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(name);
    let missing = false;
    asked.onupgradeneeded = () => {
      missing = true;
      asked.transaction!.abort();
    };
    asked.onerror = (event) => {
      event.preventDefault();
      if (missing) resolve(null);
      else reject(asked.error!);
    };
    asked.onsuccess = () => {
      asked.result.onversionchange = () => asked.result.close();
      resolve(asked.result);
    };
  });
}
