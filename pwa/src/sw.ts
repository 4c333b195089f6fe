/// <reference lib="webworker" />
/**
 * The service worker: keeps the app itself, so that it opens without network, shows what is pushed and takes what is
 * tapped there. It reads no data: `/api` goes to the network untouched, the outbox and the replica belong to the pages,
 * but for a button on a notice while none is there (`data/tapped`).
 */
import { createHandlerBoundToURL, cleanupOutdatedCaches, precacheAndRoute } from 'workbox-precaching';
import { NavigationRoute, registerRoute } from 'workbox-routing';
import { record, send, type Deed } from './data/tapped';
import { closedPath } from './inbox/compose';

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: { url: string; revision: string | null }[] };
declare const __APP_VERSION__: string;
interface SyncEvent extends ExtendableEvent {
  readonly tag: string;
}

const EXCHANGE = 'rounds-exchange';
const SNOOZE_MS = 3_600_000;

precacheAndRoute(self.__WB_MANIFEST);
cleanupOutdatedCaches();
registerRoute(
  new NavigationRoute(createHandlerBoundToURL('/index.html'), {
    denylist: [/^\/api\//, /^\/(healthz|readyz|metrics)$/],
  }),
);

self.addEventListener('message', (event) => {
  // Only the person's "update now" lets the new version take over: an old page must not get new chunks by surprise.
  if ((event.data as { type?: string } | null)?.type === 'SKIP_WAITING') void self.skipWaiting();
});

self.addEventListener('activate', (event) => {
  // The very first page is taken over at once: offline works from the first visit on, without a reload.
  event.waitUntil(self.clients.claim());
});

self.addEventListener('sync', (event) => {
  const sync = event as SyncEvent;
  if (sync.tag === EXCHANGE) sync.waitUntil(exchange());
});

/** The network is back. The pages own the queue: one that is alive is told so; where none is, what is unsent goes out. */
async function exchange(): Promise<void> {
  const pages = await windows();
  for (const page of pages) page.postMessage({ type: 'EXCHANGE' });
  if (pages.length === 0 && !(await send(__APP_VERSION__))) throw new Error('not sent');
}

// ---- notices -----------------------------------------------------------------------------------------------------

/** What the server sends; all of it may be missing, for a push that shows nothing costs the right to send any. */
interface Payload {
  notice?: string;
  tag?: string;
  title?: string;
  body?: string;
  rule?: string;
  about?: { kind: string; id: string } | null;
  phone?: string;
  month?: string;
  owner_id?: string;
  badge?: number;
  silent?: boolean;
}
/** TypeScript's list of options lags behind the browsers'. */
type Options = NotificationOptions & { actions?: { action: string; title: string }[]; renotify?: boolean };

const chinese = self.navigator.language.toLowerCase().startsWith('zh');
const WORDS = chinese
  ? { done: '完成', snooze: '1 小时后提醒', call: '打电话', title: 'Rounds', body: '有新消息' }
  : { done: 'Done', snooze: 'In 1 hour', call: 'Call', title: 'Rounds', body: 'Something is new' };

self.addEventListener('push', (event) => {
  let told: Payload = {};
  try {
    told = (event.data?.json() as Payload | null) ?? {};
  } catch {
    // Not ours to read; it is shown all the same.
  }
  event.waitUntil(Promise.all([show(told), report(told.notice, 'shown'), count(told.badge)]));
});

async function show(told: Payload): Promise<void> {
  // Many browsers show two of them and leave out the rest; a tap on the notice itself leads to the number as well.
  const actions = [];
  if (told.about?.kind === 'follow_up') actions.push({ action: 'done', title: WORDS.done });
  if (told.notice && told.rule !== 'test') actions.push({ action: 'snooze', title: WORDS.snooze });
  if (told.about?.kind === 'follow_up' && told.phone) actions.push({ action: 'call', title: WORDS.call });
  const options: Options = {
    body: told.title ? (told.body ?? '') : WORDS.body,
    // A repeat has the tag of the first and takes its place, without a sound.
    tag: told.tag ?? told.notice ?? 'rounds',
    silent: told.silent === true,
    icon: '/icon-192.png',
    badge: '/badge-96.png',
    data: told,
    actions,
  };
  await self.registration.showNotification(told.title || WORDS.title, options);
}

async function count(unread?: number): Promise<void> {
  const badge = self.navigator as WorkerNavigator & { setAppBadge?: (n: number) => Promise<void> };
  // A badge of 0 is none.
  if (unread !== undefined) await badge.setAppBadge?.(unread).catch(() => {});
}

/** From this the server knows that its messages arrive; nobody waits for it. */
async function report(notice: string | undefined, what: 'shown' | 'opened'): Promise<void> {
  try {
    const subscription = await self.registration.pushManager.getSubscription();
    if (!notice || !subscription) return;
    await fetch('/api/push/reports', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ notice, endpoint: subscription.endpoint, what }),
      credentials: 'same-origin',
      keepalive: true,
    });
  } catch {
    // Without network nobody hears of it.
  }
}

