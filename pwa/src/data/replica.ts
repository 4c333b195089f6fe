import Dexie, { type Table } from 'dexie';
import { closeForGood, lasting } from './handle';
import type { Id } from './types';
import { uuid } from './uuid';
import type { PullPage, WireRow } from './wire';

/** A row of the server as kept on the phone. */
export interface Row {
  kind: string;
  id: Id;
  version: number;
  /** Scopes that hold it; one with `~` before it awaits confirmation by a scope being read again. */
  scopes: string[];
  data: Record<string, unknown>;
  /** Of a visit: the day by which a screen may need it first; one that is open matters always. */
  due?: string;
  /** 1: no scope holds it any more, but an unacknowledged mutation refers to it. */
  orphan?: 1;
}
export interface PullState {
  token: string | null;
  /** Client id and confirmed number of the last pull that came to rest. */
  client: Id | null;
  ackedSeq: number;
  /** A first pull has come to rest: lists are whole. */
  complete: boolean;
  /** A page of a pull that has not come to rest was the last one. */
  resting: boolean;
  /** Of a first pull under way: names the page applied last. */
  page?: Id;
}
interface SeenRow {
  key: string;
  value: unknown;
  etag: string | null;
  at: number;
}

/** Raised whenever rows or the answers kept beside them change their form: the replica is then read anew. */
const FORM = 2;
const KEEP_SEEN = 60;
const EMPTY: PullState = { token: null, client: null, ackedSeq: 0, complete: false, resting: true };

/** Key of a row in maps and messages. */
export function keyOf(kind: string, id: Id): string {
  return `${kind} ${id}`;
}

/**
 * The phone's copy of what the server lets its person see. Disposable: whatever is wrong with it, it is deleted
 * and read again.
 */
export class Replica extends Dexie {
  private readonly kv!: Table<{ key: string; value: unknown }, string>;
  private readonly rows!: Table<Row, [string, string]>;
  private readonly seen!: Table<SeenRow, string>;

  /** It was thrown away while in use: what lies in memory is older, and is taken anew once a pull comes to rest. */
  rebuilt = false;

  /**
   * While everything is read for the first time: the page this tab applied last, and the keys of all rows there can be
   * since it began with none. Rows that cannot be there need not be looked for, each with a request of its own.
   */
  private reading: { page: Id; keys: Set<string> } | null = null;

  private constructor(name: string) {
    super(name);
    this.version(FORM)
      .stores({ kv: 'key', rows: '[kind+id], *scopes, orphan, due', seen: 'key, at' })
      .upgrade((old) => Promise.all(['kv', 'rows', 'seen'].map((table) => old.table(table).clear())));
    // A handle that stays dead: the copy is read again from the server, the work lies elsewhere.
    lasting(this, Replica.prototype, () => rebuild(this));
  }

  /** Opens the replica of a person; one of another form, or a broken one, is thrown away first. */
  static async open(person: Id): Promise<Replica> {
    const name = `rounds-replica-${person}`;
    const replica = new Replica(name);
    try {
      await replica.open();
      if (replica.verno === FORM) return replica;
    } catch {
      // Whatever it is, reading again heals it.
    }
    closeForGood(replica);
    await Dexie.delete(name);
    const fresh = new Replica(name);
    await fresh.open();
    return fresh;
  }

  /** Gives all of it up: its room is needed for work, or nothing of the server's may stay on this phone. */
  async empty(): Promise<void> {
    await this.transaction('rw', this.kv, this.rows, this.seen, () =>
      Promise.all([this.kv.clear(), this.rows.clear(), this.seen.clear()]),
    );
    this.rebuilt = true;
  }

  async state(): Promise<PullState> {
    return ((await this.kv.get('pull'))?.value as PullState | undefined) ?? EMPTY;
  }

