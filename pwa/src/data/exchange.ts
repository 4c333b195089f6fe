import { get, writable, derived, type Readable } from 'svelte/store';
import { told } from './condition';
import { lookAtRoom, persisted, room } from './storage';
import * as clock from './clock';
import {
  allRowsChanged,
  listeners,
  mutationsChanged,
  openDesk,
  outboxChanged,
  rowsCame,
  ticks,
  type Desk,
} from './desk';
import { isQuota } from './handle';
import { references } from './model';
import { MAX_BATCH, type Outbox } from './outbox';
import { httpTransport } from './http';
import type { Row } from './replica';
import type { DeviceInfo, Id, SyncState } from './types';
import type { PullPage, Reply, SyncRequest, Transport } from './wire';

const PULL_LIMIT = 1000;
const FIRST_MS = 1_000;
const LONGEST_MS = 300_000;
/** While the page is in sight: so that boards know the phone is there and others' changes come in. */
const IDLE_MS = 90_000;
const MOST_FORKS = 3;
/** A tab that holds the lock longer than this is taken for hung; going on without the lock is safe. */
const LOCK_PATIENCE_MS = 120_000;
/** An exchange that came no step further for so long hangs: one request has 180 s at most, then a storage step. */
const STUCK_MS = 240_000;
/** The same when the page comes back into sight. */
const ASLEEP_MS = 20_000;
/** How often the loop is looked after, and how late a timer may be. */
const LOOK_MS = 15_000;
const LATE_MS = 5_000;

/** How one exchange ended. `retryMs`: wait at least so long. */
export interface Ended {
  how: 'done' | 'offline' | 'sign-in' | 'too-old' | 'busy' | 'stopped';
  retryMs?: number;
}

/**
 * One whole exchange: pushes what is unsent in batches and pulls until it rests.
 *
 * Everything it learns is stored before the next request, so that it may be cut off at any point and begin again;
 * two of them at once (two tabs, no lock) disturb each other no more than that.
 */
export async function exchange(
  desk: Desk,
  send: Transport,
  say: (part: Partial<Contact>) => void,
): Promise<Ended> {
  const { outbox, replica } = desk;
  let limit = MAX_BATCH;
  let forks = 0;
  let pulling = !(await outOfRoom(desk));
  // Another tab gave the copy up: what lies in this one's memory is older, too.
  if (!(await replica.state()).complete && desk.model.holdsRows()) replica.rebuilt = true;
  let full = false;
  let lacked = 0;
  // What this exchange has carried: it need not be asked about again.
  const asked = new Set<Id>();
  for (;;) {
    const { client, mutations, again } = await outbox.batch(limit, pulling ? asked : null);
    for (const m of mutations) asked.add(m.id);
    const { token } = await replica.state();
    // What will still be here when this request is stored: that is what a board must say of this phone then.
    const device = await outbox.countUnsent(new Set(mutations.map((m) => m.id)));
    const request: SyncRequest = {
      protocol: 1,
      client: client.id,
      predecessor: client.predecessor,
      sent: clock.moment(),
      device: { ...device, app: appVersion(), persisted: get(persisted), push: pushPermission() },
      mutations,
      pull: pulling ? { token, limit: PULL_LIMIT } : null,
    };
    const startedMs = Date.now();
    const started = performance.now();
    let reply: Reply;
    try {
      reply = await send(request);
    } catch {
      return { how: 'offline' };
    }
    const { status, body } = reply;
    if (body.received_at) clock.learnOffset(body.received_at, startedMs, performance.now() - started);
    if (status < 500) say({ lastContactAt: Date.now(), offline: false, signInNeeded: status === 401 });

    const acked = body.receipts?.length ? await outbox.accept(client.id, body.receipts, again) : [];
    if (acked.length > 0) say({ lastSentAt: Date.now() });
    // With a page to come, screens learn of both at once: what is parked, and what the server made of it.
    if (!body.pull) mutationsChanged(desk, acked);

    if (status === 200) {
      if (mutations.length === 0) await outbox.accept(client.id, []);
      const uploadOnly = body.upload_only ?? null;
      say(uploadOnly ? { uploadOnly } : { uploadOnly, wiped: false });
      const lastSeq = body.last_seq ?? null;
      // Less than it had confirmed before we asked: it was restored from a backup and needs the rest again.
      const lost = lastSeq !== null && lastSeq < client.acked && mutations.length === 0;
      if (lost) {
        if (!(await outbox.resendFrom(lastSeq + 1))) await outbox.fork(client.id);
        await outboxChanged(desk);
        if (++lacked > MOST_FORKS) return { how: 'stopped' };
      }
      let more = false;
      if (body.pull) {
        const page = body.pull;
        // One's own scope is read again after a backup was put back, among other things: better asked once too often.
        // The server answers with the receipts of that time for whatever it still has. Before the page and its token
        // are kept: a page that dies in between would never hear of it again.
        // Nor could a replica that was lost notice it.
        const anew = token === null ? client.acked > 0 : page.reset.some((s) => s.startsWith('person:'));
        if (anew && (await outbox.resendAll())) await outboxChanged(desk);
        let changed: Map<string, Row | undefined> | null = new Map();
        try {
          changed = await replica.apply(page, token, client.id, await neededBy(outbox));
        } catch (error) {
          if (!isQuota(error)) throw error;
          // No room for what can be read again later; what was written here still goes out.
          full = true;
          pulling = false;
        }
        mutationsChanged(desk, acked);
        if (full) void lookAtRoom();
        else {
          if (changed) await pageChanged(desk, page, changed, client.id, lost, asked, say);
          // The token that is kept instead may be older than these receipts.
          else asked.clear();
          more = page.more || changed === null;
        }
      }
      // Nothing to read although it was asked for: what was written is taken from a version too old to read, and only
      // a question without it is told so.
      else if (pulling && uploadOnly === null && mutations.length > 0) more = true;
      if (more || lost || (await outbox.due(pulling ? asked : null)).length > 0) continue;
      if (uploadOnly === 'revoked') await wipe(desk, say);
      return { how: full ? 'stopped' : 'done' };
    }

    if (status === 409 && (body.code === 'CLIENT_FORKED' || body.code === 'SEQ_GAP')) {
      if (++forks > MOST_FORKS) return { how: 'stopped' };
      const supplied =
        body.code === 'SEQ_GAP' &&
        typeof body.expected === 'number' &&
        (await outbox.resendFrom(body.expected));
      if (!supplied) {
        await outbox.fork(client.id, body.code === 'CLIENT_FORKED' ? (body.from ?? 1) : undefined);
        asked.clear();
      }
      await outboxChanged(desk);
      continue;
    }
    if (status === 413 && mutations.length > 0) {
      if (mutations.length > 1) limit = Math.ceil(mutations.length / 2);
      else {
        await outbox.voidSeq(client.id, mutations[0]!.seq);
        await outboxChanged(desk);
      }
      continue;
    }
    if (status === 401) return { how: 'sign-in' };
    if (status === 426) {
      say({ tooOld: true });
      // Too old to read, but what was written here is still taken.
      if (!pulling || mutations.length === again.size) return { how: 'too-old' };
      pulling = false;
      continue;
    }
    // A refusal of the whole request is no lack of signal; the work stays here and is tried again.
    const how = status >= 500 || status === 429 ? 'busy' : 'stopped';
    return { how, retryMs: reply.retryAfterMs ?? undefined };
  }
}