self.addEventListener('notificationclick', (event) => {
  const told = (event.notification.data as Payload | null) ?? {};
  event.waitUntil(
    Promise.all([tapped(event.notification, told, event.action), report(told.notice, 'opened')]),
  );
});

/**
 * Done and snooze are written here and now, whatever becomes of the pages; all else is shown by one. A notice that is gone
 * says that its button was heard, so it goes once that is written and not before.
 */
async function tapped(notice: Notification, told: Payload, action: string): Promise<void> {
  if ((action === 'done' || action === 'snooze') && (await take(notice, told, action))) return;
  notice.close();
  await open(told, action);
}

/** False where it could not be kept: then a page is opened, which says so. */
async function take(notice: Notification, told: Payload, deed: Deed): Promise<boolean> {
  const followUp = told.about?.kind === 'follow_up' ? told.about.id : null;
  const until = Date.now() + SNOOZE_MS;
  try {
    const taken = await record({ deed, notice: told.notice ?? null, followUp, until });
    if (!taken) return false;
  } catch {
    return false;
  }
  notice.close();
  const page = (await windows()).find((one) => one.visibilityState === 'visible');
  page?.postMessage({ type: 'TAPPED', deed, notice: told.notice, followUp, until });
  await count(told.badge === undefined ? undefined : Math.max(0, told.badge - 1));
  const sent = await send(__APP_VERSION__).catch(() => false);
  // Where the browser can wake the worker once there is network, it does; else the next page sends it.
  if (!sent)
    await sync()
      ?.register(EXCHANGE)
      .catch(() => {});
  return true;
}
const sync = () => (self.registration as unknown as { sync?: { register(tag: string): Promise<void> } }).sync;

const windows = () => self.clients.matchAll({ type: 'window', includeUncontrolled: true });

/** A tap brings the app up at the thing itself. The window that is there is taken; it may refuse the focus, so it is told in any case. */
async function open(told: Payload, action: string): Promise<void> {
  const query = new URLSearchParams();
  if (told.notice) query.set('notice', told.notice);
  if (action) query.set('do', action);
  const place = pathOf(told);
  const path = `${place}${place.includes('?') ? '&' : '?'}${query.toString()}`;
  const pages = await windows();
  const page = pages.find((one) => one.visibilityState === 'visible') ?? pages[0];
  if (!page) {
    await self.clients.openWindow(path);
    return;
  }
  page.postMessage({ type: 'NOTICE', path });
  await page.focus().catch(() => {});
}

function pathOf(told: Payload): string {
  const { kind, id } = told.about ?? {};
  if (kind === 'follow_up') return `/follow-ups/${id}`;
  if (kind === 'visit') return `/visits/${id}`;
  if (kind === 'closing') return closedPath(told.rule, { month: told.month, owner_id: told.owner_id });
  return '/inbox';
}

self.addEventListener('pushsubscriptionchange', (event) => {
  const change = event as ExtendableEvent & {
    oldSubscription?: PushSubscription | null;
    newSubscription?: PushSubscription | null;
  };
  change.waitUntil(renew(change.oldSubscription ?? null, change.newSubscription ?? null));
});

/** The browser gave this device another address: the server learns it, page or no page. Failing that, the next start does it. */
async function renew(old: PushSubscription | null, made: PushSubscription | null): Promise<void> {
  for (const page of await windows()) page.postMessage({ type: 'PUSH_CHANGED' });
  try {
    const { key } = (await (await fetch('/api/push/key', { credentials: 'same-origin' })).json()) as {
      key: string;
    };
    const now =
      made ??
      (await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
    const { endpoint, keys } = now.toJSON();
    await fetch('/api/push/subscriptions', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ endpoint, keys, key, instead: old?.endpoint ?? null }),
      credentials: 'same-origin',
    });
  } catch {
    // Without network, or signed out.
  }
}
