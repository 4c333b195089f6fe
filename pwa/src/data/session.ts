import { get, writable, type Readable } from 'svelte/store';
import { commitAllCheckOuts, resumeCheckOuts } from './checkout';
import { leave, listeners, openDesk, sitDown, tell } from './desk';
import { commitAllDecisions, resumeDecisions } from './decisions';
import { device } from './device';
import { flushDrafts } from './drafts';
import { authority, resetContact, syncNow } from './exchange';
import { ask, Unreachable } from './http';
import { dropSearches, resumeLocating } from './locating';
import { Outbox } from './outbox';
import { forgetFix } from './place';
import { disablePush, lookAtPush } from './pushing';
import { lookAtRoom, lookPersisted } from './storage';
import type { Me, Session, SignInResult, SignOutResult, Team } from './types';
import { uuid } from './uuid';

const store = writable<Session>({ state: 'starting', me: null, insecure: false, last: null });
export const session: Readable<Session> = { subscribe: store.subscribe };

function insecure(): boolean {
  return typeof isSecureContext !== 'undefined' && !isSecureContext;
}

/** Reads who is signed in and opens their desk. Never waits for the network. */
export async function resume(): Promise<void> {
  listeners.left = () => void resume();
  authority.refused = () => store.update((s) => (s.state === 'in' ? { ...s, state: 'expired' } : s));
  authority.answered = () => {
    store.update((s) => (s.state === 'expired' ? { ...s, state: 'in' } : s));
    void refreshMe();
  };
  const state = await device.read();
  const common = { insecure: insecure(), last: state.last };
  if (!state.me) {
    if (openDesk()) leave();
    store.set({ state: 'out', me: null, ...common });
    if (state.endSession) void endSession();
    return;
  }
  const { me } = state;
  await open(me, () => store.set({ state: 'in', me, ...common }));
  void syncNow();
}

