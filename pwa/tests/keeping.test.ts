import 'fake-indexeddb/auto';
import Dexie from 'dexie';
import fc from 'fast-check';
import { get } from 'svelte/store';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SyncRequest, Transport } from '../src/data/wire';
import { change, Phone, set } from './phone';
import { Server } from './server';

type Data = typeof import('../src/data');
/** One tab: the whole data layer loaded for itself, on the storage all tabs of the test share. */
interface Tab {
  data: Data;
  desk: typeof import('../src/data/desk');
  loop: typeof import('../src/data/exchange');
  checkout: typeof import('../src/data/checkout');
  tabs: typeof import('../src/data/tabs');
}
let person = 0;
let id = '';
const open: Tab[] = [];
/** Asked before each transaction; what they throw is what the browser throws. */
const failing = new Set<(handle: IDBDatabase) => void>();
// Before any database is opened: Dexie binds the function of each handle it gets.
const begin = Reflect.get(IDBDatabase.prototype, 'transaction') as IDBDatabase['transaction'];
IDBDatabase.prototype.transaction = function (...args) {
  for (const fail of failing) fail(this);
  return begin.apply(this, args);
};
let storage: { persist: ReturnType<typeof vi.fn>; used: number; allowed: number };

const me = () => ({
  person: { id, name: 'Rob', role: 'rep' as const, team: null, locale: 'en', time_zone: 'UTC' },
  organisation: { id: 'o', slug: 'o', name: 'O', time_zone: 'UTC', week_start: 1, locale: 'en' },
  teams: [],
});

async function openTab(server: Transport = () => Promise.reject(new Error('no network'))): Promise<Tab> {
  vi.resetModules();
  const [data, desk, loop, checkout, tabs] = await Promise.all([
    import('../src/data'),
    import('../src/data/desk'),
    import('../src/data/exchange'),
    import('../src/data/checkout'),
    import('../src/data/tabs'),
  ]);
  const tab = { data, desk, loop, checkout, tabs };
  loop.useTransport(server);
  await desk.sitDown(me());
  await desk.needDesk().whole;
  await loop.resetContact();
  open.push(tab);
  return tab;
}
const to =
  (server: Server): Transport =>
  (request) =>
    Promise.resolve(server.answer(request));

