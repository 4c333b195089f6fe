/**
 * From facts to numbers with evidence, as `server/indicators/measure.py` has it: every fact of the period either counts
 * or says why it does not. Pure; days are `YYYY-MM-DD`, instants ms since 1970.
 */
import { Fraction } from './fraction';
import { holds, type Period } from './periods';
import type { Actual, Evidence, Indicator } from './score';

export interface VisitFact {
  id: string;
  customer_id: string;
  /** Of its check-in; of a planned one its planned day. */
  day: string;
  status: string;
  valid: boolean;
  /** Why it is not valid, most telling first. */
  reasons: string[];
  duration_s: number;
  planned_day: string | null;
  back_filled: boolean;
}
export interface FollowUpFact {
  id: string;
  kind: string | null;
  status: string;
  due_day: string | null;
  due_at: number | null;
  done_day: string | null;
  done_at: number | null;
  requested_day: string | null;
  requested_at: number | null;
  answered_at: number | null;
}
export interface NewCustomer {
  id: string;
  day: string;
  approved: boolean;
}
export interface ValueFact {
  id: string;
  indicator: string;
  on: string;
  amount: string;
  status: string;
}
/** All that may be measured of somebody; `own` are the customers that are theirs. */
export interface Facts {
  visits: VisitFact[];
  follow_ups: FollowUpFact[];
  own: string[];
  won: NewCustomer[];
  values: ValueFact[];
}
export const NO_FACTS: Facts = { visits: [], follow_ups: [], own: [], won: [], values: [] };

/** The instant from which is looked, and the day that it is for them then. */
export interface Now {
  as_of: number;
  today: string;
}
type Told = [id: string, code: string | null];
type Measure = (facts: Facts, inside: (day: string | null) => boolean, now: Now) => Actual;

const COUNTS_WHEN = 'reviewed';
const WAITING: Record<string, string> = { entered: 'ENTERED', confirmed: 'CONFIRMED' };

const whole = (n: number): Fraction => Fraction.of(n);
const actual = (part: Fraction, of: number, evidence: Evidence, reasons: string[] = []): Actual => ({
  part,
  whole: whole(of),
  evidence,
  reasons,
  unapproved: null,
});

/** In the order of the ids, which no order of arrival can change, each said once. */
function evidenceOf(kind: string, told: Told[]): Evidence {
  told.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : (x ?? '') < (y ?? '') ? -1 : 1));
  const found: Evidence = { kind, counted: [], not_counted: [] };
  let last: Told | null = null;
  for (const one of told) {
    const [id, code] = one;
    if (last?.[0] === id && last[1] === code) continue;
    last = one;
    if (code === null) found.counted.push(id);
    else found.not_counted.push({ id, code });
  }
  return found;
}

const whyNot = (v: VisitFact): string | null => (v.valid ? null : (v.reasons[0] ?? 'NOT_DONE'));

const validVisits: Measure = ({ visits }, inside) => {
  const told = visits.filter((v) => inside(v.day)).map((v): Told => [v.id, whyNot(v)]);
  const evidence = evidenceOf('visit', told);
  return actual(whole(evidence.counted.length), 1, evidence);
};

const customersVisited: Measure = ({ visits }, inside) => {
  const first = new Map<string, string>();
  const here = visits.filter((v) => inside(v.day));
  for (const v of here) {
    if (!v.valid) continue;
    const key = `${v.day} ${v.id}`;
    const known = first.get(v.customer_id);
    if (known === undefined || key < known) first.set(v.customer_id, key);
  }
  const told = here.map((v): Told => [
    v.id,
    whyNot(v) ?? (first.get(v.customer_id) === `${v.day} ${v.id}` ? null : 'SAME_CUSTOMER'),
  ]);
  return actual(whole(first.size), 1, evidenceOf('visit', told));
};

