import 'fake-indexeddb/auto';
import { get } from 'svelte/store';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { needDesk, leave, sitDown } from '../src/data/desk';
import { resumeCheckOuts } from '../src/data/checkout';
import * as data from '../src/data';
import { resumeLocating } from '../src/data/locating';
import { SaveError, type Me, type Op } from '../src/data';

const HERE = { latitude: 51.5, longitude: -0.12 };
let person = 0;
let me: Me;

/** The sensor of a phone, in the hands of the test. */
class Sensor {
  private next = 1;
  watching = new Map<number, [PositionCallback, PositionErrorCallback]>();
  once: [PositionCallback, PositionErrorCallback][] = [];
  watchPosition = (ok: PositionCallback, bad: PositionErrorCallback) => {
    this.watching.set(this.next, [ok, bad]);
    return this.next++;
  };
  clearWatch = (id: number) => void this.watching.delete(id);
  getCurrentPosition = (ok: PositionCallback, bad: PositionErrorCallback) => void this.once.push([ok, bad]);

  private position(accuracy: number) {
    return { coords: { ...HERE, accuracy }, timestamp: Date.now() } as unknown as GeolocationPosition;
  }
  finds(accuracy: number): void {
    for (const [ok] of [...this.watching.values()]) ok(this.position(accuracy));
  }
  answers(accuracy: number): void {
    for (const [ok] of this.once.splice(0)) ok(this.position(accuracy));
  }
  fails(code: 1 | 2 | 3): void {
    for (const [, bad] of [...this.watching.values()]) bad({ code } as GeolocationPositionError);
  }
}
let sensor: Sensor;