beforeEach(() => {
  // A `Phone` has storage of its own; tabs share the browser's.
  Dexie.dependencies.indexedDB = indexedDB;
  id = `k${++person}`;
  storage = { persist: vi.fn(() => Promise.resolve(true)), used: 10e6, allowed: 1e9 };
  vi.stubGlobal('navigator', {
    storage: {
      persist: storage.persist,
      persisted: () => Promise.resolve(false),
      estimate: () => Promise.resolve({ usage: storage.used, quota: storage.allowed }),
    },
  });
});
afterEach(() => {
  failing.clear();
  for (const tab of open.splice(0)) tab.desk.leave();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const plan = (tab: Tab, n = 1) =>
  tab.data.planVisit({ customer: `c${n}`, mode: 'phone', kind: 'k', date: '2026-11-21' });
const device = (tab: Tab) => get(tab.data.device);

describe('the outbox', () => {
  test('has the one form it will ever have', async () => {
    const phone = await Phone.make();
    const { outbox } = phone.desk;
    expect(outbox.verno).toBe(1);
    const form = outbox.tables.map((t) => [t.name, t.schema.primKey.src, t.schema.indexes.map((i) => i.src)]);
    expect(Object.fromEntries(form.map(([name, ...rest]) => [name, rest]))).toEqual({
      kv: ['key', []],
      mutations: ['++n', ['&id', 'state', 'settled', 'ackedAt']],
      drafts: ['key', []],
      photos: ['sha256', []],
    });
    phone.close();
  });

  test('writes with strict durability, and has saved once the transaction is complete', async () => {
    const phone = await Phone.make();
    const begun = vi.spyOn(IDBDatabase.prototype, 'transaction');
    const saving = phone.desk.outbox.write([change('v1', 'create', [])]);
    expect(begun.mock.lastCall?.slice(1)).toEqual(['readwrite', { durability: 'strict' }]);
    const writing = begun.mock.results.at(-1)!.value as IDBTransaction;
    let complete = false;
    writing.addEventListener('complete', () => (complete = true));
    await saving;
    expect(complete).toBe(true);
    phone.close();
  });

  test('of the first release is read and sent by this one', async () => {
    // As the first release wrote it, with none of the members that came later.
    const idb = await new Promise<IDBDatabase>((done) => {
      const ask = indexedDB.open(`rounds-outbox-${id}`, 10);
      ask.onupgradeneeded = () => {
        const db = ask.result;
        db.createObjectStore('kv', { keyPath: 'key' });
        const m = db.createObjectStore('mutations', { keyPath: 'n', autoIncrement: true });
        m.createIndex('id', 'id', { unique: true });
        for (const name of ['state', 'settled', 'ackedAt']) m.createIndex(name, name);
        db.createObjectStore('drafts', { keyPath: 'key' });
        db.createObjectStore('photos', { keyPath: 'sha256' });
      };
      ask.onsuccess = () => done(ask.result);
    });
    const write = idb.transaction(['kv', 'mutations', 'drafts'], 'readwrite');
    const { at, ops } = change('v1', 'create', [set('customer_id', 'c1'), set('status', 'planned')]);
    const body = { schema: 1, kind: 'visit', entity: 'v1', verb: 'create', base: 0, at, ops };
    write.objectStore('kv').put({
      key: 'client',
      value: { id: 'old client', predecessor: null, nextSeq: 2, known: false, acked: 0 },
    });
    write.objectStore('mutations').add({
      ...{ id: 'm1', client: 'old client', seq: 1, state: 'unsent', settled: 0, body },
      ...{ savedAt: 1, ackedAt: null, receipt: null },
    });
    write.objectStore('drafts').put({ key: 'text:minutes:v1', value: 'half', at: 1 });
    await new Promise((done) => (write.oncomplete = done));
    idb.close();

    const server = new Server();
    const tab = await openTab(to(server));
    expect(await tab.data.draft('minutes:v1').load()).toBe('half');
    expect(get(tab.data.visit('v1'))?.status).toBe('planned');
    await plan(tab);
    await tab.loop.syncNow();
    expect(server.state.applied.map((m) => [m.seq, m.entity === 'v1'])).toEqual([
      [1, true],
      [2, false],
    ]);
  });

  test('never changes what was sealed, whatever happens to it', async () => {
    const weather = fc.constantFrom('fine', 'answer lost', 'busy' as const);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), weather, fc.boolean()), { maxLength: 8 }),
        async (steps) => {
          const server = new Server();
          const phone = await Phone.make();
          const sealed = new Map<string, string>();
          const backup = server.backup();
          let n = 0;
          for (const [many, w, restored] of steps) {
            const changes = Array.from({ length: many }, () =>
              change(`v${n++}`, 'create', [set('minutes', `${n}`)]),
            );
            const ids = await phone.save(...changes);
            for (const m of await phone.desk.outbox.all()) {
              if (ids.includes(m.id)) sealed.set(m.id, JSON.stringify(m.body));
            }
            if (restored) server.restore(backup);
            await phone.exchange(server, w as 'fine');
          }
          const now = (await phone.desk.outbox.all()).map((m) => [m.id, JSON.stringify(m.body)]);
          expect(new Map(now as [string, string][])).toEqual(sealed);
          phone.close();
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe('a database handle that died under the page', () => {
  /** What iOS does to a page that slept: every transaction of the old handle fails, a new handle works. */
  function kill(db: { backendDB(): IDBDatabase }, name = 'UnknownError'): () => number {
    const dead = db.backendDB();
    let asked = 0;
    failing.add((handle) => {
      if (handle !== dead) return;
      asked++;
      throw new DOMException(
        'Connection to Indexed Database server lost. Refresh the page to try again',
        name,
      );
    });
    return () => asked;
  }

  test.each(['UnknownError', 'InvalidStateError'])(
    'is opened again and the write is made once (%s)',
    async (name) => {
      vi.spyOn(console, 'warn').mockImplementation(() => {});
      const tab = await openTab();
      await plan(tab);
      const asked = kill(tab.desk.needDesk().outbox, name);
      await Promise.all([plan(tab, 2), plan(tab, 3), tab.data.draft('minutes:x').load()]);
      expect((await tab.desk.needDesk().outbox.all()).map((m) => m.seq)).toEqual([1, 2, 3]);
      expect(get(tab.data.storageTrouble)).toBeNull();
    },
  );

  test('after a write that had gone through all the same doubles nothing', async () => {
    const tab = await openTab();
    const { outbox } = tab.desk.needDesk();
    const body = change('v1', 'create', [set('minutes', 'x')]);
    const [first] = await outbox.write([{ ...body, id: 'one' }]);
    expect(await outbox.write([{ ...body, id: 'one' }])).toEqual([first]);
    expect(await outbox.all()).toHaveLength(1);
  });

  test('of the replica: the exchange goes on', async () => {
    const server = new Server();
    server.put('customer', 'c1', { name: 'Shop' }, ['person:me']);
    const tab = await openTab(to(server));
    const asked = kill(tab.desk.needDesk().replica);
    await tab.loop.syncNow();
    expect(asked()).toBeGreaterThan(0);
    expect(get(tab.data.customer('c1'))?.name).toBe('Shop');
  });

  test('of a replica that stays broken: it is thrown away and read anew, and no screen goes blank meanwhile', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});

    const server = new Server();
    server.put('customer', 'c1', { name: 'Shop' }, ['person:me']);
    server.put('customer', 'c2', { name: 'Gone soon' }, ['person:me']);
    const tab = await openTab(to(server));
    await tab.loop.syncNow();
    await plan(tab);
    const { replica } = tab.desk.needDesk();
    // Every handle on it fails, until the file is another one.
    const removed = vi.spyOn(indexedDB, 'deleteDatabase');
    failing.add((handle) => {
      if (handle.name === replica.name && removed.mock.calls.length === 0) {
        throw new DOMException('Internal error', 'UnknownError');
      }
    });
    await tab.loop.syncNow();
    expect(removed).toHaveBeenCalledTimes(1);
    expect(get(tab.data.customers)).toHaveLength(2);
    server.put('customer', 'c2', {}, []);
    await tab.loop.syncNow();
    expect(get(tab.data.customers).map((c) => c.name)).toEqual(['Shop']);
    expect((await replica.state()).complete).toBe(true);
    expect((await replica.all()).map((row) => row.id)).toContain('c1');
    expect(server.state.applied).toHaveLength(1);
  });
});

describe('the exchange', () => {
  test('that hangs is given up, and the next one goes through', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    const server = new Server();
    const asked: AbortSignal[] = [];
    const tab = await openTab((request, signal) => {
      asked.push(signal!);
      return asked.length === 1 ? new Promise(() => {}) : Promise.resolve(server.answer(request));
    });
    const first = tab.loop.syncNow();
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    tab.loop.lookAfterExchange();
    expect(asked[0]!.aborted).toBe(false);
    vi.setSystemTime(Date.now() + 241_000);
    tab.loop.lookAfterExchange();
    await first;
    expect(asked[0]!.aborted).toBe(true);
    expect(get(tab.data.syncState)).toMatchObject({ sending: false, offline: true });
    await plan(tab);
    await tab.loop.syncNow();
    expect(server.state.applied).toHaveLength(1);
    expect(get(tab.data.syncState)).toMatchObject({ offline: false, unsent: 0 });
  });

  test('stands still for no storage that never answers', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    const server = new Server();
    const tab = await openTab(to(server));
    const stuck = vi.spyOn(tab.desk.needDesk().outbox, 'batch').mockReturnValueOnce(new Promise(() => {}));
    const first = tab.loop.syncNow();
    await vi.waitFor(() => expect(stuck).toHaveBeenCalled());
    vi.setSystemTime(Date.now() + 241_000);
    tab.loop.lookAfterExchange();
    await first;
    await plan(tab);
    await tab.loop.syncNow();
    expect(server.state.applied).toHaveLength(1);
  });

  test('whose timer the phone slept through is begun when somebody looks', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    let asked = 0;
    const tab = await openTab(() => {
      asked++;
      return Promise.reject(new Error('no network'));
    });
    await tab.loop.syncNow();
    expect(asked).toBe(1);
    tab.loop.lookAfterExchange();
    expect(asked).toBe(1);
    // The clock went on, the timers did not.
    vi.setSystemTime(Date.now() + 600_000);
    tab.loop.lookAfterExchange();
    await vi.waitFor(() => expect(asked).toBe(2));
  });

  test('waits no longer than five minutes for a server that asks for more, nor for a clock that was put back', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    let asked = 0;
    const tab = await openTab(() => {
      asked++;
      return Promise.resolve({ status: 503, body: {}, retryAfterMs: 86_400_000 });
    });
    await tab.loop.syncNow();
    tab.desk.listeners.kick = () => {};
    await vi.advanceTimersByTimeAsync(301_000);
    await vi.waitFor(() => expect(asked).toBe(2));
  });

  test('does not depend on its lock: one that a dead tab holds is waited for two minutes, and done without', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    const request = vi.fn(
      (_: string, { signal }: { signal: AbortSignal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new DOMException('patience', 'AbortError')));
        }),
    );
    vi.stubGlobal('navigator', { locks: { request } });
    const server = new Server();
    const tab = await openTab(to(server));
    await plan(tab);
    const ended = tab.loop.syncNow();
    await vi.waitFor(() => expect(request).toHaveBeenCalled());
    expect(server.state.applied).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(121_000);
    await ended;
    expect(server.state.applied).toHaveLength(1);
  });

  test('asks the browser to wake it, once in a spell without network', async () => {
    const register = vi.fn(() => Promise.resolve());
    const getRegistration = () => Promise.resolve({ sync: { register } });
    vi.stubGlobal('navigator', { serviceWorker: { getRegistration } });
    const tab = await openTab();
    await tab.loop.syncNow();
    await tab.loop.syncNow();
    await vi.waitFor(() => expect(register.mock.calls).toEqual([['rounds-exchange']]));
  });
});

