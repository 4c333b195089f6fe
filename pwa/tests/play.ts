/**
 * Plays the scenarios of `tests/faults/vectors` (its README tells their words) with the engine of the app: the outbox,
 * the replica, the exchange and the model of each phone are the real ones, on an IndexedDB of its own; the server is
 * the real one at the other end of HTTP.
 */
import Dexie from 'dexie';
import { IDBFactory, IDBKeyRange, IDBObjectStore } from 'fake-indexeddb';
import { vi } from 'vitest';
import { claim, recallOffset } from '../src/data/clock';
import { allRowsChanged, outboxChanged, type Desk } from '../src/data/desk';
import { exchange, type Ended } from '../src/data/exchange';
import { closeForGood } from '../src/data/handle';
import { httpTransport } from '../src/data/http';
import { Model } from '../src/data/model';
import { Outbox, type Stored } from '../src/data/outbox';
import { Replica } from '../src/data/replica';
import type { Id, Me, Op, Role, Verb } from '../src/data/types';
import type { Transport } from '../src/data/wire';

type Data = Record<string, unknown>;
export interface Step extends Data {
  do: string;
  phone?: string;
  network?: string[];
  limit?: number;
}
export interface Wanted extends Data {
  phone: string;
}
export interface Scenario {
  name: string;
  story: string;
  needs: string[];
  phones: Record<string, string>;
  steps: Step[];
  then: Wanted[];
}
interface World {
  now: string;
  zone: string;
  place: [number, number];
  ids: Record<string, Id>;
  roles: Record<string, Role>;
}

const TEXTS = new Set(['minutes', 'next_step', 'note', 'body']);
const LOST = new Set(['request lost', 'answer lost', 'late', 'crash before commit', 'crash after commit']);
const MOST_ROUNDS = 14;

/** What the phone that speaks at the moment sends as its cookie. */
let cookie = '';
/** The real `fetch`, made to begin at the server, as pages do. */
export function callHome(base: string): () => void {
  const real = globalThis.fetch;
  globalThis.fetch = (path, options) =>
    real(`${base}${String(path)}`, {
      method: options?.method,
      headers: { ...(options?.headers as Record<string, string>), Cookie: cookie },
      body: options?.body,
      signal: options?.signal,
    });
  return () => {
    globalThis.fetch = real;
  };
}

async function befall(word: string, said: Data = {}): Promise<Data> {
  const response = await fetch(`/-/${word}`, { method: 'POST', body: JSON.stringify(said) });
  if (!response.ok) throw new Error(`${word}: ${response.status}`);
  return (await response.json()) as Data;
}

/** A step that can not be taken here, as when one before it was left out. */
export class LeftOut extends Error {}

/** One browser profile. */
class Profile {
  desk!: Desk;
  cookie = '';
  offset: number | null = null;
  minutesOff = 0;
  /** The client id this profile began with, and whether it is another now. */
  born = '';
  late: (() => Promise<unknown>)[] = [];
  ended: Ended = { how: 'stopped' };
  lives = 0;
  device = crypto.randomUUID() as string;
  /** A page of a release so old that the server sends it nothing any more. */
  oldPage = false;
  uploadOnly: string | null = null;
  /** Its page is closed, or will be with the next receipts. */
  dying = false;
  /** What it let go of at its last start, because it was confirmed more than 30 days before. */
  forgotten: Id[] = [];

  constructor(
    readonly name: string,
    readonly person: Id,
    readonly role: Role,
    readonly storage = new IDBFactory(),
  ) {}

  /** Another page on the same storage. */
  async page(): Promise<Desk> {
    Dexie.dependencies.indexedDB = this.storage;
    Dexie.dependencies.IDBKeyRange = IDBKeyRange;
    const me: Me = {
      person: {
        id: this.person,
        name: this.name,
        role: this.role,
        team: null,
        locale: 'en',
        time_zone: 'Europe/London',
      },
      organisation: {
        id: 'o',
        slug: 'o',
        name: 'O',
        time_zone: 'Europe/London',
        week_start: 1,
        locale: 'en',
      },
      teams: [],
    };
    const outbox = new Outbox(this.person);
    const replica = await Replica.open(this.person);
    const model = new Model(this.person, this.role);
    model.loadRows(await replica.all());
    model.loadMutations(await outbox.all());
    return { me, outbox, replica, model, channel: null, whole: Promise.resolve() };
  }

