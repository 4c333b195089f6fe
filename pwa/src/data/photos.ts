import { derived, writable, type Readable } from 'svelte/store';
import { moment } from './clock';
import { needDesk, openDesk, listeners, save, tell, ticks, type Desk } from './desk';
import { authority, behind, pause } from './exchange';
import type { PhotoRow } from './outbox';
import { shrink } from './shrink';
import { saving } from './storage';
import { SaveError, type Id, type Op, type VisitPhoto } from './types';

/**
 * Photos: bytes wait in the outbox database beside the mutations, in a queue of their own. One is sent at a time, in
 * pieces; whatever cuts it off, the next attempt asks the server where to go on. A mutation never waits for a photo.
 */

/** So much is lost at most when a connection is cut, and so often progress is seen. */
export const PIECE = 128 * 1024;
const PATIENCE_MS = 20_000;
/** 5 kB/s is a slow phone in a cellar. */
const MS_PER_BYTE = 1 / 5;
const DEFAULT_BYTES = 3 * 1024 * 1024;
const DEFAULT_COUNT = 12;
/** The server takes no more on one visit, whatever the organisation says. */
const MOST_COUNT = 50;
const DAY_MS = 86_400_000;
/** The small picture of a stored photo stays so long, for looking at it without network. */
const KEEP_SMALL_MS = 30 * DAY_MS;
/** A photo that was taken out of its visit can be brought back so long. */
const KEEP_REMOVED_MS = 60_000;
/** A photo whose bytes arrived wrong is sent so often from its beginning. */
const MOST_RESTARTS = 2;

/** Why a photo was not added. */
export class PhotoError extends Error {
  constructor(
    readonly code: 'NOT_A_PHOTO' | 'TOO_MANY',
    /** With `TOO_MANY`: how many a visit may have. */
    readonly most = 0,
  ) {
    super(code);
    this.name = 'PhotoError';
  }
}

/** What is remembered of a photo without its bytes. */
interface Known {
  state: 'waiting' | 'stored' | 'refused';
  code: string | null;
  bytes: number;
  sent: number;
  sending: boolean;
  savedAt: number;
  removedAt: number | null;
  url: string | null;
}

let owner: Desk | null = null;
/** Whether the owner's queue has been read. */
let read = false;
const known = new Map<string, Known>();
const changed = writable(0);
const touch = () => changed.update((n) => n + 1);

/** Where the server shows a photo. */
export function photoPath(sha256: string, small = false): string {
  return `/api/blobs/${sha256}${small ? '?size=thumb' : ''}`;
}

/** The photos of a visit in the order of adding, each with what became of it. */
export function photosOf(visit: Id): Readable<VisitPhoto[]> {
  return derived([ticks('visit'), changed], () => {
    const named = openDesk()?.model.visit(visit)?.photos ?? [];
    return named.map((sha256) => shown(sha256));
  });
}

function shown(sha256: string): VisitPhoto {
  const k = known.get(sha256);
  // What does not wait here is with the server; but that has to be looked up first.
  if (!k)
    return {
      sha256,
      url: photoPath(sha256, true),
      state: read ? 'stored' : 'unread',
      progress: 1,
      code: null,
    };
  const state = k.state === 'waiting' ? (k.sending ? 'sending' : 'phone') : k.state;
  return {
    sha256,
    url: k.url ?? photoPath(sha256, true),
    state,
    progress: k.state === 'stored' ? 1 : k.bytes ? Math.min(1, k.sent / k.bytes) : 0,
    code: k.code,
  };
}

/** The large picture, from this phone's bytes where they are here. Give it back with `letPhotoGo`. */
export async function photoUrl(sha256: string): Promise<string> {
  const row = await openDesk()?.outbox.photoRow(sha256);
  if (row?.data) return URL.createObjectURL(new Blob([row.data], { type: 'image/jpeg' }));
  return photoPath(sha256);
}
export function letPhotoGo(url: string): void {
  if (url.startsWith('blob:')) URL.revokeObjectURL(url);
}

// ---- adding and removing ---------------------------------------------------------------------------------------

/**
 * Adds a photo to a visit, open or over. Resolves with its SHA-256 when bytes and change are on this phone, both in one
 * strict transaction. Rejects with `PhotoError`, or `SaveError` (`QUOTA`: nothing was kept).
 */
