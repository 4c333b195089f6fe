/**
 * One person's score out of what their own phone holds, sent or not. Pure: rows, day and moment come in as arguments.
 */
import type { Held, Team, Work } from '../data';
import { dueAt } from '../followups/due';
import { dayOf } from '../i18n/format';
import { addsUp, indicatorOf, levelOf, schemeOf } from './catalogue';
import { standing, type Rules, type Standing } from './expected';
import { Fraction } from './fraction';
import { measure, type Facts, type FollowUpFact, type Now, type VisitFact } from './measure';
import {
  before,
  daysLeft,
  isPlanned,
  MONDAY_TO_FRIDAY,
  ownPeriod,
  periodOf,
  type Calendar,
  type Period,
  type PeriodKind,
} from './periods';
import { score, type Actual, type Indicator, type Scheme, type Score, type Target } from './score';
import { targetOf, type Wanted } from './targets';

export interface Ground {
  me: string;
  team: string | null;
  role: string;
  teams: Team[];
  schemes: Held[];
  targets: Held[];
  values: Held[];
  daysOff: Held[];
  closings: Held[];
  /** First day that counts for them, first that does not any more. */
  joined?: string | null;
  left?: string | null;
  work: Work;
  rules: Rules;
  weekStart: number;
  /** 0 = Monday. */
  weekdays?: number[];
  zone: string;
  now: number;
  today: string;
  /** A customer's id after merges. */
  survivor?: (customer: string) => string;
}

/** A scheme with what is told of it. */
export interface HeldScheme {
  id: string;
  name: string;
  nameZh: string | null;
  validFrom: string;
  scheme: Scheme;
}
export interface Mine {
  held: HeldScheme | null;
  score: Score | null;
  rows: Map<string, Indicator>;
  /** Ids behind the numbers that are, as shown, on this phone alone. */
  unsent: Set<string>;
  /** The record of a closed period, whose figures are shown as they were frozen. */
  closed: Held | null;
}

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

// ---- which scheme, which targets ---------------------------------------------------------------------------------

/** The teams somebody is in, the nearest first. */
function chain(ground: Ground): string[] {
  const parents = new Map(ground.teams.map((t) => [t.id, t.parent_id]));
  const found: string[] = [];
  for (let at = ground.team; at && !found.includes(at); at = parents.get(at) ?? null) found.push(at);
  return found;
}

function asHeld({ id, data }: Held): HeldScheme {
  return {
    id,
    name: text(data['name']) ?? '',
    nameZh: text(data['name_zh']),
    validFrom: text(data['valid_from']) ?? '',
    scheme: schemeOf(data, id),
  };
}

function mySchemes(ground: Ground, status: string): Held[] {
  const teams = chain(ground);
  return ground.schemes.filter(({ data }) => {
    const [role, team] = [text(data['role']), text(data['team_id'])];
    return (
      data['status'] === status &&
      (role === null || role === ground.role) &&
      (team === null || teams.includes(team))
    );
  });
}

/** The scheme that holds on the first day of a period or begins in it: of the nearest team, then the latest. */
export function schemeIn(ground: Ground, period: Period): HeldScheme | null {
  const teams = chain(ground);
  const near = ({ data }: Held): number => {
    const team = text(data['team_id']);
    return team === null ? teams.length : teams.indexOf(team);
  };
  const from = (one: Held): string => text(one.data['valid_from']) ?? '';
  const found = mySchemes(ground, 'approved').filter((one) => from(one) < period.ends_on);
  const holding = found.filter((one) => from(one) <= period.starts_on);
  const [first] = (holding.length ? holding : found).sort(
    (a, b) => near(a) - near(b) || (from(a) < from(b) ? 1 : -1),
  );
  return first ? asHeld(first) : null;
}

/** Schemes that will hold later than this day, as far as they are known, the next first. */
export function upcoming(ground: Ground): HeldScheme[] {
  return [...mySchemes(ground, 'approved'), ...mySchemes(ground, 'proposed')]
    .map(asHeld)
    .filter((one) => one.validFrom > ground.today)
    .sort((a, b) => (a.validFrom < b.validFrom ? -1 : 1));
}

