import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Stored } from '../src/data/outbox';
import { change, Phone, set, type Weather } from './phone';
import { Server } from './server';

async function calm(server: Server, ...phones: Phone[]): Promise<void> {
  server.maxMutations = 200;
  for (const phone of phones) {
    // A fork or a restored backup may take a second exchange.
    for (let i = 0; i < 4; i++) {
      const ended = await phone.exchange(server);
      if (ended.how === 'done' && (await phone.desk.outbox.unsent()).length === 0) break;
    }
  }
}

const weather = fc.constantFrom<Weather>('fine', 'fine', 'request lost', 'answer lost', 'busy');
type Step =
  | { do: 'save'; many: number }
  | { do: 'exchange'; weather: Weather }
  | { do: 'restart' }
  | { do: 'small server'; max: number }
  | { do: 'backup' }
  | { do: 'restore' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('save' as const), many: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('exchange' as const), weather }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('small server' as const), max: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('backup' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restore' as const) }) },
);

describe('whatever the network, the phone and the server do', () => {
  test('each change reaches the server exactly once and in its order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
        const server = new Server();
        const phone = await Phone.make();
        const saved: string[] = [];
        let backup = server.backup();
        let n = 0;
        for (const s of steps) {
          if (s.do === 'save') {
            const changes = Array.from({ length: s.many }, () =>
              change(`v${n++}`, 'create', [set('minutes', `${n}`)]),
            );
            saved.push(...(await phone.save(...changes)));
          } else if (s.do === 'exchange') await phone.exchange(server, s.weather);
          else if (s.do === 'restart') await phone.restart();
          else if (s.do === 'small server') server.maxMutations = s.max;
          else if (s.do === 'backup') backup = server.backup();
          else server.restore(backup);
        }
        await calm(server, phone);
        expect(server.state.applied.map((m) => m.id)).toEqual(saved);
        expect(await phone.desk.outbox.unsent()).toEqual([]);
        expect(await phone.held()).toEqual(server.visible());
        phone.close();
      }),
      { numRuns: 40 },
    );
  });

  test('a confirmed change is kept beyond its 30 days until a pull that holds it has come to rest', async () => {
    const server = new Server();
    const phone = await Phone.make();
    const [id] = await phone.save(change('a', 'create', [set('minutes', 'a')]));
    const { outbox } = phone.desk;
    const { id: client } = await outbox.client();
    const said = { status: 'applied' as const, code: null, version: 1, conflicts: [], detail: null };
    await outbox.accept(client, [{ seq: 1, id: id!, ...said }]);
    const later = Date.now() + 31 * 86_400_000;
    await outbox.prune(new Set(), later);
    expect(await outbox.all()).toHaveLength(1);
    await phone.exchange(server);
    await outbox.settle(client, 1, new Set([id!]));
    await outbox.prune(new Set(), later);
    expect(await outbox.all()).toHaveLength(0);
    phone.close();
  });

  test('what went under an earlier client id is sent again before what followed it', async () => {
    const server = new Server();
    const one = await Phone.make();
    await one.exchange(server);
    const backup = server.backup();
    const saved = await one.save(change('b', 'create', [set('minutes', 'b')]));
    await one.exchange(server);
    const two = await one.clone();
    await one.save(change('a', 'create', [set('minutes', 'a')]));
    saved.push(...(await two.save(change('b', 'update', [set('minutes', 'c', 'b')]))));
    await calm(server, one, two); // the copy takes another client id
    server.restore(backup);
    await calm(server, two);
    expect(server.state.applied.map((m) => m.id).filter((id) => saved.includes(id))).toEqual(saved);
    one.close();
    two.close();
  });

  test('a copied profile loses nothing and doubles nothing, even when the server is put back to a backup', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 3 }), weather), { maxLength: 8 }),
        fc.integer({ min: 0, max: 3 }),
        fc.option(fc.tuple(fc.nat(8), fc.nat(8))),
        async (steps, before, restored) => {
          const server = new Server();
          const one = await Phone.make();
          const saved: string[] = [];
          let n = 0;
          const write = async (phone: Phone, many: number) => {
            for (let i = 0; i < many; i++) {
              saved.push(...(await phone.save(change(`v${n++}`, 'create', [set('minutes', 'x')]))));
            }
          };
          await write(one, before);
          const two = await one.clone();
          let backup = server.backup();
          for (const [i, [first, many, w]] of steps.entries()) {
            if (restored?.[0] === i) backup = server.backup();
            if (restored?.[1] === i) server.restore(backup);
            const phone = first ? one : two;
            await write(phone, many);
            await phone.exchange(server, w);
          }
          await calm(server, one, two);
          expect(server.state.applied.map((m) => m.id).sort()).toEqual([...saved].sort());
          one.close();
          two.close();
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('numbers', () => {
  test('two tabs that save at once leave no gap', async () => {
    const phone = await Phone.make();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => phone.desk.outbox.write([change(`v${i}`, 'create', [])])),
    );
    expect((await phone.desk.outbox.unsent()).map((m) => m.seq)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  });

  test('two tabs that exchange at once deliver once', async () => {
    const server = new Server();
    const phone = await Phone.make();
    await phone.save(change('v1', 'create', []), change('v2', 'create', []));
    await Promise.all([phone.exchange(server), phone.exchange(server)]);
    expect(server.state.applied).toHaveLength(2);
    expect(await phone.held()).toEqual(server.visible());
  });

  test('a fork names the old client as predecessor and numbers anew from 1', async () => {
    const server = new Server();
    const one = await Phone.make();
    await one.save(change('v0', 'create', []));
    await one.exchange(server);
    const two = await one.clone();
    await one.save(change('v1', 'create', []));
    await one.exchange(server);
    await two.save(change('v2', 'create', []));
    const old = await two.desk.outbox.client();
    await two.exchange(server);
    const fresh = await two.desk.outbox.client();
    expect(fresh.predecessor).toBe(old.id);
    expect(server.state.journals.get(fresh.id)?.map((j) => j.seq)).toEqual([1]);
  });
});

