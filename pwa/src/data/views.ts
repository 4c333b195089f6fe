import { derived, readable, type Readable } from 'svelte/store';
import { dayIn, serverNow, zone } from './clock';
import { openDesk, ticks } from './desk';
import type { Model } from './model';
import type {
  Amendment,
  Comment,
  CommentedKind,
  Conflict,
  Customer,
  CustomerRow,
  Day,
  Decidable,
  DecidedOn,
  FollowUp,
  Notice,
  Id,
  InReview,
  OutboxEntry,
  Outcome,
  Parked,
  PersonName,
  Suggestion,
  Team,
  Visit,
  VisitKind,
  VisitStatus,
} from './types';

export { ready, whole } from './desk';

type Topic = Parameters<typeof ticks>[0];

/** A store that asks the model again whenever one of these topics ticks; records that did not change stay the same. */
function view<T>(topics: Topic[], without: T, ask: (model: Model) => T): Readable<T> {
  return derived(topics.map(ticks), () => {
    const desk = openDesk();
    return desk ? ask(desk.model) : without;
  });
}

/** Today's day by the server's time where known, in the device's zone; moves on at midnight. */
export const today: Readable<Day> = readable(dayIn(serverNow(), zone()), (set) => {
  const look = () => set(dayIn(serverNow(), zone()));
  look();
  const timer = setInterval(look, 15_000);
  return () => clearInterval(timer);
});

/** All known customers that are not archived, by name. */
export const customers: Readable<CustomerRow[]> = view(['customer'], [], (m) => m.customers());

export function customer(id: Id): Readable<Customer | undefined> {
  return view(['customer'], undefined, (m) => m.customer(id));
}

/**
 * Searches name, address, code, phone, contact and tags of the known customers; every word must occur, case and
 * accents do not matter. Best match first, then nearest with `near`, else by name. Synchronous; ask again when
 * `$customers` changed. `own`: only customers one owns.
 */
export function searchCustomers(
  query: string,
  options: { near?: { lat: number; lon: number } | null; limit?: number; own?: boolean } = {},
): CustomerRow[] {
  return openDesk()?.model.searchCustomers(query, options) ?? [];
}

/** Own visits of a day in time order (check-in, else planned time), cancelled ones included. */
export function visitsOfDay(day: Day): Readable<Visit[]> {
  return view(['visit'], [], (m) => m.visitsOfDay(day));
}

export function visit(id: Id): Readable<Visit | undefined> {
  return view(['visit'], undefined, (m) => m.visit(id));
}

/** Own visits, newest first; `from` is the first day wanted. */
export function myVisits(
  options: { limit?: number; from?: Day; status?: VisitStatus } = {},
): Readable<Visit[]> {
  return view(['visit'], [], (m) => m.myVisits(options));
}

/** Visits of a customer that this phone knows, newest first. */
export function visitsOfCustomer(id: Id, limit = 50): Readable<Visit[]> {
  return view(['visit'], [], (m) => m.visitsOfCustomer(id, limit));
}

/** The own visit that is running, or null; one whose check-out waits for Undo does not count as running. */
export const openVisit: Readable<Visit | null> = view<Visit | null>(['visit'], null, (m) => m.openVisit());

/** Visits of others that are in review, as who leads them holds them, newest first; judged ones included. */
export const reviews: Readable<InReview[]> = view<InReview[]>(['visit', 'matters'], [], (m) => m.reviews());

export const kinds: Readable<VisitKind[]> = view<VisitKind[]>(['organisation'], [], (m) => m.kinds());
export const outcomes: Readable<Outcome[]> = view<Outcome[]>(['organisation'], [], (m) => m.outcomes());
/** The organisation's settings by key. */
export const settings: Readable<Record<string, unknown>> = view(['organisation'], {}, (m) => m.settings());
export const people: Readable<Map<Id, PersonName>> = view(['organisation'], new Map(), (m) => m.people());
export const teams: Readable<Team[]> = view<Team[]>(['organisation'], [], (m) => m.teams());

/** What could not be applied, newest first, resolved ones included. */
export const parked: Readable<Parked[]> = view<Parked[]>(['matters'], [], (m) => m.parked());
export const conflicts: Readable<Conflict[]> = view<Conflict[]>(['matters'], [], (m) => m.conflicts());
/** Changes put before those who may make them, newest first, decided ones included. */
export const suggestions: Readable<Suggestion[]> = view<Suggestion[]>(['matters'], [], (m) =>
  m.suggestions(),
);
/** Correction requests, newest first, decided ones included. */
export const amendments: Readable<Amendment[]> = view<Amendment[]>(['matters'], [], (m) => m.amendments());

/** A decision made on this phone which the server's rows do not show yet (on a visit in review, say), or null. */
export function decisionOn(
  on: DecidedOn,
  id: Id,
): Readable<Pick<Decidable, 'verdict' | 'word' | 'undoUntil' | 'decidedAt'> | null> {
  return view<ReturnType<Model['decisionOn']>>(['matters'], null, (m) => m.decisionOn(on, id));
}

/** Comments on a record that this phone knows, oldest first. */
export function comments(kind: CommentedKind, id: Id): Readable<Comment[]> {
  return view<Comment[]>(['comment'], [], (m) => m.comments(kind, id));
}

/** Open follow-ups that this phone knows, those due first first. */
export const followUps: Readable<FollowUp[]> = view<FollowUp[]>(['followUp'], [], (m) => m.followUps());

/** Undefined while unknown; done and cancelled ones included. */
export function followUp(id: Id): Readable<FollowUp | undefined> {
  return view(['followUp'], undefined, (m) => m.followUp(id));
}

/** Open follow-ups and those done at `since` (ms since 1970) or later. */
export function followUpsSince(since: number): Readable<FollowUp[]> {
  return view<FollowUp[]>(['followUp'], [], (m) => m.followUps(since));
}

/** Open follow-ups of a customer that this phone knows, those due first first. */
export function followUpsOf(customer: Id): Readable<FollowUp[]> {
  return view<FollowUp[]>(['followUp'], [], (m) => {
    const stands = m.survivor(customer);
    return m.followUps().filter((f) => f.customerId === stands);
  });
}

/** The inbox, newest first. */
export const notices: Readable<Notice[]> = view<Notice[]>(['notice'], [], (m) => m.notices());

/** Every change kept in the outbox, newest first: what "My visits" shows of sending. */
export const outbox: Readable<OutboxEntry[]> = view<OutboxEntry[]>(['outbox'], [], (m) => m.outbox());
