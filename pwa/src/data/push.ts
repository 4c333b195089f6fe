import { get, writable, type Readable } from 'svelte/store';
import { openDesk } from './desk';
import { ask, Unreachable } from './http';
import type { Id, Instant } from './types';

/** Some browsers never answer a subscription where no push service is reached. */
const PATIENCE_MS = 20_000;

/**
 * Whether reminders can reach this device while the app is closed.
 * `unknown`: not looked at yet. `unsupported`: the browser cannot. `install`: an iPhone must have the app on its home
 * screen first. `off`: not asked yet, or turned off. `denied`: the person said no to the browser. `on`: this device is
 * subscribed.
 */
export type PushMode = 'unknown' | 'unsupported' | 'install' | 'off' | 'denied' | 'on';
export interface PushState {
  mode: PushMode;
  busy: boolean;
  /** Why the last attempt came to nothing; `SILENT`: the browser's push service did not answer. */
  trouble: null | 'SILENT' | 'OFFLINE' | 'REFUSED';
}
const state = writable<PushState>({ mode: 'unknown', busy: false, trouble: null });
export const push: Readable<PushState> = { subscribe: state.subscribe };

const change = (part: Partial<PushState>) => state.update((s) => ({ ...s, ...part }));

function able(): PushMode | null {
  if (
    typeof Notification === 'undefined' ||
    !('serviceWorker' in navigator) ||
    !('PushManager' in globalThis)
  ) {
    const agent = navigator.userAgent;
    const ios = /iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1);
    return ios ? 'install' : 'unsupported';
  }
  return Notification.permission === 'denied' ? 'denied' : null;
}

/**
 * What was begun last counts: a look that was under way when the person asked, or asked again, says nothing any more.
 */
let latest = 0;

/**
 * Looks how it is and renews what this device has, also where the browser has lost it since; asks nobody anything. At each
 * start, and when it changed.
 */
export async function lookAtPush(): Promise<void> {
  if (get(state).busy) return;
  const turn = ++latest;
  const tell = (part: Partial<PushState>) => {
    if (turn === latest) change(part);
  };
  const not = able();
  if (not) return tell({ mode: not });
  try {
    const registration = await registered();
    const present = (await registration?.pushManager.getSubscription()) ?? null;
    const granted = Notification.permission === 'granted';
    if (!registration || !granted || (!present && !wished())) return tell({ mode: 'off' });
    if (present) {
      wish(true);
      tell({ mode: 'on', trouble: null });
    }
    const key = await serverKey();
    if (key === null || turn !== latest) return;
    if (present && sameKey(present, key)) await tellServer(present, key);
    else await subscribe(registration, key, present);
    tell({ mode: 'on', trouble: null });
  } catch {
    // Offline, or a server that is busy: the next start looks again.
    if (get(state).mode === 'unknown') tell({ mode: 'off' });
  }
}

/** Only from a tap: asks the browser's question and subscribes this device. */
export async function enablePush(): Promise<PushState> {
  const not = able();
  if (not) change({ mode: not });
  else {
    const turn = ++latest;
    change({ busy: true, trouble: null });
    try {
      // First of all: a browser may only ask while it still knows of the tap.
      const answer = await Notification.requestPermission();
      if (answer !== 'granted') change({ mode: answer === 'denied' ? 'denied' : 'off' });
      else {
        wish(true);
        // Subscribing needs a worker that has begun its work, which on a first visit may still be on its way.
        const [registration, key] = await Promise.all([within(navigator.serviceWorker.ready), serverKey()]);
        if (key === null) change({ trouble: 'OFFLINE' });
        else {
          await subscribe(registration, key, await registration.pushManager.getSubscription());
          if (turn === latest) change({ mode: 'on' });
        }
      }
    } catch (error) {
      const trouble =
        error instanceof Unreachable ? 'OFFLINE' : error instanceof Silent ? 'SILENT' : 'REFUSED';
      if (turn === latest) change({ mode: 'off', trouble });
    } finally {
      change({ busy: false });
    }
  }
  return get(state);
}

/** Leaves this device alone from now on, as when its person signs out; works as far as the network does. */
export async function disablePush(): Promise<void> {
  latest++;
  wish(false);
  try {
    const registration = await registered();
    // What still stands on the lock screen is nobody else's business.
    for (const shown of (await registration?.getNotifications()) ?? []) shown.close();
    const present = await registration?.pushManager.getSubscription();
    if (!present) return;
    await ask('POST', '/api/push/subscriptions/end', { body: { endpoint: present.endpoint } }).catch(
      () => {},
    );
    await present.unsubscribe();
  } catch {
    // Nothing to leave.
  } finally {
    if (get(state).mode === 'on') change({ mode: 'off' });
  }
}

const WISHED = 'rounds.push';
/** That reminders were wanted on this device: a browser that drops its subscription by itself is given a new one. */
function wish(on: boolean): void {
  try {
    if (on) localStorage.setItem(WISHED, '1');
    else localStorage.removeItem(WISHED);
  } catch {
    // Then the person is asked again.
  }
}
function wished(): boolean {
  try {
    return localStorage.getItem(WISHED) !== null;
  } catch {
    return false;
  }
}

class Silent extends Error {}

