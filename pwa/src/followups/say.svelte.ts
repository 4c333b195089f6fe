import {
  cancelFollowUp,
  completeFollowUp,
  editFollowUp,
  reopenFollowUp,
  serverNow,
  type FollowUp,
} from '../data';
import { followUpWords, type FollowUpWords } from '../i18n/followups';
import { i18n } from '../i18n/i18n.svelte';
import { recordWords } from '../i18n/records';
import { say } from '../ui/say.svelte';
import { quarterMinute } from '../ui/tick.svelte';
import { dayShown, groupOf, owedAt, type Group } from './due';

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
/** `Thu 26 Nov, 10:00`. */
export function dueText(f: FollowUp): string {
  const day = dayShown(f, i18n.zone);
  return day === null ? words().noDue : i18n.t.pair(i18n.dayWeekday(day), timeOf(f));
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
  /** Resolves with whether it was saved. */
  async edit(f: FollowUp, edit: Parameters<typeof editFollowUp>[1]): Promise<boolean> {
    await this.run(() => editFollowUp(f.id, edit));
    return !this.failed;
  }
}
export const deeds = new Deeds();
