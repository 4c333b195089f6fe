import { bestTime, dayIn, zone } from './clock';
import type { Stored } from './outbox';
import { distanceM } from './distance';
import { Matters, type PendingDecision } from './matters';
import { keyOf, type Row } from './replica';
import type {
  Amendment,
  Comment,
  CommentedKind,
  Conclusion,
  Conflict,
  Customer,
  CustomerRow,
  DecidedOn,
  Fix,
  FollowUp,
  Notice,
  Grade,
  Id,
  InReview,
  Lifecycle,
  Mode,
  Moment,
  Op,
  Outcome,
  OutboxEntry,
  Parked,
  PersonName,
  Position,
  Receipt,
  Role,
  Suggestion,
  Team,
  Visit,
  VisitKind,
  VisitStatus,
} from './types';

type Data = Record<string, unknown>;
/** A check-out that may still be undone, as kept in the drafts. */
export interface PendingCheckOut {
  at: Moment;
  undoUntil: number;
  lateReason?: string;
  fix?: Fix;
}

const SENT: Receipt = Object.freeze({ state: 'sent', sentAt: null, unsent: 0, waiting: null });
/** Kinds whose rows and mutations say what awaits a decision. */
const MATTER_KINDS = new Set(['parked', 'conflict', 'suggestion', 'amendment', 'decision']);
/** More than any honest chain of merges; a ring must not hang the phone. */
const MOST_MERGES = 20;
const DEFAULT_RADIUS_M = 200;

/**
 * Replica plus unacknowledged mutations, in memory: what every screen reads.
 *
 * Holds the raw rows and the mutations of the outbox and answers with finished records, each computed once and
 * kept until something that concerns it changes. No I/O in here.
 */
export class Model {
  private rows = new Map<string, Map<Id, Row>>();
  private mutations = new Map<string, Stored[]>();
  private pending = new Map<Id, PendingCheckOut>();
  private locating = new Set<Id>();

  private customerCache = new Map<Id, Customer>();
  private customerList: CustomerRow[] | null = null;
  private haystacks = new Map<Id, Haystack>();
  private visitCache = new Map<Id, Visit>();
  private byDay: Map<string, Set<Id>> | null = null;
  private dayOf = new Map<Id, string>();
  private matterCache: Matters | null = null;
  private decisions = new Map<string, PendingDecision>();
  /** Customer that was merged -> the one it was merged into, as the rows say. */
  private mergedInto = new Map<Id, Id>();

  constructor(
    readonly me: Id,
    /** What this person may decide depends on it. */
    public role: Role = 'rep',
  ) {}

  // ---- putting in ----------------------------------------------------------------------------------------------

  /** Puts in many rows at once, as at start. */
  loadRows(rows: Row[]): void {
    if (rows.length === 0) return;
    for (const row of rows) {
      this.kind(row.kind).set(row.id, row);
      if (row.kind === 'customer') this.noteMerge(row.id, row);
    }
    this.forgetAll();
  }

  holdsRows(): boolean {
    return this.rows.size > 0;
  }
  clearRows(): void {
    this.rows.clear();
    this.mergedInto.clear();
    this.forgetAll();
  }

  private noteMerge(id: Id, row: Row | undefined): void {
    const into = row?.data['merged_into'];
    if (typeof into === 'string' && into !== id) this.mergedInto.set(id, into);
    else this.mergedInto.delete(id);
  }

  /** The customer that stands for this one now: itself, or the end of its merges. */
  survivor(customer: Id): Id {
    let id = customer;
    for (let i = 0; i < MOST_MERGES; i++) {
      const into = this.mergedInto.get(id);
      if (into === undefined) break;
      id = into;
    }
    return id;
  }

  /** The outbox as it is now. Returns the keys whose view may have changed. */
  loadMutations(all: Stored[]): Set<string> {
    const keys = new Set(this.mutations.keys());
    this.mutations.clear();
    for (const m of all) {
      const key = keyOf(m.body.kind, m.body.entity);
      keys.add(key);
      const list = this.mutations.get(key);
      if (list) list.push(m);
      else this.mutations.set(key, [m]);
    }
    this.touch(keys, true);
    return keys;
  }

  /** Adds or replaces single mutations (by id). */
  putMutations(changed: Stored[]): Set<string> {
    const keys = new Set<string>();
    for (const m of changed) {
      const key = keyOf(m.body.kind, m.body.entity);
      keys.add(key);
      const list = (this.mutations.get(key) ?? []).filter((x) => x.id !== m.id);
      this.mutations.set(
        key,
        [...list, m].sort((a, b) => a.n - b.n),
      );
    }
    this.touch(
      keys,
      changed.some((m) => m.voided || m.receipt?.status === 'parked' || MATTER_KINDS.has(m.body.kind)),
    );
    return keys;
  }