export async function addPhoto(visit: Id, file: Blob): Promise<string> {
  const desk = needDesk();
  const settings = desk.model.settings();
  const most = Math.min(MOST_COUNT, whole(settings['photos_per_visit'], DEFAULT_COUNT));
  const before = named(desk, visit);
  if (before.photos.length >= most) throw new PhotoError('TOO_MANY', most);
  const made = await shrink(file, whole(settings['photo_max_bytes'], DEFAULT_BYTES));
  if (!made) throw new PhotoError('NOT_A_PHOTO');
  return keepPhoto(visit, made);
}

/** As `addPhoto`, for a photo that is ready to leave. */
export async function keepPhoto(visit: Id, made: { data: ArrayBuffer; thumb: ArrayBuffer }): Promise<string> {
  const desk = needDesk();
  const sha256 = hex(await crypto.subtle.digest('SHA-256', made.data));
  const { photos, version } = named(desk, visit);
  if (photos.includes(sha256)) return sha256;
  const old = await desk.outbox.photoRow(sha256);
  const row: PhotoRow = {
    sha256,
    data: made.data,
    thumb: made.thumb,
    bytes: made.data.byteLength,
    savedAt: Date.now(),
    state: 'waiting',
    ...(old?.state === 'stored' ? { state: 'stored' as const, data: null, storedAt: old.storedAt } : {}),
    visits: [...new Set([...(old?.visits ?? []), visit])],
    removedAt: null,
  };
  await write(visit, { field: 'photos', op: 'add', values: [sha256] }, version, row);
  remember(row);
  touch();
  tell(desk, { type: 'photos' });
  return sha256;
}

/** Takes a photo out of its visit. Its bytes stay a minute longer, for `bringPhotoBack`. */
export async function removePhoto(visit: Id, sha256: string): Promise<void> {
  const desk = needDesk();
  const { photos, version } = named(desk, visit);
  if (!photos.includes(sha256)) return;
  const row = await desk.outbox.photoRow(sha256);
  const elsewhere = row?.visits?.some((v) => v !== visit && desk.model.visit(v)?.photos.includes(sha256));
  const left = row && !elsewhere ? { ...row, removedAt: Date.now() } : undefined;
  await write(visit, { field: 'photos', op: 'remove', values: [sha256] }, version, left);
  if (left) remember(left);
  touch();
}

export async function bringPhotoBack(visit: Id, sha256: string): Promise<void> {
  const desk = needDesk();
  const { photos, version } = named(desk, visit);
  if (photos.includes(sha256)) return;
  const row = await desk.outbox.photoRow(sha256);
  const again = row ? { ...row, removedAt: null } : undefined;
  await write(visit, { field: 'photos', op: 'add', values: [sha256] }, version, again);
  if (again) remember(again);
  touch();
}

async function write(visit: Id, op: Op, base: number, photo?: PhotoRow): Promise<void> {
  await save(
    [{ kind: 'visit', entity: visit, verb: 'update', base, at: moment(), ops: [op] }],
    photo ? { photo } : {},
  );
}

function named(desk: Desk, visit: Id): { photos: string[]; version: number } {
  const v = desk.model.visit(visit);
  if (!v) throw new SaveError('UNKNOWN_RECORD', visit);
  return v;
}

function whole(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : otherwise;
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, '0')).join('');
}

// ---- what is known ---------------------------------------------------------------------------------------------

function remember(row: PhotoRow): void {
  const before = known.get(row.sha256);
  let url = before?.url ?? null;
  if (!url && row.thumb) url = URL.createObjectURL(new Blob([row.thumb], { type: 'image/jpeg' }));
  const state = row.state ?? (row.data ? 'waiting' : 'stored');
  known.set(row.sha256, {
    state,
    code: row.code ?? null,
    bytes: row.bytes ?? row.data?.byteLength ?? 0,
    sent: state === 'waiting' ? (before?.sent ?? 0) : 0,
    sending: before?.sending ?? false,
    savedAt: row.savedAt ?? 0,
    removedAt: row.removedAt ?? null,
    url,
  });
}

function forget(sha256: string): void {
  const url = known.get(sha256)?.url;
  if (url) URL.revokeObjectURL(url);
  known.delete(sha256);
}

