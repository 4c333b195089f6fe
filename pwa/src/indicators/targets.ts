/** What is wanted of somebody in a period, out of what was typed, as `server/indicators/targets.py` has it. Pure. */
import { Fraction } from './fraction';
import {
  daysOf,
  everybodys,
  holds,
  isPlanned,
  isTheirs,
  PERIODS,
  same,
  type Calendar,
  type Period,
} from './periods';
import type { Target } from './score';

/** One held target: so much in this period. */
export interface Wanted {
  period: Period;
  amount: Fraction;
}

const rank = (p: Period): number => PERIODS.indexOf(p.kind);

/** The target of one indicator in a period; null where none is set. One typed for this very period holds as typed. */
export function targetOf(
  period: Period,
  wanted: Wanted[],
  calendar: Calendar,
  level: boolean,
): Target | null {
  const held = latest(wanted);
  if (level) {
    const holding = held.filter(
      ({ period: p }) => p.starts_on <= period.starts_on && period.ends_on <= p.ends_on,
    );
    const nearest = holding.sort((a, b) => rank(a.period) - rank(b.period))[0];
    return nearest ? { amount: nearest.amount, reasons: [] } : null;
  }
  const exactly = held.find((each) => same(each.period, period));
  if (exactly) {
    const [amount, reduced] = theirPart(exactly.amount, period, calendar);
    return { amount, reasons: reduced ? ['PRO_RATA'] : [] };
  }
  const perDay = daily(period, held, calendar);
  if (perDay.size === 0) return null;
  const sum = (days: Map<string, Fraction>) =>
    [...days.values()].reduce((all, one) => all.plus(one), Fraction.ZERO);
  const amount = sum(perDay);
  const everybody = sum(daily(period, held, everybodys(calendar)));
  return { amount, reasons: amount.compare(everybody) === 0 ? [] : ['PRO_RATA'] };
}

/** Of several typed for one period the last holds. */
function latest(wanted: Wanted[]): Wanted[] {
  return [...new Map(wanted.map((each) => [`${each.period.kind} ${each.period.starts_on}`, each])).values()];
}

/** Day of the period -> its share of what was typed; days that nothing typed covers are missing. */
export function daily(period: Period, held: Wanted[], calendar: Calendar): Map<string, Fraction> {
  const found = new Map<string, Fraction>();
  const inOrder = [...held].sort(
    (a, b) => rank(a.period) - rank(b.period) || (a.period.starts_on < b.period.starts_on ? -1 : 1),
  );
  for (const each of inOrder) {
    const free: string[] = [];
    let taken = Fraction.ZERO;
    for (const day of daysOf(each.period)) {
      const got = found.get(day);
      if (got) taken = taken.plus(got);
      else free.push(day);
    }
    let worked = free.filter((day) => isPlanned(calendar, day));
    if (worked.length === 0 && taken.isZero) worked = free;
    const left = each.amount.minus(taken);
    const rest = left.compare(Fraction.ZERO) > 0 ? left : Fraction.ZERO;
    const share = worked.length ? rest.over(Fraction.of(worked.length)) : Fraction.ZERO;
    const chosen = new Set(worked);
    for (const day of free) found.set(day, chosen.has(day) ? share : Fraction.ZERO);
  }
  const out = new Map<string, Fraction>();
  for (const [day, amount] of found) {
    if (holds(period, day)) out.set(day, isTheirs(calendar, day) ? amount : Fraction.ZERO);
  }
  return out;
}

function theirPart(amount: Fraction, period: Period, calendar: Calendar): [Fraction, boolean] {
  const all = [...daysOf(period)];
  const worked = all.filter((day) => isPlanned(calendar, day));
  const planned = worked.length ? worked : all;
  const there = planned.filter((day) => isTheirs(calendar, day)).length;
  if (there === planned.length) return [amount, false];
  return [amount.times(Fraction.of(there)).over(Fraction.of(planned.length)), true];
}
