import Dexie from 'dexie';
import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Outbox, type Stored } from '../src/data/outbox';
import type { Mutation } from '../src/data/types';
import { callHome, Play } from './play';

/** A server of a release that writes another schema; started by `tests/faults/test_engine.py`. */
const HOUSE = process.env['ROUNDS_NEWER_HOUSE'];

interface Golden {
  database: string;
  version: number;
  stores: { kv: object[]; mutations: Stored[]; drafts: object[]; photos: object[] };
}
/** What phones in the field hold, row by row as the first release stored it: never edit it. */
const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'golden/outbox_1.json'), 'utf8')) as Golden;

/** Past the app: the database as the first release made it. */
async function asItWas(storage: IDBFactory): Promise<void> {
  const db = await new Promise<IDBDatabase>((done) => {
    const opening = storage.open(golden.database, golden.version);
    opening.onupgradeneeded = () => {
      const made = opening.result;
      made.createObjectStore('kv', { keyPath: 'key' });
      const mutations = made.createObjectStore('mutations', { keyPath: 'n', autoIncrement: true });
      mutations.createIndex('id', 'id', { unique: true });
      for (const name of ['state', 'settled', 'ackedAt']) mutations.createIndex(name, name);
      made.createObjectStore('drafts', { keyPath: 'key' });
      made.createObjectStore('photos', { keyPath: 'sha256' });
    };
    opening.onsuccess = () => done(opening.result);
  });
  const writing = db.transaction(Object.keys(golden.stores), 'readwrite');
  for (const [store, rows] of Object.entries(golden.stores)) {
    for (const row of rows) writing.objectStore(store).put(row);
  }
  await new Promise((done) => (writing.oncomplete = done));
  db.close();
}

const wire = ({ seq, id, body }: Stored): Mutation => ({ seq, id, ...body });

describe('an outbox of the first release', () => {
  test('is opened with all it holds, and what was sealed goes out as it was', async () => {
    const storage = new IDBFactory();
    await asItWas(storage);
    Dexie.dependencies.indexedDB = storage;
    Dexie.dependencies.IDBKeyRange = IDBKeyRange;
    const outbox = new Outbox(golden.database.replace('rounds-outbox-', ''));
    const { client, mutations } = await outbox.batch();
    expect(client).toEqual((golden.stores.kv[0] as { value: object }).value);
    expect(mutations).toEqual(golden.stores.mutations.slice(1).map(wire));
    expect(await outbox.all()).toEqual(golden.stores.mutations);
    expect(await outbox.allDrafts()).toEqual(golden.stores.drafts);
    const { at, ops } = golden.stores.mutations[3]!.body;
    const [next] = await outbox.write([{ kind: 'customer', entity: 'c', verb: 'update', base: 0, at, ops }]);
    expect(next!.seq).toBe(5);
    outbox.close();
  });

  describe.skipIf(!HOUSE)('sent to a server of a later schema', () => {
    let hangUp = () => {};
    beforeAll(() => {
      vi.useFakeTimers({ toFake: ['Date'] });
      hangUp = callHome(HOUSE!);
    });
    afterAll(() => {
      hangUp();
      vi.useRealTimers();
    });

    test('is understood to the last word, under its own numbers', async () => {
      const play = await Play.begin({});
      const storage = new IDBFactory();
      await asItWas(storage);
      const rob = await play.add('rob1', 'rob', storage);
      await play.step({ do: 'exchange', phone: 'rob1' });
      await play.rest();
      expect(await play.broken()).toEqual([]);
      const kept = await rob.desk.outbox.all();
      // This server had nothing of it: what was confirmed by another goes out again with the rest.
      expect(kept.map((row) => [row.seq, row.state, row.receipt?.status])).toEqual(
        [1, 2, 3, 4].map((seq) => [seq, 'acked', 'applied']),
      );
      expect(kept.map((row) => row.body)).toEqual(golden.stores.mutations.map((row) => row.body));
      const [, visit] = golden.stores.mutations;
      const { data } = rob.desk.model.value('visit', visit!.body.entity)!;
      expect(data).toMatchObject({
        status: 'done',
        outcome: 'order',
        minutes: 'Twelve cases by Friday.\n下周五前十二箱。',
        // What the step from schema 1 to 2 of that release adds.
        late_reason: 'told in schema 1',
      });
      expect(await rob.desk.outbox.allDrafts()).toEqual(golden.stores.drafts);
    });
  });
});