/** Reads what is in the queue; at start, and when another tab or a rescue file changed it. */
export async function resumePhotos(): Promise<void> {
  const desk = openDesk();
  if (desk !== owner) {
    for (const sha256 of [...known.keys()]) forget(sha256);
    owner = desk;
    read = false;
    failures = 0;
    touch();
  }
  if (!desk) return;
  listeners.photos = () => void resumePhotos().catch(() => {});
  behind.photos = () => void sendPhotos();
  const here = new Set<string>();
  const rows: PhotoRow[] = [];
  // One with its bytes at a time in memory.
  await desk.outbox.eachPhoto(({ data, ...row }) => {
    here.add(row.sha256);
    rows.push({
      ...row,
      state: row.state ?? (data ? 'waiting' : 'stored'),
      bytes: row.bytes ?? data?.byteLength,
    });
  });
  if (openDesk() !== desk) return;
  for (const row of rows) remember(row);
  for (const sha256 of [...known.keys()]) if (!here.has(sha256)) forget(sha256);
  read = true;
  touch();
  await desk.whole;
  await prunePhotos(desk, rows);
}

/** Forgets small pictures that are old, and what was taken out and not brought back. */
async function prunePhotos(desk: Desk, rows: PhotoRow[], now = Date.now()): Promise<void> {
  const gone = rows
    .filter(
      (row) =>
        (row.state === 'stored' && now - (row.storedAt ?? 0) > KEEP_SMALL_MS) ||
        (row.removedAt && now - row.removedAt > KEEP_REMOVED_MS),
    )
    .map((row) => row.sha256);
  if (gone.length === 0 || openDesk() !== desk) return;
  await desk.outbox.dropPhotos(gone);
  for (const sha256 of gone) forget(sha256);
  touch();
}

// ---- sending ---------------------------------------------------------------------------------------------------

let running = false;
let again = false;
let failures = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Sends what waits, one after the other, until nothing waits or something stands in the way. */
export async function sendPhotos(): Promise<void> {
  const desk = openDesk();
  if (!desk || desk !== owner) return;
  if (running) {
    again = true;
    return;
  }
  running = true;
  clearTimeout(timer);
  let ended: Ended = 'done';
  let retryMs = 0;
  try {
    [ended, retryMs] = await alone(desk, () => sendAll(desk));
  } catch (error) {
    // A database that fails; what is stored stays stored.
    if (openDesk() === desk) console.error('photos', error);
    ended = 'later';
  } finally {
    running = false;
  }
  if (openDesk() !== desk) return;
  if (ended === 'sign-in') authority.refused();
  failures = ended === 'later' ? failures + 1 : 0;
  if (ended === 'later') timer = setTimeout(() => void sendPhotos(), Math.max(pause(failures), retryMs));
  else if (again) timer = setTimeout(() => void sendPhotos(), 0);
  again = false;
}

/** A tap on "try again": what the server refused is offered once more. */
export async function retryPhotos(): Promise<void> {
  const desk = needDesk();
  for (const [sha256, k] of known) {
    if (k.state !== 'refused') continue;
    await saving(() => desk.outbox.changePhoto(sha256, { state: 'waiting', code: undefined }));
    known.set(sha256, { ...k, state: 'waiting', code: null });
  }
  touch();
  await sendPhotos();
}

type Ended = 'done' | 'later' | 'sign-in';

/** One tab at a time where the browser has locks; without, the server keeps two senders of the same apart. */
async function alone(desk: Desk, work: () => Promise<[Ended, number]>): Promise<[Ended, number]> {
  if (typeof navigator === 'undefined' || !navigator.locks) return work();
  return navigator.locks.request(`rounds-photos-${desk.me.person.id}`, { ifAvailable: true }, (lock) =>
    lock ? work() : (['done', 0] as [Ended, number]),
  );
}