/** Opens somebody's desk; `shown` once there is enough of it for the first screen. */
async function open(me: Me, shown = () => {}): Promise<void> {
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

/**
 * Signs in with the server and opens this person's desk. Needs the network. The address and the e-mail are
 * remembered for the form, the password never.
 */
export async function signIn(input: {
  organisation?: string;
  email: string;
  password: string;
  /** Another person's unsent work stays on this phone until they return. */
  keepOther?: boolean;
}): Promise<SignInResult> {
  if (insecure()) return { ok: false, code: 'INSECURE' };
  const email = input.email.trim();
  const organisation = (input.organisation ?? '').trim();
  const state = await device.read();
  const mine = state.known.find(
    (k) => same(k.email, email) && (!organisation || k.organisation === organisation),
  );
  if (!input.keepOther) {
    for (const other of state.known) {
      // An empty address: they came by an invitation and have not typed it here yet, so it may be them.
      if (other === mine || other.email === '' || same(other.email, email)) continue;
      const unsent = await unsentOf(other.person);
      if (unsent > 0)
        return { ok: false, code: 'UNSENT_WORK', other: { id: other.person, name: other.name, unsent } };
    }
  }
  const client = mine ? await clientOf(mine.person) : uuid();
  return enter(
    '/api/session',
    client,
    { organisation, email },
    {
      ...(organisation ? { organisation } : {}),
      email,
      password: input.password,
    },
  );
}

/** Takes a one-time invitation: the password becomes theirs and they are signed in. */
export async function acceptInvite(input: { invite: string; password: string }): Promise<SignInResult> {
  if (insecure()) return { ok: false, code: 'INSECURE' };
  return enter('/api/session/invite', uuid(), null, { invite: input.invite, password: input.password });
}

/** Takes a one-time link of a closed account: what this phone holds of theirs is sent, and nothing is read. */
export async function acceptUpload(invite: string): Promise<SignInResult> {
  if (insecure()) return { ok: false, code: 'INSECURE' };
  return enter('/api/session/upload', uuid(), null, { invite });
}

async function enter(
  path: string,
  client: string,
  typed: { organisation: string; email: string } | null,
  body: object,
): Promise<SignInResult> {
  let me: Me;
  try {
    const answer = await ask('POST', path, { body: { ...body, device: { client, name: deviceName() } } });
    const said = (answer.body ?? {}) as Partial<Me> & { code?: string; detail?: string };
    if (answer.status !== 200 || !said.person || !said.organisation) {
      return {
        ok: false,
        code: codeOf(answer.status, said.code),
        detail: said.detail,
        retryAfterMs: answer.retryAfterMs ?? undefined,
      };
    }
    me = { person: said.person, organisation: said.organisation, teams: await teams() };
  } catch (error) {
    if (error instanceof Unreachable) return { ok: false, code: 'OFFLINE' };
    throw error;
  }

  const state = await device.read();
  const before = state.known.find((k) => k.person === me.person.id);
  const email = typed?.email ?? before?.email ?? '';
  const known = [
    ...state.known.filter((k) => k.person !== me.person.id),
    { person: me.person.id, name: me.person.name, email, organisation: me.organisation.slug },
  ];
  const last = typed ?? state.last;
  try {
    await device.change({ me, known, last, endSession: false });
    const here = openDesk();
    if (here?.me.person.id === me.person.id) {
      here.me = me;
      here.model.setRole(me.person.role);
      await resetContact();
      tell(here, { type: 'kick' });
    } else {
      if (here) tell(here, { type: 'left' });
      const outbox = new Outbox(me.person.id);
      await outbox.adopt(client);
      outbox.close();
      await open(me);
    }
  } catch (error) {
    return { ok: false, code: 'STORAGE', detail: String(error) };
  }
  store.set({ state: 'in', me, insecure: false, last });
  void syncNow();
  return { ok: true };
}

/**
 * Signs out: ends the server's session (as soon as it can be reached) and deletes the replica. Refused while
 * changes are unsent, unless `force`: they then stay in this person's outbox on this phone until they return.
 */
export async function signOut(options: { force?: boolean } = {}): Promise<SignOutResult> {
  const desk = openDesk();
  if (desk) {
    // What could still be undone is work as well: it is counted, and sent where there is still a moment for it.
    await Promise.allSettled([...commitAllCheckOuts(), ...commitAllDecisions(), flushDrafts()]);
    const unsent = await unsentIn(desk.outbox);
    if (unsent > 0 && !options.force) return { ok: false, code: 'UNSENT_WORK', unsent };
    await disablePush();
    await device.change({ me: null, endSession: true });
    tell(desk, { type: 'left' });
    leave();
    dropSearches();
    forgetFix();
    await desk.replica.delete();
  }
  store.update((s) => ({ ...s, state: 'out', me: null }));
  await endSession();
  return { ok: true };
}

async function endSession(): Promise<void> {
  try {
    const { status } = await ask('DELETE', '/api/session');
    if (status < 500 && !get(store).me) await device.change({ endSession: false });
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
    store.update((s) => ({ ...s, me }));
  } catch {
    refreshed = null;
  }
}

async function teams(): Promise<Team[]> {
  try {
    const { status, body } = await ask('GET', '/api/me');
    return status === 200 ? ((body as { teams?: Team[] }).teams ?? []) : [];
  } catch {
    return [];
  }
}

/** The server's window of own visits is 180 days and slides without any write; the phone's follows it. */
async function pruneOldVisits(): Promise<void> {
  const desk = openDesk();
  if (!desk) return;
  const first = new Date(Date.now() - 181 * 86_400_000).toISOString().slice(0, 10);
  await desk.replica.pruneVisits(first, new Set()).catch(() => []);
}

async function unsentOf(person: string): Promise<number> {
  const here = openDesk();
  if (here?.me.person.id === person) return unsentIn(here.outbox);
  const outbox = new Outbox(person);
  try {
    return await unsentIn(outbox);
  } finally {
    outbox.close();
  }
}

/** Changes and photos that are on this phone alone. */
async function unsentIn(outbox: Outbox): Promise<number> {
  return (await outbox.countUnsent()).unsent + (await outbox.countPhotos());
}

async function clientOf(person: string): Promise<string> {
  const here = openDesk();
  if (here?.me.person.id === person) return (await here.outbox.client()).id;
  const outbox = new Outbox(person);
  try {
    return (await outbox.client()).id;
  } finally {
    outbox.close();
  }
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function codeOf(status: number, code: string | undefined): string {
  if (status === 429) return 'RATE_LIMITED';
  if (status >= 500) return 'BUSY';
  return code ?? 'SIGN_IN_FAILED';
}

/** A word by which a person recognises this device in the list of their devices. */
function deviceName(): string {
  const agent = navigator.userAgent;
  const system = /iPhone|iPad|Android|Windows|Mac OS|Linux/.exec(agent)?.[0] ?? 'device';
  const browser = /Edg|Firefox|Chrome|Safari/.exec(agent)?.[0] ?? 'browser';
  return `${browser} · ${system}`;
}
