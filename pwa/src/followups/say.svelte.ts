import {
  cancelFollowUp,
  completeFollowUp,
  editFollowUp,
  reopenFollowUp,
  serverNow,
  type FollowUp,
  type Visit,
} from '../data';
import { dayOf } from '../i18n/format';
import { followUpWords, type FollowUpWords } from '../i18n/followups';
import { i18n } from '../i18n/i18n.svelte';
import { recordWords } from '../i18n/records';
import { repeatWords, type RepeatWords } from '../i18n/repeat';
import { say } from '../ui/say.svelte';
import { quarterMinute } from '../ui/tick.svelte';
import { dayShown, groupOf, owedAt, type Group } from './due';
import { readRule, ruleText } from './repeat';

const chinese = () => i18n.language === 'zh-Hans';
/** The words of follow-ups in the language of the moment. */
export const words = (): FollowUpWords => (chinese() ? followUpWords.zh : followUpWords.en);

export const KINDS = ['request', 'opportunity', 'delivery', 'payment', 'other'] as const;
export function kindName(code: string): string {
  return (chinese() ? recordWords.zh : recordWords.en).followUpKinds[code] ?? code;
}

/** Now by the server, as something a screen depends on. */
export const now = (): number => (quarterMinute.now ? serverNow() : 0);
export const groupNow = (f: FollowUp): Group => groupOf(f, now(), i18n.zone);

/** The time as read here: `15:30`, or "all day". */
export function timeOf(f: FollowUp): string {
  return f.dueDate === null || f.dueTime === null ? words().allDay : i18n.clock(owedAt(f, i18n.zone)!);
}
/** The day it is for who reads here, which is not the device's for somebody who travels. */
export const dayHere = (): string => dayOf(now() || serverNow(), i18n.zone);
/** `Thu 26 Nov, 10:00`; with the clock of the place it was promised for, where that shows another time. */
export function dueText(f: FollowUp): string {
  const day = dayShown(f, i18n.zone);
  if (day === null) return words().noDue;
  const there = elsewhere(f);
  return i18n.t.pair(i18n.dayWeekday(day), timeOf(f)) + (there ? ` (${there})` : '');
}
/** "10:00 in Shanghai", null where that is the time here too. */
export function elsewhere(f: FollowUp): string | null {
  const at = f.dueTime === null || !f.dueZone || f.dueZone === i18n.zone ? null : owedAt(f, i18n.zone);
  if (at === null || i18n.clock(at, f.dueZone!) === i18n.clock(at)) return null;
  return words().inZone(i18n.clock(at, f.dueZone!), placeOf(f.dueZone!));
}
/** `Shanghai` of `Asia/Shanghai`. */
export const placeOf = (zone: string): string => (zone.split('/').at(-1) ?? zone).replaceAll('_', ' ');

export const repeatWordsNow = (): RepeatWords => (chinese() ? repeatWords.zh : repeatWords.en);
/** "Every Monday until 21 Dec"; `within` a line: "every Monday". A rule that is not known here is said by its bare name. */
export function repeatText(rule: string, date: string | null, where: 'alone' | 'within' = 'alone'): string {
  const known = readRule(rule);
  const read = known && where === 'within' ? { ...known, until: null, count: null } : known;
  const said = read
    ? ruleText(read, date, repeatWordsNow(), (day) => i18n.dayShort(day))
    : repeatWordsNow().label;
  return where === 'within' ? said : said.charAt(0).toUpperCase() + said.slice(1);
}

/** What stands beside a stop on the line of today: nothing but its hour, unless it is of another day. */
export function dayOfStop(f: FollowUp): string | undefined {
  const day = dayShown(f, i18n.zone);
  return day && day !== dayHere() ? i18n.dayShort(day) : undefined;
}

/** What a customer's request should be answered in (PRODUCT: lower is better, target 2 h). */
export const ANSWER_WITHIN_MS = 2 * 3_600_000;
/**
 * How long a request has waited, or did until it was done; null of anything else. `visits`: those known of the customer, the
 * first after the request answers it too.
 */
export function response(f: FollowUp, visits: Visit[] = []): { ms: number; running: boolean } | null {
  if (f.kind !== 'request' || f.requestedAt === null || f.status === 'cancelled') return null;
  let answered = f.status === 'done' ? (f.doneAt ?? Infinity) : Infinity;
  for (const v of visits)
    if (v.repId === f.ownerId && v.checkInAt !== null && v.checkInAt >= f.requestedAt)
      answered = Math.min(answered, v.checkInAt);
  const running = answered === Infinity && f.status === 'open';
  if (!running && answered === Infinity) return null;
  return { ms: Math.max(0, (running ? now() : answered) - f.requestedAt), running };
}
/** "1 day late", null while it is not. */
export function lateText(f: FollowUp): string | null {
  const at = owedAt(f, i18n.zone);
  const late = at === null ? 0 : now() - at;
  if (late < 60_000) return null;
  const days = Math.floor(late / 86_400_000);
  return words().lateBy(days ? words().days(days) : i18n.duration(late / 1000));
}

/** What did not work stays said on the screen that shows it: `failed` says whether the last write did not. */
class Deeds {
  failed = $state(false);

  async run(deed: () => Promise<void>): Promise<void> {
    try {
      await deed();
      this.failed = false;
    } catch {
      this.failed = true;
    }
  }
  /** Done at a tap, or open again; each with its Undo. */
  turn(f: FollowUp): Promise<void> {
    return f.status === 'open' ? this.done(f) : this.reopen(f);
  }
  done(f: FollowUp): Promise<void> {
    return this.run(async () => {
      const back = await completeFollowUp(f.id);
      say.show(words().doneNow(f.subject), { label: i18n.t.undo, run: () => void this.run(back) });
    });
  }
  reopen(f: FollowUp): Promise<void> {
    return this.run(async () => {
      await reopenFollowUp(f.id);
      say.show(words().reopened);
    });
  }
  cancel(f: FollowUp): Promise<void> {
    return this.run(async () => {
      const back = await cancelFollowUp(f.id);
      say.show(words().cancelled, { label: i18n.t.undo, run: () => void this.run(back) });
    });
  }
  /** It comes again no more after this once. */
  once(f: FollowUp): Promise<void> {
    return this.run(async () => {
      await editFollowUp(f.id, { repeat: null });
      const back = () => editFollowUp(f.id, { repeat: f.repeat });
      say.show(repeatWordsNow().stopped, { label: i18n.t.undo, run: () => void this.run(back) });
    });
  }
  /** Resolves with whether it was saved. */
  async edit(f: FollowUp, edit: Parameters<typeof editFollowUp>[1]): Promise<boolean> {
    await this.run(() => editFollowUp(f.id, edit));
    return !this.failed;
  }
}
export const deeds = new Deeds();