describe('two tabs', () => {
  test('know of each other, both show what either saves, and each change is sent once', async () => {
    const server = new Server();
    const one = await openTab(to(server));
    expect(device(one).otherTab).toBe(false);
    const two = await openTab(to(server));
    await vi.waitFor(() => expect([device(one).otherTab, device(two).otherTab]).toEqual([true, true]));
    const [a, b] = await Promise.all([plan(one), plan(two)]);
    await vi.waitFor(() => {
      expect(get(one.data.visit(b))).toBeDefined();
      expect(get(two.data.visit(a))).toBeDefined();
    });
    await Promise.all([one.loop.syncNow(), two.loop.syncNow()]);
    await Promise.all([one.loop.syncNow(), two.loop.syncNow()]);
    expect(server.state.applied.map((m) => m.entity).sort()).toEqual([a, b].sort());
    await vi.waitFor(() => {
      expect(get(one.data.visit(a))?.receipt.state).toBe('sent');
      expect(get(two.data.visit(a))?.receipt.state).toBe('sent');
    });
    server.put('customer', 'c1', { name: 'Shop' }, ['person:me']);
    await one.loop.syncNow();
    await vi.waitFor(() => expect(get(two.data.customer('c1'))?.name).toBe('Shop'));
    two.desk.leave();
    await vi.waitFor(() => expect(device(one).otherTab).toBe(false));
  });

  test('forget together what is gone, though one of them gave up the copy and the other read it anew', async () => {
    const server = new Server();
    server.put('customer', 'c1', { name: 'Shop' }, ['person:me']);
    server.put('customer', 'c2', { name: 'Gone soon' }, ['person:me']);
    const one = await openTab(to(server));
    await one.loop.syncNow();
    const two = await openTab(to(server));
    const full = Object.assign(new Error('full'), { name: 'QuotaExceededError' });
    vi.spyOn(one.desk.needDesk().outbox, 'write').mockRejectedValueOnce(full);
    await plan(one);
    server.put('customer', 'c2', {}, []);
    await two.loop.syncNow();
    const names = (tab: Tab) => get(tab.data.customers).map((c) => c.name);
    await vi.waitFor(() => expect([names(one), names(two)]).toEqual([['Shop'], ['Shop']]));
  });

  test('show a decision made in either, and its undoing', async () => {
    const one = await openTab();
    const two = await openTab();
    await one.data.decide('visit', 'v1', 'ask', 'which door?');
    await vi.waitFor(() => expect(get(two.data.decisionOn('visit', 'v1'))?.verdict).toBe('ask'));
    expect(await two.data.undoDecide('v1')).toBe(true);
    await vi.waitFor(() => expect(get(one.data.decisionOn('visit', 'v1'))).toBeNull());
    await one.data.commitDecision('v1');
    expect(await one.desk.needDesk().outbox.all()).toEqual([]);
  });
});