test('what a copied profile had confirmed comes back after a backup, though its numbers were taken since', async () => {
  const server = new Server();
  const empty = server.backup();
  const one = await Phone.make();
  await one.desk.outbox.client();
  const two = await one.clone();
  const [a] = await two.save(change('v1', 'create', []));
  await two.exchange(server);
  server.restore(empty);
  const [b] = await one.save(change('v2', 'create', []));
  await one.exchange(server);
  // The second phone finds its only number in use, by something else, with nothing of its own unsent.
  await two.exchange(server);
  expect(server.state.applied.map((m) => m.id)).toEqual([b, a]);
});

describe('what was confirmed and never seen', () => {
  /** A phone whose page died between the receipt of its one change and the rows. */
  async function died(server: Server): Promise<{ phone: Phone; id: string }> {
    const phone = await Phone.make();
    await phone.exchange(server);
    const [id] = await phone.save(change('v1', 'create', [set('minutes', 'mine')]));
    phone.desk.replica.apply = () => Promise.reject(new Error('died'));
    await expect(phone.exchange(server)).rejects.toThrow('died');
    await phone.restart();
    return { phone, id: id! };
  }
  /** The server as it was before, with tokens of before still good. */
  function putBack(server: Server, backup: ReturnType<Server['backup']>): void {
    server.state = { ...structuredClone(backup), head: server.state.head + 1_000_000 };
  }
  /** What one exchange carries, and how many of it the phone calls unsent meanwhile. */
  async function carried(phone: Phone, server: Server): Promise<[ids: string[], unsent: number][]> {
    const told: [string[], number][] = [];
    const { exchange } = await import('../src/data/exchange');
    await exchange(
      phone.desk,
      async (request) => {
        told.push([request.mutations.map((m) => m.id), phone.desk.model.counts().unsent]);
        return server.answer(request);
      },
      () => {},
    );
    return told;
  }

  test('is asked about once more, shown as sent all the while', async () => {
    const server = new Server();
    const { phone, id } = await died(server);
    expect(await carried(phone, server)).toEqual([[[id], 0]]);
    expect(await phone.held()).toEqual(server.visible());
    expect(await carried(phone, server)).toEqual([[[], 0]]);
    expect(server.state.applied).toHaveLength(1);
  });

  test('is taken again under its number by a server that lost it', async () => {
    const server = new Server();
    const backup = server.backup();
    const { phone, id } = await died(server);
    putBack(server, backup);
    expect(await carried(phone, server)).toEqual([[[id], 0]]);
    expect(server.state.applied.map((m) => m.id)).toEqual([id]);
    const [row] = await phone.desk.outbox.all();
    expect(row).toMatchObject({ seq: 1, settled: 1, receipt: { version: server.state.head } });
  });

  test('has the second answer where that is another, and an old one that comes late changes nothing', async () => {
    const server = new Server();
    const backup = server.backup();
    const { phone, id } = await died(server);
    const { outbox } = phone.desk;
    const { client, again } = await outbox.batch(200, new Set());
    const [{ receipt: first }] = (await outbox.all()) as [Stored];
    putBack(server, backup);
    server.parks.add(id);
    await phone.exchange(server);
    expect((await outbox.all())[0]!.receipt).toMatchObject({ status: 'parked' });
    await outbox.accept(client.id, [{ seq: 1, id, ...first! }], again);
    await outbox.accept(client.id, [{ seq: 1, id, ...first! }]);
    expect((await outbox.all())[0]!.receipt).toMatchObject({ status: 'parked' });
  });

  test('is sent under another number where a copy of the profile took its own', async () => {
    const server = new Server();
    const backup = server.backup();
    const one = await Phone.make();
    await one.exchange(server);
    const two = await one.clone();
    const [id] = await one.save(change('v1', 'create', [set('minutes', 'mine')]));
    one.desk.replica.apply = () => Promise.reject(new Error('died'));
    await expect(one.exchange(server)).rejects.toThrow('died');
    await one.restart();
    putBack(server, backup);
    const [other] = await two.save(change('v2', 'create', []));
    await two.exchange(server);
    // Now it is unsent in truth, and said to be.
    expect(await carried(one, server)).toEqual([
      [[id], 0],
      [[id], 1],
    ]);
    expect(server.state.applied.map((m) => m.id)).toEqual([other, id]);
    expect(await one.held()).toEqual(server.visible());
  });

  test('is asked about once by a page that turns out to be too old to read', async () => {
    const server = new Server();
    const { phone } = await died(server);
    const { exchange } = await import('../src/data/exchange');
    const asked: number[] = [];
    const ended = await exchange(
      phone.desk,
      async (request) => {
        asked.push(request.mutations.length);
        return { status: 426, body: {}, retryAfterMs: null };
      },
      () => {},
    );
    expect([ended.how, asked]).toEqual(['too-old', [1]]);
  });
});

