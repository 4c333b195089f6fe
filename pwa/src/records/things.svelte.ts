import { fromStore, get } from 'svelte/store';
import {
  customer as customerOf,
  customers,
  followUp as followUpOf,
  getServerVisit,
  parked,
  visit as visitOf,
  whole,
  type Amendment,
  type Conflict,
  type Parked,
  type ServerVisit,
  type Suggestion,
} from '../data';
import { i18n } from '../i18n/i18n.svelte';
import type { IconName } from '../ui/icons';
import { record } from './say.svelte';
import { TEXTS } from './value';

export type Thing =
  | { on: 'conflict'; it: Conflict }
  | { on: 'parked'; it: Parked }
  | { on: 'suggestion'; it: Suggestion }
  | { on: 'amendment'; it: Amendment };

export interface Subject {
  name: string;
  /** "Visit, Thu 19 Nov"; empty for a customer, whose name says it all. */
  note: string;
  href: string | null;
  /** Where the record's own times are told. */
  zone: string;
  repId: string | null;
}

const held = { whole: fromStore(whole), customers: fromStore(customers) };

/** Visits that are not on this device, as a manager's reps': read once, when something about them must be told. */
class Elsewhere {
  #visits = $state.raw<Record<string, ServerVisit | null>>({});
  #asked = new Set<string>();

  visit(id: string): ServerVisit | null {
    const known = this.#visits[id];
    if (known === undefined && !this.#asked.has(id)) {
      this.#asked.add(id);
      void getServerVisit(id).then((answer) => {
        this.#visits = { ...this.#visits, [id]: answer.ok ? answer.value : null };
        // No answer without signal: the next look asks again.
        if (!answer.ok) this.#asked.delete(id);
      });
    }
    return known ?? null;
  }
}
const elsewhere = new Elsewhere();

/** What a thing is about: a customer or a visit, by name. */
export function subjectOf(kind: string, id: string): Subject {
  void held.customers.current;
  const plain: Subject = { name: '', note: '', href: null, zone: i18n.zone, repId: null };
  if (kind === 'customer') {
    const c = get(customerOf(id));
    return { ...plain, name: c?.name ?? '', href: c ? `/customers/${id}` : null };
  }
  if (kind === 'visit') {
    const v = get(visitOf(id));
    const note = (day: string | null) =>
      i18n.t.pair(i18n.t.visit, day ? i18n.dayWeekday(day) : '').replace(/[,，]\s*$/, '');
    if (v) {
      return {
        name: v.customerName || i18n.t.unknownCustomer,
        note: note(v.day),
        href: `/visits/${id}`,
        zone: v.zone,
        repId: v.repId,
      };
    }
    if (!held.whole.current) return plain;
    const far = elsewhere.visit(id);
    if (!far) return { ...plain, note: i18n.t.visit };
    return {
      name: far.customer.name,
      note: note(far.server?.day ?? far.planned_date),
      href: `/visits/${id}`,
      zone: far.server?.zone ?? i18n.zone,
      repId: far.rep.id,
    };
  }
  if (kind === 'follow_up') {
    const f = get(followUpOf(id));
    return {
      ...plain,
      name: f?.subject ?? '',
      note: record.kind(kind),
      href: f ? `/follow-ups/${id}` : null,
    };
  }
  return kind ? { ...plain, note: record.kind(kind) } : plain;
}

export interface Told {
  icon: IconName;
  title: string;
  /** What it is about, and whose it is. */
  about: string;
  at: string | null;
}