export function calendarOf(ground: Ground): Calendar {
  const days = ground.daysOff.filter(
    ({ data }) =>
      data['person_id'] === null || data['person_id'] === undefined || data['person_id'] === ground.me,
  );
  const those = (worked: boolean) =>
    new Set(days.filter(({ data }) => !!data['worked'] === worked).map(({ data }) => String(data['on'])));
  return {
    weekdays: ground.weekdays ? new Set(ground.weekdays) : MONDAY_TO_FRIDAY,
    off: those(false),
    worked: those(true),
    joined: ground.joined ?? null,
    left: ground.left ?? null,
  };
}

function wantedOf(ground: Ground, code: string): Wanted[] {
  return ground.targets
    .filter(
      ({ data }) =>
        data['indicator'] === code && data['person_id'] === ground.me && data['status'] === 'held',
    )
    .map(({ data }) => ({
      period: periodOf(data['period'] as PeriodKind, String(data['starts_on']), ground.weekStart),
      amount: Fraction.of(String(data['amount'])),
    }));
}

/** What is wanted of this person in a period; null where nothing is. */
export function myTarget(ground: Ground, indicator: Indicator, period: Period): Target | null {
  const own = targetOf(period, wantedOf(ground, indicator.code), calendarOf(ground), levelOf(indicator));
  if (own) return own;
  return indicator.target === null
    ? null
    : { amount: Fraction.of(indicator.target), reasons: ['DEFAULT_TARGET'] };
}

// ---- facts ---------------------------------------------------------------------------------------------------------

const reckoned = new WeakMap<Ground, { facts: Facts; unsent: Set<string> }>();

/** Records of this phone as facts, and the ids of those the server does not have as they are; reckoned once. */
export function factsOf(ground: Ground): { facts: Facts; unsent: Set<string> } {
  const known = reckoned.get(ground);
  if (known) return known;
  const unsent = new Set<string>();
  const made = { facts: reckon(ground, unsent), unsent };
  reckoned.set(ground, made);
  return made;
}

function reckon(ground: Ground, unsent: Set<string>): Facts {
  const stand = survivorOf(ground);
  const answers = new Map<string, number[]>();
  const visits = ground.work.visits.map((v): VisitFact => {
    const judged: Standing = standing(v, ground.rules);
    if (!judged.certain || v.receipt.state === 'phone') unsent.add(v.id);
    if (judged.valid && v.checkInAt !== null) {
      const customer = stand(v.customerId);
      answers.set(customer, [...(answers.get(customer) ?? []), v.checkInAt]);
    }
    return {
      id: v.id,
      customer_id: stand(v.customerId),
      // A plan, and what came to nothing, is no visit of any day; whether the plan was kept is asked by its own day.
      day: v.status === 'done' || v.status === 'open' ? v.day : '',
      status: v.status,
      valid: judged.valid,
      reasons: judged.reasons,
      duration_s: v.server?.duration_s ?? v.durationS ?? 0,
      planned_day: v.plannedDate,
      back_filled: v.server?.back_filled ?? v.lateReason !== null,
    };
  });
  const follow_ups = ground.work.followUps.map(({ id, data, receipt, doneAt, doneDay }): FollowUpFact => {
    if (receipt.state === 'phone') unsent.add(id);
    const zone = text(data['due_zone']) ?? ground.zone;
    const [due, time] = [text(data['due_date']), text(data['due_time'])];
    const asked = text(data['requested_at']);
    const requested = asked === null ? null : Date.parse(asked);
    const known = requested === null ? [] : (answers.get(stand(text(data['customer_id']) ?? '')) ?? []);
    const after = known.filter((at) => at >= requested!);
    if (requested !== null && doneAt !== null) after.push(Math.max(doneAt, requested));
    return {
      id,
      kind: text(data['kind']),
      status: text(data['status']) ?? 'open',
      due_day: due,
      due_at: due === null ? null : dueAt({ date: due, time: time?.slice(0, 5) ?? null }, zone),
      done_day: doneDay,
      done_at: doneAt,
      requested_day: requested === null ? null : dayOf(requested, zone),
      requested_at: requested,
      answered_at: after.length ? Math.min(...after) : null,
    };
  });
  const customers = ground.work.customers;
  for (const { id, receipt } of customers) if (receipt.state === 'phone') unsent.add(id);
  return {
    // By their ids, the order in which each reading tells them: what is in order already is quickly sorted again.
    visits: visits.sort((a, b) => (a.id < b.id ? -1 : 1)),
    follow_ups,
    own: customers
      .filter(
        ({ data }) =>
          data['owner_id'] === ground.me && data['lifecycle'] !== 'lost' && data['archived'] !== true,
      )
      .map((c) => c.id)
      .sort(),
    won: customers.flatMap(({ id, data }) => {
      const since = text(data['customer_since']);
      return since !== null && data['won_by'] === ground.me ? [{ id, day: since, approved: true }] : [];
    }),
    values: ground.values
      .filter(({ data }) => data['person_id'] === ground.me)
      .map(({ id, data }) => ({
        id,
        indicator: String(data['indicator']),
        on: String(data['on']),
        amount: String(data['amount']),
        status: String(data['status'] ?? 'entered'),
      })),
  };
}
const survivorOf = (ground: Ground) => ground.survivor ?? ((id: string) => id);

