import { notices, readNotice, reopenFollowUp, serverNow, snoozeNotice, syncNow, type Notice } from '../data';
import { i18n } from '../i18n/i18n.svelte';
import { go } from '../ui/navigate';
import { say } from '../ui/say.svelte';
import { inbox } from './say.svelte';

const HOUR_MS = 3_600_000;
let under = '';

/** The count on the app's icon, and what an address asks for that a notice opened; each address once. */
export async function look(unread: number, path: string, query: string): Promise<void> {
  if ('setAppBadge' in navigator)
    void (unread > 0 ? navigator.setAppBadge(unread) : navigator.clearAppBadge()).catch(() => {});
  if (!query.includes('notice=') || under === path + query) return;
  under = path + query;
  await arrive(path, query).finally(() => (under = ''));
}

/**
 * The app was brought up by a notice: marks it read. The push may be faster than the exchange, so it waits for the notice
 * itself; until it was written the address keeps it. What a button said is done already, or, where the worker could keep
 * nothing, by the page of the thing (`do=done`) and here (`do=snooze`).
 */
async function arrive(path: string, query: string): Promise<void> {
  const asked = new URLSearchParams(query);
  const id = asked.get('notice');
  const deed = asked.get('do');
  if (!id) return;
  const found = await here(id);
  if (found) {
    if (deed === 'snooze') await snooze(found, serverNow() + HOUR_MS);
    else await readNotice(id);
    const phone = found.words['phone'];
    if (deed === 'call' && typeof phone === 'string') location.href = `tel:${phone.replace(/[^+\d]/g, '')}`;
    void letGo([id]);
  }
  // Some browsers call only from a tap in the page: whoever wanted to sees the number first as long as it stands.
  asked.delete('notice');
  if (deed !== 'call') asked.delete('do');
  const left = asked.toString();
  const rest = left ? `?${left}` : '';
  if (location.pathname === path && location.search === query) go(`${path}${rest}`, { replace: true });
}

/** A button was pressed on a notice while this window was in sight: what came of it is said, with a way back. */
export function tapped(tap: { deed: string; notice?: string; followUp?: string; until?: number }): void {
  const { notice, followUp } = tap;
  if (tap.deed === 'done' && followUp)
    say.show(inbox.w.markedDone, { label: i18n.t.undo, run: () => void reopenFollowUp(followUp) });
  else if (tap.deed === 'snooze' && notice && tap.until)
    say.show(inbox.w.snoozed(inbox.when(tap.until)), {
      label: i18n.t.undo,
      run: () => void snoozeNotice(notice, null).then(() => readNotice(notice, false)),
    });
}

/** Puts a notice off, with a way back. */
export async function snooze(notice: Notice, until: number): Promise<void> {
  await snoozeNotice(notice.id, until);
  void letGo([notice.id]);
  say.show(inbox.w.snoozed(inbox.when(until)), {
    label: i18n.t.undo,
    run: () => {
      void snoozeNotice(notice.id, null).then(() => (notice.read ? undefined : readNotice(notice.id, false)));
    },
  });
}

/** Takes what was read off the lock screen as well. */
export async function letGo(ids: string[]): Promise<void> {
  try {
    const registration = await navigator.serviceWorker?.getRegistration();
    for (const shown of (await registration?.getNotifications()) ?? [])
      if (ids.includes(shown.tag)) shown.close();
  } catch {
    // A browser that cannot tell what it shows.
  }
}

/** The notice as soon as this phone has it; null where one exchange did not bring it. */
function here(id: string): Promise<Notice | null> {
  return new Promise((resolve) => {
    let over = false;
    let stop: (() => void) | null = null;
    const end = (found: Notice | null) => {
      if (over) return;
      over = true;
      queueMicrotask(() => stop?.());
      resolve(found);
    };
    stop = notices.subscribe((all) => {
      const found = all.find((one) => one.id === id);
      if (found) end(found);
    });
    if (!over) void syncNow().finally(() => setTimeout(() => end(null), 1000));
  });
}