  putRows(rows: Map<string, Row | undefined>): Set<string> {
    for (const [key, row] of rows) {
      const [kind, id] = key.split(' ') as [string, string];
      if (row) this.kind(kind).set(id, row);
      else this.kind(kind).delete(id);
      if (kind === 'customer') this.noteMerge(id, row);
    }
    const keys = new Set(rows.keys());
    // Suggestions ask who owns a customer.
    this.touch(
      keys,
      [...keys].some(
        (key) => key.startsWith('customer ') || MATTER_KINDS.has(key.slice(0, key.indexOf(' '))),
      ),
    );
    return keys;
  }

  setPending(visit: Id, pending: PendingCheckOut | null): void {
    if (pending) this.pending.set(visit, pending);
    else this.pending.delete(visit);
    this.visitCache.delete(visit);
  }
  pendingOf(visit: Id): PendingCheckOut | undefined {
    return this.pending.get(visit);
  }
  /** A decision that may still be undone, or its end. Returns the keys whose view may have changed. */
  setDecision(key: string, pending: PendingDecision | null): Set<string> {
    if (pending) this.decisions.set(key, pending);
    else this.decisions.delete(key);
    return new Set([key, ...this.renewMatters()]);
  }
  decisionOf(key: string): PendingDecision | undefined {
    return this.decisions.get(key);
  }
  pendingDecisions(): PendingDecision[] {
    return [...this.decisions.values()];
  }
  setRole(role: Role): void {
    if (role === this.role) return;
    this.role = role;
    this.renewMatters();
  }
  setLocating(visit: Id, on: boolean): void {
    if (on) this.locating.add(visit);
    else this.locating.delete(visit);
    this.visitCache.delete(visit);
  }

  private kind(kind: string): Map<Id, Row> {
    let map = this.rows.get(kind);
    if (!map) this.rows.set(kind, (map = new Map()));
    return map;
  }

  private forgetAll(): void {
    this.customerCache.clear();
    this.customerList = null;
    this.haystacks.clear();
    this.visitCache.clear();
    this.byDay = null;
    this.dayOf.clear();
    this.matterCache = null;
  }

  /** What awaits decisions is read anew; records that look otherwise by that are forgotten. Returns their keys. */
  private renewMatters(): Set<string> {
    const before = this.matterCache;
    this.matterCache = null;
    if (!before) return new Set();
    const keys = new Set([...before.keys(), ...this.matters().keys()]);
    this.forget(keys);
    return keys;
  }

  private touch(keys: Set<string>, matters: boolean): void {
    this.forget(keys);
    if (matters) for (const key of this.renewMatters()) keys.add(key);
  }

  private forget(keys: Set<string>): void {
    const customers = new Set<Id>();
    for (const key of keys) {
      const [kind, id] = key.split(' ') as [string, string];
      if (kind === 'customer') customers.add(id);
      else if (kind === 'visit') {
        this.visitCache.delete(id);
        this.placeInDay(id);
      }
    }
    if (customers.size > 0) this.renewCustomers(customers);
  }

  // ---- merged values -------------------------------------------------------------------------------------------

  /** Replica row plus unacknowledged mutations, raw, or undefined. `version` is the base for the next mutation. */
  value(kind: string, id: Id): { data: Data; version: number } | undefined {
    const row = this.rows.get(kind)?.get(id);
    const list = this.changesOf(kind, id);
    if (!list) return row && { data: row.data, version: row.version };
    const { closed } = this.matters();
    const over = list.filter((m) => overlays(m, row !== undefined, closed));
    if (!row && !over.some((m) => m.body.verb === 'create')) return undefined;
    return { data: over.length ? overlay(row?.data ?? {}, over) : row!.data, version: row?.version ?? 0 };
  }

  /** Mutations of a record in their order; of a customer also those on customers merged into it. */
  private changesOf(kind: string, id: Id): Stored[] | undefined {
    const own = this.mutations.get(keyOf(kind, id));
    if (kind !== 'customer' || this.mergedInto.size === 0) return own;
    const all = [...(own ?? [])];
    for (const old of this.mergedInto.keys()) {
      if (old === id || this.survivor(old) !== id) continue;
      const onOld = this.mutations.get(keyOf(kind, old)) ?? [];
      all.push(...onOld.filter((m) => m.body.verb === 'update'));
    }
    return all.length ? all.sort((a, b) => a.n - b.n) : undefined;
  }

