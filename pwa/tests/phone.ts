import Dexie from 'dexie';
import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import type { Desk } from '../src/data/desk';
import { exchange, type Ended } from '../src/data/exchange';
import { Model } from '../src/data/model';
import { Outbox, type Draftless } from '../src/data/outbox';
import { Replica } from '../src/data/replica';
import type { Me, Op, Verb } from '../src/data/types';
import type { Transport } from '../src/data/wire';
import type { Server } from './server';

export type Weather = 'fine' | 'request lost' | 'answer lost' | 'busy';

const me: Me = {
  person: { id: 'me', name: 'Me', role: 'rep', team: null, locale: 'en', time_zone: 'UTC' },
  organisation: { id: 'o', slug: 'o', name: 'O', time_zone: 'UTC', week_start: 1, locale: 'en' },
  teams: [],
};

/** A phone with storage of its own, which outlives the app on it. */
export class Phone {
  desk!: Desk;
  private storage = new IDBFactory();

  static async make(): Promise<Phone> {
    const phone = new Phone();
    await phone.open();
    return phone;
  }

  async open(): Promise<void> {
    Dexie.dependencies.indexedDB = this.storage;
    Dexie.dependencies.IDBKeyRange = IDBKeyRange;
    const outbox = new Outbox('me');
    const replica = await Replica.open('me');
    const model = new Model('me');
    model.loadRows(await replica.all());
    model.loadMutations(await outbox.all());
    this.desk = { me, outbox, replica, model, channel: null, whole: Promise.resolve() };
  }

  close(): void {
    this.desk.outbox.close();
    this.desk.replica.close();
  }

  async restart(): Promise<void> {
    this.close();
    await this.open();
  }

  /** A second phone with a copy of this one's storage, as when a browser profile is copied. */
  async clone(): Promise<Phone> {
    const copy = await Phone.make();
    for (const name of ['outbox', 'replica'] as const) {
      for (const table of this.desk[name].tables) {
        await copy.desk[name].table(table.name).bulkPut(await table.toArray());
      }
    }
    await copy.restart();
    return copy;
  }

  async save(...changes: Draftless[]): Promise<string[]> {
    const stored = await this.desk.outbox.write(changes);
    this.desk.model.putMutations(stored);
    return stored.map((m) => m.id);
  }

  exchange(server: Server, weather: Weather = 'fine'): Promise<Ended> {
    let first = true;
    const transport: Transport = async (request) => {
      // Bad weather lasts for one request; what follows in the same exchange gets through.
      const now = first ? weather : 'fine';
      first = false;
      if (now === 'request lost') throw new Error('no network');
      if (now === 'busy') return { status: 503, body: {}, retryAfterMs: 10 };
      const reply = server.answer(request);
      if (now === 'answer lost') throw new Error('cut off');
      return reply;
    };
    return exchange(this.desk, transport, () => {});
  }

  /** Keys and values in the replica, as the server's `visible`. */
  async held(): Promise<Map<string, Record<string, unknown>>> {
    return new Map((await this.desk.replica.all()).map((row) => [`${row.kind} ${row.id}`, row.data]));
  }
}

export function change(entity: string, verb: Verb, ops: Op[], kind = 'visit'): Draftless {
  const at = { wall: '2026-11-21T09:00:00.000Z', mono_ms: 1, life: 'l', offset_ms: null, zone: 'UTC' };
  return { kind, entity, verb, base: 0, at, ops };
}
export function set(field: string, value: unknown, old: unknown = null): Op {
  return { field, op: 'set', old, new: value };
}
