import Dexie, { type Table } from 'dexie';
import { instant } from './clock';
import { lasting, native } from './handle';
import { abandon, answer, finished } from './idb';
import { clean } from './text';
import type { DeviceInfo, Id, Instant, Moment, Mutation, Op, Verb } from './types';
import { uuid } from './uuid';
import type { WireReceipt } from './wire';

/** What an action wants written; id, seq and schema are given by the outbox. */
export interface Draftless {
  kind: string;
  entity: Id;
  verb: Verb;
  base: number;
  at: Moment;
  ops: Op[];
  /** Made here unless given; whoever may have to write again gives it, so that nothing is written twice. */
  id?: Id;
}

/** A mutation as kept on the phone. Its body is sealed: after `seq` is given only `void` may replace it. */
export interface Stored {
  /** Order of saving on this phone; survives renumbering. */
  n: number;
  id: Id;
  client: Id;
  seq: number;
  state: 'unsent' | 'acked';
  /** 1: the replica is known to contain it, so views need not apply it any more. */
  settled: 0 | 1;
  body: Omit<Mutation, 'seq' | 'id'>;
  savedAt: number;
  ackedAt: number | null;
  receipt: Omit<WireReceipt, 'seq' | 'id'> | null;
  /** The content that was too large to send; under its seq a `void` went instead. */
  voided?: Omit<Mutation, 'seq' | 'id'>;
  /** Device time (ms) at which its author put the voided content away. */
  away?: number;
}

export interface ClientState {
  id: Id;
  predecessor: Id | null;
  nextSeq: number;
  /** The server has answered to this id: only then may it be named as predecessor. */
  known: boolean;
  /** Highest number the server has confirmed. */
  acked: number;
}

/** What is asked about once more, by id: the receipt it has, as text. */
export type Again = ReadonlyMap<Id, string>;

export interface LastContact {
  at: number | null;
  sentAt: number | null;
  offsetMs: number | null;
  /** What the server last said of this session, and whether its data is gone from here for that. */
  uploadOnly?: DeviceInfo['uploadOnly'];
  wiped?: boolean;
}

export interface DraftRow {
  key: string;
  value: unknown;
  at: number;
}

/** A photo taken here: its bytes until the server has stored them, and a small picture of it for a while longer. */
export interface PhotoRow {
  sha256: string;
  /** JPEG; null once the server has stored it. */
  data?: ArrayBuffer | null;
  thumb?: ArrayBuffer;
  /** Of the whole photo. */
  bytes?: number;
  /** Visits that named it from here. */
  visits?: Id[];
  /** `refused`: the server will not have it, `code` says why; it stays here. */
  state?: 'waiting' | 'stored' | 'refused';
  code?: string;
  savedAt?: number;
  storedAt?: number;
  /** Taken out of its visit; gone for good a while later. */
  removedAt?: number | null;
  [more: string]: unknown;
}

export interface WithDrafts {
  clear?: string[];
  put?: { key: string; value: unknown }[];
  onlyIf?: string;
  /** A photo that the mutations name. */
  photo?: PhotoRow;
}

/** Acknowledged mutations are kept this long, for a server restored from a backup. */
export const KEEP_MS = 30 * 86_400_000;
export const MAX_BATCH = 200;
const MAX_MUTATION_BYTES = 256 * 1024;
/** A batch well under the server's 5 MiB: a slow uplink should see progress. */
const MAX_BATCH_BYTES = 1024 * 1024;

/**
 * The database that outlives everything else on the device. One per person.
 *
 * Its schema is never migrated: new needs become new members of the rows, which IndexedDB does not mind. Every
 * write is one transaction with strict durability; "saved" means its promise has resolved.
 */
export class Outbox extends Dexie {
  private readonly kv!: Table<{ key: string; value: unknown }, string>;
  private readonly mutations!: Table<Stored, number, Omit<Stored, 'n'>>;
  private readonly drafts!: Table<DraftRow, string>;
  private readonly photos!: Table<PhotoRow, string>;

