import { addDays, clock, dayOf, daysBetween } from '../i18n/format';

/**
 * When a promise is due. Pure: a due day and time are wall time in a zone, and so are the templates, because "Monday
 * 10:00" means ten by the clock on the wall, whatever was done to that clock in between.
 */
export interface Due {
  /** `YYYY-MM-DD`. */
  date: string;
  /** `HH:MM`; null: all day. */
  time: string | null;
}
export type Template = 'tomorrow' | 'days3' | 'monday';
export const TEMPLATES: readonly Template[] = ['tomorrow', 'days3', 'monday'];

/** Day and time a template means where the calendar stands at `today` (`YYYY-MM-DD`). */
export function templateDue(template: Template, today: string): Due {
  if (template === 'tomorrow') return { date: addDays(today, 1), time: '09:00' };
  if (template === 'days3') return { date: addDays(today, 3), time: null };
  // Next Monday is the coming one, and a week away where today is one.
  return { date: addDays(today, 8 - weekday(today)), time: '10:00' };
}

/** Monday 1 to Sunday 7. */
function weekday(day: string): number {
  return new Date(`${day}T12:00:00Z`).getUTCDay() || 7;
}

const formats = new Map<string, Intl.DateTimeFormat>();
/** What zone's clock shows at an instant, as if it were UTC; both in ms since 1970. */
function wallOf(at: number, zone: string): number {
  let format = formats.get(zone);
  if (!format) {
    const options = {
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hourCycle: 'h23',
    } as const;
    try {
      format = new Intl.DateTimeFormat('en-CA', { ...options, timeZone: zone });
    } catch {
      format = new Intl.DateTimeFormat('en-CA', { ...options, timeZone: 'UTC' });
    }
    formats.set(zone, format);
  }
  const part = Object.fromEntries(format.formatToParts(at).map((p) => [p.type, Number(p.value)]));
  return Date.UTC(
    part['year']!,
    part['month']! - 1,
    part['day']!,
    part['hour']!,
    part['minute']!,
    part['second']!,
  );
}

const DAY_MS = 86_400_000;
/**
 * The instant (ms since 1970) until which something is owed, as the server reckons it: all day means to the midnight
 * that ends it; a time that a change of clocks leaves out, or has twice, is taken by the clock as it was before.
 */
export function dueAt(due: Due, zone: string): number {
  const wall = due.time
    ? Date.parse(`${due.date}T${due.time}:00Z`)
    : Date.parse(`${due.date}T00:00:00Z`) + DAY_MS;
  const before = wall - (wallOf(wall - DAY_MS, zone) - (wall - DAY_MS));
  if (wallOf(before, zone) === wall) return before;
  const after = wall - (wallOf(wall + DAY_MS, zone) - (wall + DAY_MS));
  return wallOf(after, zone) === wall ? after : before;
}

export type Group = 'late' | 'today' | 'tomorrow' | 'week' | 'later';
export const GROUPS: readonly Group[] = ['late', 'today', 'tomorrow', 'week', 'later'];

interface Owed {
  dueDate: string | null;
  dueTime: string | null;
  dueZone: string | null;
}

/** The instant of a follow-up; null without a day. `zone` is where it is read, for one that names none. */
export function owedAt(owed: Owed, zone: string): number | null {
  return owed.dueDate === null
    ? null
    : dueAt({ date: owed.dueDate, time: owed.dueTime }, owed.dueZone ?? zone);
}

/** Where it stands at `now` (ms) for who reads in `zone`; a week ends with its Sunday. Without a day: later. */
export function groupOf(owed: Owed, now: number, zone: string): Group {
  const at = owedAt(owed, zone);
  if (at === null) return 'later';
  if (at <= now) return 'late';
  const today = dayOf(now, zone);
  const ahead = daysBetween(today, dayShown(owed, zone)!);
  if (ahead <= 0) return 'today';
  if (ahead === 1) return 'tomorrow';
  return ahead <= 7 - weekday(today) ? 'week' : 'later';
}

/** The day as who reads in `zone` calls it: a time elsewhere may be another day here, "all day" never is. */
export function dayShown(owed: Owed, zone: string): string | null {
  if (owed.dueDate === null || owed.dueTime === null) return owed.dueDate;
  return dayOf(owedAt(owed, zone)!, zone);
}

/** Where a follow-up stands on the line of the present day. */
export interface OnToday {
  /** Before the line's "now": late, or done. */
  behind: boolean;
  /** The clock it stands at among visits; '' before all of them, `~` after all. */
  at: string;
}

/**
 * Whether a follow-up belongs to the day that it is at `now` for who reads in `zone`, and where: what was promised for
 * another zone falls on the day, and at the time, it has here. Done things stand on the day they were done. Null: not today.
 */
export function onToday(
  owed: Owed & { status: string; doneAt: number | null },
  now: number,
  zone: string,
): OnToday | null {
  const today = dayOf(now, zone);
  const at = owedAt(owed, zone);
  const day = dayShown(owed, zone);
  if (at === null || day === null) return null;
  const hour = day < today ? '' : day > today || owed.dueTime === null ? '~' : clock(at, zone);
  if (owed.status === 'done')
    return owed.doneAt !== null && dayOf(owed.doneAt, zone) === today ? { behind: true, at: hour } : null;
  if (owed.status !== 'open' || (day > today && at > now)) return null;
  return { behind: at <= now || day < today, at: hour };
}