  ids(kind: string): Set<Id> {
    const ids = new Set(this.rows.get(kind)?.keys() ?? []);
    for (const [key, list] of this.mutations) {
      const [k, id] = key.split(' ') as [string, string];
      if (k === kind && !ids.has(id) && list.some((m) => m.body.verb === 'create') && this.value(kind, id))
        ids.add(id);
    }
    return ids;
  }

  /** Ids of the records whose values pass; those without a change of one's own are asked by their rows alone. */
  private having(kind: string, passes: (data: Data) => boolean): Id[] {
    const out: Id[] = [];
    for (const [id, row] of this.rows.get(kind) ?? []) if (passes(row.data)) out.push(id);
    const found = new Set(out);
    for (const key of this.mutations.keys()) {
      const [k, id] = key.split(' ') as [string, string];
      if (k !== kind) continue;
      const v = this.value(kind, id);
      if (v && passes(v.data)) found.add(id);
      else found.delete(id);
    }
    return [...found];
  }

  /**
   * The records of a kind whose values pass, with their receipts. Of thousands only few have a change of one's own, or
   * something that waits: for all others nothing is looked up.
   */
  records(kind: string, passes: (id: Id, data: Data) => boolean): { id: Id; data: Data; receipt: Receipt }[] {
    const { needs, waiting } = this.matters();
    const touched = new Set<Id>();
    for (const keys of [this.mutations.keys(), needs, waiting.keys()])
      for (const key of keys) {
        const [k, id] = key.split(' ') as [string, string];
        if (k === kind) touched.add(id).add(this.survivor(id));
      }
    const out: { id: Id; data: Data; receipt: Receipt }[] = [];
    const look = (id: Id) => {
      const value = this.value(kind, id);
      if (value && passes(id, value.data))
        out.push({ id, data: value.data, receipt: this.receipt(kind, id) });
    };
    for (const [id, row] of this.rows.get(kind) ?? []) {
      if (touched.delete(id)) look(id);
      else if (passes(id, row.data)) out.push({ id, data: row.data, receipt: SENT });
    }
    // What is on this phone alone has no row.
    for (const id of touched) look(id);
    return out;
  }

  // ---- receipts ------------------------------------------------------------------------------------------------

  /** What awaits a decision, or had one. */
  matters(): Matters {
    return (this.matterCache ??= new Matters({
      me: this.me,
      role: this.role,
      rows: (kind) => this.rows.get(kind)?.values() ?? [],
      mutations: (kind) => this.mutationsOf(kind),
      pending: this.decisions,
      ownerOf: (customer) => {
        const id = this.survivor(customer);
        const row = this.rows.get('customer')?.get(id);
        return row ? text(row.data['owner_id']) : null;
      },
      receipt: (kind, id) => this.sendingOf(kind, id),
    }));
  }

  private mutationsOf(kind?: string): Stored[] {
    const out: Stored[] = [];
    for (const [key, list] of this.mutations) {
      if (kind === undefined || key.startsWith(`${kind} `)) out.push(...list);
    }
    return out;
  }

  /** The receipt of a record without regard to what is parked or in conflict. */
  private sendingOf(kind: string, id: Id): Receipt {
    const list = this.mutations.get(keyOf(kind, id));
    if (!list) return SENT;
    let unsent = 0;
    let sentAt: number | null = null;
    let merged = false;
    for (const m of list) {
      if (m.state === 'unsent') unsent++;
      else {
        sentAt = Math.max(sentAt ?? 0, m.ackedAt ?? 0);
        merged = m.receipt?.status === 'merged' || (merged && m.receipt?.status === 'noop');
      }
    }
    return { state: unsent > 0 ? 'phone' : merged ? 'merged' : 'sent', sentAt, unsent, waiting: null };
  }

  receipt(kind: string, id: Id): Receipt {
    const key = keyOf(kind, id);
    const { needs, waiting } = this.matters();
    const sending = this.sendingOf(kind, id);
    const waits = waiting.get(key) ?? null;
    // What is on this phone alone comes first: it is the one thing the server can not know.
    const state = sending.state !== 'phone' && needs.has(key) ? 'needs-you' : sending.state;
    return waits === null && state === sending.state ? sending : { ...sending, state, waiting: waits };
  }

  outbox(): OutboxEntry[] {
    const out: (OutboxEntry & { n: number })[] = [];
    for (const list of this.mutations.values()) {
      for (const m of list) {
        out.push({
          n: m.n,
          id: m.id,
          seq: m.seq,
          kind: m.body.kind,
          entity: m.body.entity,
          verb: m.voided?.verb ?? m.body.verb,
          savedAt: m.savedAt,
          sentAt: m.ackedAt,
          status: m.state === 'unsent' ? 'unsent' : (m.receipt?.status ?? 'applied'),
          code: m.voided ? 'TOO_LARGE' : (m.receipt?.code ?? null),
        });
      }
    }
    return out.sort((a, b) => b.n - a.n);
  }

