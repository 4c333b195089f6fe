import 'fake-indexeddb/auto';
import Dexie from 'dexie';
import fc from 'fast-check';
import { webcrypto } from 'node:crypto';
import { get } from 'svelte/store';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fit } from '../src/data/shrink';
import type { Transport } from '../src/data/wire';
import { Server } from './server';

type Weather = 'fine' | 'request lost' | 'answer lost' | 'half lost' | 'busy';
/** Keeps blobs as PROTOCOL says: pieces at their offset, stored once all of it has the hash. */
class Blobs {
  kept = new Map<string, Uint8Array>();
  stored = new Map<string, Uint8Array>();
  /** What happens to the next requests; then it is fine. */
  weather: Weather[] = [];
  /** Answers all puts, where given. */
  refusal: { status: number; code: string } | null = null;
  /** Bytes that have travelled. */
  travelled = 0;
  asked = 0;
  atOnce = 0;
  private now = 0;

  fetch = async (path: string, init: RequestInit): Promise<Response> => {
    this.asked++;
    this.atOnce = Math.max(this.atOnce, ++this.now);
    try {
      // A turn of the loop, as a real network would take.
      await new Promise((next) => setTimeout(next, 0));
      const weather = this.weather.shift() ?? 'fine';
      if (weather === 'request lost') throw new TypeError('no network');
      if (weather === 'busy')
        return new Response('{"code":"BUSY"}', { status: 503, headers: { 'Retry-After': '2' } });
      const answer = await this.answer(path.replace('/api/blobs/', ''), init, weather === 'half lost');
      if (weather !== 'fine') throw new TypeError('cut off');
      return answer;
    } finally {
      this.now--;
    }
  };

