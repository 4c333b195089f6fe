/**
 * A server in memory, written to PROTOCOL, for tests of the phone's laws where a real one would be too slow to be
 * asked some thousand times. It keeps what a server keeps: a head, entities, scopes, journals by client and number.
 */
import type { Mutation } from '../src/data/types';
import type { PullPage, Reply, SyncAnswer, SyncRequest, WireReceipt, WireRow } from '../src/data/wire';

interface Entity {
  kind: string;
  id: string;
  version: number;
  data: Record<string, unknown>;
}
interface Place {
  version: number;
  removed: boolean;
}
interface State {
  head: number;
  epoch: number;
  entities: Map<string, Entity>;
  scopes: Map<string, Map<string, Place>>;
  journals: Map<string, { seq: number; id: string; digest: string; receipt: WireReceipt }[]>;
  byId: Map<string, { digest: string; receipt: WireReceipt }>;
  applied: Mutation[];
}
interface Token {
  epoch: number;
  at: Record<string, number>;
}

const keyOf = (kind: string, id: string) => `${kind} ${id}`;

export function digest(mutation: Mutation): string {
  const { seq: _, ...content } = mutation;
  return JSON.stringify(content);
}

export class Server {
  state: State = {
    head: 0,
    epoch: 1,
    entities: new Map(),
    scopes: new Map(),
    journals: new Map(),
    byId: new Map(),
    applied: [],
  };
  /** Scopes the reader holds at the moment. */
  grants = new Set<string>(['person:me']);
  maxMutations = 200;
  /** Bytes of one mutation above which the server answers 413. */
  maxBytes = Infinity;
  pageLimit = 1000;
  /** Ids whose mutation can not be applied. */
  parks = new Set<string>();

  answer(request: SyncRequest): Reply {
    // What travels is text: nothing is shared between phone and server.
    const reply = this.handle(JSON.parse(JSON.stringify(request)) as SyncRequest);
    return JSON.parse(JSON.stringify(reply)) as Reply;
  }

  private handle({ client, mutations, pull }: SyncRequest): Reply {
    if (mutations.length > this.maxMutations) return { status: 413, body: {}, retryAfterMs: null };
    if (mutations.some((m) => JSON.stringify(m).length > this.maxBytes)) {
      return { status: 413, body: {}, retryAfterMs: null };
    }
    const journal = this.state.journals.get(client) ?? [];
    this.state.journals.set(client, journal);
    const receipts: WireReceipt[] = [];
    const refuse = (body: SyncAnswer): Reply => ({
      status: 409,
      body: { ...body, receipts, last_seq: journal.length, received_at: now() },
      retryAfterMs: null,
    });
    for (const m of mutations) {
      const known = journal[m.seq - 1];
      if (known) {
        if (known.digest !== digest(m)) return refuse({ code: 'CLIENT_FORKED', from: m.seq });
        receipts.push(known.receipt);
        continue;
      }
      if (m.seq !== journal.length + 1) return refuse({ code: 'SEQ_GAP', expected: journal.length + 1 });
      const receipt = this.take(m);
      journal.push({ seq: m.seq, id: m.id, digest: digest(m), receipt });
      receipts.push(receipt);
    }
    return {
      status: 200,
      body: {
        received_at: now(),
        last_seq: journal.length,
        receipts,
        pull: pull ? this.pull(pull.token, Math.min(pull.limit, this.pageLimit), journal.length) : null,
      },
      retryAfterMs: null,
    };
  }

  private take(m: Mutation): WireReceipt {
    const before = this.state.byId.get(m.id);
    if (before) {
      const same = before.digest === digest(m);
      return same ? { ...before.receipt, seq: m.seq } : receiptOf(m, 'parked', 'INVALID', null);
    }
    let receipt: WireReceipt;
    if (m.verb === 'void') receipt = receiptOf(m, 'noop', null, null);
    else if (this.parks.has(m.id)) receipt = receiptOf(m, 'parked', 'INVALID', null);
    else {
      this.state.applied.push(m);
      receipt = receiptOf(m, 'applied', null, this.write(m));
    }
    this.state.byId.set(m.id, { digest: digest(m), receipt });
    return receipt;
  }