describe('room on the phone', () => {
  test('is promised by the browser when there is something to keep, and the answer is told', async () => {
    const tab = await openTab();
    expect(device(tab).persisted).toBeNull();
    expect(storage.persist).not.toHaveBeenCalled();
    await plan(tab);
    await vi.waitFor(() => expect(device(tab).persisted).toBe(true));
    await plan(tab);
    expect(storage.persist).toHaveBeenCalledTimes(1);
  });

  test.each([
    [10e6, 1e9, false],
    [950e6, 1e9, true],
    [85e6, 100e6, true],
  ])('is watched after saves: %d of %d bytes', async (used, allowed, nearlyFull) => {
    Object.assign(storage, { used, allowed });
    const tab = await openTab();
    await plan(tab);
    await vi.waitFor(() => expect(device(tab)).toMatchObject({ quota: { used, allowed }, nearlyFull }));
  });

  test('that is gone is taken from the copy of the server\u2019s data first, and the save goes through', async () => {
    const server = new Server();
    server.put('customer', 'c1', { name: 'Shop' }, ['person:me']);
    const tab = await openTab(to(server));
    await tab.loop.syncNow();
    const { outbox, replica } = tab.desk.needDesk();
    const full = Object.assign(new Error('full'), { name: 'QuotaExceededError' });
    Object.assign(storage, { used: 999e6 });
    const write = vi.spyOn(outbox, 'write').mockRejectedValueOnce(full);
    const visit = await plan(tab);
    expect(write).toHaveBeenCalledTimes(2);
    expect(await replica.all()).toEqual([]);
    expect(get(tab.data.storageTrouble)).toBeNull();
    // What lies in memory is still shown, the work goes out, and nothing is read while there is no room for it.
    expect(get(tab.data.customer('c1'))?.name).toBe('Shop');
    const requests: SyncRequest[] = [];
    tab.loop.useTransport((request) => {
      requests.push(request);
      return Promise.resolve(server.answer(request));
    });
    await tab.loop.syncNow();
    expect(server.state.applied.map((m) => m.entity)).toEqual([visit]);
    expect(requests.every((r) => r.pull === null)).toBe(true);
    Object.assign(storage, { used: 10e6 });
    await tab.loop.syncNow();
    expect((await replica.all()).map((r) => r.id).sort()).toEqual(['c1', visit].sort());
  });

  test('that does not even take a page keeps no work from going out', async () => {
    const server = new Server();
    const tab = await openTab(to(server));
    const full = Object.assign(new Error('full'), { name: 'QuotaExceededError' });
    vi.spyOn(tab.desk.needDesk().replica, 'apply').mockRejectedValue(full);
    await plan(tab);
    await tab.loop.syncNow();
    await tab.loop.syncNow();
    expect(server.state.applied).toHaveLength(1);
    expect(get(tab.data.syncState).unsent).toBe(0);
  });

  test('that stays gone keeps the draft, and says so', async () => {
    const tab = await openTab();
    const visit = await plan(tab);
    const draft = tab.data.draft(`minutes:${visit}`);
    draft.save('typed');
    await draft.flush();
    const full = Object.assign(new Error('full'), { name: 'QuotaExceededError' });
    vi.spyOn(tab.desk.needDesk().outbox, 'write').mockRejectedValue(full);
    const saved = tab.data.setMinutes(visit, 'typed', { draft: `minutes:${visit}` });
    await expect(saved).rejects.toMatchObject({ code: 'QUOTA' });
    expect(await tab.data.draft(`minutes:${visit}`).load()).toBe('typed');
    expect(get(tab.data.storageTrouble)?.code).toBe('QUOTA');
  });
});

