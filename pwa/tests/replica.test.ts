import 'fake-indexeddb/auto';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { keyOf, Replica, SHEAVES } from '../src/data/replica';
import { change, Phone, set } from './phone';
import { Server } from './server';

const SCOPES = ['person:me', 'team:a', 'team:b'];
const entity = fc.integer({ min: 0, max: 6 }).map((n) => `e${n}`);

type Step =
  | { do: 'put'; id: string; scopes: string[]; value: number }
  | { do: 'grant'; scopes: string[] }
  | { do: 'page'; lost: boolean; tab: 0 | 1 }
  | { do: 'restore' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      id: entity,
      scopes: fc.subarray(SCOPES),
      value: fc.nat(9),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('grant' as const), scopes: fc.subarray(SCOPES) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('page' as const),
      lost: fc.boolean(),
      tab: fc.constantFrom(0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restore' as const) }) },
);

beforeEach(() => {
  // Small enough for a page of two rows to be bound together, or not.
  Object.assign(SHEAVES, { least: 2, most: 2 });
});

/** Asks for one page, whatever follows; with `lost` its answer never comes. What it changed is what is stored. */
async function onePage(
  phone: Phone,
  server: Server,
  lost: boolean,
  replica = phone.desk.replica,
): Promise<void> {
  const { outbox } = phone.desk;
  const { id } = await outbox.client();
  const { token } = await replica.state();
  const reply = server.answer({
    protocol: 1,
    client: id,
    predecessor: null,
    sent: change('', 'update', []).at,
    device: { unsent: 0, oldest: null, app: 'test', persisted: null, push: 'default' },
    mutations: [],
    pull: { token, limit: 2 },
  });
  if (lost) return;
  const changed = await replica.apply(reply.body.pull!, token, id, new Set());
  const stored = new Map((await replica.all()).map((row) => [keyOf(row.kind, row.id), row]));
  for (const [key, row] of changed!) {
    expect(stored.get(key)).toEqual(row);
    expect((await replica.some([key])).get(key)).toEqual(row);
  }
}

test('at rest the replica holds exactly what the reader\u2019s scopes hold, after any pages', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
      const server = new Server();
      server.pageLimit = 2;
      const phone = await Phone.make();
      const backup = server.backup();
      const tabs = [phone.desk.replica, await Replica.open('me')] as const;
      for (const s of steps) {
        if (s.do === 'put') server.put('visit', s.id, { value: s.value }, s.scopes);
        else if (s.do === 'grant') server.grants = new Set(s.scopes);
        else if (s.do === 'page') await onePage(phone, server, s.lost, tabs[s.tab]);
        else server.restore(backup);
      }
      await phone.exchange(server);
      expect(await phone.held()).toEqual(server.visible());
      // And what is in memory is what is stored.
      for (const [key, data] of server.visible()) {
        expect(phone.desk.model.value('visit', key.slice('visit '.length))?.data ?? data).toEqual(data);
      }
      tabs[1].close();
      phone.close();
    }),
    { numRuns: 80 },
  );
});

test('a first reading that two tabs go on with by turns keeps what each of them stored', async () => {
  const server = new Server();
  server.pageLimit = 2;
  server.grants = new Set(SCOPES);
  const phone = await Phone.make();
  const other = await Replica.open('me');
  const ids = ['v1', 'v2', 'v3', 'v4', 'v5', 'v6'];
  for (const id of ids) server.put('visit', id, { value: 1 }, ['team:a']);
  await onePage(phone, server, false);
  await onePage(phone, server, false, other);
  // The other tab stored these; this one, which began the reading, has not heard of them.
  for (const id of ['v3', 'v4']) server.put('visit', id, { value: 2 }, ['team:a', 'team:b']);
  await phone.exchange(server);
  expect(await phone.held()).toEqual(server.visible());
  const rows = await phone.desk.replica.byKind('visit');
  expect(rows.map((row) => row.id).sort()).toEqual(ids);
  other.close();
  phone.close();
});

test('rows that came together belong to each scope that told of them, and go with the last', async () => {
  const server = new Server();
  const phone = await Phone.make();
  for (const id of ['v1', 'v2']) server.put('visit', id, { value: 1 }, ['team:a', 'team:b']);
  const read = async (...grants: string[]) => {
    server.grants = new Set(grants);
    await phone.exchange(server);
    return (await phone.held()).size;
  };
  expect(await read('team:a')).toBe(2);
  expect(await read('team:a', 'team:b')).toBe(2);
  expect(await read('team:a')).toBe(2);
  expect(await read()).toBe(0);
  for (const id of ['v3', 'v4']) server.put('visit', id, { value: 1 }, ['team:b']);
  expect(await read('team:b')).toBe(4);
  expect(await read()).toBe(0);
  phone.close();
});