  counts(): { unsent: number; unsentRecords: number; oldestUnsentAt: number | null; needsYou: number } {
    let unsent = 0;
    let unsentRecords = 0;
    let oldest = Infinity;
    for (const list of this.mutations.values()) {
      const here = list.filter((m) => m.state === 'unsent');
      unsent += here.length;
      if (here.length > 0) unsentRecords++;
      for (const m of here) oldest = Math.min(oldest, m.savedAt);
    }
    const { needsYou } = this.matters();
    return { unsent, unsentRecords, oldestUnsentAt: Number.isFinite(oldest) ? oldest : null, needsYou };
  }

  parked(): Parked[] {
    return this.matters().parked;
  }
  conflicts(): Conflict[] {
    return this.matters().conflicts;
  }
  suggestions(): Suggestion[] {
    return this.matters().suggestions;
  }
  decisionOn(on: DecidedOn, id: Id) {
    return this.matters().decision(on, id);
  }
  amendments(): Amendment[] {
    return this.matters().amendments;
  }

  // ---- customers -----------------------------------------------------------------------------------------------

  customer(id: Id): Customer | undefined {
    const kept = this.customerCache.get(id);
    if (kept) return kept;
    const stands = this.survivor(id);
    if (stands !== id && this.rows.get('customer')?.has(stands)) return this.customer(stands);
    const v = this.value('customer', id);
    if (!v) return undefined;
    const d = v.data;
    const isNew = v.version === 0;
    const made: Customer = {
      id,
      name: String(d['name'] ?? ''),
      address: String(d['address'] ?? ''),
      grade: (text(d['grade']) as Grade | null) ?? null,
      // What a rep makes is a lead of their own until the server says more.
      lifecycle: (text(d['lifecycle']) as Lifecycle | null) ?? (isNew ? 'lead' : null),
      tags: Array.isArray(d['tags']) ? (d['tags'] as string[]) : [],
      lat: number(d['lat']),
      lon: number(d['lon']),
      radiusM: number(d['radius_m']) ?? DEFAULT_RADIUS_M,
      ownerId: text(d['owner_id']) ?? (isNew ? this.me : null),
      archived: d['archived'] === true,
      mergedInto: stands === id ? null : stands,
      receipt: this.receipt('customer', id),
      distanceM: null,
      teamId: text(d['team_id']),
      phone: String(d['phone'] ?? ''),
      contact: String(d['contact'] ?? ''),
      note: String(d['note'] ?? ''),
      code: String(d['code'] ?? ''),
      version: v.version,
    };
    this.customerCache.set(id, made);
    return made;
  }

  customers(): CustomerRow[] {
    if (this.customerList) return this.customerList;
    const list: CustomerRow[] = [];
    for (const id of this.ids('customer')) {
      const c = this.customer(id);
      // One that was merged answers as the one it was merged into, which is in the list itself.
      if (c && !c.archived && c.id === id) list.push(c);
    }
    return (this.customerList = list.sort(byName));
  }

  private renewCustomers(touched: Set<Id>): void {
    // A change on one that was merged shows on the one that stands for it.
    const ids = new Set([...touched, ...[...touched].map((id) => this.survivor(id))]);
    for (const id of ids) {
      this.customerCache.delete(id);
      this.haystacks.delete(id);
      // Visits carry the name and the distance.
      for (const [visit, made] of this.visitCache) if (made.customerId === id) this.visitCache.delete(visit);
    }
    if (!this.customerList) return;
    if (ids.size > 50) {
      this.customerList = null;
      return;
    }
    const list = this.customerList.filter((row) => !ids.has(row.id));
    for (const id of ids) {
      const c = this.customer(id);
      if (c && !c.archived && c.id === id) list.splice(firstAfter(list, c), 0, c);
    }
    this.customerList = list;
  }

  /** Prepares the search for up to `count` more customers; true when all are prepared. */
  prepareSearch(count: number): boolean {
    for (const row of this.customers()) {
      if (this.haystacks.has(row.id)) continue;
      if (count-- <= 0) return false;
      this.haystack(row.id);
    }
    return true;
  }

  private haystack(id: Id): Haystack {
    let h = this.haystacks.get(id);
    if (!h) {
      const c = this.customer(id)!;
      const name = fold(c.name);
      h = {
        name,
        all: `${name} ${fold(`${c.address} ${c.code} ${c.phone} ${c.contact} ${c.tags.join(' ')}`)}`,
      };
      this.haystacks.set(id, h);
    }
    return h;
  }

