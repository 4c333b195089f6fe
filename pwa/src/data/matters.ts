import type { Stored } from './outbox';
import { keyOf, type Row } from './replica';
import type {
  Amendment,
  Conflict,
  Decidable,
  DecidedOn,
  Id,
  Instant,
  Moment,
  Mutation,
  Op,
  Parked,
  Receipt,
  Role,
  Suggestion,
  Verdict,
} from './types';

type Data = Record<string, unknown>;

/** A decision that may still be undone, as kept in the drafts under `decide:<on> <id>`. */
export interface PendingDecision {
  on: DecidedOn;
  id: Id;
  verdict: Verdict;
  word: string | null;
  at: Moment;
  undoUntil: number;
}

/** What the model lends for this. */
export interface Sight {
  me: Id;
  role: Role;
  rows(kind: string): Iterable<Row>;
  /** All mutations of the outbox of one kind, or of every kind. */
  mutations(kind?: string): Stored[];
  pending: ReadonlyMap<string, PendingDecision>;
  /** Who owns a customer, through merges; null: nobody, or unknown here. */
  ownerOf(customer: Id): Id | null;
  receipt(kind: string, id: Id): Receipt;
}

/** Fields of a customer that are a manager's: from a rep they become a suggestion (PROTOCOL, "Rights at the door"). */
export const MANAGERS_FIELDS: ReadonlySet<string> = new Set([
  'owner_id',
  'team_id',
  'grade',
  'radius_m',
  'lat',
  'lon',
  'code',
  'lifecycle',
]);

/**
 * Everything that awaits a decision or has had one: parked changes, conflicts, suggestions, correction requests.
 * Rows of the server, under decisions made on this phone which the rows do not show yet.
 */
export class Matters {
  readonly parked: Parked[] = [];
  readonly conflicts: Conflict[] = [];
  readonly suggestions: Suggestion[] = [];
  readonly amendments: Amendment[] = [];
  /** Keys of records of which something needs this person. */
  readonly needs = new Set<string>();
  /** Keys of records of which something awaits somebody else. */
  readonly waiting = new Map<string, { person: Id | null }>();
  /** Mutations that were parked and are decided, as the server says, with the keys of their records. */
  readonly closed = new Map<Id, string>();
  /** Mutations whose parked row is here. */
  private readonly known = new Set<Id>();
  private readonly recorded = new Map<string, Stored>();
  /** What was said with the decisions that stand. */
  private readonly words = new Map<string, string>();

  constructor(private readonly sight: Sight) {
    for (const { data: d } of sight.rows('decision')) {
      const word = text(d['word']);
      if (word && d['stands'] === true)
        this.words.set(decisionKey(String(d['on_kind']) as DecidedOn, String(d['on_id'])), word);
    }
    for (const m of sight.mutations('decision')) {
      // Once a pull contains it the rows tell; refused, or second to somebody else's, it never held.
      if (m.settled || m.receipt?.status === 'parked' || m.receipt?.status === 'merged') continue;
      const said = values(m.body.ops);
      const key = decisionKey(String(said['on_kind']) as DecidedOn, String(said['on_id']));
      const before = this.recorded.get(key);
      if (!before || before.n < m.n) this.recorded.set(key, m);
    }
    this.readSuggestions();
    this.readParked();
    this.readConflicts();
    this.readAmendments();
    for (const item of this.parked) this.mark(item, [keyOf(item.kind, item.entity)]);
    for (const item of this.conflicts) this.mark(item, [keyOf(item.kind, item.entity)]);
    for (const item of this.suggestions) this.mark(item, [keyOf(item.kind, item.entity)]);
    for (const item of this.amendments) this.mark(item, [keyOf('visit', item.visitId)]);
  }

  /** Keys of the records that look otherwise because of what stands here. */
  keys(): Set<string> {
    return new Set([...this.needs, ...this.waiting.keys(), ...this.closed.values()]);
  }

  get needsYou(): number {
    const lists: Decidable[][] = [this.parked, this.conflicts, this.suggestions, this.amendments];
    return lists.reduce((sum, list) => sum + list.filter((item) => item.needsYou).length, 0);
  }

  /** The decision on one thing as made here and not yet in the rows, or null. */
  decision(on: DecidedOn, id: Id): Pick<Decidable, 'verdict' | 'word' | 'undoUntil' | 'decidedAt'> | null {
    const key = decisionKey(on, id);
    const pending = this.sight.pending.get(key);
    if (pending) {
      const { verdict, word, undoUntil, at } = pending;
      return { verdict, word, undoUntil, decidedAt: at.wall };
    }
    const recorded = this.recorded.get(key);
    if (!recorded) return null;
    const said = values(recorded.body.ops);
    return {
      verdict: said['verdict'] as Verdict,
      word: text(said['word']),
      undoUntil: null,
      decidedAt: recorded.body.at.wall,
    };
  }