  byKind(kind: string): Promise<Row[]> {
    return this.rows.where('[kind+id]').between([kind, Dexie.minKey], [kind, Dexie.maxKey]).toArray();
  }
  /** Visits from this day on, and those that are open. */
  visitsFrom(day: string): Promise<Row[]> {
    return this.rows.where('due').aboveOrEqual(day).toArray();
  }
  all(): Promise<Row[]> {
    return this.rows.toArray();
  }
  async some(keys: string[]): Promise<Map<string, Row | undefined>> {
    const pairs = keys.map((key) => key.split(' ') as [string, string]);
    const rows = await this.rows.bulkGet(pairs);
    return new Map(keys.map((key, i) => [key, rows[i]]));
  }

  /**
   * Applies one page in one transaction: rows, dropped and reset scopes, token, confirmed number.
   *
   * `since` is the token the page was asked with: another tab may have been quicker, then nothing is applied and
   * null comes back. `needed` are keys which unacknowledged mutations refer to; such rows stay although no scope
   * holds them. Returns what changed, by key: the row as it is now, or undefined where it is gone.
   */
  async apply(
    page: PullPage,
    since: string | null,
    client: Id,
    needed: ReadonlySet<string>,
  ): Promise<Map<string, Row | undefined> | null> {
    let reading: Replica['reading'] = null;
    const done = await this.transaction('rw', this.kv, this.rows, async () => {
      const before = await this.state();
      if (before.token !== since) return null;
      const changed = new Map<string, Row | undefined>();

      for (const scope of page.drop) await this.leave([scope, `~${scope}`], needed, changed);
      for (const scope of page.reset) {
        await this.rows
          .where('scopes')
          .equals(scope)
          .modify((row: Row) => {
            row.scopes = row.scopes.map((s) => (s === scope ? `~${scope}` : s));
            // A server that was put back to a backup may hold an older version than this: what comes now is right.
            row.version = 0;
          });
      }

      const possible = await this.possible(before);
      const keys = new Set(page.rows.map((wire) => keyOf(wire.kind, wire.id)));
      const latest = await this.some([...keys].filter((key) => possible?.has(key) ?? true));
      for (const wire of page.rows) {
        const key = keyOf(wire.kind, wire.id);
        latest.set(key, merge(latest.get(key), wire));
      }
      const put: Row[] = [];
      const gone: [string, string][] = [];
      for (const [key, row] of latest) {
        if (row && (row.scopes.length > 0 || needed.has(key))) {
          const kept: Row = row.scopes.length > 0 ? without(row) : { ...row, orphan: 1 };
          put.push(kept);
          changed.set(key, kept);
          continue;
        }
        changed.set(key, undefined);
        if (row) gone.push([row.kind, row.id]);
      }
      await this.rows.bulkPut(put);
      await this.rows.bulkDelete(gone);

      if (!page.more) {
        const waiting = await this.rows.where('scopes').startsWith('~').distinct().toArray();
        const marks = new Set(waiting.flatMap((row) => row.scopes.filter((s) => s.startsWith('~'))));
        for (const mark of marks) await this.leave([mark], needed, changed);
        const orphans = await this.rows.where('orphan').equals(1).toArray();
        for (const row of orphans) {
          const key = keyOf(row.kind, row.id);
          if (needed.has(key)) continue;
          changed.set(key, undefined);
          await this.rows.delete([row.kind, row.id]);
        }
      }

      const after: PullState = {
        token: page.token,
        client: page.more ? before.client : client,
        ackedSeq: page.more ? before.ackedSeq : page.acked_seq,
        complete: before.complete || !page.more,
        resting: !page.more,
      };
      if (possible && !after.complete) {
        after.page = uuid();
        reading = { page: after.page, keys: possible };
        for (const key of keys) possible.add(key);
      }
      await this.kv.put({ key: 'pull', value: after });
      return changed;
    });
    this.reading = reading;
    return done;
  }

