/**
 * What a day board says about its reps: who was heard of, who comes first, what it adds up to. Pure; `now` is an argument,
 * milliseconds since 1970 in server time.
 */
import type { Board, BoardRep, Day, Instant, Team } from '../data';
import type { BoardWords } from '../i18n/board';
import { DAY, lookOf, minuteOf, type RibbonVisit, type Unknown, wallOf } from '../ui/ribbon/ribbon';

/**
 * How well the board knows a rep's day.
 * `known`: in touch, nothing waits. `waiting`: in touch, but the phone said that work of this day is still on it.
 * `early`: not in touch today yet, and too early to call that unusual. `ahead`: the day has not come.
 * `unsynced`: what the rep did since `since` may be on the phone alone. `never`: no contact at all so far.
 */
export type Contact =
  | { state: 'known' | 'early' | 'ahead' }
  | { state: 'waiting'; unsent: number; oldest: Instant | null }
  | { state: 'unsynced'; since: Instant; unsent: number }
  | { state: 'never' };

/** Unsent work is uploaded within minutes where there is signal; this much later it is worth a word. */
const UNSENT_GRACE_MIN = 30;
/** A phone in a pocket does not call by itself; only a longer silence within the working day says anything. */
const SILENCE_MIN = 120;
const WORK_FROM = 8 * 60;
const WORK_TO = 18 * 60;

export function contactOf(rep: BoardRep, date: Day, zone: string, now: number): Contact {
  const today = wallOf(now, zone).day;
  if (date > today) return { state: 'ahead' };
  if (rep.last_contact_at === null) return { state: 'never' };
  const heard = minuteOf(rep.last_contact_at, date, zone);
  if (heard === null) return { state: 'never' };
  const end = date === today ? (minuteOf(now, date, zone) ?? DAY) : DAY;
  const unsent = rep.unsent ?? 0;
  const silent = Math.min(end, WORK_TO) - Math.max(heard, WORK_FROM);
  const grace = date === today ? UNSENT_GRACE_MIN : 0;
  if ((unsent > 0 && end - heard > grace) || silent >= SILENCE_MIN) {
    return { state: 'unsynced', since: rep.last_contact_at, unsent };
  }
  if (unsent > 0) {
    const oldest = minuteOf(rep.oldest_unsent, date, zone);
    if (oldest === null ? date === today : oldest < DAY) {
      return { state: 'waiting', unsent, oldest: rep.oldest_unsent };
    }
  }
  return { state: heard < 0 ? 'early' : 'known' };
}

/** True for those whose silence must not be read as "no work". */
export function unheard(contact: Contact): boolean {
  return contact.state === 'unsynced' || contact.state === 'never';
}

/**
 * The stretch of the day of which nothing is known; null when all of it is known. A past day is unknown after the last
 * contact however short that is; today a few quiet minutes are not drawn.
 */
export function unknownOf(rep: BoardRep, date: Day, zone: string, now: number): Unknown | null {
  const contact = contactOf(rep, date, zone, now);
  const today = wallOf(now, zone).day;
  if (contact.state === 'ahead') return null;
  const to = date === today ? (minuteOf(now, date, zone) ?? DAY) : 2 * DAY;
  if (contact.state === 'never') return { from: -DAY, to };
  if (date === today && contact.state !== 'unsynced') return null;
  const from = minuteOf(rep.last_contact_at, date, zone) ?? 0;
  return from < (date === today ? to : DAY) ? { from, to } : null;
}

/** Those not heard of come first, the longest silence on top, then all others by name. */
export function arrange(reps: BoardRep[], contact: (rep: BoardRep) => Contact, locale: string): BoardRep[] {
  const names = new Intl.Collator(locale);
  const rank = (c: Contact): number => (c.state === 'unsynced' ? 0 : c.state === 'never' ? 1 : 2);
  return reps
    .map((rep) => ({ rep, contact: contact(rep) }))
    .sort(
      (a, b) =>
        rank(a.contact) - rank(b.contact) ||
        (a.contact.state === 'unsynced' && b.contact.state === 'unsynced'
          ? Date.parse(a.contact.since) - Date.parse(b.contact.since)
          : 0) ||
        names.compare(a.rep.person.name, b.rep.person.name) ||
        (a.rep.person.id < b.rep.person.id ? -1 : 1),
    )
    .map(({ rep }) => rep);
}

export interface Totals {
  visits: number;
  valid: number;
  /** Minutes of the visits that count. */
  minutes: number;
  review: number;
  parked: number;
  unsynced: number;
  /** Visits that are still plans. */
  planned: number;
}

/** Sums over all reps. What needs a decision is of now, whatever the day, so it is only told of `today`'s board. */
export function totalsOf(board: Board, contact: (rep: BoardRep) => Contact, today: Day): Totals {
  const totals = { visits: 0, valid: 0, minutes: 0, review: 0, parked: 0, unsynced: 0, planned: 0 };
  for (const rep of board.reps) {
    totals.visits += rep.visits;
    totals.valid += rep.valid_visits;
    totals.minutes += rep.valid_minutes;
    totals.review += rep.review;
    if (board.date === today) totals.parked += rep.parked;
    totals.planned += rep.line.filter((visit) => visit.status === 'planned').length;
    if (unheard(contact(rep))) totals.unsynced += 1;
  }
  return totals;
}

/** A calendar day that exists, written YYYY-MM-DD. */
export function isDay(text: string | null | undefined): text is Day {
  if (!text || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const at = Date.parse(`${text}T00:00Z`);
  return Number.isFinite(at) && new Date(at).toISOString().slice(0, 10) === text;
}

export interface Branch {
  team: Team;
  /** 0 for the top of what the reader sees. */
  depth: number;
}

/** The teams as a tree written line by line, each level by name. A parent outside the list makes a team a top one. */
export function treeOf(teams: Team[], locale: string): Branch[] {
  const names = new Intl.Collator(locale, { numeric: true });
  const ids = new Set(teams.map((team) => team.id));
  const below = new Map<string | null, Team[]>();
  for (const team of teams) {
    const parent = team.parent_id !== null && ids.has(team.parent_id) ? team.parent_id : null;
    below.set(parent, [...(below.get(parent) ?? []), team]);
  }
  const branches: Branch[] = [];
  const walk = (parent: string | null, depth: number): void => {
    for (const team of (below.get(parent) ?? []).sort((a, b) => names.compare(a.name, b.name))) {
      branches.push({ team, depth });
      walk(team.id, depth + 1);
    }
  };
  walk(null, 0);
  return branches;
}

/** The board names a customer by itself or with an id. */
export function customerName(customer: string | { name: string }): string {
  return typeof customer === 'string' ? customer : customer.name;
}

/** The ribbon's look of a visit in words, for those who do not see it. */
export function lookWord(visit: Pick<RibbonVisit, 'status' | 'valid' | 'trust'>, words: BoardWords): string {
  const look = lookOf(visit);
  if (look === null) return '';
  const review = look === 'open' && visit.trust === 'review' && !visit.valid;
  return review ? `${words.looks.open}, ${words.looks.review}` : words.looks[look];
}