// ---- the score -----------------------------------------------------------------------------------------------------

/** The readings of this person in a period, by what this phone holds. */
export function myScore(ground: Ground, period: Period): Mine {
  const held = schemeIn(ground, period);
  const closed = closedIn(ground, period);
  if (closed) return frozen(ground, closed, period);
  const { facts, unsent } = factsOf(ground);
  if (!held) return { held, score: null, rows: new Map(), unsent, closed: null };
  const now: Now = { as_of: ground.now, today: ground.today };
  const { indicators } = held.scheme;
  const periods = new Map(indicators.map((i) => [i.code, ownPeriod(i.period, period, ground.weekStart)]));
  const targets = new Map<string, Target>();
  const actuals = new Map<string, Actual>();
  for (const i of indicators) {
    const own = periods.get(i.code)!;
    const target = myTarget(ground, i, own);
    if (target) targets.set(i.code, target);
    const actual = measure(i, facts, own, now);
    if (actual) actuals.set(i.code, actual);
  }
  return {
    held,
    score: score(held.scheme, period, periods, targets, actuals),
    rows: new Map(indicators.map((i) => [i.code, i])),
    unsent,
    closed: null,
  };
}

/** Whether a reading goes by whose customers they were on a day before today: a phone knows whose they are now. */
export const byOwnersThen = (of: Score | null, today: string): boolean =>
  of?.readings.some((r) => r.indicator === 'coverage' && r.period.ends_on <= today) ?? false;

/** The record that closed this period, and was not reopened. */
function closedIn(ground: Ground, { kind, starts_on }: Period): Held | null {
  const found = ground.closings.find(
    ({ data: d }) => d['person_id'] === ground.me && d['period'] === kind && d['starts_on'] === starts_on,
  );
  return found?.data['status'] === 'closed' ? found : null;
}

function frozen(ground: Ground, closed: Held, period: Period): Mine {
  const { data } = closed;
  const of = (data['scheme'] ?? {}) as { id?: string; version?: number; name?: string };
  const score: Score = {
    period,
    scheme: { id: of.id ?? '', version: of.version ?? 0 },
    readings: (data['readings'] ?? []) as Score['readings'],
    total: text(data['total']),
    grade: text(data['grade']),
    reasons: (data['reasons'] ?? []) as string[],
  };
  const [held, rows] = rowsOf(score, ground.schemes, of.name ?? '');
  return { held, score, rows, unsent: new Set(), closed };
}