describe('a session that may only push', () => {
  const upload =
    (server: Server, why: 'revoked' | 'deactivated'): Transport =>
    (request) => {
      const { status, body, ...rest } = server.answer({ ...request, pull: null });
      return Promise.resolve({ ...rest, status, body: { ...body, pull: null, upload_only: why } });
    };

  test('sends all it has; a revoked phone then gives up what it held of the server\u2019s, and says so after a restart', async () => {
    const server = new Server();
    server.put('customer', 'c1', { name: 'Shop' }, ['person:me']);
    const tab = await openTab(to(server));
    await tab.loop.syncNow();
    tab.loop.useTransport(() => Promise.reject(new Error('no network')));
    const draft = tab.data.draft('minutes:x');
    draft.save('half a word');
    for (let i = 0; i < 3; i++) await plan(tab, i);
    await tab.loop.syncNow();
    expect(get(tab.data.customers)).toHaveLength(1);
    tab.loop.useTransport(upload(server, 'revoked'));
    await tab.loop.syncNow();
    expect(server.state.applied).toHaveLength(3);
    expect(device(tab)).toMatchObject({ uploadOnly: 'revoked', wiped: true });
    expect(get(tab.data.customers)).toEqual([]);
    expect(await tab.desk.needDesk().replica.all()).toEqual([]);
    // What was typed is in the rescue file still.
    const file = JSON.parse(await (await tab.data.exportRescue()).text()) as { drafts: { value: string }[] };
    expect(file.drafts.map((d) => d.value)).toContain('half a word');
    tab.desk.leave();
    const again = await openTab();
    expect(device(again)).toMatchObject({ uploadOnly: 'revoked', wiped: true });
    // Let in again, it has everything again.
    again.loop.useTransport(to(server));
    await again.loop.syncNow();
    expect(device(again)).toMatchObject({ uploadOnly: null, wiped: false });
    expect(get(again.data.customers)).toHaveLength(1);
  });

  test('of a closed account keeps what it shows', async () => {
    const server = new Server();
    server.put('customer', 'c1', { name: 'Shop' }, ['person:me']);
    const tab = await openTab(to(server));
    await tab.loop.syncNow();
    tab.loop.useTransport(upload(server, 'deactivated'));
    await plan(tab);
    await tab.loop.syncNow();
    expect(server.state.applied).toHaveLength(1);
    expect(device(tab)).toMatchObject({ uploadOnly: 'deactivated', wiped: false });
    expect(get(tab.data.customers)).toHaveLength(1);
  });
});