  private async answer(sha: string, init: RequestInit, half: boolean): Promise<Response> {
    const done = this.stored.get(sha);
    const have = this.kept.get(sha) ?? new Uint8Array();
    const say = (status: number, body: object, offset: number) =>
      new Response(init.method === 'HEAD' ? null : JSON.stringify(body), {
        status,
        headers: { 'Upload-Offset': String(offset), 'Upload-Complete': body && done ? '?1' : '?0' },
      });
    if (done) return say(200, { status: 'stored' }, done.length);
    if (init.method === 'HEAD') return say(200, {}, have.length);
    if (this.refusal) return say(this.refusal.status, { code: this.refusal.code }, have.length);
    const headers = init.headers as Record<string, string>;
    const at = Number(headers['Upload-Offset']);
    if (at !== have.length) return say(409, { code: 'UPLOAD_OFFSET' }, have.length);
    let piece = new Uint8Array(init.body as ArrayBuffer);
    if (half) piece = piece.slice(0, piece.length >> 1);
    this.travelled += piece.length;
    const all = new Uint8Array([...have, ...piece]);
    this.kept.set(sha, all);
    if (all.length < Number(headers['Upload-Length'])) return say(200, { status: 'partial' }, all.length);
    this.kept.delete(sha);
    if ((await digest(all)) !== sha) return say(422, { code: 'HASH_MISMATCH' }, 0);
    this.stored.set(sha, all);
    return say(200, { status: 'stored' }, all.length);
  }
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

const open: (typeof import('../src/data/desk'))[] = [];
let id = '';
let person = 0;
let blobs: Blobs;

async function openApp() {
  vi.resetModules();
  const [data, desk, loop, photos] = await Promise.all([
    import('../src/data'),
    import('../src/data/desk'),
    import('../src/data/exchange'),
    import('../src/data/photos'),
  ]);
  loop.useTransport(transport);
  await desk.sitDown({
    person: { id, name: 'Rob', role: 'rep', team: null, locale: 'en', time_zone: 'UTC' },
    organisation: { id: 'o', slug: 'o', name: 'O', time_zone: 'UTC', week_start: 1, locale: 'en' },
    teams: [],
  });
  await desk.needDesk().whole;
  await loop.resetContact();
  await photos.resumePhotos();
  open.push(desk);
  return { data, desk, loop, photos };
}
let transport: Transport;

beforeEach(() => {
  Dexie.dependencies.indexedDB = indexedDB;
  id = `p${++person}`;
  blobs = new Blobs();
  transport = () => Promise.reject(new Error('no network'));
  vi.stubGlobal('fetch', blobs.fetch);
  vi.stubGlobal('navigator', {});
  vi.spyOn(URL, 'createObjectURL').mockReturnValue('blob:small');
});
afterEach(() => {
  for (const desk of open.splice(0)) desk.leave();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

type App = Awaited<ReturnType<typeof openApp>>;
const visitOf = (app: App) => app.data.checkIn({ customer: 'c1', mode: 'phone', kind: 'k' });
/** A photo of so many bytes. */
function photo(seed: number, size: number): { data: ArrayBuffer; thumb: ArrayBuffer } {
  const data = Uint8Array.from({ length: size }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 255);
  return { data: data.buffer, thumb: Uint8Array.of(seed).buffer };
}
const states = (app: App, visit: string) => get(app.data.photosOf(visit)).map((p) => p.state);

describe('the queue of photos', () => {
  test('brings every photo in whole, exactly as it was taken, whatever cuts it off and however often the app dies', async () => {
    const weather = fc.constantFrom<Weather>('fine', 'request lost', 'answer lost', 'half lost', 'busy');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(fc.array(weather, { maxLength: 6 }), fc.boolean()), { maxLength: 4 }),
        async (sizes, runs) => {
          id = `p${++person}`;
          blobs = new Blobs();
          vi.stubGlobal('fetch', blobs.fetch);
          let app = await openApp();
          const visit = await visitOf(app);
          const names: string[] = [];
          for (const [i, size] of sizes.entries())
            names.push(await app.photos.keepPhoto(visit, photo(i, size)));
          for (const [bad, dies] of runs) {
            blobs.weather = [...bad];
            await app.photos.sendPhotos();
            for (const sha of names) {
              // Bytes leave the phone only when the server has them.
              const row = await app.desk.needDesk().outbox.photoRow(sha);
              expect(Boolean(row?.data) || blobs.stored.has(sha)).toBe(true);
            }
            if (dies) {
              app.desk.leave();
              app = await openApp();
            }
          }
          blobs.weather = [];
          await app.photos.sendPhotos();
          expect(states(app, visit)).toEqual(sizes.map(() => 'stored'));
          for (const [i, size] of sizes.entries()) {
            expect(Buffer.from(blobs.stored.get(names[i]!)!)).toEqual(Buffer.from(photo(i, size).data));
          }
          expect(blobs.atOnce).toBe(1);
          app.desk.leave();
        },
      ),
      { numRuns: 8 },
    );
  });

  test('goes on where a cut left it and sends nothing twice', async () => {
    const app = await openApp();
    const visit = await visitOf(app);
    const size = 3 * app.photos.PIECE + 100;
    await app.photos.keepPhoto(visit, photo(1, size));
    blobs.weather = ['fine', 'fine', 'answer lost'];
    await app.photos.sendPhotos();
    expect(states(app, visit)).toEqual(['phone']);
    expect(get(app.data.photosOf(visit))[0]!.progress).toBeGreaterThan(0.3);
    await app.photos.sendPhotos();
    expect(states(app, visit)).toEqual(['stored']);
    expect(blobs.travelled).toBe(size);
  });

  test('never holds up a change: the visit is sent while its photo can not be', async () => {
    const server = new Server();
    transport = (request) => Promise.resolve(server.answer(request));
    blobs.weather = Array.from({ length: 50 }, () => 'request lost');
    const app = await openApp();
    const visit = await visitOf(app);
    const sha = await app.photos.keepPhoto(visit, photo(1, 10));
    await app.loop.syncNow();
    expect(get(app.data.syncState).unsent).toBe(0);
    expect(server.state.entities.get(`visit ${visit}`)?.data['photos']).toEqual([sha]);
    await vi.waitFor(() => expect(states(app, visit)).toEqual(['phone']));
  });

  test('follows an exchange that reached the server by itself', async () => {
    const server = new Server();
    transport = (request) => Promise.resolve(server.answer(request));
    const app = await openApp();
    const visit = await visitOf(app);
    await app.photos.keepPhoto(visit, photo(1, 10));
    await app.loop.syncNow();
    await vi.waitFor(() => expect(states(app, visit)).toEqual(['stored']));
  });

  test('passes over what the server will not have, says why, keeps its bytes and offers it again at a tap', async () => {
    const app = await openApp();
    const visit = await visitOf(app);
    const sha = await app.photos.keepPhoto(visit, photo(1, 10));
    blobs.refusal = { status: 422, code: 'PHOTO_HAS_PLACE' };
    await app.photos.sendPhotos();
    expect(get(app.data.photosOf(visit))[0]).toMatchObject({ state: 'refused', code: 'PHOTO_HAS_PLACE' });
    blobs.refusal = null;
    await app.photos.keepPhoto(visit, photo(2, 10));
    await app.photos.sendPhotos();
    expect(states(app, visit)).toEqual(['refused', 'stored']);
    expect((await app.desk.needDesk().outbox.photoRow(sha))?.data).toBeInstanceOf(ArrayBuffer);
    await app.photos.retryPhotos();
    expect(states(app, visit)).toEqual(['stored', 'stored']);
  });

  test('gives up on bytes that arrive wrong again and again, for now', async () => {
    const app = await openApp();
    const visit = await visitOf(app);
    await app.photos.keepPhoto(visit, photo(1, 10));
    blobs.refusal = { status: 422, code: 'HASH_MISMATCH' };
    await app.photos.sendPhotos();
    expect(states(app, visit)).toEqual(['refused']);
    expect(blobs.asked).toBeLessThan(8);
  });
});