  async open(): Promise<void> {
    this.lives++;
    this.desk = await this.page();
    const had = await this.stored();
    await this.desk.outbox.prune();
    const kept = new Set((await this.stored()).map(({ id }) => id));
    this.forgotten = had.map(({ id }) => id).filter((id) => !kept.has(id));
    this.born ||= (await this.desk.outbox.client()).id;
  }

  async restart(): Promise<void> {
    closeDesk(this.desk);
    this.offset = null;
    this.oldPage = false;
    await this.open();
  }

  async stored(): Promise<Stored[]> {
    return this.desk.outbox.all();
  }
}

function closeDesk(desk: Desk): void {
  closeForGood(desk.outbox);
  closeForGood(desk.replica);
}

interface Tab {
  profile: Profile;
  desk: Desk;
  life: number;
  answer: () => void;
  going: Promise<Ended>;
}
/** How often a transaction may begin until one fails. */
interface Storage {
  left: number;
}
interface Entry {
  profile: Profile;
  gone: boolean;
}

export class Play {
  readonly profiles = new Map<string, Profile>();
  private readonly tabs = new Map<string, Tab>();
  private readonly mutations = new Map<string, Id>();
  private readonly ledger = new Map<Id, Entry>();
  private readonly ids = new Map<string, Id>();
  private readonly revoked = new Set<string>();
  private readonly fresh = new Map<Id, Awaited<ReturnType<typeof rows>>>();
  private now = 0;

  private constructor(private readonly world: World) {
    for (const [name, id] of Object.entries(world.ids)) this.ids.set(name, id);
    this.now = Date.parse(world.now);
  }

  static async begin(phones: Record<string, string>): Promise<Play> {
    const world = (await befall('begin')) as unknown as World;
    const play = new Play(world);
    for (const [name, person] of Object.entries(phones)) {
      await play.exchange(await play.add(name, person), []);
    }
    return play;
  }

  async add(name: string, person: string, storage?: IDBFactory): Promise<Profile> {
    const profile = new Profile(name, this.world.ids[person]!, this.world.roles[person]!, storage);
    await this.signIn(profile);
    this.asIf(profile);
    await profile.open();
    this.profiles.set(name, profile);
    return profile;
  }

  private async signIn(profile: Profile): Promise<void> {
    const { person, device } = profile;
    profile.cookie = String((await befall('sign_in', { person, device }))['cookie']);
  }

  /** From here on it is this phone's turn: its clock, its cookie, what it knows of the server's clock. */
  private asIf(profile: Profile): void {
    vi.setSystemTime(this.now + profile.minutesOff * 60_000);
    cookie = profile.cookie;
    recallOffset(profile.offset);
  }

  private of(step: Data, key = 'phone'): Profile {
    const profile = this.profiles.get(String(step[key]));
    if (!profile) throw new LeftOut(`no phone ${String(step[key])}`);
    return profile;
  }

  // ---- steps ---------------------------------------------------------------------------------------------------

