import { writable, type Readable } from 'svelte/store';
import { told } from './condition';
import { flushDrafts } from './drafts';
import type { InstallState, UpdateState } from './types';

/** How often a page that stays open asks for a new version. */
const LOOK_MS = 60 * 60_000;
const FETCH_PATIENCE_MS = 20_000;
const SAY_AGAIN_MS = 1_000;
const SAID_AT_MOST = 6;

const updateStore = writable<UpdateState>({ available: false, offlineReady: false });
/** A new version: shown as a quiet line, taken by `applyUpdate()` only. */
export const update: Readable<UpdateState> = { subscribe: updateStore.subscribe };

let registration: ServiceWorkerRegistration | null = null;
let asked = false;
let hadController = false;

/** Registers the service worker and watches for new versions; does nothing where there is none. */
export async function watchApp(): Promise<void> {
  watchInstall();
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  const workers = navigator.serviceWorker;
  hadController = workers.controller !== null;
  workers.addEventListener('controllerchange', () => {
    if (asked) reload();
    // Another tab took the new version: this page goes on with what it has loaded and says so.
    else if (hadController) updateStore.update((u) => ({ ...u, available: true }));
    hadController = true;
  });
  try {
    registration = await workers.register('/sw.js', { scope: '/', updateViaCache: 'none' });
  } catch {
    return;
  }
  const seen = (worker: ServiceWorker | null) => {
    if (!worker) return;
    const look = () => {
      if (worker.state === 'installed' && workers.controller)
        updateStore.update((u) => ({ ...u, available: true }));
      if (worker.state === 'activated') updateStore.update((u) => ({ ...u, offlineReady: true }));
    };
    worker.addEventListener('statechange', look);
    look();
  };
  seen(registration.active);
  seen(registration.waiting);
  seen(registration.installing);
  registration.addEventListener('updatefound', () => seen(registration!.installing));
  const ask = () => void registration?.update().catch(() => {});
  let tooOld = false;
  told.subscribe((t) => {
    // The server said so: the new version is offered at once, and fetched meanwhile.
    if (t.tooOld && !tooOld) {
      ask();
      updateStore.update((u) => ({ ...u, available: true }));
    }
    tooOld = t.tooOld;
  });
  setInterval(ask, LOOK_MS);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') ask();
  });
}

let reloading = false;

/** Once: asked again, a browser begins again, and on a slow phone never ends. */
function reload(): void {
  if (reloading) return;
  reloading = true;
  location.reload();
}

/** Takes the new version and reloads once; drafts are written first, so no form loses a word. */
export async function applyUpdate(): Promise<void> {
  await flushDrafts();
  asked = true;
  const waiting = registration?.waiting ?? (await fetched());
  if (!waiting) return reload();
  // Said again: a browser may hear it while the old worker is busy, and look again half a minute later. If it still does
  // not listen the page is loaded anew, once: nothing holds the old worker then.
  let times = SAID_AT_MOST;
  const say = () => {
    if (waiting.state === 'activating') return;
    if (waiting.state === 'installed' && times-- > 0) {
      waiting.postMessage({ type: 'SKIP_WAITING' });
      return;
    }
    clearInterval(timer);
    reload();
  };
  const timer = setInterval(say, SAY_AGAIN_MS);
  say();
}

/** The new version's worker, once it is fetched; null when there is none or it takes too long. */
async function fetched(): Promise<ServiceWorker | null> {
  if (!registration) return null;
  await registration.update().catch(() => {});
  const coming = registration.installing;
  if (!coming) return registration.waiting;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, FETCH_PATIENCE_MS);
    coming.addEventListener('statechange', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  return registration.waiting;
}

// ---- installing --------------------------------------------------------------------------------------------------

interface InstallQuestion extends Event {
  prompt(): Promise<void>;
  readonly userChoice: Promise<{ outcome: 'accepted' | 'dismissed' }>;
}

const installStore = writable<InstallState>({ canAsk: false, installed: false, ios: false });
export const install: Readable<InstallState> = { subscribe: installStore.subscribe };
let question: InstallQuestion | null = null;

function watchInstall(): void {
  const agent = navigator.userAgent;
  // An iPad calls itself a Mac but has touch points.
  const ios = /iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1);
  const installed =
    matchMedia('(display-mode: standalone)').matches ||
    (navigator as unknown as { standalone?: boolean }).standalone === true;
  installStore.set({ canAsk: question !== null, installed, ios });
  addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault();
    question = event as InstallQuestion;
    installStore.update((s) => ({ ...s, canAsk: true }));
  });
  addEventListener('appinstalled', () => {
    question = null;
    installStore.update((s) => ({ ...s, canAsk: false, installed: true }));
  });
}

/** Shows the browser's install question; true if the person accepted. Only from a tap. */
export async function askInstall(): Promise<boolean> {
  const asking = question;
  if (!asking) return false;
  question = null;
  installStore.update((s) => ({ ...s, canAsk: false }));
  await asking.prompt();
  return (await asking.userChoice).outcome === 'accepted';
}