  constructor(readonly person: Id) {
    super(`rounds-outbox-${person}`, { chromeTransactionDurability: 'strict' });
    this.version(1).stores({
      kv: 'key',
      mutations: '++n, &id, state, settled, ackedAt',
      drafts: 'key',
      // Bytes of photos: declared from the first day on, because this schema never changes.
      photos: 'sha256',
    });
    lasting(this, Outbox.prototype);
  }

  // ---- writing -------------------------------------------------------------------------------------------------

  /**
   * Seals mutations and gives them their numbers, in one strict transaction together with the drafts that end or
   * begin with them. Numbers have no gaps because they are taken inside the transaction that stores them.
   * With `onlyIf`, nothing happens and `[]` comes back when that draft is gone: another tab was quicker.
   */
  async write(wanted: Draftless[], drafts: WithDrafts = {}): Promise<Stored[]> {
    const begun = Date.now();
    const sealed = wanted.map(({ id, kind, entity, verb, base, at, ops }) => ({
      id: id ?? uuid(),
      body: clean({ schema: 1, kind, entity, verb, base, at, ops }),
    }));
    const put = drafts.put?.map((d) => ({ ...d, value: clean(d.value), at: begun }));
    const tables = ['kv', 'mutations', 'drafts', ...(drafts.photo ? ['photos'] : [])];
    try {
      const writing = native(this).transaction(tables, 'readwrite', { durability: 'strict' });
      const over = finished(writing);
      over.catch(() => {});
      const [kv, mutations, keep] = ['kv', 'mutations', 'drafts'].map((one) => writing.objectStore(one)) as [
        IDBObjectStore,
        IDBObjectStore,
        IDBObjectStore,
      ];
      try {
        const [there, kept] = await Promise.all([
          drafts.onlyIf === undefined || answer(keep.get(drafts.onlyIf)),
          answer<{ value: ClientState } | undefined>(kv.get('client')),
        ]);
        if (!there) return [];
        const client = kept?.value ?? freshClient();
        const rows = sealed.map(({ id, body }): Omit<Stored, 'n'> => ({
          id,
          client: client.id,
          seq: client.nextSeq++,
          state: 'unsent',
          settled: 0,
          body,
          savedAt: begun,
          ackedAt: null,
          receipt: null,
        }));
        // All asked for in one go: on a slow phone each wait for an answer costs more than the writing.
        const added = rows.map((row) => mutations.add(row));
        if (rows.length > 0 || !kept) kv.put({ key: 'client', value: client });
        for (const key of drafts.clear ?? []) keep.delete(key);
        for (const draft of put ?? []) keep.put(draft);
        if (drafts.photo) writing.objectStore('photos').put(drafts.photo);
        writing.commit();
        await over;
        return rows.map((row, i): Stored => ({ ...row, n: added[i]!.result as number }));
      } catch (error) {
        abandon(writing);
        throw error;
      }
    } catch (error) {
      if (!/Constraint|Bulk/.test((error as { name?: string }).name ?? '')) throw error;
      // Written already, by a run of which the browser only said that it had failed.
      const ids = sealed.map((m) => m.id);
      const rows = await this.mutations.where('id').anyOf(ids).sortBy('n');
      if (rows.length < ids.length) throw error;
      return rows;
    }
  }

  /** The client of this outbox, made on first use (or adopted, see `adopt`). */
  async client(): Promise<ClientState> {
    return this.transaction('rw', this.kv, async () => {
      const kept = (await this.kv.get('client'))?.value as ClientState | undefined;
      if (kept) return kept;
      const fresh = freshClient();
      await this.kv.put({ key: 'client', value: fresh });
      return fresh;
    });
  }

  /** Takes the client id that was named at sign-in, if this outbox has none yet. */
  async adopt(id: Id): Promise<void> {
    await this.transaction('rw', this.kv, async () => {
      if (await this.kv.get('client')) return;
      await this.kv.put({ key: 'client', value: freshClient(id) });
    });
  }

  // ---- reading -------------------------------------------------------------------------------------------------

