import { writable, type Readable } from 'svelte/store';
import { closeForGood } from './handle';
import { decisionKey, type PendingDecision } from './matters';
import { Model, references, type PendingCheckOut } from './model';
import { Outbox, type DraftRow, type Draftless, type Stored, type WithDrafts } from './outbox';
import { keyOf, Replica, type Row } from './replica';
import { afterSave, relief, saving } from './storage';
import { farewell, greet, heardOf, type TabNews } from './tabs';
import { SaveError, type Id, type Me } from './types';
import { uuid } from './uuid';

/**
 * What lies open for the person who is signed in: their outbox, their replica, both as a model in memory, and the
 * channel by which tabs tell each other what changed.
 */
export interface Desk {
  me: Me;
  outbox: Outbox;
  replica: Replica;
  model: Model;
  channel: BroadcastChannel | null;
  /** Resolves when all rows are in memory; the exchange waits for it. */
  whole: Promise<void>;
}

type News =
  | TabNews
  | { type: 'outbox' }
  | { type: 'photos' }
  | { type: 'all' }
  | { type: 'rows'; keys: string[] }
  | { type: 'kick' }
  | { type: 'left' };

let desk: Desk | null = null;

/** The open desk, or null when nobody is signed in. */
export function openDesk(): Desk | null {
  return desk;
}
export function needDesk(): Desk {
  if (!desk) throw new SaveError('NOT_SIGNED_IN', 'Nobody is signed in on this phone.');
  return desk;
}

const counters = {
  customer: writable(0),
  visit: writable(0),
  organisation: writable(0),
  outbox: writable(0),
  matters: writable(0),
  followUp: writable(0),
  comment: writable(0),
  notice: writable(0),
  score: writable(0),
};
type Topic = keyof typeof counters;

/** Ticks whenever something of that topic changed. */
export function ticks(topic: Topic): Readable<number> {
  return { subscribe: counters[topic].subscribe };
}
const ALL = Object.keys(counters) as Topic[];
function tick(...topics: Topic[]): void {
  for (const topic of topics) counters[topic].update((n) => n + 1);
}

const readyStore = writable(false);
/** The first read of this person's storage is done; before it, empty lists mean nothing. */
export const ready: Readable<boolean> = { subscribe: readyStore.subscribe };

/** Called by others: somebody else's tab left, or wants an exchange. */
export const listeners = { kick: () => {}, left: () => {}, photos: () => {} };

const wholeStore = writable(false);
/** All that is stored is in memory; before it, an old visit or a customer may seem unknown although it is not. */
export const whole: Readable<boolean> = { subscribe: wholeStore.subscribe };

/** Few rows each, needed by every screen. */
const SMALL_KINDS = [
  'visit_kind',
  'outcome',
  'setting',
  'person',
  'team',
  'parked',
  'conflict',
  'suggestion',
  'amendment',
];
/** What scores are made of, besides work itself. */
const SCORE_KINDS = ['scheme', 'target', 'value', 'day_off', 'closing', 'appeal'];
/** On a slow phone the first screen takes its time; it is not disturbed for so long. */
const FIRST_PAINT_MS = 2_000;
/** How many names are prepared for the search between two chances for a tap. */
const PREPARE = 250;

/**
 * Opens the databases of a person and reads first what the first screen shows: the outbox, visits from yesterday
 * on, their customers. Resolves then; all the rest follows by itself.
 */
export async function sitDown(me: Me): Promise<Desk> {
  leave();
  const outbox = new Outbox(me.person.id);
  const [replica] = await Promise.all([Replica.open(me.person.id), outbox.open()]);
  const model = new Model(me.person.id, me.person.role);
  const channel =
    typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(`rounds-${me.person.id}`);
  const mine: Desk = { me, outbox, replica, model, channel, whole: Promise.resolve() };
  desk = mine;
  if (channel) {
    channel.onmessage = (event) => {
      const news = event.data as News;
      if (news.type === 'tab') heardOf(news);
      else void mine.whole.then(() => hear(mine, news)).catch(() => {});
    };
    greet((news) => tell(mine, news));
  }
  relief.free = () => makeRoom(mine);

  const yesterday = new Date(Date.now() - 2 * 86_400_000).toISOString().slice(0, 10);
  const [{ mutations, drafts }, rows] = await Promise.all([
    outbox.begin(),
    replica.begin(yesterday, SMALL_KINDS),
  ]);
  const wanted = new Set<string>();
  for (const row of rows)
    if (row.kind === 'visit') wanted.add(keyOf('customer', String(row.data['customer_id'])));
  for (const m of mutations) if (m.settled === 0) references(m.body, wanted);
  const named = await replica.some([...wanted]);
  if (desk !== mine) return mine;
  model.loadRows(rows);
  model.loadRows([...named.values()].filter((row) => row !== undefined));
  model.loadMutations(mutations);
  takeDrafts(model, drafts);
  readyStore.set(true);
  tick(...ALL);
  mine.whole = fetchRest(mine).catch((error: unknown) => console.error('reading the replica', error));
  return mine;
}

