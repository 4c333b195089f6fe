import { openDesk } from './desk';
import { ask, Unreachable } from './http';
import { authority } from './exchange';
import type {
  Asked,
  Board,
  Day,
  HistoryEntry,
  Id,
  Page,
  RecordChange,
  ServerVisit,
  VisitQuery,
} from './types';

/**
 * The day board of a team's subtree (default: today, everybody the reader leads). Asked with the ETag of the last
 * one seen; without network the last one seen comes back, `stale` and with its age.
 */
export function getBoard(query: { date?: Day; team?: Id } = {}): Promise<Asked<Board>> {
  return seen<Board>(`/api/board${search(query)}`);
}

/** Visits the reader may see, newest first, page by page. The first page is kept for offline. */
export function getVisits(query: VisitQuery = {}): Promise<Asked<Page<ServerVisit>>> {
  return seen<Page<ServerVisit>>(`/api/visits${search({ ...query })}`);
}

export function getServerVisit(id: Id): Promise<Asked<ServerVisit>> {
  return seen<ServerVisit>(`/api/visits/${encodeURIComponent(id)}`);
}

/** All changes of a visit, as the journal holds them. */
export function getHistory(id: Id, cursor?: string): Promise<Asked<Page<HistoryEntry>>> {
  return seen<Page<HistoryEntry>>(`/api/visits/${encodeURIComponent(id)}/history${search({ cursor })}`);
}

/**
 * What became of a record since it was made, newest first, page by page: who, when, from which value to which.
 * The first page is kept for offline.
 */
export function getRecordHistory(kind: string, id: Id, cursor?: string): Promise<Asked<Page<RecordChange>>> {
  const path = `/api/history/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`;
  return seen<Page<RecordChange>>(`${path}${search({ cursor })}`);
}

/** One address of the reading side, with its ETag; the last answer seen where the server cannot be asked. */
export async function seen<T>(path: string): Promise<Asked<T>> {
  const desk = openDesk();
  if (!desk) return { ok: false, code: 'SIGN_IN_REQUIRED' };
  const last = await desk.replica.lastSeen(path).catch(() => undefined);
  const asLast = (): Asked<T> | null =>
    last ? { ok: true, value: last.value as T, seenAt: last.at, stale: true } : null;
  try {
    const { status, body, etag } = await ask('GET', path, { ifNoneMatch: last?.etag ?? null });
    const now = Date.now();
    if (status === 304 && last) {
      await desk.replica.see(path, last.value, last.etag).catch(() => {});
      return { ok: true, value: last.value as T, seenAt: now, stale: false };
    }
    if (status === 200) {
      await desk.replica.see(path, body, etag).catch(() => {});
      return { ok: true, value: body as T, seenAt: now, stale: false };
    }
    if (status === 401) authority.refused();
    const error = (body ?? {}) as { code?: string; detail?: string };
    if (status >= 500 || status === 401 || status === 429) {
      const kept = asLast();
      if (kept) return kept;
    }
    return { ok: false, code: error.code ?? `HTTP_${status}`, detail: error.detail };
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    return asLast() ?? { ok: false, code: 'OFFLINE' };
  }
}

export function search(query: Record<string, string | number | undefined>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `?${text}` : '';
}