  /** What a start needs first, in one transaction: all mutations in the order of saving, and all drafts. */
  async begin(): Promise<{ mutations: Stored[]; drafts: DraftRow[] }> {
    const reading = native(this).transaction(['mutations', 'drafts']);
    const [mutations, drafts] = await Promise.all([
      answer<Stored[]>(reading.objectStore('mutations').getAll()),
      answer<DraftRow[]>(reading.objectStore('drafts').getAll()),
    ]);
    return { mutations, drafts };
  }

  /** All mutations kept here, in the order of saving. */
  all(): Promise<Stored[]> {
    return this.mutations.orderBy('n').toArray();
  }

  /** What views must apply over the replica. */
  async unsettled(): Promise<Stored[]> {
    return (await this.mutations.where('settled').equals(0).toArray()).sort((a, b) => a.n - b.n);
  }

  async unsent(): Promise<Stored[]> {
    const client = await this.client();
    const rows = await this.mutations.where('state').equals('unsent').toArray();
    return rows.filter((row) => row.client === client.id).sort((a, b) => a.seq - b.seq);
  }

  /** How much is unsent besides `carried`, and since when. */
  async countUnsent(
    carried: ReadonlySet<Id> = new Set(),
  ): Promise<{ unsent: number; oldest: Instant | null }> {
    const all = await this.mutations.where('state').equals('unsent').toArray();
    const rows = all.filter((row) => !carried.has(row.id));
    const oldest = rows.reduce((least, row) => Math.min(least, row.savedAt), Infinity);
    return { unsent: rows.length, oldest: rows.length ? instant(oldest) : null };
  }

  /**
   * What goes next, first numbers first and without a gap: what is unsent and, unless it was `asked` about, what was
   * confirmed and never seen in the replica. The server may have been put back to a backup and a copy of this
   * profile may have taken its number: from a token that is older than both nobody would ever hear of it.
   */
  async due(asked: ReadonlySet<Id> | null): Promise<Stored[]> {
    if (asked === null) return this.unsent();
    const client = await this.client();
    const rows = await this.mutations.where('settled').equals(0).toArray();
    const mine = rows.filter((r) => r.client === client.id && (r.state === 'unsent' || !asked.has(r.id)));
    mine.sort((a, b) => a.seq - b.seq);
    return mine.filter((row, i) => row.seq === mine[0]!.seq + i);
  }

  /**
   * The next batch of what is due. One that is too large by itself is voided here and now, so that it can not stand
   * in the way of the others. `again`: what of them is confirmed already, with the receipt it has.
   */
  async batch(
    limit = MAX_BATCH,
    asked: ReadonlySet<Id> | null = null,
  ): Promise<{ client: ClientState; mutations: Mutation[]; again: Again }> {
    return this.transaction('rw', this.kv, this.mutations, async () => {
      const due = (await this.due(asked)).slice(0, limit);
      const mutations = await this.take(due);
      const again = due.slice(0, mutations.length).filter((row) => row.state === 'acked');
      return {
        client: await this.client(),
        mutations,
        again: new Map(again.map((row) => [row.id, receiptText(row.receipt)])),
      };
    });
  }

  private async take(rows: Stored[]): Promise<Mutation[]> {
    const out: Mutation[] = [];
    let bytes = 0;
    for (const row of rows) {
      let wire = onWire(row);
      let size = byteLength(JSON.stringify(wire));
      if (size > MAX_MUTATION_BYTES) {
        wire = onWire(await this.voidOne(row.n));
        size = byteLength(JSON.stringify(wire));
      }
      if (out.length > 0 && bytes + size > MAX_BATCH_BYTES) break;
      out.push(wire);
      bytes += size;
    }
    return out;
  }

  // ---- what the server said ------------------------------------------------------------------------------------