  /** Keys of all rows there can be, where that is known: in a first reading that this tab began, and nobody went on with. */
  private async possible(before: PullState): Promise<Set<string> | null> {
    if (before.complete) return null;
    if (this.reading && this.reading.page === before.page) return this.reading.keys;
    return (await this.rows.count()) === 0 ? new Set() : null;
  }

  /** Removes own visits that are over and whose day is before `first`: the server's window slides without any write. */
  async pruneVisits(first: string, needed: ReadonlySet<string>): Promise<string[]> {
    return this.transaction('rw', this.rows, async () => {
      const old = (await this.byKind('visit')).filter((row) => {
        const old = row.due !== undefined && row.due !== '' && row.due < first;
        return old && row.data['status'] !== 'planned' && !needed.has(keyOf('visit', row.id));
      });
      await this.rows.bulkDelete(old.map((row) => [row.kind, row.id] as [string, string]));
      return old.map((row) => keyOf(row.kind, row.id));
    });
  }

  private async leave(
    names: string[],
    needed: ReadonlySet<string>,
    changed: Map<string, Row | undefined>,
  ): Promise<void> {
    const rows = await this.rows.where('scopes').anyOf(names).distinct().toArray();
    const put: Row[] = [];
    const gone: [string, string][] = [];
    for (const row of rows) {
      const scopes = row.scopes.filter((s) => !names.includes(s));
      const key = keyOf(row.kind, row.id);
      if (scopes.length > 0 || needed.has(key)) {
        const kept: Row = scopes.length > 0 ? { ...row, scopes } : { ...row, scopes, orphan: 1 };
        put.push(kept);
        if (changed.has(key)) changed.set(key, kept);
      } else {
        changed.set(key, undefined);
        gone.push([row.kind, row.id]);
      }
    }
    await this.rows.bulkPut(put);
    await this.rows.bulkDelete(gone);
  }

  // ---- answers of the reading side, kept for offline ------------------------------------------------------------

  async lastSeen(key: string): Promise<SeenRow | undefined> {
    return this.seen.get(key);
  }
  async see(key: string, value: unknown, etag: string | null): Promise<void> {
    await this.transaction('rw', this.seen, async () => {
      await this.seen.put({ key, value, etag, at: Date.now() });
      const surplus = (await this.seen.count()) - KEEP_SEEN;
      if (surplus > 0) await this.seen.bulkDelete(await this.seen.orderBy('at').limit(surplus).primaryKeys());
    });
  }
}

/** Throws the copy away and begins an empty one under the same handle; the next pull asks for everything. */
export async function rebuild(replica: Replica): Promise<void> {
  replica.close({ disableAutoOpen: false });
  await Dexie.delete(replica.name);
  await replica.open();
  replica.rebuilt = true;
}

function without(row: Row): Row {
  const { orphan: _, ...rest } = row;
  return rest;
}

/** A kept row with one wire row put over it; undefined when the server names a row we never had and takes it away. */
function merge(row: Row | undefined, wire: WireRow): Row | undefined {
  if (row === undefined && wire.data === undefined) return undefined;
  const scopes = new Set(row?.scopes ?? []);
  for (const [scope, holds] of Object.entries(wire.scopes)) {
    scopes.delete(`~${scope}`);
    if (holds) scopes.add(scope);
    else scopes.delete(scope);
  }
  const newer = wire.data !== undefined && (row === undefined || wire.version >= row.version);
  const data = newer ? wire.data! : row!.data;
  return {
    kind: wire.kind,
    id: wire.id,
    version: Math.max(row?.version ?? 0, wire.version),
    scopes: [...scopes],
    data,
    ...(wire.kind === 'visit' ? { due: dueOf(data) } : {}),
  };
}

function dueOf(data: Record<string, unknown>): string {
  if (data['status'] === 'open') return '9999-12-31';
  const server = data['server'] as { day?: unknown } | null | undefined;
  return String(server?.day ?? data['planned_date'] ?? '');
}
