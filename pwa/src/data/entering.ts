import { commitAllCheckOuts } from './checkout';
import { commitAllDecisions } from './decisions';
import { leave, openDesk, tell } from './desk';
import { device } from './device';
import { flushDrafts } from './drafts';
import { resetContact, syncNow } from './exchange';
import { ask, Unreachable } from './http';
import { dropSearches } from './locating';
import { Outbox } from './outbox';
import { forgetFix } from './place';
import { disablePush } from './pushing';
import { endSession, insecure, open, sessions } from './session';
import type { Me, SignInResult, SignOutResult, Team } from './types';
import { uuid } from './uuid';

// Coming and going, which a start does without.

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
  sessions.set({ state: 'in', me, insecure: false, last });
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
  sessions.update((s) => ({ ...s, state: 'out', me: null }));
  await endSession();
  return { ok: true };
}

async function teams(): Promise<Team[]> {
  try {
    const { status, body } = await ask('GET', '/api/me');
    return status === 200 ? ((body as { teams?: Team[] }).teams ?? []) : [];
  } catch {
    return [];
  }
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
