/** The documents of `POST /api/sync`, field for field as PROTOCOL names them. */
import type { Id, Instant, Moment, Mutation } from './types';

export interface SyncRequest {
  protocol: 1;
  client: Id;
  predecessor: Id | null;
  sent: Moment;
  device: {
    unsent: number;
    oldest: Instant | null;
    app: string;
    persisted: boolean | null;
    push: string;
  };
  mutations: Mutation[];
  pull: { token: string | null; limit: number } | null;
}
export interface WireReceipt {
  seq: number;
  id: Id;
  status: 'applied' | 'merged' | 'noop' | 'parked';
  code: string | null;
  version: number | null;
  conflicts: Id[];
  detail: string | null;
}
export interface WireRow {
  kind: string;
  id: Id;
  version: number;
  scopes: Record<string, 0 | 1>;
  data?: Record<string, unknown>;
}
export interface PullPage {
  rows: WireRow[];
  drop: string[];
  reset: string[];
  acked_seq: number;
  more: boolean;
  token: string;
}
export interface SyncAnswer {
  received_at?: Instant;
  last_seq?: number;
  receipts?: WireReceipt[];
  pull?: PullPage | null;
  /** The session may push and no more: the phone was revoked, or the account closed. `pull` is null then. */
  upload_only?: 'revoked' | 'deactivated' | null;
  /** In errors. */
  code?: string;
  detail?: string;
  expected?: number;
  from?: number;
}
export interface Reply {
  status: number;
  body: SyncAnswer;
  /** `Retry-After` in ms, where the server gave one. */
  retryAfterMs: number | null;
}

/** Carries one request to the server; rejects when no whole answer came back, or when `signal` says to give up. */
export type Transport = (request: SyncRequest, signal?: AbortSignal) => Promise<Reply>;
