import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exchange } from '../src/data/exchange';
import { fold, Model } from '../src/data/model';
import type { Transport } from '../src/data/wire';
import { change, Phone, set } from './phone';
import { Server } from './server';

const HERE = { lat: 51.5, lon: -0.12 };

describe('views are the replica plus what is unacknowledged', () => {
  const field = fc.constantFrom('minutes', 'outcome', 'next_step');
  const step = fc.oneof(
    fc.record({ do: fc.constant('save' as const), id: fc.nat(2), field, value: fc.string({ maxLength: 3 }) }),
    fc.record({
      do: fc.constant('office' as const),
      id: fc.nat(2),
      field,
      value: fc.string({ maxLength: 3 }),
    }),
    fc.record({
      do: fc.constant('tag' as const),
      id: fc.nat(2),
      add: fc.boolean(),
      tag: fc.constantFrom('a', 'b'),
    }),
    fc.record({ do: fc.constant('exchange' as const) }),
    fc.record({ do: fc.constant('answer lost' as const) }),
    fc.record({ do: fc.constant('restart' as const) }),
  );

  test('after any saves, exchanges, lost answers and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 16 }), async (steps) => {
        const server = new Server();
        for (let i = 0; i < 3; i++) server.put('visit', `v${i}`, { status: 'done' }, ['person:me']);
        const phone = await Phone.make();
        await phone.exchange(server);
        for (const s of steps) {
          if (s.do === 'save') await phone.save(change(`v${s.id}`, 'update', [set(s.field, s.value)]));
          else if (s.do === 'tag') {
            await phone.save(
              change(`v${s.id}`, 'update', [
                { field: 'tags', op: s.add ? 'add' : 'remove', values: [s.tag] },
              ]),
            );
          } else if (s.do === 'office') {
            const data = server.state.entities.get(`visit v${s.id}`)!.data;
            server.put('visit', `v${s.id}`, { ...data, [s.field]: s.value }, ['person:me']);
          } else if (s.do === 'exchange') await phone.exchange(server);
          else if (s.do === 'answer lost') await phone.exchange(server, 'answer lost');
          else await phone.restart();

          const held = await phone.held();
          const unsent = await phone.desk.outbox.unsent();
          for (let i = 0; i < 3; i++) {
            const expected: Record<string, unknown> = { ...held.get(`visit v${i}`) };
            for (const m of unsent.filter((u) => u.body.entity === `v${i}`)) {
              for (const op of m.body.ops) {
                if (op.op === 'set') expected[op.field] = op.new;
                else {
                  const rest = ((expected[op.field] as string[]) ?? []).filter(
                    (t) => !op.values!.includes(t),
                  );
                  expected[op.field] = op.op === 'add' ? [...rest, ...op.values!] : rest;
                }
              }
            }
            expect(phone.desk.model.value('visit', `v${i}`)?.data).toEqual(expected);
          }
          const { model } = phone.desk;
          const one = (id: string) => ({
            id,
            ...model.value('visit', id)!,
            receipt: model.receipt('visit', id),
          });
          expect(model.records('visit', () => true)).toEqual(
            [...model.ids('visit')].map(one).map(({ version: _, ...rest }) => rest),
          );
        }
        phone.close();
      }),
      { numRuns: 30 },
    );
  });

  test('what is kept computed equals what a fresh start computes', async () => {
    const server = new Server();
    const phone = await Phone.make();
    server.put('customer', 'c1', { name: 'Anna', lat: 51.5, lon: -0.12 }, ['person:me']);
    server.put('customer', 'c2', { name: 'Bert' }, ['person:me']);
    await phone.exchange(server);
    const { model } = phone.desk;
    model.customers();
    await phone.save(change('c3', 'create', [set('name', 'Aaron')], 'customer'));
    await phone.save(change('c2', 'update', [set('name', 'Zoe')], 'customer'));
    await phone.save(
      change('v1', 'create', [
        set('customer_id', 'c1'),
        set('status', 'open'),
        set('check_in', { wall: '2026-11-21T09:00:00Z', mono_ms: 1, life: 'l', offset_ms: 0, zone: 'UTC' }),
      ]),
    );
    expect(model.visitsOfDay('2026-11-21').map((v) => v.id)).toEqual(['v1']);
    await phone.exchange(server);
    await phone.save(change('v1', 'update', [{ field: 'status', op: 'go', old: 'open', new: 'done' }]));
    const fresh = new Model('me');
    fresh.loadRows(await phone.desk.replica.all());
    fresh.loadMutations(await phone.desk.outbox.all());
    expect(model.customers().map((c) => c.name)).toEqual(['Aaron', 'Anna', 'Zoe']);
    expect(model.customers()).toEqual(fresh.customers());
    expect(model.visit('v1')).toEqual(fresh.visit('v1'));
    expect(model.visitsOfDay('2026-11-21')).toEqual(fresh.visitsOfDay('2026-11-21'));
    expect(model.openVisit()).toBeNull();
  });
});

