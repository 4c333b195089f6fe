import { get, writable, type Readable } from 'svelte/store';
import { resumeCheckOuts } from './checkout';
import { leave, listeners, openDesk, sitDown } from './desk';
import { resumeDecisions } from './decisions';
import { device } from './device';
import { authority, resetContact, syncNow } from './exchange';
import { ask } from './http';
import { resumeLocating } from './locating';
import { lookAtPush } from './pushing';
import { lookAtRoom, lookPersisted } from './storage';
import type { Me, Session } from './types';

/** Who is signed in; changed here and in `entering`. */
export const sessions = writable<Session>({ state: 'starting', me: null, insecure: false, last: null });
export const session: Readable<Session> = { subscribe: sessions.subscribe };

export function insecure(): boolean {
  return typeof isSecureContext !== 'undefined' && !isSecureContext;
}

/** Reads who is signed in and opens their desk. Never waits for the network. */
export async function resume(): Promise<void> {
  listeners.left = () => void resume();
  authority.refused = () => sessions.update((s) => (s.state === 'in' ? { ...s, state: 'expired' } : s));
  authority.answered = () => {
    sessions.update((s) => (s.state === 'expired' ? { ...s, state: 'in' } : s));
    void refreshMe();
  };
  const state = await device.read();
  const common = { insecure: insecure(), last: state.last };
  if (!state.me) {
    if (openDesk()) leave();
    sessions.set({ state: 'out', me: null, ...common });
    if (state.endSession) void endSession();
    return;
  }
  const { me } = state;
  await open(me, () => sessions.set({ state: 'in', me, ...common }));
  void syncNow();
}

/** Opens somebody's desk; `shown` once there is enough of it for the first screen. */
export async function open(me: Me, shown = () => {}): Promise<void> {
  const desk = await sitDown(me);
  await resetContact();
  shown();
  await resumeLocating();
  await resumeCheckOuts();
  resumeDecisions();
  void lookAtPush();
  // The queue of photos is no part of the first page.
  void import('./photos').then((photos) => photos.resumePhotos()).catch(() => {});
  void lookPersisted();
  void lookAtRoom();
  void desk.outbox.prune(desk.model.matters().closed).catch(() => {});
  void pruneOldVisits();
}

export async function endSession(): Promise<void> {
  try {
    const { status } = await ask('DELETE', '/api/session');
    if (status < 500 && !get(sessions).me) await device.change({ endSession: false });
  } catch {
    // The next start tries again.
  }
}

let refreshed: string | null = null;

/** Role, teams and names may have changed since sign-in; asked once per page life. */
async function refreshMe(): Promise<void> {
  const desk = openDesk();
  if (!desk || refreshed === desk.me.person.id) return;
  refreshed = desk.me.person.id;
  try {
    const { status, body } = await ask('GET', '/api/me');
    const fresh = body as (Me & { person: { id: string } }) | null;
    if (status !== 200 || !fresh?.person || fresh.person.id !== desk.me.person.id || openDesk() !== desk)
      return;
    const me: Me = { person: fresh.person, organisation: fresh.organisation, teams: fresh.teams ?? [] };
    if (JSON.stringify(me) === JSON.stringify(desk.me)) return;
    desk.me = me;
    desk.model.setRole(me.person.role);
    await device.change({ me });
    sessions.update((s) => ({ ...s, me }));
  } catch {
    refreshed = null;
  }
}

/** The server's window of own visits is 180 days and slides without any write; the phone's follows it. */
async function pruneOldVisits(): Promise<void> {
  const desk = openDesk();
  if (!desk) return;
  const first = new Date(Date.now() - 181 * 86_400_000).toISOString().slice(0, 10);
  await desk.replica.pruneVisits(first, new Set()).catch(() => []);
}