  /**
   * Notes receipts given to `client`. A receipt whose number or id is not ours changes nothing. Nor does one for what
   * has a receipt, unless that was asked about `again` with this very receipt in hand and the answer is another.
   */
  async accept(client: Id, receipts: WireReceipt[], again: Again = new Map()): Promise<Stored[]> {
    return this.transaction('rw', this.kv, this.mutations, async () => {
      const state = await this.client();
      const changed: Stored[] = [];
      let highest = 0;
      for (const { seq, id, ...receipt } of receipts) {
        const row = await this.mutations.where('id').equals(id).first();
        if (!row || row.client !== client || row.seq !== seq) continue;
        highest = Math.max(highest, seq);
        const had = row.state === 'acked' ? receiptText(row.receipt) : null;
        if (had !== null && (again.get(id) !== had || receiptText(receipt) === had)) continue;
        const acked: Stored = { ...row, state: 'acked', ackedAt: Date.now(), receipt };
        await this.mutations.put(acked);
        changed.push(acked);
      }
      if (state.id === client) {
        const acked = Math.max(state.acked, highest);
        if (!state.known || acked > state.acked) {
          await this.kv.put({ key: 'client', value: { ...state, known: true, acked } });
        }
      }
      return changed;
    });
  }

  /** Views need these no longer: a pull that contains them, and was `asked` about them, has come to rest. */
  async settle(client: Id, ackedSeq: number, asked: ReadonlySet<Id>): Promise<Stored[]> {
    return this.transaction('rw', this.kv, this.mutations, async () => {
      // A page asked under an earlier client id says nothing about the numbers of the present one.
      if ((await this.client()).id !== client) return [];
      const rows = await this.mutations.where('settled').equals(0).toArray();
      const done = rows
        .filter((row) => isSettled(row, client, ackedSeq, asked))
        .map((row): Stored => ({ ...row, settled: 1 }));
      await this.mutations.bulkPut(done);
      return done;
    });
  }

  /**
   * The server lacks `expected` and what follows it (it was restored from a backup). Queues all of it again under
   * the same numbers. False when it cannot be supplied: then only a new client id helps.
   */
  async resendFrom(expected: number): Promise<boolean> {
    return this.transaction('rw', this.kv, this.mutations, async () => {
      const client = await this.client();
      const rows = (await this.mutations.toArray()).filter(
        (r) => r.client === client.id && r.seq >= expected,
      );
      rows.sort((a, b) => a.seq - b.seq);
      await this.kv.put({ key: 'client', value: { ...client, acked: Math.min(client.acked, expected - 1) } });
      const whole = rows.length > 0 && rows.every((row, i) => row.seq === expected + i);
      for (const row of rows) {
        if (row.state === 'acked') {
          await this.mutations.update(row.n, { state: 'unsent', settled: 0, receipt: null, ackedAt: null });
        }
      }
      return whole && rows[rows.length - 1]!.seq === client.nextSeq - 1;
    });
  }

  /**
   * Queues again all that was ever confirmed and is still kept: the server may have been put back to a backup, and
   * a copy of this profile may since have taken the numbers. Its ids tell the server what it still has. Where some
   * of it went under an earlier client id, all gets new numbers under a new one: only so does what was saved first
   * come first again. Returns whether there was anything.
   */
  async resendAll(): Promise<boolean> {
    return this.transaction('rw', this.kv, this.mutations, async () => {
      const client = await this.client();
      const rows = await this.mutations.where('state').equals('acked').toArray();
      for (const row of rows) {
        await this.mutations.put({ ...row, state: 'unsent', settled: 0, receipt: null, ackedAt: null });
      }
      if (rows.length > 0) await this.kv.put({ key: 'client', value: { ...client, acked: 0 } });
      if (rows.some((row) => row.client !== client.id)) await this.fork(client.id);
      return rows.length > 0;
    });
  }

  /**
   * A new client id, the old one as its predecessor; what the replica may not hold is numbered anew from 1 in its
   * order. Ids and content stay, so whatever the server already has under an old number is recognised. From the
   * number `taken` on, others have the numbers: what was confirmed under them is not there any more.
   */
  async fork(from: Id, taken = Infinity): Promise<void> {
    await this.transaction('rw', this.kv, this.mutations, async () => {
      const old = await this.client();
      if (old.id !== from) return; // another tab was quicker
      const rows = (await this.mutations.where('settled').equals(0).toArray()).sort((a, b) => a.n - b.n);
      const next: ClientState = {
        id: uuid(),
        predecessor: old.known ? old.id : old.predecessor,
        nextSeq: rows.length + 1,
        known: false,
        acked: 0,
      };
      for (const [i, row] of rows.entries()) {
        const gone = row.client === from && row.seq >= taken;
        await this.mutations.update(row.n, {
          client: next.id,
          seq: i + 1,
          ...(gone ? { state: 'unsent', receipt: null, ackedAt: null } : {}),
        });
      }
      await this.kv.put({ key: 'client', value: next });
    });
  }