test('rows that came together are found one by one, by their day and by their kind', async () => {
  const server = new Server();
  const phone = await Phone.make();
  for (const day of ['2026-01-05', '2026-01-06', '2026-01-07'])
    server.put('visit', day, { status: 'done', server: { day } }, ['person:me']);
  server.put('visit', 'open', { status: 'open', server: { day: '2026-01-05' } }, ['person:me']);
  server.put('customer', 'c1', { name: 'A' }, ['person:me']);
  await phone.exchange(server);
  const { replica } = phone.desk;
  expect((await replica.begin('2026-01-06', ['customer'])).map((row) => row.id).sort()).toEqual([
    '2026-01-06',
    '2026-01-07',
    'c1',
    'open',
  ]);
  expect((await replica.byKind('visit')).length).toBe(4);
  expect((await replica.some(['visit 2026-01-05', 'visit none'])).get('visit 2026-01-05')?.data).toEqual({
    status: 'done',
    server: { day: '2026-01-05' },
  });
  phone.close();
});

test('a page asked with an older token changes nothing', async () => {
  const server = new Server();
  const phone = await Phone.make();
  server.put('customer', 'c1', { name: 'A' }, ['person:me']);
  const { replica, outbox } = phone.desk;
  const { id } = await outbox.client();
  const page = (token: string | null) =>
    server.answer({
      protocol: 1,
      client: id,
      predecessor: null,
      sent: change('', 'update', []).at,
      device: { unsent: 0, oldest: null, app: 'test', persisted: null, push: 'default' },
      mutations: [],
      pull: { token, limit: 10 },
    }).body.pull!;
  const first = page(null);
  await replica.apply(first, null, id, new Set());
  server.put('customer', 'c1', { name: 'B' }, ['person:me']);
  await replica.apply(page(first.token), first.token, id, new Set());
  expect(await replica.apply(first, null, id, new Set())).toBeNull();
  expect((await phone.held()).get('customer c1')).toEqual({ name: 'B' });
});

test('a customer that was taken away stays until the change on it is confirmed', async () => {
  const server = new Server();
  const phone = await Phone.make();
  server.put('customer', 'c1', { name: 'Corner shop' }, ['person:me']);
  await phone.exchange(server);
  await phone.save(change('v1', 'create', [set('customer_id', 'c1')]));
  server.put('customer', 'c1', { name: 'Corner shop' }, ['person:other']);
  await onePage(phone, server, true);
  const { replica, outbox, model } = phone.desk;
  // The page arrives before the visit was sent.
  const { token } = await replica.state();
  const { id } = await outbox.client();
  const pull = server.answer({
    protocol: 1,
    client: id,
    predecessor: null,
    sent: change('', 'update', []).at,
    device: { unsent: 1, oldest: null, app: 'test', persisted: null, push: 'default' },
    mutations: [],
    pull: { token, limit: 10 },
  }).body.pull!;
  await replica.apply(pull, token, id, new Set(['customer c1']));
  expect(model.visit('v1')?.customerName).toBe('Corner shop');
  expect(await phone.held()).toHaveProperty('size', 1);
  await phone.exchange(server);
  await phone.exchange(server);
  expect((await phone.held()).has('customer c1')).toBe(false);
});

test('what a server put back to a backup holds replaces a newer row', async () => {
  const phone = await Phone.make();
  const { replica, outbox } = phone.desk;
  const { id } = await outbox.client();
  const row = (version: number, name: string) => ({
    kind: 'customer',
    id: 'c1',
    version,
    scopes: { 'person:me': 1 as const },
    data: { name },
  });
  const rest = { drop: [], acked_seq: 0, more: false };
  await replica.apply({ ...rest, rows: [row(9, 'lost')], reset: [], token: '1' }, null, id, new Set());
  await replica.apply(
    { ...rest, rows: [row(5, 'kept')], reset: ['person:me'], token: '2' },
    '1',
    id,
    new Set(),
  );
  expect((await phone.held()).get('customer c1')).toEqual({ name: 'kept' });
});

test('a dropped or reset scope never touches the outbox', async () => {
  const server = new Server();
  const phone = await Phone.make();
  server.put('customer', 'c1', { name: 'A' }, ['team:a']);
  server.grants = new Set(['team:a']);
  await phone.exchange(server);
  await phone.save(change('c1', 'update', [set('phone', '1')], 'customer'));
  server.grants = new Set();
  server.restore(server.backup());
  await phone.exchange(server, 'request lost');
  await onePage(phone, server, false);
  expect(await phone.desk.outbox.unsent()).toHaveLength(1);
});

test('an answer of the reading side is found again, and only the last 60 are kept', async () => {
  const { replica } = (await Phone.make()).desk;
  for (let i = 0; i < 65; i++) await replica.see(`/api/board?date=${i}`, { i }, `"${i}"`);
  expect((await replica.lastSeen('/api/board?date=64'))?.etag).toBe('"64"');
  expect(await replica.lastSeen('/api/board?date=0')).toBeUndefined();
});

test('of old visits those that are over are let go of, not those still to be made or under way', async () => {
  const server = new Server();
  const phone = await Phone.make();
  const day = '2026-01-05';
  for (const status of ['planned', 'open', 'done', 'missed'])
    server.put('visit', status, { status, planned_date: day, server: { day } }, ['person:me']);
  server.put('visit', 'new', { status: 'done', server: { day: '2026-01-06' } }, ['person:me']);
  await phone.exchange(server);
  await phone.desk.replica.pruneVisits('2026-01-06', new Set());
  expect([...(await phone.held()).keys()].sort()).toEqual(['visit new', 'visit open', 'visit planned']);
  phone.close();
});