/** The rows by which a score was read: the scheme's where this phone knows it, else as the readings tell of them. */
export function rowsOf(score: Score, schemes: Held[], name: string): [HeldScheme, Map<string, Indicator>] {
  const known = schemes.find((one) => one.id === score.scheme.id);
  const held = known
    ? asHeld(known)
    : {
        id: score.scheme.id,
        name,
        nameZh: null,
        validFrom: '',
        scheme: schemeOf({ indicators: [] }, score.scheme.id),
      };
  const rows = new Map(held.scheme.indicators.map((row) => [row.code, row]));
  for (const one of score.readings) {
    if (rows.has(one.indicator)) continue;
    const { indicator: code, kind, unit, direction, weight } = one;
    rows.set(code, indicatorOf({ code, kind, unit, direction, weight }));
  }
  return [held, rows];
}

/** The earliest day that the readings of a period look at. */
export function earliest(scheme: Scheme | null, period: Period, weekStart: number): string {
  const starts = (scheme?.indicators ?? []).map((i) => ownPeriod(i.period, period, weekStart).starts_on);
  return [period.starts_on, ...starts].sort()[0]!;
}

/** Totals of the periods before this one, oldest first, as far back as there is a scheme. */
export function trend(ground: Ground, period: Period, most = 5): Score[] {
  const found: Score[] = [];
  let at = period;
  for (let i = 0; i < most; i++) {
    at = before(at, ground.weekStart);
    const known = schemeIn(ground, at) !== null || closedIn(ground, at) !== null;
    const mine = known ? myScore(ground, at).score : null;
    if (!mine || mine.total === null) break;
    found.unshift(mine);
  }
  return found;
}

// ---- what a day still needs ----------------------------------------------------------------------------------------

export interface Need {
  indicator: Indicator;
  target: Fraction;
  /** Done in the period before today. */
  before: Fraction;
  doneToday: Fraction;
  daysLeft: number;
  /** Each of the days left, today included. */
  each: Fraction;
  /** What is left of that for today; 0 or more. */
  today: Fraction;
  /** `free`: no working day; `reached`: the period's target is; `over`: no working day is left. */
  state: 'open' | 'done' | 'reached' | 'free' | 'over';
}

/** What today still needs of one indicator: (target − done before today) ÷ working days left, less what today brought. */
export function needOf(ground: Ground, indicator: Indicator, period: Period): Need | null {
  if (!addsUp(indicator)) return null;
  const target = myTarget(ground, indicator, period);
  if (!target || target.amount.compare(Fraction.ZERO) <= 0) return null;
  const { facts } = factsOf(ground);
  const now: Now = { as_of: ground.now, today: ground.today };
  const value = (p: Period): Fraction => {
    const found = measure(indicator, facts, p, now);
    return found && !found.whole.isZero ? found.part.over(found.whole) : Fraction.ZERO;
  };
  const calendar = calendarOf(ground);
  const done = value(period);
  const doneToday = value(periodOf('day', ground.today));
  const left = daysLeft(calendar, period, ground.today);
  const before = done.minus(doneToday);
  const missing = target.amount.minus(before);
  const none = missing.compare(Fraction.ZERO) <= 0;
  const whole = indicator.unit === 'count';
  const each =
    none || left === 0
      ? Fraction.ZERO
      : whole
        ? Fraction.of(missing.over(Fraction.of(left)).ceiling())
        : missing.over(Fraction.of(left));
  const rest = each.minus(doneToday);
  const today = rest.compare(Fraction.ZERO) > 0 ? rest : Fraction.ZERO;
  const state =
    target.amount.compare(done) <= 0
      ? 'reached'
      : left === 0
        ? 'over'
        : !isPlanned(calendar, ground.today)
          ? 'free'
          : today.isZero
            ? 'done'
            : 'open';
  return { indicator, target: target.amount, before, doneToday, daysLeft: left, each, today, state };
}