  /** Replaces a mutation that no server would take by a `void` under its number; the content stays here. */
  async voidOne(n: number): Promise<Stored> {
    return this.transaction('rw', this.mutations, async () => {
      const row = (await this.mutations.get(n))!;
      if (row.voided) return row;
      const next: Stored = {
        ...row,
        body: { ...row.body, verb: 'void', base: 0, ops: [] },
        voided: row.body,
      };
      await this.mutations.put(next);
      return next;
    });
  }

  /** Marks voided content as put away, or takes the mark back; returns what changed. */
  async putAway(id: Id, away: boolean): Promise<Stored[]> {
    return this.transaction('rw', this.mutations, async () => {
      const row = await this.mutations.where('id').equals(id).first();
      if (!row?.voided) return [];
      const { away: _, ...rest } = row;
      const next: Stored = away ? { ...rest, away: Date.now() } : rest;
      await this.mutations.put(next);
      return [next];
    });
  }

  async voidSeq(client: Id, seq: number): Promise<void> {
    const row = (await this.unsent()).find((r) => r.client === client && r.seq === seq);
    if (row) await this.voidOne(row.n);
  }

  /**
   * Forgets what was confirmed more than 30 days ago, but nothing that still needs somebody. `closed`: parked
   * mutations that are decided.
   */
  async prune(closed: { has(id: Id): boolean } = new Set(), now = Date.now()): Promise<void> {
    await this.transaction('rw', this.mutations, async () => {
      const old = await this.mutations
        .where('ackedAt')
        .below(now - KEEP_MS)
        .toArray();
      const done = old.filter((r) => {
        const open = r.receipt?.status === 'parked' && !closed.has(r.id);
        // Until its row has come, the change itself is all that the screens have of it.
        return r.ackedAt !== null && r.settled === 1 && !open && (!r.voided || r.away !== undefined);
      });
      await this.mutations.bulkDelete(done.map((r) => r.n));
    });
  }

  // ---- drafts and small things ---------------------------------------------------------------------------------

  /** When the server was last heard of and last confirmed something (device time, ms), and its clock's offset. */
  async contact(): Promise<LastContact | null> {
    return ((await this.kv.get('contact'))?.value as LastContact | undefined) ?? null;
  }
  async keepContact(value: LastContact): Promise<void> {
    await this.kv.put({ key: 'contact', value });
  }

  async loadDraft(key: string): Promise<DraftRow | undefined> {
    return this.drafts.get(key);
  }
  async loadDrafts(keys: string[]): Promise<Map<string, DraftRow>> {
    const rows = await this.drafts.bulkGet(keys);
    return new Map(rows.flatMap((row) => (row ? [[row.key, row] as const] : [])));
  }
  /** Committed by its own word: a page that goes away the moment it was typed takes no answer any more. */
  async saveDraft(key: string, value: unknown): Promise<void> {
    const writing = native(this).transaction('drafts', 'readwrite', { durability: 'strict' });
    const over = finished(writing);
    writing.objectStore('drafts').put({ key, value: clean(value), at: Date.now() });
    writing.commit();
    await over;
  }
  /** Changes a draft that is still there; one that has ended meanwhile does not come back. */
  async replaceDraft(key: string, value: unknown): Promise<void> {
    await this.transaction('rw', this.drafts, async () => {
      if (await this.drafts.get(key)) await this.drafts.put({ key, value: clean(value), at: Date.now() });
    });
  }
  /** True if it was there. */
  async clearDraft(key: string): Promise<boolean> {
    return this.transaction('rw', this.drafts, async () => {
      const there = (await this.drafts.get(key)) !== undefined;
      await this.drafts.delete(key);
      return there;
    });
  }
  async allDrafts(prefix = ''): Promise<DraftRow[]> {
    return this.drafts.where('key').startsWith(prefix).toArray();
  }

