import { writable, type Readable } from 'svelte/store';
import { instant } from './clock';
import type { Fix, NoPosition, Position } from './types';

export { distanceM } from './distance';

const KEY = 'rounds.fix';
const store = writable<Position | null>(kept());

/**
 * The last position read on this phone (at a tap, never by itself), with its `taken_at`. It outlives the page, so
 * that a list can be ordered by it; what it may prove depends on its age.
 */
export const lastFix: Readable<Position | null> = { subscribe: store.subscribe };

/** Age of a fix in ms by this device's clock. */
export function fixAgeMs(fix: Position, now = Date.now()): number {
  return Math.max(0, now - Date.parse(fix.taken_at));
}

/**
 * Reads the position once; only to be called from a tap. Never rejects: no position comes as `{none: why}`.
 * `patienceMs` is how long to wait for the first one.
 */
export function takeFix(options: { patienceMs?: number } = {}): Promise<Fix> {
  const geolocation = sensor();
  if (!geolocation) return Promise.resolve({ none: 'unsupported' });
  const patienceMs = options.patienceMs ?? 15_000;
  return new Promise((resolve) => {
    // The browser's own timeout does not run while it asks the person; this one does.
    const timer = setTimeout(() => resolve({ none: 'timeout' }), patienceMs + 15_000);
    geolocation.getCurrentPosition(
      (p) => {
        clearTimeout(timer);
        resolve(learn(p));
      },
      (error) => {
        clearTimeout(timer);
        resolve({ none: why(error) });
      },
      { enableHighAccuracy: true, maximumAge: 0, timeout: patienceMs },
    );
  });
}

/** Follows the position until the returned function is called. Errors other than a refusal may be followed by fixes. */
export function follow(found: (fix: Position) => void, failed: (reason: NoPosition) => void): () => void {
  const geolocation = sensor();
  if (!geolocation) {
    queueMicrotask(() => failed('unsupported'));
    return () => {};
  }
  const id = geolocation.watchPosition(
    (p) => found(learn(p)),
    (error) => failed(why(error)),
    { enableHighAccuracy: true, maximumAge: 0 },
  );
  return () => geolocation.clearWatch(id);
}

function sensor(): Geolocation | null {
  return typeof navigator !== 'undefined' && navigator.geolocation ? navigator.geolocation : null;
}

function why(error: GeolocationPositionError): NoPosition {
  return error.code === 1 ? 'denied' : error.code === 3 ? 'timeout' : 'unavailable';
}

function learn(p: GeolocationPosition): Position {
  const fix: Position = {
    lat: round(p.coords.latitude, 7),
    lon: round(p.coords.longitude, 7),
    accuracy_m: round(p.coords.accuracy, 1),
    taken_at: instant(p.timestamp),
  };
  store.set(fix);
  try {
    localStorage.setItem(KEY, JSON.stringify(fix));
  } catch {
    // Only the order of a list after the next start depends on it.
  }
  return fix;
}

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

function kept(): Position | null {
  try {
    const fix = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Position | null;
    return fix && typeof fix.lat === 'number' && typeof fix.taken_at === 'string' ? fix : null;
  } catch {
    return null;
  }
}

/** Forgets the kept position, as at sign-out. */
export function forgetFix(): void {
  store.set(null);
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Nothing was kept then.
  }
}