/** A thing in a line of a list. */
export function tell(thing: Thing): Told {
  const w = record.w;
  const about = (kind: string, id: string, who: string | null) => {
    const subject = subjectOf(kind, id);
    const author = who && who !== record.me ? record.person(who) : '';
    return [subject.name || subject.note, author].filter(Boolean).join(' · ');
  };
  if (thing.on === 'conflict') {
    const c = thing.it;
    const field = record.field(c.field);
    const text = c.code === 'TEXT_KEPT_BOTH' || (TEXTS.has(c.field) && c.code !== 'FIELD_CONFLICT');
    return {
      icon: 'fork',
      title: text ? w.passagesOf(field) : c.code === 'EDIT_ARCHIVED' ? w.fields['archived']! : w.twoOf(field),
      about: about(c.kind, c.entity, c.authorId),
      at: c.at,
    };
  }
  if (thing.on === 'parked') {
    const p = thing.it;
    return {
      icon: 'fork',
      title: parkedTitle(p),
      about: typedName(p),
      at: p.receivedAt,
    };
  }
  if (thing.on === 'amendment') {
    const a = thing.it;
    return {
      icon: 'pen',
      title: w.correctionOf(Object.keys(a.changes).map(record.field).join(', ')),
      about: about('visit', a.visitId, a.authorId),
      at: a.at,
    };
  }
  const s = thing.it;
  const fields = s.ops.map((op) => record.field(op.field)).join(', ');
  return {
    icon: s.purpose === 'merge' ? 'join' : 'say',
    title:
      s.purpose === 'merge'
        ? w.mergeTitle
        : s.authorId === record.me
          ? w.suggestionMine(fields)
          : w.suggestionTitle(record.person(s.authorId), fields),
    about: about(s.kind, s.entity, null),
    at: s.at,
  };
}

export function parkedTitle(p: Parked): string {
  const say = record.w.parkedVerb[p.code === 'TOO_LARGE' ? 'void' : (p.mutation?.verb ?? 'update')];
  return (say ?? record.w.parkedVerb['update']!)(record.kind(p.kind));
}

/** The name that was typed into a record nobody has yet; with the author where it is somebody else's. */
export function typedName(p: Parked): string {
  const op = p.mutation?.ops.find((o) => o.field === 'name');
  const typed = p.mutation?.verb === 'create' && typeof op?.new === 'string' ? op.new : '';
  const own = (field: string) => p.mutation?.ops.find((o) => o.field === field)?.new;
  // A change of what is not made yet is told by what would have made it.
  const made =
    p.mutation?.verb === 'create'
      ? undefined
      : get(parked).find((o) => o.entity === p.entity && o.mutation?.verb === 'create');
  const at = own('customer_id') ?? made?.mutation?.ops.find((o) => o.field === 'customer_id')?.new;
  const name =
    typed ||
    (typeof at === 'string' ? record.customer(at) : '') ||
    (p.mutation?.verb === 'create' || made ? '' : subjectOf(p.kind, p.entity).name);
  const author = p.authorId && p.authorId !== record.me ? record.person(p.authorId) : '';
  return [name, author].filter(Boolean).join(' · ');
}

/** Whether `one` waits directly for what `other` would have made. */
function follows(one: Parked, other: Parked): boolean {
  if (one.id === other.id || one.code !== 'PARENT_PARKED') return false;
  if (other.mutation?.verb !== 'create') return false;
  return one.entity === other.entity || (one.mutation?.ops.some((op) => op.new === other.entity) ?? false);
}

/** What waits for `thing`, directly or behind something else that does, oldest first. */
export function waitingBehind(thing: Parked, all: Parked[]): Parked[] {
  const found: Parked[] = [];
  const open = all.filter((p) => p.status === 'open');
  const walk = (one: Parked): void => {
    for (const p of open) {
      if (found.includes(p) || !follows(p, one)) continue;
      found.push(p);
      walk(p);
    }
  };
  walk(thing);
  return found.sort((a, b) => (a.mutation?.seq ?? 0) - (b.mutation?.seq ?? 0));
}

/** What `thing` waits for itself. */
export function waitedFor(thing: Parked, all: Parked[]): Parked | undefined {
  return all.find((p) => p.status === 'open' && follows(thing, p));
}