describe('what can not be taken', () => {
  test('one change too large by itself is voided under its number and the others pass', async () => {
    const server = new Server();
    server.maxBytes = 2_000;
    const phone = await Phone.make();
    const long = 'x'.repeat(5_000);
    const [a, b, c] = await phone.save(
      change('v1', 'create', [set('minutes', 'short')]),
      change('v2', 'create', [set('minutes', long)]),
      change('v3', 'create', [set('minutes', 'short')]),
    );
    await calm(server, phone);
    expect(server.state.applied.map((m) => m.id)).toEqual([a, c]);
    expect((await phone.desk.outbox.dump()).mutations.find((m) => m.id === b)?.voided?.ops[0]?.new).toBe(
      long,
    );
    expect(phone.desk.model.receipt('visit', 'v2').state).toBe('needs-you');
    expect(phone.desk.model.parked().map((p) => p.code)).toEqual(['TOO_LARGE']);
  });

  test('a change above 256 KiB never leaves the phone whole', async () => {
    const server = new Server();
    const phone = await Phone.make();
    await phone.save(
      change('v1', 'create', [set('minutes', 'x'.repeat(300_000))]),
      change('v2', 'create', []),
    );
    await phone.exchange(server);
    expect(server.state.applied.map((m) => m.entity)).toEqual(['v2']);
  });

  test('a parked creation stays in its author\u2019s sight', async () => {
    const server = new Server();
    const phone = await Phone.make();
    const [id] = await phone.save(change('v1', 'create', [set('minutes', 'kept')]));
    server.parks.add(id!);
    await phone.exchange(server);
    await phone.restart();
    expect(phone.desk.model.visit('v1')?.minutes).toBe('kept');
    expect(phone.desk.model.receipt('visit', 'v1').state).toBe('needs-you');
  });

  test('text that is not well formed is mended before it is sealed', async () => {
    const phone = await Phone.make();
    await phone.save(change('v1', 'create', [set('minutes', 'a\0b\ud800c \u{1F600}')]));
    const [m] = await phone.desk.outbox.unsent();
    expect(m?.body.ops[0]?.new).toBe('ab\ufffdc \u{1F600}');
  });
});