  searchCustomers(
    query: string,
    options: { near?: { lat: number; lon: number } | null; limit?: number; own?: boolean } = {},
  ): CustomerRow[] {
    const { near = null, limit = 100, own = false } = options;
    const words = fold(query).split(/\s+/).filter(Boolean);
    const found: { row: CustomerRow; rank: number; distance: number }[] = [];
    for (const row of this.customers()) {
      if (own && row.ownerId !== this.me) continue;
      let rank = 0;
      if (words.length > 0) {
        const h = this.haystack(row.id);
        if (!words.every((w) => h.all.includes(w))) continue;
        const first = words[0]!;
        rank = h.name.startsWith(first)
          ? 0
          : h.name.includes(` ${first}`)
            ? 1
            : h.name.includes(first)
              ? 2
              : 3;
      }
      const distance =
        near && row.lat !== null && row.lon !== null
          ? distanceM(near, { lat: row.lat, lon: row.lon })
          : Infinity;
      if (words.length === 0 && !near && found.length >= limit) break;
      found.push({ row, rank, distance });
    }
    // The list is in order of names already and sort is stable.
    found.sort((a, b) => a.rank - b.rank || (a.distance === b.distance ? 0 : a.distance - b.distance));
    return found
      .slice(0, limit)
      .map(({ row, distance }) =>
        near ? { ...row, distanceM: Number.isFinite(distance) ? distance : null } : row,
      );
  }

  // ---- visits --------------------------------------------------------------------------------------------------

  visit(id: Id): Visit | undefined {
    const kept = this.visitCache.get(id);
    if (kept) return kept;
    const v = this.value('visit', id);
    if (!v) return undefined;
    const d = v.data;
    const customer = this.customer(String(d['customer_id'] ?? ''));
    const customerId = customer?.id ?? String(d['customer_id'] ?? '');
    const server = (d['server'] as Conclusion | null | undefined) ?? null;
    const checkIn = (d['check_in'] as Moment | null | undefined) ?? null;
    const checkOut = (d['check_out'] as Moment | null | undefined) ?? null;
    const checkInAt = best(server?.check_in_at, checkIn);
    const checkOutAt = best(server?.check_out_at, checkOut);
    const fix = (d['check_in_fix'] as Fix | null | undefined) ?? null;
    const bestFix = (d['check_in_best_fix'] as Fix | null | undefined) ?? null;
    const pending = this.pending.get(id);
    const status = (text(d['status']) ?? 'planned') as VisitStatus;
    const made: Visit = {
      id,
      version: v.version,
      status,
      customerId,
      customerName: customer?.name ?? '',
      repId: text(d['rep_id']) ?? (v.version === 0 ? this.me : null),
      mode: (text(d['mode']) ?? 'in_person') as Mode,
      kind: String(d['kind'] ?? ''),
      plannedDate: text(d['planned_date']),
      plannedTime: text(d['planned_time'])?.slice(0, 5) ?? null,
      repeat: text(d['repeat']),
      outcome: text(d['outcome']),
      lateReason: text(d['late_reason']),
      minutes: String(d['minutes'] ?? ''),
      nextStep: String(d['next_step'] ?? ''),
      tags: Array.isArray(d['tags']) ? (d['tags'] as string[]) : [],
      photos: Array.isArray(d['photos']) ? (d['photos'] as string[]) : [],
      checkIn,
      checkOut,
      checkInFix: fix,
      checkInBestFix: bestFix,
      checkOutFix: (d['check_out_fix'] as Fix | null | undefined) ?? null,
      checkInAt,
      checkOutAt,
      durationS:
        checkInAt === null || checkOutAt === null
          ? null
          : Math.max(0, Math.round((checkOutAt - checkInAt) / 1000)),
      day: this.dayFor(d),
      zone: server?.zone ?? checkIn?.zone ?? zone(),
      pendingCheckOut: pending && status === 'open' ? { at: pending.at, undoUntil: pending.undoUntil } : null,
      locating: this.locating.has(id),
      distanceM: distanceTo(better(fix, bestFix), customer),
      server,
      receipt: this.receipt('visit', id),
    };
    this.visitCache.set(id, made);
    return made;
  }

  private dayFor(d: Data): string {
    const server = d['server'] as Conclusion | null | undefined;
    const checkIn = d['check_in'] as Moment | null | undefined;
    if (checkIn)
      return server?.check_in_at && server.day ? server.day : dayIn(bestTime(checkIn), checkIn.zone);
    return text(d['planned_date']) ?? server?.day ?? '';
  }