async function pageChanged(
  desk: Desk,
  page: PullPage,
  changed: Map<string, Row | undefined>,
  client: Id,
  lost: boolean,
  asked: ReadonlySet<Id>,
  say: (part: Partial<Contact>) => void,
): Promise<void> {
  const { replica, outbox } = desk;
  // After a rebuild memory still shows what was there before, until all of it has come again.
  if (replica.rebuilt && !page.more) {
    await allRowsChanged(desk);
    replica.rebuilt = false;
  } else rowsCame(desk, changed);
  if (page.more) return;
  say({ complete: true });
  if (!lost) mutationsChanged(desk, await outbox.settle(client, page.acked_seq, asked));
}

/** The copy was given up for lack of room and there is none yet: then only what was written here travels. */
async function outOfRoom(desk: Desk): Promise<boolean> {
  if (!desk.replica.rebuilt) return false;
  await lookAtRoom();
  return get(room).nearlyFull;
}

/** This phone was revoked and has sent all it had: what it held of the server's goes. Outbox and drafts stay. */
async function wipe(desk: Desk, say: (part: Partial<Contact>) => void): Promise<void> {
  const { token, complete } = await desk.replica.state();
  if (token !== null || complete) {
    await desk.replica.empty();
    await allRowsChanged(desk);
  }
  say({ wiped: true, complete: false });
}

/** Rows that the changes on this phone touch or refer to. Read from the outbox: another tab may have added some. */
async function neededBy(outbox: Outbox): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const row of await outbox.unsent()) references(row.body, needed);
  return needed;
}

// ---- the loop --------------------------------------------------------------------------------------------------

interface Contact {
  sending: boolean;
  lastContactAt: number | null;
  lastSentAt: number | null;
  offline: boolean;
  signInNeeded: boolean;
  tooOld: boolean;
  complete: boolean;
  uploadOnly: DeviceInfo['uploadOnly'];
  wiped: boolean;
}
const nothing: Contact = {
  sending: false,
  lastContactAt: null,
  lastSentAt: null,
  offline: false,
  signInNeeded: false,
  tooOld: false,
  complete: false,
  uploadOnly: null,
  wiped: false,
};
const contact = writable<Contact>({ ...nothing });