  async step(step: Step): Promise<void> {
    if (step.do === 'save') return this.save(step);
    if (step.do === 'exchange') {
      const storage = step['storage'] === undefined ? undefined : { left: Number(step['storage']) };
      return this.exchange(this.of(step), [...(step.network ?? [])], step.limit, storage);
    }
    if (step.do === 'begin') return this.beginTab(step);
    if (step.do === 'end') return this.endTab(String(step['of']));
    if (step.do === 'arrive') {
      for (const send of this.of(step).late.splice(0)) await send().catch(() => {});
    } else if (step.do === 'restart') {
      await this.restart(this.of(step));
    } else if (step.do === 'clone') await this.clone(step);
    else if (step.do === 'lose') await this.lose(step);
    else if (step.do === 'clock') this.of(step).minutesOff = Number(step['minutes']);
    else if (step.do === 'settle') {
      const names = (step['phones'] as string[] | undefined) ?? [...this.profiles.keys()];
      for (const name of names) await this.exchange(this.of({ phone: name }), []);
    } else if (step.do === 'rescue') await this.rescue(step);
    else if (step.do === 'backup') await befall('backup');
    else if (step.do === 'put back') await befall('put_back');
    else if (step.do === 'lock') await befall('lock', { for: step['for'] });
    else if (step.do === 'expire') await befall('expire', { device: this.of(step).device });
    else if (step.do === 'revoke') {
      this.revoked.add(this.of(step).device);
      await befall('revoke', { device: this.of(step).device });
    } else if (step.do === 'old page') this.of(step).oldPage = true;
    else if (step.do === 'stumble') {
      await befall('stumble', { times: step['times'] });
      await this.exchange(this.of(step), []);
      await befall('stumble', { times: 0 });
    } else if (step.do === 'poison') await this.poison(step);
    else if (step.do === 'pass') {
      const { now } = await befall('go_by', { days: step['days'], minutes: step['minutes'] ?? 0 });
      this.now = Date.parse(String(now));
    } else throw new LeftOut(`no step ${step.do}`);
  }

  private async save(step: Step): Promise<void> {
    const profile = this.of(step);
    this.asIf(profile);
    const { outbox, model } = profile.desk;
    const kind = String(step['kind']);
    const verb = step['verb'] as Verb;
    const entity = this.idOf(String(step['entity']), verb === 'create');
    const shown = model.value(kind, entity);
    const ops: Op[] = [];
    for (const [field, given] of Object.entries((step['set'] ?? {}) as Data)) {
      const op = verb !== 'update' ? 'set' : TEXTS.has(field) ? 'text' : field === 'status' ? 'go' : 'set';
      const old = verb === 'create' ? null : (shown?.data[field] ?? null);
      ops.push({ field, op, old, new: await this.value(profile, given) });
    }
    for (const op of ['add', 'remove'] as const) {
      for (const [field, values] of Object.entries((step[op] ?? {}) as Data)) {
        ops.push({ field, op, values: values as string[] });
      }
    }
    const at = claim(Date.now() + Number(step['at'] ?? 0) * 60_000);
    const wanted = { kind, entity, verb, base: shown?.version ?? 0, at, ops };
    if (step['storage'] === 'fails') {
      const { add } = IDBObjectStore.prototype;
      IDBObjectStore.prototype.add = () => {
        throw new DOMException('no room', 'QuotaExceededError');
      };
      const failed = await outbox.write([wanted]).then(
        () => false,
        () => true,
      );
      IDBObjectStore.prototype.add = add;
      if (!failed) throw new Error('saved without room');
      return;
    }
    let [stored] = await outbox.write([wanted]);
    if (step['raw']) {
      const body = { ...stored!.body, ...(step['raw'] as Data) } as Stored['body'];
      stored = { ...stored!, body };
      await outbox.table('mutations').put(stored);
    }
    model.putMutations([stored!]);
    this.ledger.set(stored!.id, { profile, gone: false });
    if (step['name']) this.mutations.set(String(step['name']), stored!.id);
  }

  /** A mutation that no app would write. */
  private async poison(step: Step): Promise<void> {
    const { ops } = step['raw'] as { ops?: unknown };
    if (ops !== undefined && !Array.isArray(ops)) throw new LeftOut('the model reads what it wrote itself');
    const set = { name: `p${String(step['number'])}x` };
    const entity = `poison ${String(step['number'])}`;
    await this.save({ ...step, do: 'save', kind: 'customer', entity, verb: 'create', set });
  }