async function subscribe(
  registration: ServiceWorkerRegistration,
  key: string,
  instead: PushSubscription | null,
): Promise<void> {
  if (instead && !sameKey(instead, key)) await instead.unsubscribe();
  const made = await within(
    registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) }),
  );
  await tellServer(made, key, instead?.endpoint);
}

/** Rejects with `Silent` when it takes too long; an answer that comes after all is looked at then. */
async function within<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Silent('no answer'));
      void work.then(lookAtPush, () => {});
    }, PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function tellServer(subscription: PushSubscription, key: string, instead?: string): Promise<void> {
  const { endpoint, keys } = subscription.toJSON();
  const body = { endpoint, keys, key, instead: instead === endpoint ? null : (instead ?? null) };
  const { status } = await ask('POST', '/api/push/subscriptions', { body });
  if (status !== 204) throw new Error(`refused: ${status}`);
}

async function serverKey(): Promise<string | null> {
  const { status, body } = await ask('GET', '/api/push/key');
  return status === 200 ? ((body as { key?: string }).key ?? null) : null;
}

async function registered(): Promise<ServiceWorkerRegistration | null> {
  if (!('serviceWorker' in navigator)) return null;
  return (await navigator.serviceWorker.getRegistration()) ?? null;
}

function bytes(key: string): Uint8Array<ArrayBuffer> {
  const text = atob(key.replace(/-/g, '+').replace(/_/g, '/'));
  const out = new Uint8Array(new ArrayBuffer(text.length));
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

function sameKey(subscription: PushSubscription, key: string): boolean {
  const used = subscription.options.applicationServerKey;
  if (!used) return false;
  const wanted = bytes(key);
  const made = new Uint8Array(used);
  return made.length === wanted.length && made.every((byte, i) => byte === wanted[i]);
}

// ---- how devices are, and how one wants to be told ---------------------------------------------------------------

export interface PushDevice {
  id: Id;
  device: string | null;
  person: { id: Id; name: string };
  created_at: Instant;
  sent_at: Instant | null;
  shown_at: Instant | null;
  opened_at: Instant | null;
  failures: number;
  ended_at: Instant | null;
  ended_why: string | null;
  this: boolean;
}
/** How one's own devices are (an administrator sees everybody's); null: the server cannot be asked now. */
export async function pushDevices(): Promise<PushDevice[] | null> {
  return (await asked<{ items: PushDevice[] }>('GET', '/api/push/devices'))?.items ?? null;
}

/** Sends a test to each of one's devices; to how many, or null without the server. */
export async function testPush(): Promise<number | null> {
  return (await asked<{ devices: number }>('POST', '/api/push/test', {}))?.devices ?? null;
}

export interface Wishes {
  lead_min: number;
  quiet_from: string;
  quiet_to: string;
  all_day_at: string;
  morning_at: string;
  day_end_at: string;
  off: string[];
  discreet: boolean;
  /** Where a notice goes that no device showed; null: to one's own mail, where the server sends any. */
  channels: string[] | null;
  /** After so many minutes without a device; null: as the organisation set it. */
  silence_min: number | null;
  /** Kind of reminder -> what is otherwise for it. */
  kinds: Record<string, OfKind>;
}
/** What is otherwise for one kind of reminder; what is left out, or null, is as for all. */
export interface OfKind {
  lead_min?: number | null;
  quiet_from?: string | null;
  quiet_to?: string | null;
  channels?: string[] | null;
}
/** Another way to be told, and when it last worked and last did not. */
export interface Channel {
  name: string;
  /** Of mail: the address. */
  to: string | null;
  sent_at: Instant | null;
  failed_at: Instant | null;
}
/** The channels one may choose, and after how many minutes they take over; null: the server cannot be asked now. */
export function getChannels(): Promise<{ items: Channel[]; silence_min: number } | null> {
  return asked('GET', '/api/reminders/channels');
}

/** Whether one's follow-ups and plans can be read as a calendar elsewhere. `url` is told once, when it is made. */
export interface CalendarFeed {
  active: boolean;
  created_at: Instant | null;
  read_at: Instant | null;
  url?: string;
}
export function getCalendar(): Promise<CalendarFeed | null> {
  return asked('GET', '/api/calendar');
}
/** Makes the address; one that was made before leads nowhere from now on. */
export async function makeCalendar(): Promise<CalendarFeed | null> {
  const made = await asked<{ url: string; created_at: Instant }>('POST', '/api/calendar');
  return made && { active: true, read_at: null, ...made };
}
/** The address leads nowhere from now on; false: the server cannot be asked now. */
export async function revokeCalendar(): Promise<boolean> {
  return (await asked('DELETE', '/api/calendar')) !== null;
}
/** How one is reminded; null: the server cannot be asked now. */
export function getWishes(): Promise<Wishes | null> {
  return asked<Wishes>('GET', '/api/reminders/wishes');
}
export function setWishes(part: Partial<Wishes>): Promise<Wishes | null> {
  return asked<Wishes>('PUT', '/api/reminders/wishes', part);
}

async function asked<T>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<T | null> {
  if (!openDesk()) return null;
  try {
    const answer = await ask(method, path, body === undefined ? {} : { body });
    if (answer.status === 204) return {} as T;
    return answer.status === 200 || answer.status === 201 ? (answer.body as T) : null;
  } catch {
    return null;
  }
}