/** State of the exchange: the header's chip, the strip, "My visits". */
export const syncState: Readable<SyncState> = derived(
  [contact, ticks('outbox'), ticks('visit'), persisted, clock.offset],
  ([{ uploadOnly: _, wiped: __, ...c }, , , storagePersisted, serverOffsetMs]) => {
    const counts = openDesk()?.model.counts() ?? {
      unsent: 0,
      unsentRecords: 0,
      oldestUnsentAt: null,
      needsYou: 0,
    };
    return { ...c, ...counts, storagePersisted, serverOffsetMs };
  },
);

/** Told when the server asks for sign-in; and when it answered somebody who is signed in. */
export const authority = { refused: () => {}, answered: () => {} };

/** Called when an exchange has reached the server: what a visit names may follow it. */
export const behind = { photos: () => {} };

contact.subscribe(({ uploadOnly, wiped, tooOld }) => {
  told.update((t) => ({ ...t, uploadOnly, wiped, tooOld }));
});

let transport: Transport = httpTransport;
let running: Promise<void> | null = null;
let wanted = false;
let timer: ReturnType<typeof setTimeout> | undefined;
/** Device time (ms) at which the next exchange is due: a sleeping phone may lose the timer. */
let dueAt = Infinity;
let failures = 0;
let notBefore = 0;
/** The exchange under way: when it last came a step further, and how to give it up. */
let current: { at: number; giveUp: AbortController } | null = null;

/** For tests: another way to the server. */
export function useTransport(t: Transport): void {
  transport = t;
}

/** Begins anew for whoever sits at the desk now. */
export async function resetContact(): Promise<void> {
  failures = 0;
  notBefore = 0;
  clearTimeout(timer);
  dueAt = Infinity;
  const desk = openDesk();
  const [state, kept] = desk
    ? await Promise.all([desk.replica.state(), desk.outbox.contact()])
    : [null, null];
  if (kept) clock.recallOffset(kept.offsetMs ?? null);
  contact.set({
    ...nothing,
    complete: state?.complete ?? false,
    lastContactAt: kept?.at ?? null,
    lastSentAt: kept?.sentAt ?? null,
    uploadOnly: kept?.uploadOnly ?? null,
    wiped: kept?.wiped ?? false,
  });
}

/** One exchange now; resolves when it ended, however it ended. Calls during one lead to one more after it. */
export function syncNow(): Promise<void> {
  clearTimeout(timer);
  dueAt = Infinity;
  if (running) {
    wanted = true;
    return running;
  }
  running = rounds().finally(() => {
    running = null;
    schedule();
  });
  return running;
}

async function rounds(): Promise<void> {
  do {
    wanted = false;
    await once();
  } while (wanted && failures === 0 && openDesk());
}

async function once(): Promise<void> {
  const desk = openDesk();
  if (!desk) return;
  const mine = { at: Date.now(), giveUp: new AbortController() };
  current = mine;
  const { signal } = mine.giveUp;
  const say = (part: Partial<Contact>) => {
    mine.at = Date.now();
    // One that was given up may still end, some time; the screens listen to its successor.
    if (current === mine) contact.update((c) => ({ ...c, ...part }));
  };
  say({ sending: true });
  const send: Transport = async (request) => {
    if (signal.aborted) throw new Error('given up');
    mine.at = Date.now();
    const reply = await transport(request, signal);
    mine.at = Date.now();
    return reply;
  };
  const givenUp = new Promise<Ended>((resolve) => {
    signal.addEventListener('abort', () => resolve({ how: 'offline' }));
  });
  let ended: Ended;
  try {
    const work = async () => {
      await Promise.race([desk.whole, givenUp]);
      return alone(desk, () => Promise.race([exchange(desk, send, say), givenUp]), signal);
    };
    ended = await Promise.race([work(), givenUp]);
  } catch (error) {
    // A database that fails under the exchange; the next one tries again. Nothing unsent was touched.
    if (openDesk() === desk) console.error('exchange', error);
    ended = { how: 'stopped' };
  }
  if (openDesk() !== desk) {
    current = null;
    return;
  }
  say({ sending: false, ...(ended.how === 'offline' || ended.how === 'busy' ? { offline: true } : {}) });
  current = null;
  failures = ended.how === 'done' || ended.how === 'sign-in' || ended.how === 'too-old' ? 0 : failures + 1;
  notBefore = Date.now() + Math.min(ended.retryMs ?? 0, LONGEST_MS);
  if (ended.how === 'sign-in') authority.refused();
  if (ended.how === 'done' || ended.how === 'too-old') behind.photos();
  if (ended.how === 'done') {
    const { lastContactAt, lastSentAt, uploadOnly, wiped } = get(contact);
    const offsetMs = get(clock.offset);
    await desk.outbox
      .keepContact({ at: lastContactAt, sentAt: lastSentAt, offsetMs, uploadOnly, wiped })
      .catch(() => {});
    if (uploadOnly === null) authority.answered();
  }
  if (ended.how === 'done') asleep = false;
  else if (ended.how === 'offline' && !asleep) void askBackgroundSync();
}