describe('a version too old to read', () => {
  test.each([
    // PROTOCOL leaves open whether a server refuses to answer such an exchange, or takes its changes and gives nothing.
    ['is refused', (r: SyncRequest) => r.pull !== null],
    ['gets nothing', (r: SyncRequest) => r.mutations.length === 0],
  ])('says so and still sends (%s)', async (_, refused) => {
    const server = new Server();
    const tab = await openTab((request) =>
      Promise.resolve(
        refused(request)
          ? { status: 426, body: {}, retryAfterMs: null }
          : server.answer({ ...request, pull: null }),
      ),
    );
    await plan(tab);
    await tab.loop.syncNow();
    expect(server.state.applied).toHaveLength(1);
    expect(device(tab).tooOld).toBe(true);
    expect(get(tab.data.syncState)).toMatchObject({ tooOld: true, unsent: 0, offline: false });
  });
});

test('signing out counts what could still be undone as work, and leaves nothing half done behind', async () => {
  const fetch = vi.fn(() => Promise.reject(new Error('no network')));
  vi.stubGlobal('fetch', fetch);
  const tab = await openTab();
  const visit = await tab.data.checkIn({ customer: 'c1', mode: 'phone', kind: 'k' });
  await tab.data.checkOut(visit);
  await tab.data.decide('conflict', 'k1', 'keep');
  expect(await tab.data.signOut()).toEqual({ ok: false, code: 'UNSENT_WORK', unsent: 3 });
  expect(await tab.data.signOut({ force: true })).toEqual({ ok: true });
  expect(get(tab.data.session).me).toBeNull();
  const again = await openTab();
  expect(get(again.data.visit(visit))?.status).toBe('done');
  expect(get(again.data.syncState).unsent).toBe(3);
});

