import { writable, type Readable } from 'svelte/store';
import type { Instant, Moment } from './types';
import { uuid } from './uuid';

/** Id of this page life: `mono_ms` values compare within it only. */
export const life = uuid();

const measured = writable<number | null>(null);

/** Server minus device in ms, as last measured; null if never. */
export const offset: Readable<number | null> = { subscribe: measured.subscribe };
let current: number | null = null;

/** What an earlier page life had measured, from the outbox. */
export function recallOffset(ms: number | null): void {
  current = ms;
  measured.set(ms);
}

/** This moment, as this device claims it (PROTOCOL, "Moments"). Take it first thing in a tap's handler. */
export function moment(): Moment {
  return claim(Date.now());
}

/** A moment somebody typed (`wallMs` since 1970): its wall is theirs, the monotonic reading is the one of writing. */
export function claim(wallMs: number): Moment {
  return {
    wall: instant(wallMs),
    mono_ms: Math.round(performance.now()),
    life,
    offset_ms: current,
    zone: zone(),
  };
}

export function instant(ms: number): Instant {
  return new Date(ms).toISOString();
}

let zoneNow = '';
let zoneAt = -Infinity;

/** The device's IANA zone. Asked again every half minute, because a phone travels and asking is slow. */
export function zone(): string {
  const now = performance.now();
  if (now - zoneAt > 30_000) {
    zoneNow = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
    zoneAt = now;
  }
  return zoneNow;
}

/** Now in the server's time, ms since 1970, as well as this phone knows it. */
export function serverNow(): number {
  return Date.now() + (current ?? 0);
}

/** Best time of a moment from the phone's own knowledge: wall + offset (the one now known, if it carries none). */
export function bestTime(at: Moment): number {
  return Date.parse(at.wall) + (at.offset_ms ?? current ?? 0);
}

/**
 * Learns the offset from one exchange: the server says `receivedAt`, asked between `sentMs` and `sentMs + tookMs`
 * of the device. A slow round trip says little and only counts while nothing better is known.
 */
export function learnOffset(receivedAt: Instant, sentMs: number, tookMs: number): void {
  const server = Date.parse(receivedAt);
  if (!Number.isFinite(server) || (tookMs > 10_000 && current !== null)) return;
  recallOffset(Math.round(server - (sentMs + tookMs / 2)));
}

const dayFormats = new Map<string, Intl.DateTimeFormat>();

/** Calendar day `YYYY-MM-DD` of an instant (ms) in an IANA zone; an unknown zone counts as the device's. */
export function dayIn(ms: number, timeZone: string): string {
  let format = dayFormats.get(timeZone);
  if (format === undefined) {
    const parts = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;
    try {
      format = new Intl.DateTimeFormat('en-CA', { ...parts, timeZone });
    } catch {
      format = new Intl.DateTimeFormat('en-CA', parts);
    }
    dayFormats.set(timeZone, format);
  }
  return format.format(ms);
}