const coverage: Measure = ({ visits, own }, inside) => {
  const seen = new Set(visits.filter((v) => v.valid && inside(v.day)).map((v) => v.customer_id));
  const told = own.map((id): Told => [id, seen.has(id) ? null : 'NOT_VISITED']);
  const evidence = evidenceOf('customer', told);
  return actual(whole(evidence.counted.length), new Set(own).size, evidence);
};

const opportunitiesDone: Measure = ({ follow_ups }, inside) => {
  const told: Told[] = [];
  for (const f of follow_ups) {
    if (f.kind !== 'opportunity') continue;
    if (f.status === 'done') {
      if (inside(f.done_day)) told.push([f.id, null]);
    } else if (inside(f.due_day)) told.push([f.id, f.status === 'cancelled' ? 'CANCELLED' : 'NOT_DONE']);
  }
  const evidence = evidenceOf('follow_up', told);
  return actual(whole(evidence.counted.length), 1, evidence);
};

const onTime: Measure = ({ follow_ups }, inside, { as_of }) => {
  const told: Told[] = [];
  let due = 0;
  for (const f of follow_ups) {
    if (!inside(f.due_day) || f.due_at === null) continue;
    if (f.status === 'cancelled') told.push([f.id, 'CANCELLED']);
    else if (f.status === 'done') {
      told.push([f.id, f.done_at === null || f.done_at > f.due_at ? 'LATE' : null]);
      due++;
    } else if (f.due_at > as_of) told.push([f.id, 'NOT_DUE_YET']);
    else {
      told.push([f.id, 'OVERDUE']);
      due++;
    }
  }
  const evidence = evidenceOf('follow_up', told);
  return actual(whole(evidence.counted.length), due, evidence);
};

/** Mean hours; one that still waits counts as soon as it has waited longer than the mean of those answered. */
const responseTime: Measure = ({ follow_ups }, inside, { as_of }) => {
  const answered: number[] = [];
  const waiting: [string, number][] = [];
  const told: Told[] = [];
  for (const f of follow_ups) {
    if (f.kind !== 'request' || f.requested_at === null || !inside(f.requested_day)) continue;
    if (f.answered_at !== null) {
      answered.push(Math.max(f.answered_at - f.requested_at, 0));
      told.push([f.id, null]);
    } else if (f.status === 'cancelled') told.push([f.id, 'CANCELLED']);
    else waiting.push([f.id, Math.max(as_of - f.requested_at, 0)]);
  }
  const soFar = answered.reduce((sum, ms) => sum + ms, 0);
  const counted = [...answered];
  for (const [id, waited] of waiting) {
    const longer = answered.length === 0 || waited * answered.length > soFar;
    told.push([id, longer ? null : 'UNANSWERED']);
    if (longer) counted.push(waited);
  }
  const ms = counted.reduce((sum, one) => sum + one, 0);
  return actual(
    whole(Math.round(ms)).over(whole(1000)),
    3600 * counted.length,
    evidenceOf('follow_up', told),
    counted.length > answered.length ? ['STILL_WAITING'] : [],
  );
};

const plansKept: Measure = ({ visits }, inside, { today }) => {
  const told: Told[] = [];
  let due = 0;
  for (const v of visits) {
    if (v.planned_day === null || !inside(v.planned_day)) continue;
    if ((v.status === 'planned' || v.status === 'open') && v.planned_day >= today) {
      told.push([v.id, 'NOT_DUE_YET']);
      continue;
    }
    due++;
    told.push([v.id, whyNotKept(v)]);
  }
  const evidence = evidenceOf('visit', told);
  return actual(whole(evidence.counted.length), due, evidence);
};

function whyNotKept(v: VisitFact): string | null {
  if (v.status === 'cancelled') return 'CANCELLED';
  if (v.status === 'planned' || v.status === 'missed') return 'MISSED';
  return whyNot(v) ?? (v.day === v.planned_day ? null : 'OTHER_DAY');
}