  private write(m: Mutation): number {
    const key = keyOf(m.kind, m.entity);
    const data = { ...(this.state.entities.get(key)?.data ?? {}) };
    for (const op of m.ops) {
      if (op.op === 'add' || op.op === 'remove') {
        const now = ((data[op.field] as unknown[]) ?? []).filter((v) => !op.values!.includes(v));
        data[op.field] = op.op === 'add' ? [...now, ...op.values!] : now;
      } else data[op.field] = op.new ?? null;
    }
    const scopes = [...this.state.scopes]
      .filter(([, rows]) => rows.get(key)?.removed === false)
      .map(([s]) => s);
    return this.put(m.kind, m.entity, data, scopes.length ? scopes : ['person:me']);
  }

  /** Somebody else writes: the entity as it is from now on, and the scopes that hold it. */
  put(kind: string, id: string, data: Record<string, unknown>, scopes: string[]): number {
    const key = keyOf(kind, id);
    const version = ++this.state.head;
    this.state.entities.set(key, { kind, id, version, data });
    for (const scope of scopes) {
      if (!this.state.scopes.has(scope)) this.state.scopes.set(scope, new Map());
    }
    for (const [scope, rows] of this.state.scopes) {
      if (scopes.includes(scope)) rows.set(key, { version, removed: false });
      else if (rows.get(key)?.removed === false) rows.set(key, { version, removed: true });
    }
    return version;
  }

  private pull(given: string | null, limit: number, ackedSeq: number): PullPage {
    const token = given ? (JSON.parse(given) as Token) : null;
    const old = token?.at ?? {};
    const drop = Object.keys(old).filter((s) => !this.grants.has(s));
    const stale = token !== null && token.epoch !== this.state.epoch;
    const reset = stale ? Object.keys(old).filter((s) => this.grants.has(s)) : [];
    const at: Record<string, number> = {};
    for (const scope of this.grants) at[scope] = stale ? 0 : (old[scope] ?? 0);

    const due = new Map<string, { version: number; scopes: Record<string, 0 | 1> }>();
    for (const scope of this.grants) {
      for (const [key, { version, removed }] of this.state.scopes.get(scope) ?? []) {
        if (version <= at[scope]!) continue;
        const entry = due.get(key) ?? { version: 0, scopes: {} };
        entry.version = Math.max(entry.version, version);
        entry.scopes[scope] = removed ? 0 : 1;
        due.set(key, entry);
      }
    }
    const ordered = [...due].sort((a, b) => a[1].version - b[1].version);
    const page = ordered.slice(0, limit);
    const more = ordered.length > page.length;
    const upTo = more ? page[page.length - 1]![1].version : this.state.head;
    const rows: WireRow[] = page.map(([key, { version, scopes }]) => {
      const e = this.state.entities.get(key)!;
      const visible = Object.values(scopes).some((x) => x === 1);
      return { kind: e.kind, id: e.id, version, scopes, ...(visible ? { data: e.data } : {}) };
    });
    for (const scope of this.grants) at[scope] = Math.max(at[scope]!, upTo);
    return {
      rows,
      drop,
      reset,
      acked_seq: ackedSeq,
      more,
      token: JSON.stringify({ epoch: this.state.epoch, at } satisfies Token),
    };
  }

  /** Everything the reader may see, by key. */
  visible(): Map<string, Record<string, unknown>> {
    const out = new Map<string, Record<string, unknown>>();
    for (const scope of this.grants) {
      for (const [key, { removed }] of this.state.scopes.get(scope) ?? []) {
        if (!removed) out.set(key, this.state.entities.get(key)!.data);
      }
    }
    return out;
  }

  backup(): State {
    return structuredClone(this.state);
  }

  /** Puts a backup back: versions are never used twice, and phones are told to read their scopes again. */
  restore(backup: State): void {
    const { head, epoch } = this.state;
    this.state = structuredClone(backup);
    this.state.head = head + 1_000_000;
    this.state.epoch = epoch + 1;
  }
}

function receiptOf(
  m: Mutation,
  status: WireReceipt['status'],
  code: string | null,
  version: number | null,
): WireReceipt {
  return { seq: m.seq, id: m.id, status, code, version, conflicts: [], detail: null };
}
function now(): string {
  return new Date().toISOString();
}