  // ---- photos --------------------------------------------------------------------------------------------------

  async photoKeys(): Promise<string[]> {
    return this.photos.toCollection().primaryKeys();
  }
  async photoRow(sha256: string): Promise<PhotoRow | undefined> {
    return this.photos.get(sha256);
  }
  /** All rows, one in memory at a time. */
  async eachPhoto(look: (row: PhotoRow) => void): Promise<void> {
    await this.photos.each(look);
  }
  /** Changes a row that is still there. */
  async changePhoto(sha256: string, part: Partial<PhotoRow>): Promise<void> {
    await this.transaction('rw', this.photos, async () => {
      const row = await this.photos.get(sha256);
      if (row) await this.photos.put({ ...row, ...part });
    });
  }
  async dropPhotos(keys: string[]): Promise<void> {
    await this.transaction('rw', this.photos, () => this.photos.bulkDelete(keys));
  }
  /** Photos whose only bytes are here. */
  async countPhotos(): Promise<number> {
    let n = 0;
    await this.photos.each((row) => {
      if (row.data && !row.removedAt && row.state !== 'stored') n++;
    });
    return n;
  }
  /** Takes in a row which is not here yet; false if it is. */
  async takePhoto(row: PhotoRow): Promise<boolean> {
    return this.transaction('rw', this.photos, async () => {
      if (await this.photos.get(row.sha256)) return false;
      await this.photos.put(row);
      return true;
    });
  }

  // ---- rescue --------------------------------------------------------------------------------------------------

  /** Everything in here, for the rescue file. */
  async dump(): Promise<{ client: ClientState; mutations: Stored[]; drafts: DraftRow[] }> {
    return this.transaction('rw', this.kv, this.mutations, this.drafts, async () => ({
      client: await this.client(),
      mutations: await this.mutations.orderBy('n').toArray(),
      drafts: await this.drafts.toArray(),
    }));
  }

  /**
   * Takes in mutations of a rescue file which this outbox has not seen, as new ones with their old ids: whatever
   * of them the server already has is recognised by the id.
   */
  async takeIn(
    mutations: Stored[],
    drafts: DraftRow[],
  ): Promise<{ added: number; known: number; drafts: number }> {
    return this.transaction('rw', this.kv, this.mutations, this.drafts, async () => {
      const client = await this.client();
      const result = { added: 0, known: 0, drafts: 0 };
      for (const m of [...mutations].sort((a, b) => a.n - b.n)) {
        if (await this.mutations.where('id').equals(m.id).first()) {
          result.known++;
          continue;
        }
        const row: Omit<Stored, 'n'> = {
          id: m.id,
          client: client.id,
          seq: client.nextSeq++,
          state: 'unsent',
          settled: 0,
          body: clean(m.body),
          savedAt: m.savedAt,
          ackedAt: null,
          receipt: null,
          ...(m.voided ? { voided: clean(m.voided) } : {}),
        };
        await this.mutations.add(row);
        result.added++;
      }
      await this.kv.put({ key: 'client', value: client });
      for (const d of drafts) {
        if (await this.drafts.get(d.key)) continue;
        await this.drafts.put(d);
        result.drafts++;
      }
      return result;
    });
  }
}

function freshClient(id: Id = uuid()): ClientState {
  return { id, predecessor: null, nextSeq: 1, known: false, acked: 0 };
}

function receiptText(receipt: Stored['receipt']): string {
  return `${receipt?.status} ${receipt?.code} ${receipt?.version}`;
}

export function onWire(row: Stored): Mutation {
  return { seq: row.seq, id: row.id, ...row.body };
}

/** True once a pull at rest, `asked` by `client` and answered with `ackedSeq`, contains this mutation. */
export function isSettled(row: Stored, client: Id, ackedSeq: number, asked: ReadonlySet<Id>): boolean {
  if (row.state !== 'acked') return false;
  // Under an earlier client id it had its receipt before this client first spoke, so every pull since contains it.
  return row.client === client ? row.seq <= ackedSeq && asked.has(row.id) : true;
}

const encoder = new TextEncoder();
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}