  private async restart(profile: Profile): Promise<void> {
    this.asIf(profile);
    await profile.restart();
    this.letGo(profile.forgotten);
  }

  private letGo(ids: Id[]): void {
    for (const id of ids) {
      const entry = this.ledger.get(id);
      if (entry) entry.gone = true;
    }
  }

  private async clone(step: Step): Promise<void> {
    const from = this.of(step);
    if (this.profiles.has(String(step['as']))) throw new LeftOut('there is one already');
    const to = new Profile(String(step['as']), from.person, from.role);
    to.cookie = from.cookie;
    to.device = from.device;
    to.minutesOff = from.minutesOff;
    this.asIf(to);
    await to.open();
    for (const name of ['outbox', 'replica'] as const) {
      for (const table of from.desk[name].tables) {
        await to.desk[name].table(table.name).clear();
        await to.desk[name].table(table.name).bulkPut(await table.toArray());
      }
    }
    to.born = (await from.desk.outbox.client()).id;
    await this.restart(to);
    this.profiles.set(to.name, to);
  }

  private async lose(step: Step): Promise<void> {
    const profile = this.of(step);
    this.asIf(profile);
    if (step['what'] === 'outbox') {
      this.letGo((await profile.stored()).map(({ id }) => id));
      profile.born = '';
    }
    closeDesk(profile.desk);
    Dexie.dependencies.indexedDB = profile.storage;
    await Dexie.delete(`rounds-${String(step['what'])}-${profile.person}`);
    profile.offset = null;
    await profile.open();
    this.letGo(profile.forgotten);
  }

  private async rescue(step: Step): Promise<void> {
    const to = this.of(step, 'to');
    const from = this.of(step, 'from');
    if (to === from || to.person !== from.person) throw new LeftOut('a rescue file is its owner’s');
    const text = JSON.stringify(await from.desk.outbox.dump());
    const { mutations, drafts } = JSON.parse(text) as Awaited<ReturnType<Outbox['dump']>>;
    this.asIf(to);
    await to.desk.outbox.takeIn(mutations, drafts);
    await outboxChanged(to.desk);
  }

  // ---- the network ---------------------------------------------------------------------------------------------

  private async exchange(
    profile: Profile,
    network: string[],
    limit?: number,
    storage?: Storage,
  ): Promise<void> {
    this.asIf(profile);
    const { desk } = profile;
    if (storage) failing(desk, storage);
    try {
      profile.dying = false;
      profile.ended = await exchange(desk, this.transport(profile, network, limit), (part) => {
        if (part.uploadOnly !== undefined) profile.uploadOnly = part.uploadOnly;
      });
    } catch {
      // The page died while it stored something, or that failed: then it is opened again as well.
      profile.dying = true;
    }
    if (profile.dying) {
      profile.ended = { how: 'stopped' };
      await this.restart(profile);
    }
    if (storage) storage.left = Infinity;
    this.remember(profile);
  }

  private remember(profile: Profile): void {
    // What the engine learnt of the server's clock belongs to this phone alone.
    profile.offset = claim(0).offset_ms;
  }

  private transport(profile: Profile, network: string[], limit?: number): Transport {
    return async (request) => {
      if (request.pull && limit) request = { ...request, pull: { ...request.pull, limit } };
      if (profile.oldPage) request = { ...request, protocol: 0 as 1 };
      const fate = network.shift() ?? 'fine';
      const send = () => {
        this.asIf(profile);
        return httpTransport(request);
      };
      if (fate === 'request lost') throw new Error('no network');
      if (fate === 'late') {
        profile.late.push(send);
        throw new Error('no network');
      }
      if (fate === 'busy') return { status: 503, body: {}, retryAfterMs: 10 };
      if (fate === 'twice') await send();
      if (fate.startsWith('crash')) {
        await befall('crash', { when: fate.includes('before') ? 'before' : 'after' });
      }
      const reply = await send().finally(() => (fate.startsWith('crash') ? befall('go_on') : null));
      if (LOST.has(fate)) throw new Error('cut off');
      if (fate.startsWith('dies')) profile.dying = true;
      if (fate === 'dies') closeDesk(profile.desk);
      if (fate === 'dies after receipts') {
        const { desk } = profile;
        const accept = desk.outbox.accept.bind(desk.outbox);
        desk.outbox.accept = async (...told) => {
          const changed = await accept(...told);
          closeDesk(desk);
          return changed;
        };
      }
      return reply;
    };
  }