  private days(): Map<string, Set<Id>> {
    if (!this.byDay) {
      this.byDay = new Map();
      for (const id of this.ids('visit')) this.placeInDay(id);
    }
    return this.byDay;
  }

  private placeInDay(id: Id): void {
    if (!this.byDay) return;
    const before = this.dayOf.get(id);
    const v = this.value('visit', id);
    const now = v ? this.dayFor(v.data) : undefined;
    if (before === now) return;
    if (before !== undefined) this.byDay.get(before)?.delete(id);
    if (now === undefined) this.dayOf.delete(id);
    else {
      this.dayOf.set(id, now);
      const set = this.byDay.get(now);
      if (set) set.add(id);
      else this.byDay.set(now, new Set([id]));
    }
  }

  /** Own visits of a day in time order; those without any time last. */
  visitsOfDay(day: string): Visit[] {
    const ids = this.days().get(day) ?? new Set<Id>();
    return this.own(ids).sort((a, b) => clockOf(a) - clockOf(b));
  }

  /** Own visits, newest first. */
  myVisits(options: { limit?: number; from?: string; status?: VisitStatus } = {}): Visit[] {
    const { limit = 200, from = '', status } = options;
    const out: Visit[] = [];
    const days = [...this.days().keys()].filter((day) => day >= from).sort((a, b) => (a < b ? 1 : -1));
    for (const day of days) {
      if (out.length >= limit) break;
      out.push(
        ...this.visitsOfDay(day)
          .reverse()
          .filter((v) => !status || v.status === status),
      );
    }
    return out.slice(0, limit);
  }

  visitsOfCustomer(customer: Id, limit = 50): Visit[] {
    const ids: Id[] = [];
    const stands = this.survivor(customer);
    const theirs = (of: unknown) =>
      of === customer || (typeof of === 'string' && this.survivor(of) === stands);
    ids.push(...this.having('visit', (d) => theirs(d['customer_id'])));
    return ids
      .map((id) => this.visit(id)!)
      .sort((a, b) => (a.day === b.day ? clockOf(b) - clockOf(a) : a.day < b.day ? 1 : -1))
      .slice(0, limit);
  }

  /** Visits of others that are in review, newest first, judged ones included. */
  reviews(): InReview[] {
    const out: InReview[] = [];
    for (const id of this.ids('visit')) {
      const data = this.value('visit', id)?.data;
      const server = data?.['server'] as Conclusion | null | undefined;
      if (data?.['rep_id'] === this.me || server?.trust !== 'review') continue;
      const visit = this.visit(id)!;
      if (visit.status !== 'done') continue;
      const here = this.decisionOn('visit', id);
      const { accepted, asked, declined } = server;
      const verdict = here?.verdict ?? (accepted ? 'accept' : declined ? 'decline' : asked ? 'ask' : null);
      out.push({
        id,
        visit,
        // Who asked waits for an answer: the visit stays in review.
        status: verdict === 'accept' || verdict === 'decline' ? 'resolved' : 'open',
        verdict,
        decidedBy: here ? this.me : (declined?.by ?? asked?.by ?? null),
        decidedAt: here?.decidedAt ?? (declined ? null : (asked?.at ?? null)),
        word: here ? here.word : (declined?.word ?? asked?.word ?? null),
        undoUntil: here?.undoUntil ?? null,
        mayDecide: true,
        needsYou: verdict === null,
        waiting: verdict === 'ask' ? { person: visit.repId } : null,
      });
    }
    const [day, clock] = [(r: InReview) => r.visit.day, (r: InReview) => clockOf(r.visit)];
    return out.sort((a, b) => (day(a) === day(b) ? clock(b) - clock(a) : day(a) < day(b) ? 1 : -1));
  }

  /** The own visit that is running: open, and its check-out not tapped. The latest, should there be several. */
  openVisit(): Visit | null {
    let found: Visit | null = null;
    for (const id of this.having('visit', (d) => d['status'] === 'open')) {
      const v = this.visit(id)!;
      if (v.repId !== this.me || v.pendingCheckOut) continue;
      if (!found || (v.checkInAt ?? 0) > (found.checkInAt ?? 0)) found = v;
    }
    return found;
  }

  private own(ids: Iterable<Id>): Visit[] {
    const out: Visit[] = [];
    for (const id of ids) {
      const v = this.visit(id);
      if (v && v.repId === this.me) out.push(v);
    }
    return out;
  }

  // ---- follow-ups and comments -----------------------------------------------------------------------------------

