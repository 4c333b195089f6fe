/// <reference lib="webworker" />
/**
 * The service worker: keeps the app itself, so that it opens without network.
 * It never sees data: `/api` goes to the network untouched, the outbox and the replica belong to the pages.
 */
import { createHandlerBoundToURL, cleanupOutdatedCaches, precacheAndRoute } from 'workbox-precaching';
import { NavigationRoute, registerRoute } from 'workbox-routing';

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: { url: string; revision: string | null }[] };
interface SyncEvent extends ExtendableEvent {
  readonly tag: string;
}

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
  if (sync.tag === 'rounds-exchange') sync.waitUntil(ping());
});

/** The pages own the queue; a page that is still alive is told that the network is back. */
async function ping(): Promise<void> {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  for (const page of pages) page.postMessage({ type: 'EXCHANGE' });
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
  const actions = [];
  if (told.about?.kind === 'follow_up') {
    if (told.phone) actions.push({ action: 'call', title: WORDS.call });
    actions.push({ action: 'done', title: WORDS.done });
  }
  if (told.notice && told.rule !== 'test') actions.push({ action: 'snooze', title: WORDS.snooze });
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
  event.notification.close();
  event.waitUntil(Promise.all([open(told, event.action), report(told.notice, 'opened')]));
});

/**
 * A tap brings the app up at the thing itself; what an action means is written by the app, in its outbox. The window that
 * is there is taken; it may refuse the focus, so it is told in any case.
 */
async function open(told: Payload, action: string): Promise<void> {
  const query = new URLSearchParams();
  if (told.notice) query.set('notice', told.notice);
  if (action) query.set('do', action);
  const path = `${pathOf(told)}?${query.toString()}`;
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
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
  if (kind === 'comment' || !kind) return '/inbox';
  return '/inbox';
}

self.addEventListener('pushsubscriptionchange', (event) => {
  // The pages know whose device this is; one that is open renews it now, else the next start does.
  (event as ExtendableEvent).waitUntil(
    self.clients
      .matchAll({ type: 'window', includeUncontrolled: true })
      .then((pages) => pages.forEach((page) => page.postMessage({ type: 'PUSH_CHANGED' }))),
  );
});