test('a record does not blink between its receipt and its row', async () => {
  const server = new Server();
  server.pageLimit = 1;
  const phone = await Phone.make();
  for (let i = 0; i < 3; i++) server.put('customer', `c${i}`, { name: `${i}` }, ['person:me']);
  await phone.save(change('v1', 'create', [set('minutes', 'in sight')]));
  let answers = 0;
  const transport: Transport = async (request) => {
    if (++answers > 2) throw new Error('no network');
    return server.answer(request);
  };
  await exchange(phone.desk, transport, () => {});
  expect(phone.desk.model.receipt('visit', 'v1').state).toBe('sent');
  expect((await phone.held()).has('visit v1')).toBe(false);
  expect(phone.desk.model.visit('v1')?.minutes).toBe('in sight');
});

describe('receipts tell the truth', () => {
  test('on this phone until the server has it, then sent with the time', async () => {
    const server = new Server();
    const phone = await Phone.make();
    const { model } = phone.desk;
    await phone.save(change('v1', 'create', [set('status', 'open')]));
    expect(model.receipt('visit', 'v1')).toMatchObject({ state: 'phone', unsent: 1, sentAt: null });
    await phone.exchange(server, 'answer lost');
    expect(model.receipt('visit', 'v1').state).toBe('phone');
    await phone.exchange(server);
    expect(model.receipt('visit', 'v1')).toMatchObject({ state: 'sent', unsent: 0 });
    expect(model.receipt('visit', 'v1').sentAt).toBeGreaterThan(0);
    expect(model.counts()).toMatchObject({ unsent: 0, unsentRecords: 0, oldestUnsentAt: null });
  });

  test('an open conflict needs somebody until it is resolved', async () => {
    const server = new Server();
    const phone = await Phone.make();
    server.put('visit', 'v1', { status: 'done' }, ['person:me']);
    const conflict = {
      kind: 'visit',
      entity: 'v1',
      field: 'outcome',
      kept: 'a',
      lost: 'b',
      kept_by: 'incoming',
    };
    server.put('conflict', 'k1', { ...conflict, status: 'open' }, ['person:me']);
    await phone.exchange(server);
    const { model } = phone.desk;
    expect(model.visit('v1')?.receipt.state).toBe('needs-you');
    expect(model.counts().needsYou).toBe(1);
    server.put('conflict', 'k1', { ...conflict, status: 'resolved' }, ['person:me']);
    await phone.exchange(server);
    expect(model.visit('v1')?.receipt.state).toBe('sent');
    expect(model.counts().needsYou).toBe(0);
  });

  test('a parked change needs somebody until its row says resolved', async () => {
    const server = new Server();
    const phone = await Phone.make();
    const [id] = await phone.save(change('v1', 'create', []));
    server.parks.add(id!);
    await phone.exchange(server);
    const { model } = phone.desk;
    expect(model.counts().needsYou).toBe(1);
    const row = { mutation: { id }, kind: 'visit', entity: 'v1', code: 'INVALID', status: 'open' };
    server.put('parked', 'p1', row, ['person:me']);
    await phone.exchange(server);
    expect(model.parked()).toHaveLength(1);
    expect(model.visit('v1')?.receipt.state).toBe('needs-you');
    server.put('parked', 'p1', { ...row, status: 'resolved' }, ['person:me']);
    await phone.exchange(server);
    expect(model.counts().needsYou).toBe(0);
    expect(model.visit('v1')).toBeUndefined();
  });
});

describe('finding a customer', () => {
  const model = new Model('me');
  model.loadRows(
    [
      { id: 'a', name: 'Café Müller', address: 'Höhenweg 3', lat: 51.5, lon: -0.1, owner_id: 'me' },
      { id: 'b', name: 'The Müller Arms', address: 'Mill Lane 1', lat: 51.5, lon: -0.12, owner_id: 'you' },
      { id: 'c', name: '街角商店', address: '上海市', lat: null, lon: null, owner_id: 'me' },
    ].map(({ id, ...data }) => ({ kind: 'customer', id, version: 1, scopes: ['s'], data })),
  );
  const names = (rows: { id: string }[]) => rows.map((r) => r.id).join('');

  test('case and accents do not matter, every word must occur', () => {
    expect(names(model.searchCustomers('muller'))).toBe('ab');
    expect(names(model.searchCustomers('MÜLLER mill'))).toBe('b');
    expect(names(model.searchCustomers('cafe höhen'))).toBe('a');
    expect(names(model.searchCustomers('商店'))).toBe('c');
    expect(names(model.searchCustomers('nothing'))).toBe('');
  });
  test('without words the nearest comes first and those without a place last', () => {
    const rows = model.searchCustomers('', { near: HERE });
    expect(names(rows)).toBe('bac');
    expect(rows.map((r) => r.distanceM === null)).toEqual([false, false, true]);
    expect(names(model.searchCustomers('', { near: HERE, own: true }))).toBe('ac');
  });
  test('folding leaves other scripts alone', () => {
    expect(fold('Ünï Çodé 街角')).toBe('uni code 街角');
  });
});