/** What is decided or checked out but may still be undone lies in the drafts. Returns the keys it concerns. */
function takeDrafts(model: Model, drafts: DraftRow[]): Set<string> {
  const keys = new Set<string>();
  const kept = new Map(drafts.map((d) => [d.key, d.value]));
  for (const id of model.ids('visit')) {
    if (model.pendingOf(id) && !kept.has(`checkout:${id}`)) model.setPending(id, null);
  }
  for (const p of model.pendingDecisions()) {
    const key = decisionKey(p.on, p.id);
    if (!kept.has(`decide:${key}`)) for (const k of model.setDecision(key, null)) keys.add(k);
  }
  for (const [key, value] of kept) {
    if (key.startsWith('checkout:'))
      model.setPending(key.slice('checkout:'.length), value as PendingCheckOut);
    else if (key.startsWith('decide:')) {
      const changed = model.setDecision(key.slice('decide:'.length), value as PendingDecision);
      for (const k of changed) keys.add(k);
    }
  }
  return keys;
}

async function fetchRest(at: Desk): Promise<void> {
  for (const kinds of [
    ['customer'],
    ['visit'],
    ['follow_up', 'comment', 'decision', 'notice'],
    SCORE_KINDS,
  ]) {
    await quiet(FIRST_PAINT_MS);
    const rows = await Promise.all(kinds.map((kind) => at.replica.byKind(kind)));
    if (desk !== at) return;
    at.model.loadRows(rows.flat());
    tick(...new Set(kinds.flatMap((kind) => TOPICS[kind]!)));
  }
  wholeStore.set(true);
  void prepareSearch(at);
}

/** Makes the search ready before somebody types. */
async function prepareSearch(at: Desk): Promise<void> {
  do await quiet();
  while (desk === at && !at.model.prepareSearch(PREPARE));
}

/** A moment in which the page has nothing to paint and nobody taps; at the latest after `patienceMs`. */
function quiet(patienceMs = 500): Promise<void> {
  return new Promise((resolve) => {
    if (typeof requestIdleCallback === 'function')
      requestIdleCallback(() => resolve(), { timeout: patienceMs });
    else setTimeout(resolve, 50);
  });
}

/** Gives up the copy of the server's data on this phone, once; memory keeps showing it. */
async function makeRoom(at: Desk): Promise<boolean> {
  if (desk !== at || at.replica.rebuilt) return false;
  await at.replica.empty();
  return true;
}

/** Closes the desk; what is stored stays stored. */
export function leave(): void {
  const old = desk;
  if (old) farewell();
  relief.free = () => Promise.resolve(false);
  desk = null;
  readyStore.set(false);
  wholeStore.set(false);
  old?.channel?.close();
  if (old) {
    closeForGood(old.outbox);
    closeForGood(old.replica);
  }
  tick(...ALL);
}

// ---- telling ---------------------------------------------------------------------------------------------------

const MATTER: Topic[] = ['customer', 'visit', 'outbox', 'matters', 'followUp'];
/** Which views look at rows of a kind; all others belong to the organisation. */
const TOPICS: Record<string, Topic[]> = {
  customer: ['customer', 'visit', 'followUp', 'matters', 'comment'],
  visit: ['visit'],
  follow_up: ['followUp'],
  comment: ['comment'],
  notice: ['notice'],
  parked: MATTER,
  conflict: MATTER,
  suggestion: MATTER,
  amendment: MATTER,
  decision: MATTER,
  ...Object.fromEntries(SCORE_KINDS.map((kind) => [kind, ['score'] satisfies Topic[]])),
};