  private mark(item: Decidable, keys: string[]): void {
    for (const key of keys) {
      if (item.needsYou) this.needs.add(key);
      if (item.waiting) this.waiting.set(key, item.waiting);
    }
  }

  /** Where the decision stands: the row's word under what was decided here since. */
  private stand(
    on: DecidedOn,
    id: Id,
    d: Data,
    mayDecide: boolean,
    waiting: Decidable['waiting'],
    quiet = false,
  ): Decidable {
    const here = this.decision(on, id);
    const status = here || d['status'] === 'resolved' ? 'resolved' : 'open';
    return {
      id,
      status,
      verdict: here?.verdict ?? (text(d['verdict']) as Verdict | null),
      decidedBy: here ? this.sight.me : text(d['decided_by']),
      decidedAt: here?.decidedAt ?? text(d['decided_at']),
      word: here ? here.word : (this.words.get(decisionKey(on, id)) ?? null),
      undoUntil: here?.undoUntil ?? null,
      mayDecide,
      needsYou: status === 'open' && mayDecide && !waiting && !quiet,
      waiting: status === 'open' ? waiting : null,
    };
  }

  private get leads(): boolean {
    return this.sight.role === 'manager' || this.sight.role === 'administrator';
  }

  private readSuggestions(): void {
    const { me } = this.sight;
    for (const { id, data: d } of this.sight.rows('suggestion')) {
      const ops = Array.isArray(d['ops']) ? (d['ops'] as Op[]) : [];
      const kind = String(d['kind'] ?? '');
      const entity = String(d['entity'] ?? '');
      const into = text(d['into']);
      const authorId = text(d['author_id']);
      const merge = d['purpose'] === 'merge';
      const customerId = text(d['customer_id']) ?? (kind === 'customer' ? entity : null);
      const owner = customerId ? this.sight.ownerOf(customerId) : null;
      const managers = ops.some((op) => MANAGERS_FIELDS.has(op.field));
      const owns = merge
        ? owner === me && !!into && this.sight.ownerOf(into) === me
        : owner === me && !managers;
      const mayDecide = this.leads || (owns && (merge || authorId !== me));
      const who = merge || managers || owner === authorId ? null : owner;
      this.suggestions.push({
        ...this.stand('suggestion', id, d, mayDecide, mayDecide ? null : { person: who }),
        kind,
        entity,
        customerId,
        purpose: merge ? 'merge' : 'edit',
        ops,
        parked: text(d['parked']),
        into,
        authorId,
        at: text(d['at']),
      });
    }
    this.suggestions.sort(newestFirst((s) => s.at));
  }

  private readParked(): void {
    const { me } = this.sight;
    const suggested = new Map(this.suggestions.map((s) => [s.id, s]));
    const rows = [...this.sight.rows('parked')];
    const open = new Set(rows.filter((r) => r.data['status'] !== 'resolved').map((r) => r.id));
    for (const { id, data: d } of rows) {
      const said = d['mutation'];
      // Raw text where the server's strict reader could not take it.
      const mutation = typeof said === 'object' ? (said as Mutation | null) : null;
      if (mutation?.id) {
        this.known.add(mutation.id);
        if (d['status'] === 'resolved')
          this.closed.set(mutation.id, keyOf(String(d['kind']), String(d['entity'])));
      }
      const code = String(d['code'] ?? '');
      const authorId = text(d['author_id']);
      const suggestion = text(d['suggestion']);
      const asked = suggestion ? suggested.get(suggestion) : undefined;
      const mayDecide = this.leads || authorId === me || authorId === null;
      const waits = suggestion !== null && asked?.status !== 'resolved';
      // The suggestion itself is what a lead or the owner decides on.
      const waiting = waits && authorId === me ? (asked?.waiting ?? { person: null }) : null;
      // It follows by itself when what it stands behind is decided.
      const behind = text(d['behind']);
      const follows = code === 'PARENT_PARKED' && behind !== null && open.has(behind);
      this.parked.push({
        ...this.stand('parked', id, d, mayDecide, waiting, waits || follows),
        code,
        field: text(d['field']),
        detail: text(d['detail']),
        kind: String(d['kind'] ?? mutation?.kind ?? ''),
        entity: String(d['entity'] ?? mutation?.entity ?? ''),
        authorId,
        receivedAt: text(d['received_at']),
        mutation,
        suggestion,
        behind,
        fromServer: true,
      });
    }
    for (const m of this.sight.mutations()) {
      const tooLarge = m.voided !== undefined;
      if (!tooLarge && (m.receipt?.status !== 'parked' || this.known.has(m.id))) continue;
      const away = m.away !== undefined;
      this.parked.push({
        id: m.id,
        status: away ? 'resolved' : 'open',
        verdict: away ? 'discard' : null,
        decidedBy: away ? me : null,
        decidedAt: m.away ? new Date(m.away).toISOString() : null,
        word: null,
        undoUntil: null,
        // Its own row must be here before anything can be said about it.
        mayDecide: tooLarge,
        needsYou: !away,
        waiting: null,
        code: tooLarge ? 'TOO_LARGE' : (m.receipt?.code ?? ''),
        field: null,
        detail: m.receipt?.detail ?? null,
        kind: m.body.kind,
        entity: m.body.entity,
        authorId: me,
        receivedAt: m.ackedAt === null ? null : new Date(m.ackedAt).toISOString(),
        mutation: { seq: m.seq, id: m.id, ...(m.voided ?? m.body) },
        suggestion: null,
        behind: null,
        fromServer: false,
      });
    }
    this.parked.sort(newestFirst((p) => p.receivedAt));
  }