  followUp(id: Id): FollowUp | undefined {
    const v = this.value('follow_up', id);
    if (!v) return undefined;
    const d = v.data;
    const customer = typeof d['customer_id'] === 'string' ? this.customer(d['customer_id']) : undefined;
    const done = (d['done'] as Moment | null | undefined) ?? null;
    return {
      id,
      version: v.version,
      status: (text(d['status']) ?? 'open') as FollowUp['status'],
      customerId: customer?.id ?? text(d['customer_id']),
      customerName: customer?.name ?? '',
      visitId: text(d['visit_id']),
      ownerId: text(d['owner_id']) ?? (v.version === 0 ? this.me : null),
      kind: String(d['kind'] ?? ''),
      subject: String(d['subject'] ?? ''),
      note: String(d['note'] ?? ''),
      dueDate: text(d['due_date']),
      dueTime: text(d['due_time'])?.slice(0, 5) ?? null,
      dueZone: text(d['due_zone']),
      repeat: text(d['repeat']),
      requestedAt: Date.parse(text(d['requested_at']) ?? '') || null,
      doneAt: done && d['status'] === 'done' ? bestTime(done) : null,
      receipt: this.receipt('follow_up', id),
    };
  }

  /** Follow-ups that are open, and those done at `doneSince` (ms) or later; those due first first. */
  followUps(doneSince = Infinity): FollowUp[] {
    const wanted = (d: Data) => {
      if (d['archived'] === true) return false;
      if (d['status'] !== 'done') return (text(d['status']) ?? 'open') === 'open';
      const done = d['done'] as Moment | null | undefined;
      return !!done && bestTime(done) >= doneSince;
    };
    const due = (f: FollowUp) => `${f.dueDate ?? '9999'} ${f.dueTime ?? '24:00'}`;
    return this.having('follow_up', wanted)
      .map((id) => this.followUp(id)!)
      .sort((a, b) => due(a).localeCompare(due(b)));
  }

  /** The inbox, newest first. */
  notices(): Notice[] {
    const out: Notice[] = [];
    for (const id of this.ids('notice')) {
      const d = this.value('notice', id)?.data;
      if (!d) continue;
      out.push({
        id,
        rule: String(d['rule'] ?? ''),
        about: Array.isArray(d['about']) ? (d['about'] as Notice['about']) : [],
        words: (d['words'] ?? {}) as Record<string, unknown>,
        at: String(d['at'] ?? ''),
        read: d['status'] === 'read',
        snoozedUntil: text(d['snoozed_until']),
        receipt: this.receipt('notice', id),
      });
    }
    return out.sort((a, b) => b.at.localeCompare(a.at));
  }

  /** Comments on a record, oldest first; on a customer also those on customers merged into it. */
  comments(kind: CommentedKind, on: Id): Comment[] {
    const stands = kind === 'customer' ? this.survivor(on) : on;
    const out: Comment[] = [];
    for (const id of this.ids('comment')) {
      const v = this.value('comment', id);
      if (!v || v.data['on_kind'] !== kind) continue;
      const onId = String(v.data['on_id'] ?? '');
      if (onId !== on && (kind !== 'customer' || this.survivor(onId) !== stands)) continue;
      const own = this.mutations.get(keyOf('comment', id))?.[0];
      out.push({
        id,
        onKind: kind,
        onId,
        body: String(v.data['body'] ?? ''),
        authorId: text(v.data['author_id']) ?? (own ? this.me : null),
        at: text(v.data['at']) ?? (own ? new Date(bestTime(own.body.at)).toISOString() : null),
        receipt: this.receipt('comment', id),
      });
    }
    return out.sort((a, b) => (a.at ?? '').localeCompare(b.at ?? '') || (a.id < b.id ? -1 : 1));
  }

  // ---- small read-only kinds -----------------------------------------------------------------------------------

  kinds(): VisitKind[] {
    return this.each('visit_kind', (_, d) => {
      const least = (d['min_minutes'] ?? {}) as Partial<VisitKind['minMinutes']>;
      return {
        code: String(d['code']),
        name: String(d['name'] ?? d['code']),
        nameZh: String(d['name_zh'] ?? d['name'] ?? d['code']),
        minMinutes: { in_person: least.in_person ?? 30, online: least.online ?? 30, phone: least.phone ?? 0 },
      };
    }).sort((a, b) => a.name.localeCompare(b.name));
  }
  outcomes(): Outcome[] {
    return this.each('outcome', (_, d) => ({
      code: String(d['code']),
      name: String(d['name'] ?? d['code']),
      nameZh: String(d['name_zh'] ?? d['name'] ?? d['code']),
      position: number(d['position']) ?? 0,
    })).sort((a, b) => a.position - b.position);
  }
  settings(): Record<string, unknown> {
    return Object.fromEntries(this.each('setting', (id, d) => [String(d['key'] ?? id), d['value']] as const));
  }
  people(): Map<Id, PersonName> {
    return new Map(
      this.each('person', (id, d) => [
        id,
        {
          id,
          name: String(d['name'] ?? ''),
          role: text(d['role']) as Role | null,
          teamId: text(d['team_id']),
          active: d['active'] !== false,
        },
      ]),
    );
  }
  teams(): Team[] {
    return this.each('team', (id, d) => ({
      id,
      name: String(d['name'] ?? ''),
      parent_id: text(d['parent_id']),
    }));
  }
  private each<T>(kind: string, make: (id: Id, data: Data) => T): T[] {
    return [...(this.rows.get(kind)?.values() ?? [])].map((row) => make(row.id, row.data));
  }
}