/** Views of these keys may have changed. */
export function announce(keys: Iterable<string>): void {
  const topics = new Set<Topic>();
  for (const key of keys) {
    for (const topic of TOPICS[key.slice(0, key.indexOf(' '))] ?? ['organisation']) topics.add(topic);
  }
  tick(...topics);
}

/** Mutations were written or answered here: memory, screens and the other tabs learn of it. */
export function mutationsChanged(at: Desk, changed: Stored[]): void {
  if (changed.length === 0) return;
  announce(at.model.putMutations(changed));
  tick('outbox', 'matters');
  tell(at, { type: 'outbox' });
}

/** Numbers, clients or settled marks changed in bulk: the outbox is read anew. */
export async function outboxChanged(at: Desk, quiet = false): Promise<void> {
  announce(at.model.loadMutations(await at.outbox.all()));
  tick('outbox', 'matters');
  if (!quiet) tell(at, { type: 'outbox' });
}

/** These rows were stored: memory takes them as they are, the other tabs read them. */
export function rowsCame(at: Desk, rows: Map<string, Row | undefined>): void {
  if (rows.size === 0) return;
  announce(at.model.putRows(rows));
  tell(at, { type: 'rows', keys: [...rows.keys()] });
}

/** Drafts that screens show (check-outs, decisions) are read anew. */
export async function draftsChanged(at: Desk): Promise<void> {
  announce(takeDrafts(at.model, await at.outbox.allDrafts()));
  tick('visit', 'matters');
}

/** Memory takes all rows anew from storage. */
export async function allRowsChanged(at: Desk, quiet = false): Promise<void> {
  const rows = await at.replica.all();
  at.model.clearRows();
  at.model.loadRows(rows);
  tick(...ALL);
  if (!quiet) tell(at, { type: 'all' });
}

export function visitChanged(at: Desk, visit: Id): void {
  announce([`visit ${visit}`]);
  tell(at, { type: 'outbox' });
}

export function tell(at: Desk, news: News): void {
  try {
    at.channel?.postMessage(news);
  } catch {
    // A closed channel: this desk was left in the meantime.
  }
}

async function hear(at: Desk, news: News): Promise<void> {
  if (desk !== at) return;
  if (news.type === 'rows') announce(at.model.putRows(await at.replica.some(news.keys)));
  else if (news.type === 'all') await allRowsChanged(at, true);
  else if (news.type === 'outbox') {
    await draftsChanged(at);
    await outboxChanged(at, true);
  } else if (news.type === 'photos') listeners.photos();
  else if (news.type === 'kick') listeners.kick();
  else listeners.left();
}

/**
 * One action: its mutations (and the drafts that end with it) in one strict transaction. Resolves when that is
 * complete, with memory already renewed; the exchange is woken.
 *
 * Screens are told before that too, unless `screens` says `later`: an action that leads to another screen need not
 * have the one it leaves painted once more first. By the second paint from now the other is there.
 */
export async function save(
  wanted: Draftless[],
  drafts: WithDrafts = {},
  screens: 'now' | 'later' = 'now',
): Promise<Stored[]> {
  const at = needDesk();
  const named = wanted.map((m) => ({ ...m, id: uuid() }));
  const stored = await saving(() => at.outbox.write(named, drafts));
  if (stored.length === 0) return stored;
  const keys = at.model.putMutations(stored);
  const show = () => {
    if (desk !== at) return;
    announce(keys);
    tick('outbox', 'matters');
    tell(at, { type: 'outbox' });
    afterSave();
  };
  if (screens === 'now') show();
  else afterPaint(() => afterPaint(show));
  wakeExchange();
  return stored;
}

const inSight = () => typeof document !== 'undefined' && document.visibilityState === 'visible';

/** When the page has painted what the present task changes; at once where nothing is painted. */
export function afterPaint(work: () => void): void {
  if (!inSight()) return work();
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    work();
  };
  requestAnimationFrame(() => setTimeout(once));
  // A page that goes out of sight just now paints no more.
  setTimeout(once, 250);
}

/** What was saved is shown before it is sent: on a slow phone both at once take twice as long to be seen. */
const SHOW_FIRST_MS = 300;
let waking: ReturnType<typeof setTimeout> | undefined;

function wakeExchange(): void {
  clearTimeout(waking);
  if (inSight()) waking = setTimeout(() => listeners.kick(), SHOW_FIRST_MS);
  else listeners.kick();
}
