import Dexie, { type Collection, type Table } from 'dexie';
import { closeForGood, lasting, native } from './handle';
import { answer } from './idb';
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
/**
 * Many rows of one kind in one record, as text: storing a row by itself costs a slow phone more than all else about it.
 * Each row is kept once, here or in `rows`; one that changes, or whose scope does, moves over there.
 */
interface Sheaf {
  n?: number;
  kind: string;
  ids: Id[];
  /** Of any of its rows. */
  scopes: string[];
  /** Of visits: the least and the greatest `due`. */
  first?: string;
  last?: string;
  /** JSON of `Row[]`. */
  rows: string;
}
interface SeenRow {
  key: string;
  value: unknown;
  etag: string | null;
  at: number;
}

/** Raised whenever rows or the answers kept beside them change their form: the replica is then read anew. */
const FORM = 3;
const KEEP_SEEN = 60;
const EMPTY: PullState = { token: null, client: null, ackedSeq: 0, complete: false, resting: true };

/** Key of a row in maps and messages. */
export function keyOf(kind: string, id: Id): string {
  return `${kind} ${id}`;
}

/**
 * Rows not held before are bound into sheaves from `least` of a kind in one page on; more than `most` make a record slow,
 * more than some `atOnce` a tap wait.
 */
export const SHEAVES = { least: 20, most: 40, atOnce: 4 };

/**
 * The phone's copy of what the server lets its person see. Disposable: whatever is wrong with it, it is deleted
 * and read again.
 */