test('the phone reports what will still be unsent when the request is stored', async () => {
  const server = new Server();
  const phone = await Phone.make();
  const { exchange } = await import('../src/data/exchange');
  await phone.desk.outbox.write(Array.from({ length: 250 }, (_, i) => change(`v${i}`, 'create', [])));
  const reported: [number, string | null][] = [];
  await exchange(
    phone.desk,
    async (request) => {
      reported.push([request.device.unsent, request.device.oldest]);
      return server.answer(request);
    },
    () => {},
  );
  expect(reported.map(([unsent]) => unsent)).toEqual([50, 0]);
  expect(reported[0]![1]).not.toBeNull();
  expect(reported[1]![1]).toBeNull();
});

describe('answers', () => {
  test('401 keeps the queue and asks for sign-in', async () => {
    const phone = await Phone.make();
    await phone.save(change('v1', 'create', []));
    const { exchange } = await import('../src/data/exchange');
    const said: object[] = [];
    const ended = await exchange(
      phone.desk,
      async () => ({ status: 401, body: { code: 'SIGN_IN_REQUIRED' }, retryAfterMs: null }),
      (part) => said.push(part),
    );
    expect(ended.how).toBe('sign-in');
    expect(said).toContainEqual(expect.objectContaining({ signInNeeded: true }));
    expect(await phone.desk.outbox.unsent()).toHaveLength(1);
  });

  test('426 still delivers what was written, without reading', async () => {
    const server = new Server();
    const phone = await Phone.make();
    await phone.save(change('v1', 'create', []));
    const { exchange } = await import('../src/data/exchange');
    const ended = await exchange(
      phone.desk,
      async (request) =>
        request.pull ? { status: 426, body: {}, retryAfterMs: null } : server.answer(request),
      () => {},
    );
    expect(ended.how).toBe('done');
    expect(server.state.applied).toHaveLength(1);
  });

  test('503 is waited for as long as the server says, its receipts are kept', async () => {
    const server = new Server();
    const phone = await Phone.make();
    await phone.save(change('v1', 'create', []), change('v2', 'create', []));
    const { exchange } = await import('../src/data/exchange');
    const ended = await exchange(
      phone.desk,
      async (request) => {
        const { body } = server.answer({ ...request, mutations: request.mutations.slice(0, 1) });
        return { status: 503, body: { ...body, pull: undefined }, retryAfterMs: 7_000 };
      },
      () => {},
    );
    expect(ended).toEqual({ how: 'busy', retryMs: 7_000 });
    expect((await phone.desk.outbox.unsent()).map((m) => m.body.entity)).toEqual(['v2']);
  });

  test('pauses after failures lie between 1 s and 5 min, with full jitter', async () => {
    const { pause } = await import('../src/data/exchange');
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failed, random) => {
          const ms = pause(failed, random);
          expect(ms).toBeGreaterThanOrEqual(1_000);
          expect(ms).toBeLessThanOrEqual(300_000);
        },
      ),
    );
    expect(pause(20, 1)).toBe(300_000);
  });
});