beforeEach(async () => {
  sensor = new Sensor();
  vi.stubGlobal('navigator', { geolocation: sensor });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], shouldAdvanceTime: true });
  me = {
    person: { id: `p${++person}`, name: 'Rob', role: 'rep', team: null, locale: 'en', time_zone: 'UTC' },
    organisation: { id: 'o', slug: 'o', name: 'O', time_zone: 'UTC', week_start: 0, locale: 'en' },
    teams: [],
  };
  await sit();
});
afterEach(() => {
  leave();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function sit(): Promise<void> {
  await sitDown(me);
  await needDesk().whole;
  await resumeLocating();
  await resumeCheckOuts();
}
/** Everything written so far, as "field" names per mutation. */
async function written(): Promise<string[][]> {
  return (await needDesk().outbox.all()).map((m) => m.body.ops.map((op) => op.field));
}
async function ops(): Promise<Op[]> {
  return (await needDesk().outbox.all()).flatMap((m) => m.body.ops);
}
const checkIn = () => data.checkIn({ customer: 'c1', mode: 'in_person', kind: 'sales_call' });
const visit = (id: string) => get(data.visit(id))!;

describe('a check-in', () => {
  test('is saved before the position is known', async () => {
    const id = await checkIn();
    expect(await written()).toEqual([['customer_id', 'mode', 'kind', 'status', 'check_in']]);
    expect(visit(id)).toMatchObject({ status: 'open', checkInFix: null, locating: true });
    expect(get(data.openVisit)?.id).toBe(id);
  });

  test('gains the first fix at once and the best one when it is good enough', async () => {
    const id = await checkIn();
    sensor.finds(180);
    await vi.waitFor(() => expect(visit(id).checkInFix).toMatchObject({ accuracy_m: 180 }));
    sensor.finds(60);
    sensor.finds(12);
    await vi.waitFor(() => expect(visit(id).checkInBestFix).toMatchObject({ accuracy_m: 12 }));
    expect(visit(id).locating).toBe(false);
    expect(sensor.watching.size).toBe(0);
    expect((await ops()).filter((op) => op.field.endsWith('fix'))).toHaveLength(2);
  });

  test('keeps the best of three minutes', async () => {
    const id = await checkIn();
    sensor.finds(180);
    sensor.finds(60);
    sensor.finds(90);
    await vi.advanceTimersByTimeAsync(181_000);
    await vi.waitFor(() => expect(visit(id).checkInBestFix).toMatchObject({ accuracy_m: 60 }));
    expect(visit(id).checkInFix).toMatchObject({ accuracy_m: 180 });
  });

  test.each([
    [1, 'denied'],
    [2, 'unavailable'],
    [3, 'timeout'],
  ] as const)('without a position (code %i) says why: %s', async (code, none) => {
    const id = await checkIn();
    sensor.fails(code);
    await vi.advanceTimersByTimeAsync(181_000);
    await vi.waitFor(() => expect(visit(id).checkInFix).toEqual({ none }));
  });

  test('goes on with its fix after the browser was killed within three minutes', async () => {
    const id = await checkIn();
    sensor.finds(180);
    await vi.waitFor(() => expect(visit(id).checkInFix).not.toBeNull());
    leave();
    sensor = new Sensor();
    vi.stubGlobal('navigator', { geolocation: sensor });
    await sit();
    expect(visit(id).locating).toBe(true);
    sensor.finds(20);
    await vi.waitFor(() => expect(visit(id).checkInBestFix).toMatchObject({ accuracy_m: 20 }));
  });

  test('whose three minutes passed while the browser was dead ends with what was known', async () => {
    const first = await checkIn();
    leave();
    await vi.advanceTimersByTimeAsync(200_000);
    await sit();
    expect(visit(first).checkInFix).toEqual({ none: 'timeout' });
  });

  test('that is cancelled, or becomes a call, stops looking for a place and says nothing of one', async () => {
    const [a, b] = [await checkIn(), await checkIn()];
    await data.cancelVisit(a);
    await data.setMode(b, 'phone');
    expect(sensor.watching.size).toBe(0);
    await vi.advanceTimersByTimeAsync(200_000);
    expect((await ops()).some((op) => op.field.endsWith('fix'))).toBe(false);
    expect([visit(a).locating, visit(b).locating]).toEqual([false, false]);
  });

  test('of a planned visit opens that visit', async () => {
    const planned = await data.planVisit({
      customer: 'c1',
      mode: 'in_person',
      kind: 'sales_call',
      date: '2026-11-21',
    });
    const id = await data.checkIn({ customer: 'c1', mode: 'phone', kind: 'sales_call', planned });
    expect(id).toBe(planned);
    expect(visit(id)).toMatchObject({ status: 'open', mode: 'phone', locating: false });
  });
});

describe('a check-out', () => {
  test('can be undone for six seconds and leaves no trace then', async () => {
    const id = await checkIn();
    await data.checkOut(id);
    expect(visit(id)).toMatchObject({ status: 'open', pendingCheckOut: expect.anything() as unknown });
    expect(get(data.openVisit)).toBeNull();
    expect(await data.undoCheckOut(id)).toBe(true);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(visit(id)).toMatchObject({ status: 'open', pendingCheckOut: null, checkOut: null });
    expect((await ops()).some((op) => op.field === 'check_out')).toBe(false);
  });

  test('is recorded after six seconds with the moment of the tap, and then cannot be undone', async () => {
    const id = await checkIn();
    const tapped = Date.now();
    await data.checkOut(id);
    await vi.advanceTimersByTimeAsync(6_500);
    await vi.waitFor(() => expect(visit(id).status).toBe('done'));
    expect(Math.abs(Date.parse(visit(id).checkOut!.wall) - tapped)).toBeLessThan(1_000);
    expect(await data.undoCheckOut(id)).toBe(false);
  });

  test('that was kept when the browser died is recorded at the next start', async () => {
    const id = await checkIn();
    await data.checkOut(id);
    const { at } = visit(id).pendingCheckOut!;
    leave();
    await vi.advanceTimersByTimeAsync(60_000);
    await sit();
    await vi.waitFor(() => expect(visit(id).status).toBe('done'));
    expect(visit(id).checkOut).toEqual(at);
  });

  test('writes the place of the check-in before the visit is done', async () => {
    const id = await checkIn();
    await data.checkOut(id);
    await data.commitCheckOut(id);
    const fields = (await ops()).map((op) => op.field);
    expect(fields.indexOf('check_in_fix')).toBeGreaterThan(-1);
    expect(fields.indexOf('check_in_fix')).toBeLessThan(fields.indexOf('check_out'));
  });

  test('gains its place by itself when that comes later', async () => {
    const id = await checkIn();
    await data.checkOut(id);
    await data.commitCheckOut(id);
    expect(visit(id).checkOutFix).toBeNull();
    sensor.answers(30);
    await vi.waitFor(() => expect(visit(id).checkOutFix).toMatchObject({ accuracy_m: 30 }));
  });

  test('recorded by two tabs at once is recorded once', async () => {
    const id = await checkIn();
    await data.checkOut(id);
    await Promise.all([data.commitCheckOut(id), data.commitCheckOut(id)]);
    expect((await ops()).filter((op) => op.field === 'check_out')).toHaveLength(1);
  });

  test('left behind is recorded with the time that was typed, its reason and no place', async () => {
    const id = await checkIn();
    await data.checkOut(id, { at: data.claim(Date.now() - 60_000), lateReason: 'forgotten' });
    await data.commitCheckOut(id);
    expect(visit(id)).toMatchObject({ status: 'done', lateReason: 'forgotten', checkOutFix: null });
    expect(sensor.once).toHaveLength(0);
  });
});

describe('what is written', () => {
  test('names the old value and the new one, and nothing when nothing changed', async () => {
    const id = await checkIn();
    await data.setMinutes(id, 'a');
    await data.setMinutes(id, 'a b');
    await data.setMinutes(id, 'a b');
    await data.setOutcome(id, 'order');
    await data.setOutcome(id, 'order');
    expect((await ops()).slice(5)).toEqual([
      { field: 'minutes', op: 'text', old: null, new: 'a' },
      { field: 'minutes', op: 'text', old: 'a', new: 'a b' },
      { field: 'outcome', op: 'set', old: null, new: 'order' },
    ]);
  });

  test('takes the draft with it in the same transaction', async () => {
    const id = await checkIn();
    const draft = data.draft(`minutes:${id}`);
    draft.save('half a sen');
    await draft.flush();
    expect(await data.draft(`minutes:${id}`).load()).toBe('half a sen');
    await data.setMinutes(id, 'half a sentence', { draft: `minutes:${id}` });
    expect(await data.draft(`minutes:${id}`).load()).toBeNull();
  });

  test('a new customer takes its form\u2019s draft along, so that a phone that dies then does not offer it again', async () => {
    const draft = data.draft('form:customer:new');
    draft.save('{"name":"Half a sh"}');
    await draft.flush();
    await data.createCustomer({ name: 'Half a shop' }, { draft: 'form:customer:new' });
    expect(await data.draft('form:customer:new').load()).toBeNull();
  });

  test('a customer made here is a lead of one\u2019s own, and its tags settle element by element', async () => {
    const id = await data.createCustomer({
      name: ' Corner shop ',
      phone: '',
      position: { lat: 51.5, lon: -0.1 },
    });
    expect(get(data.customer(id))).toMatchObject({
      name: 'Corner shop',
      lifecycle: 'lead',
      ownerId: me.person.id,
    });
    await data.editCustomer(id, { tags: ['a', 'b'] });
    await data.editCustomer(id, { tags: ['b', 'c'], name: 'Corner shop' });
    expect((await ops()).slice(-2)).toEqual([
      { field: 'tags', op: 'add', values: ['c'] },
      { field: 'tags', op: 'remove', values: ['a'] },
    ]);
    expect(get(data.customer(id))?.tags).toEqual(['b', 'c']);
  });

  test('a past visit needs an end after its begin', async () => {
    const past = { customer: 'c1', mode: 'phone', kind: 'sales_call', from: 2_000, to: 1_000 } as const;
    await expect(data.logPastVisit(past)).rejects.toBeInstanceOf(SaveError);
    const id = await data.logPastVisit({ ...past, to: 1_800_000, minutes: 'Talked' });
    expect(visit(id)).toMatchObject({ status: 'done', durationS: 1798, minutes: 'Talked' });
  });

  test('a phone without room says so, keeps saying it, and the next good save takes it back', async () => {
    const { outbox } = needDesk();
    const write = vi
      .spyOn(outbox, 'write')
      .mockRejectedValue(Object.assign(new Error('full'), { name: 'QuotaExceededError' }));
    await expect(checkIn()).rejects.toMatchObject({ name: 'SaveError', code: 'QUOTA' });
    expect(get(data.storageTrouble)).toMatchObject({ code: 'QUOTA' });
    write.mockRestore();
    await checkIn();
    expect(get(data.storageTrouble)).toBeNull();
  });
});

describe('a draft', () => {
  test('is durable within 300 ms of a key, however fast somebody types', async () => {
    const draft = data.draft('minutes:x');
    let text = '';
    for (const key of 'typing on and on') {
      draft.save((text += key));
      await vi.advanceTimersByTimeAsync(90);
    }
    await vi.advanceTimersByTimeAsync(210);
    expect((await needDesk().outbox.loadDraft('text:minutes:x'))?.value).toBe(text);
    expect(get(draft.savedAt)).not.toBeNull();
  });

  test('that could not be written is not lost', async () => {
    const draft = data.draft('minutes:y');
    const fail = vi.spyOn(needDesk().outbox, 'saveDraft').mockRejectedValueOnce(new Error('full'));
    draft.save('kept all the same');
    await expect(draft.flush()).rejects.toBeInstanceOf(SaveError);
    fail.mockRestore();
    expect(await draft.load()).toBe('kept all the same');
    await draft.flush();
    expect((await needDesk().outbox.loadDraft('text:minutes:y'))?.value).toBe('kept all the same');
  });
});

describe('the rescue file', () => {
  test('carries everything to another phone, once', async () => {
    const id = await checkIn();
    await data.setMinutes(id, 'rescued');
    const file = await data.exportRescue();
    const before = await needDesk().outbox.all();
    expect(await data.importRescue(file)).toMatchObject({ added: 0, known: before.length });
    leave();
    await new Promise<void>((done) => {
      const gone = indexedDB.deleteDatabase(`rounds-outbox-${me.person.id}`);
      gone.onsuccess = () => done();
    });
    await sit();
    expect(await data.importRescue(file)).toMatchObject({ added: before.length, known: 0 });
    expect(visit(id).minutes).toBe('rescued');
    expect((await needDesk().outbox.all()).map((m) => m.id)).toEqual(before.map((m) => m.id));
  });

  test.each([['not json'], ['{"format":"other"}'], ['null']])('refuses %s', async (text) => {
    await expect(data.importRescue(new Blob([text]))).rejects.toMatchObject({ code: 'NOT_A_RESCUE_FILE' });
  });

  test('of somebody else is refused', async () => {
    const file = JSON.parse(await (await data.exportRescue()).text()) as { person: { id: string } };
    file.person.id = 'somebody else';
    await expect(data.importRescue(new Blob([JSON.stringify(file)]))).rejects.toMatchObject({
      code: 'OTHER_PERSON',
    });
  });
});