const onTheSpot: Measure = ({ visits }, inside) => {
  const told: Told[] = [];
  let done = 0;
  for (const v of visits) {
    if (!inside(v.day)) continue;
    if (v.status !== 'done') told.push([v.id, 'NOT_DONE']);
    else {
      done++;
      told.push([v.id, v.back_filled ? 'BACK_FILLED' : null]);
    }
  }
  const evidence = evidenceOf('visit', told);
  return actual(whole(evidence.counted.length), done, evidence);
};

const newCustomers: Measure = ({ won }, inside) => {
  const told = won.filter((c) => inside(c.day)).map((c): Told => [c.id, c.approved ? null : 'NOT_APPROVED']);
  const evidence = evidenceOf('customer', told);
  return actual(whole(evidence.counted.length), 1, evidence);
};

const timeWithCustomers: Measure = ({ visits }, inside) => {
  const here = visits.filter((v) => inside(v.day));
  const seconds = here.reduce((sum, v) => sum + (v.valid ? v.duration_s : 0), 0);
  return actual(
    whole(seconds),
    3600,
    evidenceOf(
      'visit',
      here.map((v) => [v.id, whyNot(v)]),
    ),
  );
};

const conversion: Measure = (facts, inside, now) => {
  const fresh = newCustomers(facts, inside, now);
  const visits = facts.visits.filter((v) => v.valid && inside(v.day)).length;
  return visits === 0
    ? actual(Fraction.ZERO, 1, fresh.evidence, ['NO_VISITS'])
    : actual(fresh.part, visits, fresh.evidence);
};

const MEASURES: Record<string, Measure> = {
  valid_visits: validVisits,
  customers_visited: customersVisited,
  coverage,
  opportunities_done: opportunitiesDone,
  follow_ups_on_time: onTime,
  response_time: responseTime,
  plans_kept: plansKept,
  logged_on_spot: onTheSpot,
  new_customers: newCustomers,
  time_with_customers: timeWithCustomers,
  conversion,
};

/** The actual of one indicator in a period; null for one that a later release brought and this one cannot measure. */
export function measure(indicator: Indicator, facts: Facts, period: Period, now: Now): Actual | null {
  if (indicator.source === 'values') return ofValues(indicator, facts.values, period);
  const known = MEASURES[indicator.code];
  return known ? known(facts, (day) => day !== null && holds(period, day), now) : null;
}

/** Sum, mean or last of the reviewed values of a period. A sum without any is 0 and says so. */
function ofValues(indicator: Indicator, values: ValueFact[], period: Period): Actual {
  const here = values.filter((v) => v.indicator === indicator.code && holds(period, v.on));
  const good = here.filter((v) => v.status === COUNTS_WHEN);
  const waiting = here.filter((v) => v.status in WAITING);
  const combine = indicator.combine ?? 'sum';
  const last = lastOf(good);
  const told = here.map((v): Told => {
    if (v.status !== COUNTS_WHEN) return [v.id, WAITING[v.status] ?? 'DECLINED'];
    return [v.id, combine === 'last' && v !== last ? 'SUPERSEDED' : null];
  });
  const reasons = waiting.length ? ['UNAPPROVED_LEFT_OUT'] : [];
  if (combine === 'sum' && good.length === 0) reasons.unshift('NO_VALUES');
  const [part, of] = combined(combine, good);
  const [apart, by] = combined(combine, waiting);
  return {
    ...actual(part, of, evidenceOf('value', told), reasons),
    unapproved: waiting.length ? apart.over(whole(by)).short(6) : null,
  };
}

function lastOf(values: ValueFact[]): ValueFact | undefined {
  return [...values].sort((a, b) => (`${a.on} ${a.id}` < `${b.on} ${b.id}` ? -1 : 1)).at(-1);
}

function combined(combine: string, values: ValueFact[]): [part: Fraction, of: number] {
  if (combine === 'last') {
    const last = lastOf(values);
    return last ? [Fraction.of(last.amount), 1] : [Fraction.ZERO, 0];
  }
  const sum = values.reduce((all, v) => all.plus(Fraction.of(v.amount)), Fraction.ZERO);
  return [sum, combine === 'sum' ? 1 : values.length];
}