// ---- pure parts -----------------------------------------------------------------------------------------------

interface Haystack {
  name: string;
  all: string;
}

/** Whether a view must apply this mutation over the replica's row. */
export function overlays(m: Stored, hasRow: boolean, resolved: ReadonlyMap<Id, unknown>): boolean {
  if (m.voided) return false;
  // What was parked is not in force; but a record that exists nowhere else stays in its author's sight.
  if (m.receipt?.status === 'parked') return !hasRow && !resolved.has(m.id);
  return m.settled === 0;
}

/** The values after these mutations, in order; `data` itself is not changed. */
export function overlay(data: Data, mutations: Stored[]): Data {
  const out: Data = { ...data };
  for (const { body } of mutations) {
    if (body.verb === 'archive') out['archived'] = true;
    else if (body.verb === 'restore') out['archived'] = false;
    for (const op of body.ops) applyOp(out, op);
  }
  return out;
}

function applyOp(out: Data, op: Op): void {
  if (op.op === 'add' || op.op === 'remove') {
    const values = op.values ?? [];
    const now = Array.isArray(out[op.field]) ? (out[op.field] as unknown[]) : [];
    const kept = now.filter((v) => !values.includes(v));
    out[op.field] = op.op === 'add' ? [...kept, ...values] : kept;
  } else out[op.field] = op.new ?? null;
}

/** Keys a mutation touches or refers to. */
export function references(body: Stored['body'], into: Set<string>): void {
  into.add(keyOf(body.kind, body.entity));
  let onKind: unknown;
  let onId: unknown;
  for (const { field, new: value } of body.ops) {
    if (typeof value !== 'string') continue;
    if (field === 'customer_id') into.add(keyOf('customer', value));
    else if (field === 'visit_id') into.add(keyOf('visit', value));
    else if (field === 'on_kind') onKind = value;
    else if (field === 'on_id') onId = value;
  }
  if (typeof onKind === 'string' && typeof onId === 'string') into.add(keyOf(onKind, onId));
}

export function isPosition(fix: Fix | null | undefined): fix is Position {
  return !!fix && 'lat' in fix;
}

function better(first: Fix | null, bestFix: Fix | null): Position | null {
  if (!isPosition(bestFix)) return isPosition(first) ? first : null;
  return isPosition(first) && first.accuracy_m <= bestFix.accuracy_m ? first : bestFix;
}

function distanceTo(fix: Position | null, customer: Customer | undefined): number | null {
  if (!fix || !customer || customer.lat === null || customer.lon === null) return null;
  return distanceM(fix, { lat: customer.lat, lon: customer.lon });
}

function best(server: string | null | undefined, at: Moment | null): number | null {
  if (at === null) return null;
  const said = server ? Date.parse(server) : NaN;
  return Number.isFinite(said) ? said : bestTime(at);
}

/** For order within a day: ms of the check-in, else of the planned time; unknown times come last. */
function clockOf(v: Visit): number {
  if (v.checkInAt !== null) return v.checkInAt;
  if (v.plannedTime) {
    const at = Date.parse(`${v.day}T${v.plannedTime}:00`);
    if (Number.isFinite(at)) return at;
  }
  return Number.MAX_SAFE_INTEGER;
}

const collator = new Intl.Collator(undefined, { sensitivity: 'base', numeric: true });
function byName(a: CustomerRow, b: CustomerRow): number {
  return collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1);
}
function firstAfter(list: CustomerRow[], row: CustomerRow): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (byName(list[mid]!, row) < 0) low = mid + 1;
    else high = mid;
  }
  return low;
}

const ASCII = /^[\0-\x7f]*$/;

/** Lower case without marks, so that "cafe" finds "Café". */
export function fold(s: string): string {
  return s.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}

function text(v: unknown): string | null {
  return typeof v === 'string' && v !== '' ? v : null;
}
function number(v: unknown): number | null {
  return typeof v === 'number' && Number.isFinite(v) ? v : null;
}