export class Replica extends Dexie {
  private readonly kv!: Table<{ key: string; value: unknown }, string>;
  private readonly rows!: Table<Row, [string, string]>;
  private readonly sheaves!: Table<Sheaf, number>;
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
      .stores({
        kv: 'key',
        rows: '[kind+id], *scopes, orphan, due',
        sheaves: '++n, kind, *ids, *scopes, first, last',
        seen: 'key, at',
      })
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
    const all = [this.kv, this.rows, this.sheaves, this.seen];
    await this.transaction('rw', all, () => Promise.all(all.map((table: Table) => table.clear())));
    this.rebuilt = true;
  }

  async state(): Promise<PullState> {
    return ((await this.kv.get('pull'))?.value as PullState | undefined) ?? EMPTY;
  }

  byKind(kind: string): Promise<Row[]> {
    return this.reads(async () => [
      ...(await this.rows.where('[kind+id]').between([kind, Dexie.minKey], [kind, Dexie.maxKey]).toArray()),
      ...(await this.sheaves.where('kind').equals(kind).toArray()).flatMap(unbound),
    ]);
  }
  /** What a start needs first, in one transaction: visits from this day on and those that are open, and these kinds. */
  async begin(day: string, kinds: string[]): Promise<Row[]> {
    const reading = native(this).transaction(['rows', 'sheaves']);
    const [rows, sheaves] = [reading.objectStore('rows'), reading.objectStore('sheaves')];
    const from = IDBKeyRange.lowerBound(day);
    const loose = [answer<Row[]>(rows.index('due').getAll(from))];
    const bound = [];
    for (const kind of kinds) {
      loose.push(answer<Row[]>(rows.getAll(IDBKeyRange.bound([kind], [kind, []]))));
      bound.push(answer<Sheaf[]>(sheaves.index('kind').getAll(kind)));
    }
    const [late, found, small] = await Promise.all([
      answer<Sheaf[]>(sheaves.index('last').getAll(from)),
      Promise.all(loose),
      Promise.all(bound),
    ]);
    const visits = late.flatMap(unbound).filter((row) => row.due !== undefined && row.due >= day);
    return [...found.flat(), ...visits, ...small.flat().flatMap(unbound)];
  }
  all(): Promise<Row[]> {
    return this.reads(async () => [
      ...(await this.rows.toArray()),
      ...(await this.sheaves.toArray()).flatMap(unbound),
    ]);
  }
  async some(keys: string[]): Promise<Map<string, Row | undefined>> {
    const reading = native(this).transaction(['rows', 'sheaves']);
    const [rows, sheaves] = [reading.objectStore('rows'), reading.objectStore('sheaves')];
    const loose = await Promise.all(keys.map((key) => answer<Row | undefined>(rows.get(pairOf(key)))));
    const found = new Map(keys.map((key, i) => [key, loose[i]]));
    const missing = keys.filter((_, i) => !loose[i]);
    const holding = await Promise.all(
      missing.map((key) => answer<number[]>(sheaves.index('ids').getAllKeys(pairOf(key)[1]))),
    );
    const bound = [...new Set(holding.flat())].map((n) => answer<Sheaf>(sheaves.get(n)));
    for (const row of (await Promise.all(bound)).flatMap(unbound)) {
      const key = keyOf(row.kind, row.id);
      if (found.has(key)) found.set(key, row);
    }
    return found;
  }
  /** In one transaction: a row may be on its way from a sheaf to the others. */
  private reads<T>(what: () => Promise<T>): Promise<T> {
    return this.transaction('r', this.rows, this.sheaves, what);
  }
  private async sheavesOf(keys: string[]): Promise<Sheaf[]> {
    if (keys.length === 0 || (await this.sheaves.count()) === 0) return [];
    const found = await this.sheaves
      .where('ids')
      .anyOf(keys.map((key) => pairOf(key)[1]))
      .primaryKeys();
    const sheaves = await this.sheaves.bulkGet([...new Set(found)]);
    return sheaves.filter((sheaf) => sheaf !== undefined);
  }

  /** These rows leave their sheaves; they are the caller's from then on. */
  private async takeOut(keys: string[]): Promise<Map<string, Row>> {
    const wanted = new Set(keys);
    const out = new Map<string, Row>();
    for (const sheaf of await this.sheavesOf(keys)) {
      const rest: Row[] = [];
      for (const row of unbound(sheaf)) {
        const key = keyOf(row.kind, row.id);
        if (wanted.has(key)) out.set(key, row);
        else rest.push(row);
      }
      if (rest.length > 0) await this.sheaves.put({ ...bound(rest), n: sheaf.n! });
      else await this.sheaves.delete(sheaf.n!);
    }
    return out;
  }

  /** The rows of these sheaves lie by themselves from now on, where they can be looked for and changed. */
  private async loosen(which: Collection<Sheaf, number>): Promise<void> {
    const sheaves = await which.distinct().toArray();
    if (sheaves.length === 0) return;
    await this.rows.bulkPut(sheaves.flatMap(unbound));
    await this.sheaves.bulkDelete(sheaves.map((sheaf) => sheaf.n!));
  }

  /** Stores rows that are nowhere yet. */
  private async putNew(rows: Row[]): Promise<void> {
    const kinds = new Map<string, Row[]>();
    for (const row of rows) {
      const same = kinds.get(row.kind);
      if (same) same.push(row);
      else kinds.set(row.kind, [row]);
    }
    const sheaves: Row[][] = [];
    const loose: Row[] = [];
    for (const same of kinds.values()) {
      if (same.length < SHEAVES.least) loose.push(...same);
      else
        for (let at = 0; at < same.length; at += SHEAVES.most)
          sheaves.push(same.slice(at, at + SHEAVES.most));
    }
    await this.rows.bulkPut(loose);
    for (let at = 0; at < sheaves.length; at += SHEAVES.atOnce)
      await this.addApart(sheaves.slice(at, at + SHEAVES.atOnce));
  }

  /**
   * Adds sheaves to the transaction under way and waits until they lie there, so that a tap gets in between. By the
   * browser's own hand: Dexie would note each of their keys for live queries, which nothing here asks.
   */
  private addApart(sheaves: Row[][]): PromiseLike<unknown> {
    const store = Dexie.currentTransaction.idbtrans.objectStore('sheaves');
    const asked = sheaves.map((rows) => store.add(bound(rows)));
    const last = asked.at(-1)!;
    return new Dexie.Promise((resolve, reject) => {
      last.onsuccess = resolve;
      last.onerror = () => reject(last.error);
    });
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
    const done = await this.transaction('rw', this.kv, this.rows, this.sheaves, async () => {
      const before = await this.state();
      if (before.token !== since) return null;
      const changed = new Map<string, Row | undefined>();

      for (const scope of page.drop) await this.leave([scope, `~${scope}`], needed, changed);
      for (const scope of page.reset) {
        await this.loosen(this.sheaves.where('scopes').equals(scope));
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
      const latest = await this.held([...keys].filter((key) => possible?.has(key) ?? true));
      const known = new Set(latest.keys());
      for (const wire of page.rows) {
        const key = keyOf(wire.kind, wire.id);
        latest.set(key, merge(latest.get(key), wire));
      }
      const put: Row[] = [];
      const fresh: Row[] = [];
      const gone: [string, string][] = [];
      for (const [key, row] of latest) {
        if (row && (row.scopes.length > 0 || needed.has(key))) {
          const kept: Row = row.scopes.length > 0 ? without(row) : { ...row, orphan: 1 };
          (kept.orphan || known.has(key) ? put : fresh).push(kept);
          changed.set(key, kept);
          continue;
        }
        changed.set(key, undefined);
        if (row) gone.push([row.kind, row.id]);
      }
      await this.putNew(fresh);
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
    return (await this.rows.count()) + (await this.sheaves.count()) === 0 ? new Set() : null;
  }

  /** Those of the rows that are here, taken out of their sheaves: each is about to be stored anew, or to go. */
  private async held(keys: string[]): Promise<Map<string, Row | undefined>> {
    const rows = await this.rows.bulkGet(keys.map(pairOf));
    const found = new Map<string, Row | undefined>();
    const bound = await this.takeOut(keys.filter((_, i) => !rows[i]));
    keys.forEach((key, i) => {
      const row = rows[i] ?? bound.get(key);
      if (row) found.set(key, row);
    });
    return found;
  }

  /** Removes own visits that are over and whose day is before `first`: the server's window slides without any write. */
  async pruneVisits(first: string, needed: ReadonlySet<string>): Promise<string[]> {
    return this.transaction('rw', this.rows, this.sheaves, async () => {
      await this.loosen(this.sheaves.where('first').below(first));
      const old = (await this.rows.where('due').below(first).toArray()).filter((row) => {
        const old = row.due !== '';
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
    await this.loosen(this.sheaves.where('scopes').anyOf(names));
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

function pairOf(key: string): [kind: string, id: Id] {
  return key.split(' ') as [string, string];
}

function bound(rows: Row[]): Sheaf {
  const due = rows.flatMap((row) => (row.due === undefined ? [] : [row.due])).sort();
  return {
    kind: rows[0]!.kind,
    ids: rows.map((row) => row.id),
    scopes: [...new Set(rows.flatMap((row) => row.scopes))],
    ...(due.length > 0 ? { first: due[0], last: due.at(-1) } : {}),
    rows: JSON.stringify(rows),
  };
}
function unbound(sheaf: Sheaf): Row[] {
  return JSON.parse(sheaf.rows) as Row[];
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