async function sendAll(desk: Desk): Promise<[Ended, number]> {
  const tried = new Set<string>();
  for (;;) {
    if (openDesk() !== desk) return ['done', 0];
    const [next] = [...known]
      .filter(([sha256, k]) => k.state === 'waiting' && k.removedAt === null && !tried.has(sha256))
      .sort((a, b) => a[1].savedAt - b[1].savedAt);
    if (!next) return ['done', 0];
    const sha256 = next[0];
    tried.add(sha256);
    const row = await desk.outbox.photoRow(sha256);
    if (!row?.data) {
      forget(sha256);
      continue;
    }
    progress(sha256, { sending: true });
    const ended = await sendOne(sha256, row.data, (sent) => progress(sha256, { sent })).finally(() =>
      progress(sha256, { sending: false }),
    );
    if (ended.how === 'stored') {
      // Only now the bytes may go; the small picture stays for looking at it without network.
      await desk.outbox.changePhoto(sha256, { data: null, state: 'stored', storedAt: Date.now() });
      progress(sha256, { state: 'stored' });
      tell(desk, { type: 'photos' });
    } else if (ended.how === 'refused') {
      await desk.outbox.changePhoto(sha256, { state: 'refused', code: ended.code });
      progress(sha256, { state: 'refused', code: ended.code });
    } else return [ended.how, ended.how === 'later' ? (ended.retryMs ?? 0) : 0];
  }
}

function progress(sha256: string, part: Partial<Known>): void {
  const k = known.get(sha256);
  if (!k) return;
  known.set(sha256, { ...k, ...part });
  touch();
}

/** How one photo fared. */
export type Sent =
  | { how: 'stored' }
  | { how: 'refused'; code: string }
  | { how: 'later'; retryMs?: number }
  | { how: 'sign-in' };

/**
 * Sends one photo, going on where the server says it stands. `told` hears how many bytes have arrived.
 */
export async function sendOne(
  sha256: string,
  data: ArrayBuffer,
  told: (sent: number) => void,
): Promise<Sent> {
  const total = data.byteLength;
  let restarts = 0;
  let at: number | null = null;
  // Each answer moves on, or ends it: a server that says otherwise for ever is not asked for ever.
  for (let turns = 0; turns < 4 + 2 * Math.ceil(total / PIECE); turns++) {
    let answer: Response;
    let said: { status?: string; code?: string; offset?: number } = {};
    try {
      if (at === null) answer = await knock('HEAD', sha256);
      else {
        const piece = data.slice(at, at + PIECE);
        answer = await knock('PUT', sha256, piece, at, total);
        said = (await answer.json().catch(() => ({}))) as typeof said;
      }
    } catch {
      return { how: 'later' };
    }
    if (answer.status === 401) return { how: 'sign-in' };
    if (answer.status === 200) {
      if (answer.headers.get('Upload-Complete') === '?1' || said.status === 'stored') {
        told(total);
        return { how: 'stored' };
      }
      const next = offsetOf(answer);
      if (next === null || next > total) return { how: 'later' };
      at = next;
      told(at);
    } else if (answer.status === 409) {
      at = offsetOf(answer);
      if (at === null || at > total) return { how: 'later' };
    } else if (answer.status === 422 && said.code === 'HASH_MISMATCH' && restarts++ < MOST_RESTARTS) {
      // Something between here and there has bent it; the server threw it away.
      at = 0;
      told(0);
    } else if ([413, 415, 422].includes(answer.status) && said.code) {
      return { how: 'refused', code: said.code };
    } else {
      const seconds = Number(answer.headers.get('Retry-After'));
      return { how: 'later', ...(seconds > 0 ? { retryMs: seconds * 1000 } : {}) };
    }
  }
  return { how: 'later' };
}

function offsetOf(answer: Response): number | null {
  const header = answer.headers.get('Upload-Offset');
  const at = header === null ? NaN : Number(header);
  return Number.isInteger(at) && at >= 0 ? at : null;
}

function knock(
  method: 'HEAD' | 'PUT',
  sha256: string,
  piece?: ArrayBuffer,
  at = 0,
  total = 0,
): Promise<Response> {
  return fetch(photoPath(sha256), {
    method,
    body: piece,
    headers: piece
      ? {
          'Content-Type': 'application/octet-stream',
          'Upload-Offset': String(at),
          'Upload-Length': String(total),
        }
      : {},
    credentials: 'same-origin',
    cache: 'no-store',
    signal: AbortSignal.timeout(Math.ceil(PATIENCE_MS + (piece?.byteLength ?? 0) * MS_PER_BYTE)),
  });
}