describe('a photo', () => {
  test('is on the phone together with the change that names it, or not at all', async () => {
    const app = await openApp();
    const visit = await visitOf(app);
    // What the browser does when the disk is full: the one store refuses, the transaction must fall as a whole.
    const real = Reflect.get(IDBObjectStore.prototype, 'put') as IDBObjectStore['put'];
    const full = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (
      this: IDBObjectStore,
      ...args
    ) {
      if (this.name === 'photos') throw new DOMException('full', 'QuotaExceededError');
      return real.apply(this, args);
    });
    await expect(app.photos.keepPhoto(visit, photo(1, 10))).rejects.toMatchObject({ code: 'QUOTA' });
    expect(get(app.data.visit(visit))?.photos).toEqual([]);
    expect(get(app.data.storageTrouble)?.code).toBe('QUOTA');
    full.mockRestore();
    await app.photos.keepPhoto(visit, photo(1, 10));
    app.desk.leave();
    const again = await openApp();
    expect(states(again, visit)).toEqual(['phone']);
  });

  test('that was taken out can be brought back for a while, and is not sent meanwhile', async () => {
    const app = await openApp();
    const visit = await visitOf(app);
    const sha = await app.photos.keepPhoto(visit, photo(1, 10));
    await app.data.removePhoto(visit, sha);
    expect(states(app, visit)).toEqual([]);
    await app.photos.sendPhotos();
    expect(blobs.asked).toBe(0);
    await app.data.bringPhotoBack(visit, sha);
    await app.photos.sendPhotos();
    expect(states(app, visit)).toEqual(['stored']);
    await app.data.removePhoto(visit, sha);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    await app.photos.resumePhotos();
    expect(await app.desk.needDesk().outbox.photoRow(sha)).toBeUndefined();
  });

  test('that is on this phone alone is work that signing out would leave behind', async () => {
    const server = new Server();
    transport = (request) => Promise.resolve(server.answer(request));
    blobs.weather = Array.from({ length: 50 }, () => 'request lost');
    const app = await openApp();
    const visit = await visitOf(app);
    await app.photos.keepPhoto(visit, photo(1, 10));
    await app.loop.syncNow();
    expect(await app.data.signOut()).toEqual({ ok: false, code: 'UNSENT_WORK', unsent: 1 });
  });

  test('keeps its shape when it is made small, and is never made larger', () => {
    expect(fit(4000, 3000, 1600)).toEqual({ width: 1600, height: 1200 });
    expect(fit(3000, 4000, 1600)).toEqual({ width: 1200, height: 1600 });
    expect(fit(800, 600, 1600)).toEqual({ width: 800, height: 600 });
    expect(fit(9000, 2, 1600)).toEqual({ width: 1600, height: 1 });
  });
});
