import { serverNow } from '../data';
import { addDays } from '../i18n/format';
import { inboxWords, type InboxWords } from '../i18n/inbox';
import { i18n } from '../i18n/i18n.svelte';
import { compose, type Told } from './compose';

/** The inbox in the words of the moment. Reactive where it is read in a component. */
class InboxSay {
  get w(): InboxWords {
    return i18n.language === 'zh-Hans' ? inboxWords.zh : inboxWords.en;
  }
  words = (told: Told): [title: string, body: string] => compose(told, this.w, this.when);

  /** A time of today is its clock, of another day that day and the clock. */
  when = (at: string | number, all = false): string => {
    const day = i18n.dayOf(at);
    if (!day) return '';
    if (all) return i18n.dayWeekday(day);
    if (day === i18n.dayOf(serverNow())) return i18n.clock(at);
    return `${i18n.dayWeekday(day)} ${i18n.clock(at)}`;
  };
}
export const inbox = new InboxSay();

/** The instant (ms) at which the clock of the person's zone shows `09:00` tomorrow. */
export function tomorrowMorning(now: number): number {
  const wanted = `${addDays(i18n.dayOf(now), 1)} 09:00`;
  // The zone's distance from UTC is found by trying: a second turn meets a change of clocks in the night.
  let at = Date.parse(`${wanted.replace(' ', 'T')}:00Z`);
  const target = at;
  for (let turn = 0; turn < 3; turn++) {
    const shown = Date.parse(`${i18n.dayOf(at)}T${i18n.clock(at)}:00Z`);
    at += target - shown;
  }
  return at;
}