  private async beginTab(step: Step): Promise<void> {
    const profile = this.of(step);
    if (this.tabs.has(String(step['as']))) throw new LeftOut('there is one already');
    this.asIf(profile);
    const desk = await profile.page();
    const send = this.transport(profile, [...(step.network ?? [])], step.limit);
    let answer = () => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    let arrived = () => {};
    const there = new Promise<void>((resolve) => (arrived = resolve));
    let first = true;
    const going = exchange(
      desk,
      async (request) => {
        const reply = await send(request);
        if (first) {
          first = false;
          arrived();
          await answered;
          this.asIf(profile);
        }
        return reply;
      },
      () => {},
    );
    this.tabs.set(String(step['as']), { profile, desk, life: profile.lives, answer, going });
    await Promise.race([there, going]);
    this.remember(profile);
  }

  private async endTab(name: string): Promise<void> {
    const tab = this.tabs.get(name);
    if (!tab) return;
    this.tabs.delete(name);
    const { profile, desk } = tab;
    this.asIf(profile);
    if (profile.lives !== tab.life) closeDesk(desk);
    tab.answer();
    await tab.going.catch(() => {});
    this.remember(profile);
    closeDesk(desk);
    if (profile.lives !== tab.life) return;
    // Its channel told the other tab.
    await allRowsChanged(profile.desk);
    await outboxChanged(profile.desk);
  }

  // ---- at rest -------------------------------------------------------------------------------------------------

