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
