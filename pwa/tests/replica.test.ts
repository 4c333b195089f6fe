import fc from 'fast-check';
import { expect, test } from 'vitest';
import { change, Phone, set } from './phone';
import { Server } from './server';

const SCOPES = ['person:me', 'team:a', 'team:b'];
const entity = fc.integer({ min: 0, max: 6 }).map((n) => `e${n}`);

type Step =
  | { do: 'put'; id: string; scopes: string[]; value: number }
  | { do: 'grant'; scopes: string[] }
  | { do: 'page'; lost: boolean }
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
  { weight: 4, arbitrary: fc.record({ do: fc.constant('page' as const), lost: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restore' as const) }) },
);

/** Asks for one page, whatever follows; with `lost` its answer never comes. */
async function onePage(phone: Phone, server: Server, lost: boolean): Promise<void> {
  const { replica, outbox } = phone.desk;
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
  if (!lost) await replica.apply(reply.body.pull!, token, id, new Set());
}

test('at rest the replica holds exactly what the reader\u2019s scopes hold, after any pages', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
      const server = new Server();
      server.pageLimit = 2;
      const phone = await Phone.make();
      const backup = server.backup();
      for (const s of steps) {
        if (s.do === 'put') server.put('visit', s.id, { value: s.value }, s.scopes);
        else if (s.do === 'grant') server.grants = new Set(s.scopes);
        else if (s.do === 'page') await onePage(phone, server, s.lost);
        else server.restore(backup);
      }
      await phone.exchange(server);
      expect(await phone.held()).toEqual(server.visible());
      // And what is in memory is what is stored.
      for (const [key, data] of server.visible()) {
        expect(phone.desk.model.value('visit', key.slice('visit '.length))?.data ?? data).toEqual(data);
      }
      phone.close();
    }),
    { numRuns: 50 },
  );
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