  private readConflicts(): void {
    const { me } = this.sight;
    for (const { id, data: d } of this.sight.rows('conflict')) {
      const authorId = text(d['author_id']);
      const lostAuthorId = text(d['lost_author_id']);
      // Of nobody we know: it came to this phone because somebody here should see it.
      const known = authorId !== null || lostAuthorId !== null;
      const mayDecide = this.leads || !known || authorId === me || lostAuthorId === me;
      this.conflicts.push({
        ...this.stand('conflict', id, d, mayDecide, null),
        kind: String(d['kind'] ?? ''),
        entity: String(d['entity'] ?? ''),
        field: String(d['field'] ?? ''),
        kept: d['kept'],
        lost: d['lost'],
        keptBy: String(d['kept_by'] ?? ''),
        code: String(d['code'] ?? ''),
        authorId,
        at: text(d['at']),
        keptAuthorId: text(d['kept_author_id']),
        keptAt: text(d['kept_at']),
        lostAuthorId,
        lostAt: text(d['lost_at']),
        became: (d['became'] as Conflict['became'] | undefined) ?? null,
      });
    }
    this.conflicts.sort(newestFirst((c) => c.at));
  }

  private readAmendments(): void {
    const held = new Set<Id>();
    for (const { id, data } of this.sight.rows('amendment')) {
      held.add(id);
      this.amendments.push(this.amendment(id, data));
    }
    for (const m of this.sight.mutations('amendment')) {
      if (held.has(m.body.entity) || m.body.verb !== 'create' || m.voided) continue;
      if (m.receipt?.status === 'parked') continue;
      const at: Instant = m.body.at.wall;
      this.amendments.push(
        this.amendment(m.body.entity, { ...values(m.body.ops), author_id: this.sight.me, at }),
      );
    }
    this.amendments.sort(newestFirst((a) => a.at));
  }

  private amendment(id: Id, d: Data): Amendment {
    // Nobody decides about their own, but an administrator.
    const own = text(d['author_id']) === this.sight.me;
    const mayDecide = this.sight.role === 'administrator' || (this.leads && !own);
    return {
      ...this.stand('amendment', id, d, mayDecide, mayDecide ? null : { person: null }),
      visitId: String(d['visit_id'] ?? ''),
      reason: String(d['reason'] ?? ''),
      changes: (d['changes'] as Data | null | undefined) ?? {},
      before: (d['before'] as Data | null | undefined) ?? null,
      authorId: text(d['author_id']),
      at: text(d['at']),
      receipt: this.sight.receipt('amendment', id),
    };
  }
}

export function decisionKey(on: DecidedOn, id: Id): string {
  return `${on} ${id}`;
}

/** Field -> new value of the `set` and `text` ops. */
export function values(ops: Op[]): Data {
  return Object.fromEntries(ops.map((op) => [op.field, op.new ?? null]));
}

function newestFirst<T>(at: (item: T) => string | null): (a: T, b: T) => number {
  return (a, b) => (at(b) ?? '').localeCompare(at(a) ?? '');
}

function text(v: unknown): string | null {
  return typeof v === 'string' && v !== '' ? v : null;
}