  /** What is under way ends, the weather clears, and all exchange until nothing moves. */
  async rest(): Promise<void> {
    for (const name of [...this.tabs.keys()]) await this.endTab(name);
    for (const profile of this.profiles.values()) {
      for (const send of profile.late.splice(0)) await send().catch(() => {});
    }
    await befall('lock', { for: 0 });
    for (const profile of this.profiles.values()) if (profile.oldPage) await this.restart(profile);
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const { head } = await befall('look');
      for (const profile of this.profiles.values()) {
        await this.exchange(profile, []);
        if (profile.ended.how === 'sign-in' && !this.revoked.has(profile.device)) await this.signIn(profile);
      }
      const restless = await this.restless();
      if ((await befall('look'))['head'] === head && restless.length === 0) return;
    }
    throw new Error(`no rest: ${(await this.restless()).join(', ')}`);
  }

  private async restless(): Promise<string[]> {
    const out: string[] = [];
    for (const { name, desk, ended, device } of this.profiles.values()) {
      if (ended.how === 'sign-in' && this.revoked.has(device)) continue;
      const unsent = (await desk.outbox.unsent()).length;
      if (ended.how !== 'done' || unsent > 0) out.push(`${name} (${ended.how}, ${unsent} unsent)`);
    }
    return out;
  }

  /** What does not hold of it, in plain words. */
  async broken(): Promise<string[]> {
    const flaws = await this.restless();
    const { journal } = (await befall('look')) as { journal: [Id, string, string | null, number][] };
    const entries = new Map<Id, [string, string | null, number]>();
    for (const [id, status, code, version] of journal) {
      const before = entries.get(id);
      if (before && before.join() !== [status, code, version].join()) {
        flaws.push(`${id} is in the journal twice: ${before.join(' ')}, then ${status} ${code ?? ''}`);
      }
      entries.set(id, before ?? [status, code, version]);
    }
    for (const [id, { profile, gone }] of this.ledger) {
      // A revoked phone whose session is over may not even send; what it has stays on it.
      const shutOut = profile.ended.how === 'sign-in' && this.revoked.has(profile.device);
      if (!gone && !shutOut && !entries.has(id))
        flaws.push(`${id}, saved on ${profile.name}, is not in the journal`);
    }
    const readers = [...this.profiles.values()].filter(
      ({ device, uploadOnly }) => uploadOnly === null && !this.revoked.has(device),
    );
    for (const profile of readers) flaws.push(...(await this.differs(profile)));
    for (const [id, { profile }] of this.ledger) {
      if (entries.get(id)?.[0] !== 'parked' || !readers.includes(profile)) continue;
      // What no reader takes lies there as text.
      const parked = await profile.desk.replica.byKind('parked');
      if (parked.some((row) => JSON.stringify(row.data).includes(id))) continue;
      const body = (await profile.stored()).find((row) => row.id === id)?.body;
      flaws.push(`${JSON.stringify(body)} was parked and ${profile.name} does not see it`);
    }
    const { differences, failures } = (await befall('check')) as Record<string, string[]>;
    flaws.push(...differences!, ...failures!);
    return flaws;
  }

  /** The replica against that of a new phone, and memory against the replica. */
  private async differs(profile: Profile): Promise<string[]> {
    const expected = await this.sentTo(profile.person);
    const held = await rows(profile.desk);
    // The window of 180 days slides without any write; phones forget at their next start.
    const first = new Date(this.now - 180 * 86_400_000).toISOString().slice(0, 10);
    for (const row of await profile.desk.replica.all()) {
      const { day } = (row.data['server'] ?? {}) as { day?: string };
      const over = !['planned', 'open'].includes(String(row.data['status']));
      if (row.kind === 'visit' && over && day && day < first) held.delete(`${row.kind} ${row.id}`);
    }
    const flaws: string[] = [];
    for (const key of new Set([...expected.keys(), ...held.keys()])) {
      const [theirs, sent] = expected.get(key) ?? [0, 'nothing'];
      const [mine, kept] = held.get(key) ?? [0, 'nothing'];
      if (sent !== kept) flaws.push(`${profile.name} holds ${key} as ${kept}, a new phone ${sent}`);
      // A row that left one of two scopes came with the version of that.
      else if (mine < theirs) flaws.push(`${profile.name} holds ${key} at ${mine}, a new phone at ${theirs}`);
    }
    for (const row of await profile.desk.replica.all()) {
      const shown = profile.desk.model.value(row.kind, row.id);
      if (JSON.stringify(sorted(shown?.data)) !== JSON.stringify(sorted(row.data))) {
        flaws.push(`${profile.name} shows ${row.kind} ${row.id} other than it holds it`);
      }
    }
    return flaws;
  }

  /** What a new phone of this person is sent. */
  private async sentTo(person: Id): Promise<Awaited<ReturnType<typeof rows>>> {
    const known = this.fresh.get(person);
    if (known) return known;
    const [name] = Object.entries(this.world.ids).find(([, id]) => id === person)!;
    const phone = await this.add('fresh', name);
    this.profiles.delete('fresh');
    await this.exchange(phone, []);
    const sent = await rows(phone.desk);
    closeDesk(phone.desk);
    this.fresh.set(person, sent);
    return sent;
  }

  async unmet(wanted: Wanted): Promise<string[]> {
    const profile = this.of(wanted);
    const said = JSON.stringify(wanted);
    if (wanted['client']) {
      const same = (await profile.desk.outbox.client()).id === profile.born;
      return same === (wanted['client'] === 'same') ? [] : [said];
    }
    if (wanted['receipt']) {
      const id = this.mutations.get(String(wanted['receipt']));
      const receipt = (await profile.stored()).find((row) => row.id === id)?.receipt;
      const met = receipt?.status === wanted['status'] && receipt?.code === wanted['code'];
      return met ? [] : [`${said}, but ${JSON.stringify(receipt)}`];
    }
    for (const kind of ['conflict', 'parked']) {
      if (!wanted[kind]) continue;
      const members: Data = {};
      for (const [name, given] of Object.entries(wanted[kind] as Data)) {
        members[name] = name === 'entity' ? this.ids.get(String(given)) : await this.value(profile, given);
      }
      const held = await profile.desk.replica.byKind(kind);
      const open = held.filter((row) => row.data['status'] === 'open');
      return open.some((row) => holds(row.data, members))
        ? []
        : [`${said}, but ${JSON.stringify(held.map((row) => row.data))}`];
    }
    const entity = this.ids.get(String(wanted['entity']));
    const held = (await profile.desk.replica.byKind(String(wanted['kind']))).find((row) => row.id === entity);
    if (wanted['gone']) return held ? [said] : [];
    if (!held) return [`${said}, but it is not there`];
    const flaws: string[] = [];
    for (const [name, given] of Object.entries((wanted['is'] ?? {}) as Data)) {
      const value = await this.value(profile, given);
      if (!same(held.data[name], value)) flaws.push(`${said}, but ${JSON.stringify(held.data[name])}`);
    }
    for (const [name, passages] of Object.entries((wanted['has'] ?? {}) as Record<string, string[]>)) {
      const text = String(held.data[name] ?? '');
      if (passages.some((passage) => !text.includes(passage))) flaws.push(`${said}, but ${text}`);
    }
    return flaws;
  }

  // ---- names and values ----------------------------------------------------------------------------------------

  private idOf(name: string, isNew = false): Id {
    const known = this.ids.get(name);
    if (known) return known;
    if (!isNew) throw new LeftOut(`nothing is called ${name}`);
    const id = crypto.randomUUID();
    this.ids.set(name, id);
    return id;
  }

  private async value(profile: Profile, given: unknown): Promise<unknown> {
    if (typeof given === 'string' && given.startsWith('@')) return this.idOf(given.slice(1));
    if (typeof given !== 'object' || given === null || Object.keys(given).length !== 1) return given;
    const { moment, fix, the } = given as { moment?: number; fix?: number; the?: Data };
    this.asIf(profile);
    if (moment !== undefined) return claim(Date.now() + moment * 60_000);
    if (fix !== undefined) {
      const [lat, lon] = this.world.place;
      const taken = new Date(Date.now() + fix * 60_000).toISOString();
      return { lat, lon, accuracy_m: 8, taken_at: taken };
    }
    if (the === undefined) return given;
    const members: Data = {};
    for (const [name, value] of Object.entries(the)) {
      if (name === 'entity' || name === 'visit_id') members[name] = this.ids.get(String(value));
      else if (name === 'about') members['kind'] = value;
      else if (name !== 'kind') members[name] = value;
    }
    const found = (await profile.desk.replica.byKind(String(the['kind']))).find((row) =>
      holds(row.data, members),
    );
    if (!found) throw new LeftOut(`${profile.name} holds no ${JSON.stringify(the)}`);
    return found.id;
  }
}

/** Lets the storage fail when nothing of it is left. */
function failing(desk: Desk, storage: Storage): void {
  for (const [db, names] of [
    [desk.outbox, ['accept', 'settle', 'resendFrom', 'resendAll', 'fork']],
    [desk.replica, ['apply']],
  ] as const) {
    const on = db as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    for (const name of names) {
      const real = on[name]!.bind(on);
      on[name] = (...args) =>
        storage.left-- > 0 ? real(...args) : Promise.reject(new Error('no transaction could begin'));
    }
  }
}

function holds(data: Data, members: Data): boolean {
  return Object.entries(members).every(([name, value]) => same(data[name], value));
}
function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one ?? null)) === JSON.stringify(sorted(other ?? null));
}
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
/** Each row: its version, and what it holds for whom. */
async function rows(desk: Desk): Promise<Map<string, [version: number, content: string]>> {
  const all = await desk.replica.all();
  return new Map(
    all.map((row) => [
      `${row.kind} ${row.id}`,
      [row.version, JSON.stringify([[...row.scopes].sort(), sorted(row.data)])],
    ]),
  );
}
