import { byteLength } from './outbox';
import type { Reply, SyncAnswer, SyncRequest } from './wire';

/** The one address that takes a packed body. */
const PACKED = '/api/sync';
const GZIP_FROM_BYTES = 1024;
const PATIENCE_MS = 20_000;
/** What is added to the patience per byte sent: 5 kB/s is a slow phone in a cellar. */
const MS_PER_BYTE = 1 / 5;
const LONGEST_MS = 180_000;
/** Browsers let so little outlive its page, all requests together; more would fail outright. */
const OUTLIVES_BYTES = 30 * 1024;

/** No whole answer came back: no network, server down, time over, or something that is not our server. */
export class Unreachable extends Error {}

export interface Answer {
  status: number;
  body: unknown;
  etag: string | null;
  retryAfterMs: number | null;
}

/**
 * One request to the API on the page's own origin. Rejects with `Unreachable` when no whole answer came.
 * `ifNoneMatch` leads to status 304 with a null body.
 */
export async function ask(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  options: { body?: unknown; ifNoneMatch?: string | null; patienceMs?: number; signal?: AbortSignal } = {},
): Promise<Answer> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  let body: BodyInit | undefined;
  let bytes = 0;
  if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    const text = JSON.stringify(options.body);
    bytes = byteLength(text);
    body = text;
    if (path === PACKED && bytes > GZIP_FROM_BYTES && typeof CompressionStream !== 'undefined') {
      body = await new Response(
        new Blob([text]).stream().pipeThrough(new CompressionStream('gzip')),
      ).arrayBuffer();
      headers['Content-Encoding'] = 'gzip';
    }
  }
  if (options.ifNoneMatch) headers['If-None-Match'] = options.ifNoneMatch;
  const patience = options.patienceMs ?? Math.min(LONGEST_MS, PATIENCE_MS + bytes * MS_PER_BYTE);
  let response: Response;
  let text: string;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patience);
  const giveUp = () => stop.abort();
  options.signal?.addEventListener('abort', giveUp);
  if (options.signal?.aborted) stop.abort();
  try {
    response = await fetch(path, {
      method,
      headers,
      body,
      credentials: 'same-origin',
      // The browser's own cache would answer with an old state under a new question.
      cache: 'no-store',
      // What leaves as the page hides (a check-out recorded by that) still gets through.
      keepalive: method === 'POST' && bytes < OUTLIVES_BYTES && hidden(),
      signal: stop.signal,
    });
    text = await response.text();
  } catch (error) {
    throw new Unreachable(String(error));
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', giveUp);
  }
  let json: unknown = null;
  if (text !== '' && response.status !== 304) {
    try {
      json = JSON.parse(text);
    } catch {
      // A hotel's sign-in page, a proxy's error: somebody answered, but not the server.
      if (response.ok) throw new Unreachable('an answer that is not JSON');
    }
  }
  return {
    status: response.status,
    body: json,
    etag: response.headers.get('ETag'),
    retryAfterMs: retryAfter(response.headers.get('Retry-After')),
  };
}

function hidden(): boolean {
  return typeof document !== 'undefined' && document.visibilityState === 'hidden';
}

export function retryAfter(header: string | null, now = Date.now()): number | null {
  if (header === null || header.trim() === '') return null;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

/** The exchange over HTTP. */
export async function httpTransport(request: SyncRequest, signal?: AbortSignal): Promise<Reply> {
  const { status, body, retryAfterMs } = await ask('POST', '/api/sync', { body: request, signal });
  if (status === 200 && (body === null || typeof body !== 'object')) throw new Unreachable('an empty answer');
  return { status, body: (body ?? {}) as SyncAnswer, retryAfterMs };
}