test('the rescue file brings changes, words, a check-out, a decision and photos to a fresh profile of the same person', async () => {
  const one = await openTab();
  const visit = await one.data.checkIn({ customer: 'c1', mode: 'phone', kind: 'k' });
  await one.data.setMinutes(visit, 'recorded');
  const draft = one.data.draft(`next:${visit}`);
  draft.save('half a sen');
  await one.data.checkOut(visit);
  await one.data.decide('conflict', 'k1', 'take');
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
  const queued = {
    sha256: 'abc',
    visits: [visit],
    state: 'waiting' as const,
    bytes: bytes.length,
    savedAt: Date.now(),
  };
  const photo = { ...queued, data: bytes.buffer, thumb: bytes.buffer.slice(0, 3) };
  await one.desk.needDesk().outbox.takePhoto(photo);
  const file = await one.data.exportRescue();
  one.desk.leave();
  for (const { name } of await indexedDB.databases()) {
    if (name?.endsWith(id)) {
      await new Promise<void>((done) => {
        indexedDB.deleteDatabase(name).onsuccess = () => done();
      });
    }
  }

  const server = new Server();
  const two = await openTab();
  expect(get(two.data.visit(visit))).toBeUndefined();
  expect(await two.data.importRescue(file)).toEqual({ added: 2, known: 0, drafts: 3, photos: 1 });
  expect(get(two.data.visit(visit))?.minutes).toBe('recorded');
  expect(await two.data.draft(`next:${visit}`).load()).toBe('half a sen');
  await two.data.commitCheckOut(visit);
  await two.data.commitDecision('k1');
  expect(get(two.data.visit(visit))?.status).toBe('done');
  const { data, thumb, ...rest } = (await two.desk.needDesk().outbox.photoRow('abc'))!;
  expect(rest).toEqual(queued);
  expect([new Uint8Array(data!), [...new Uint8Array(thumb!)]]).toEqual([bytes, [0, 1, 2]]);
  two.loop.useTransport(to(server));
  await two.loop.syncNow();
  await two.loop.syncNow();
  expect(server.state.applied.map((m) => m.kind)).toEqual(['visit', 'visit', 'visit', 'decision']);
  // And once more changes nothing.
  expect(await two.data.importRescue(file)).toMatchObject({ added: 0, known: 2, photos: 0 });
});