/** One tab at a time where the browser has locks. Only politeness: numbers and tokens keep it correct without. */
async function alone<T>(desk: Desk, work: () => Promise<T>, givenUp: AbortSignal): Promise<T> {
  if (typeof navigator === 'undefined' || !navigator.locks) return work();
  const patience = new AbortController();
  const stop = () => patience.abort();
  const timeout = setTimeout(stop, LOCK_PATIENCE_MS);
  givenUp.addEventListener('abort', stop);
  try {
    return await navigator.locks.request(
      `rounds-exchange-${desk.me.person.id}`,
      { signal: patience.signal },
      () => {
        clearTimeout(timeout);
        return work();
      },
    );
  } catch (error) {
    if ((error as { name?: string }).name !== 'AbortError') throw error;
    return work();
  } finally {
    clearTimeout(timeout);
    givenUp.removeEventListener('abort', stop);
  }
}

/** Full jitter between 1 s and 5 min after failures; a calm beat while all is well and the page is in sight. */
export function pause(failed: number, random = Math.random()): number {
  if (failed === 0) return IDLE_MS * (0.75 + random / 2);
  const cap = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failed, 12));
  return FIRST_MS + random * (cap - FIRST_MS);
}

function schedule(): void {
  clearTimeout(timer);
  if (!openDesk()) return;
  // Whoever must sign in may do so in another tab: looked for now and then.
  const beat = get(contact).signInNeeded ? LONGEST_MS : pause(failures);
  const wait = Math.max(beat, notBefore - Date.now());
  dueAt = Date.now() + wait;
  timer = setTimeout(() => {
    if (failures === 0 && hidden()) schedule();
    else void syncNow();
  }, wait);
}

function hidden(): boolean {
  return typeof document !== 'undefined' && document.visibilityState === 'hidden';
}

/** A save, another tab, the browser's `online`, the foreground: try now. */
function kick(): void {
  const left = notBefore - Date.now();
  // More than the server can have asked for: this device's clock was put back meanwhile.
  if (left > 0 && left <= LONGEST_MS) return;
  void syncNow();
}

/**
 * Sees to it that the exchange never stands still: one that came no step further for longer than any request may
 * take is given up (both may then be under way, which hurts nothing), and one whose timer the phone slept through
 * is begun. `patienceMs` is shorter when the page comes back: what was under way when it slept is most likely dead.
 */
export function lookAfterExchange(patienceMs = STUCK_MS): void {
  const now = Date.now();
  if (current) {
    // The clock was put back: count from here.
    if (current.at > now) current.at = now;
    if (now - current.at > patienceMs) current.giveUp.abort();
  } else if (running === null && openDesk() && now > dueAt + LATE_MS && !hidden()) void syncNow();
}

/** The network is back, or the page is in sight again. */
function wake(): void {
  lookAfterExchange(ASLEEP_MS);
  kick();
}
function seen(): void {
  if (!hidden()) wake();
}

/** Binds the loop to the page; once. */
export function watchPage(): void {
  listeners.kick = kick;
  addEventListener('online', wake);
  addEventListener('pageshow', seen);
  document.addEventListener('visibilitychange', seen);
  document.addEventListener('resume', seen);
  setInterval(lookAfterExchange, LOOK_MS);
  navigator.serviceWorker?.addEventListener('message', (event) => {
    if ((event.data as { type?: string } | null)?.type === 'EXCHANGE') kick();
  });
}

/** Asked once in a spell without network: with the server down but the radio up the event comes back at once. */
let asleep = false;

async function askBackgroundSync(): Promise<void> {
  if (typeof navigator === 'undefined') return;
  asleep = true;
  try {
    const registration = await navigator.serviceWorker?.getRegistration();
    const sync = (registration as unknown as { sync?: { register(tag: string): Promise<void> } })?.sync;
    await sync?.register('rounds-exchange');
  } catch {
    // Not allowed or not there: the loop has its own timer.
  }
}

function appVersion(): string {
  return typeof __APP_VERSION__ === 'string' ? __APP_VERSION__ : 'test';
}
function pushPermission(): string {
  return typeof Notification === 'undefined' ? 'unsupported' : Notification.permission;
}
