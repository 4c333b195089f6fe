import 'fake-indexeddb/auto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { device } from '../src/data/device';
import { Outbox } from '../src/data/outbox';
import { Replica } from '../src/data/replica';
import { record, send, type Tap } from '../src/data/tapped';
import type { SyncRequest } from '../src/data/wire';
import { change, set } from './phone';
import { Server } from './server';

const NOTICE = '0c8d7d4e-58a3-4a61-a7b5-1f7f5d4f0a01';
const OWED = '0c8d7d4e-58a3-4a61-a7b5-1f7f5d4f0a02';
const tap = (deed: Tap['deed'], part: Partial<Tap> = {}): Tap => ({
  deed,
  notice: NOTICE,
  followUp: OWED,
  until: Date.parse('2026-11-21T12:00:00Z'),
  ...part,
});
let people = 0;
let person = '';
let outbox: Outbox;

beforeEach(async () => {
  person = `p${++people}`;
  outbox = new Outbox(person);
  await outbox.adopt('client');
  await device.change({ me: { person: { id: person } } as never });
});
afterEach(() => {
  outbox.close();
  vi.unstubAllGlobals();
});

/** What the replica of the person knows. */
async function known(kind: string, id: string, data: Record<string, unknown>): Promise<void> {
  const replica = await Replica.open(person);
  const row = { kind, id, version: 7, scopes: { [`person:${person}`]: 1 as const }, data };
  const page = { rows: [row], drop: [], reset: [], acked_seq: 0, more: false, token: 't' };
  await replica.apply(page, null, 'client', new Set());
  replica.close();
}

test('a button pressed without a page is in the outbox, numbered after what a page wrote', async () => {
  await known('follow_up', OWED, { status: 'open' });
  await outbox.write([change('a', 'create', [set('minutes', 'before')])]);
  const now = Date.parse('2026-11-21T10:00:00Z');
  expect(await record(tap('done'), now)).toEqual({ person, wrote: ['follow_up', 'notice'] });
  await outbox.write([change('b', 'create', [set('minutes', 'after')])]);
  const rows = await outbox.unsent();
  expect(rows.map((row) => [row.seq, row.body.kind])).toEqual([
    [1, 'visit'],
    [2, 'follow_up'],
    [3, 'notice'],
    [4, 'visit'],
  ]);
  const { base, at, ops } = rows[1]!.body;
  expect(base).toBe(7);
  expect(at.wall).toBe('2026-11-21T10:00:00.000Z');
  expect(ops).toEqual([{ field: 'status', op: 'go', old: 'open', new: 'done' }, set('done', at)]);
});

test('what is done is not done twice, whoever did it: a page, a button, another phone', async () => {
  await record(tap('done'));
  expect((await record(tap('done')))?.wrote).toEqual([]);
  expect((await outbox.unsent()).length).toBe(2);
  const other = '0c8d7d4e-58a3-4a61-a7b5-1f7f5d4f0a03';
  await known('follow_up', other, { status: 'done' });
  expect((await record(tap('done', { followUp: other, notice: null })))?.wrote).toEqual([]);
});

test('a notice that is put off comes back then, also one this phone has not read of yet', async () => {
  await record(tap('snooze'));
  const [row] = await outbox.unsent();
  expect(row!.body).toMatchObject({ kind: 'notice', entity: NOTICE, base: 0 });
  expect(row!.body.ops).toEqual([
    set('snoozed_until', '2026-11-21T12:00:00.000Z'),
    { field: 'status', op: 'go', old: 'unread', new: 'read' },
  ]);
});

test('where nobody is signed in nothing is kept and no database is made: a page has to ask', async () => {
  await device.change({ me: { person: { id: 'nobody yet' } } as never });
  expect(await record(tap('done'))).toBeNull();
  await device.change({ me: null });
  expect(await record(tap('done'))).toBeNull();
  expect((await indexedDB.databases()).some(({ name }) => name?.includes('nobody'))).toBe(false);
  expect(await outbox.unsent()).toEqual([]);
});

test('what is sent without a page and again by the next one is applied once', async () => {
  const server = new Server();
  const posted: SyncRequest[] = [];
  let up = false;
  vi.stubGlobal('fetch', (_: string, { body }: { body: string }) => {
    if (!up) return Promise.reject(new TypeError('no network'));
    posted.push(JSON.parse(body) as SyncRequest);
    return Promise.resolve(server.answer(posted.at(-1)!));
  });
  await record(tap('done'));
  await expect(send('1')).rejects.toThrow('no network');
  up = true;
  expect(await send('1')).toBe(true);
  const batch = await outbox.batch();
  const again = server.answer({ ...posted[0]!, mutations: batch.mutations });
  expect(batch.mutations.length).toBe(2);
  expect(again.status).toBe(200);
  expect(server.state.applied.length).toBe(2);
});
