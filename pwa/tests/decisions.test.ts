import 'fake-indexeddb/auto';
import { get } from 'svelte/store';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { resumeCheckOuts } from '../src/data/checkout';
import * as data from '../src/data';
import { commitAllDecisions, resumeDecisions } from '../src/data/decisions';
import { leave, needDesk, rowsCame, sitDown } from '../src/data/desk';
import { syncState } from '../src/data/exchange';
import type { Me, Op, Role } from '../src/data/types';
import type { WireReceipt } from '../src/data/wire';

let person = 0;
let me: Me;
let version = 0;

beforeEach(async () => {
  vi.stubGlobal('navigator', {});
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], shouldAdvanceTime: true });
  await arrive('rep');
});
afterEach(() => {
  leave();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function arrive(role: Role): Promise<void> {
  leave();
  me = {
    person: { id: `d${++person}`, name: 'Rob', role, team: null, locale: 'en', time_zone: 'UTC' },
    organisation: { id: 'o', slug: 'o', name: 'O', time_zone: 'UTC', week_start: 0, locale: 'en' },
    teams: [],
  };
  await sit();
}
async function sit(): Promise<void> {
  await sitDown(me);
  await needDesk().whole;
  await resumeCheckOuts();
  resumeDecisions();
}
/** The server sends rows. */
async function comes(...rows: [kind: string, id: string, data: Record<string, unknown>][]): Promise<void> {
  const desk = needDesk();
  const { token } = await desk.replica.state();
  const { id: client } = await desk.outbox.client();
  const page = {
    rows: rows.map(([kind, id, data]) => ({
      kind,
      id,
      version: ++version,
      scopes: { mine: 1 as const },
      data,
    })),
    drop: [],
    reset: [],
    acked_seq: 0,
    more: false,
    token: `t${version}`,
  };
  rowsCame(desk, (await desk.replica.apply(page, token, client, new Set())) ?? new Map());
}
async function decisions(): Promise<Record<string, unknown>[]> {
  const all = (await needDesk().outbox.all()).filter((m) => m.body.kind === 'decision');
  return all.map((m) => Object.fromEntries(m.body.ops.map((op) => [op.field, op.new])));
}
const conflict = (more: object = {}): [string, string, Record<string, unknown>] => [
  'conflict',
  'k1',
  {
    kind: 'customer',
    entity: 'c1',
    field: 'phone',
    kept: '1',
    lost: '2',
    status: 'open',
    author_id: me.person.id,
    ...more,
  },
];
const parkedRow = (id: string, more: object = {}): [string, string, Record<string, unknown>] => [
  'parked',
  id,
  {
    kind: 'customer',
    entity: 'c1',
    code: 'FORBIDDEN',
    status: 'open',
    author_id: me.person.id,
    received_at: '2026-11-21T09:00:00.000Z',
    mutation: { id: `m-${id}`, kind: 'customer', entity: 'c1', verb: 'update', ops: [] },
    ...more,
  },
];
const first = () => get(data.conflicts)[0]!;
const needs = () => get(syncState).needsYou;

describe('a decision', () => {
  test('shows at once, is undone without a trace for six seconds, and then recorded as it was tapped', async () => {
    await comes(conflict());
    expect([first().needsYou, needs()]).toEqual([true, 1]);
    await data.decide('conflict', 'k1', 'take');
    expect(first()).toMatchObject({ status: 'resolved', verdict: 'take', decidedBy: me.person.id });
    expect([first().needsYou, needs(), first().undoUntil !== null]).toEqual([false, 0, true]);
    expect(await data.undoDecide('k1')).toBe(true);
    expect(first()).toMatchObject({ status: 'open', verdict: null, undoUntil: null });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await decisions()).toEqual([]);

    await data.decide('conflict', 'k1', 'keep', ' as agreed ');
    const tapped = first().decidedAt;
    await vi.advanceTimersByTimeAsync(6_500);
    await vi.waitFor(async () => expect(await decisions()).toHaveLength(1));
    expect(await decisions()).toEqual([
      { on_kind: 'conflict', on_id: 'k1', verdict: 'keep', word: 'as agreed' },
    ]);
    await vi.waitFor(() => expect(first().undoUntil).toBeNull());
    expect(first()).toMatchObject({
      status: 'resolved',
      verdict: 'keep',
      decidedAt: tapped,
      word: 'as agreed',
    });
    expect(await data.undoDecide('k1')).toBe(false);
  });

  test('survives a killed browser, and is recorded once by two that wake', async () => {
    await comes(conflict());
    await data.decide('conflict', 'k1', 'take');
    leave();
    await sit();
    expect(first()).toMatchObject({ status: 'resolved', verdict: 'take' });
    await Promise.all([data.commitDecision('k1'), data.commitDecision('k1')]);
    expect(await decisions()).toHaveLength(1);
  });

  test('is recorded when the page hides', async () => {
    await comes(conflict());
    await data.decide('conflict', 'k1', 'take');
    commitAllDecisions();
    await vi.waitFor(async () => expect(await decisions()).toHaveLength(1));
  });

  test('made anew within the time replaces the first; after it, it is a second decision', async () => {
    await comes(conflict());
    await data.decide('conflict', 'k1', 'take');
    await data.decide('conflict', 'k1', 'keep');
    await data.commitDecision('k1');
    expect((await decisions()).map((d) => d['verdict'])).toEqual(['keep']);
    await data.decide('conflict', 'k1', 'take');
    expect(first().verdict).toBe('take');
    await data.commitDecision('k1');
    expect((await decisions()).map((d) => d['verdict'])).toEqual(['keep', 'take']);
    expect(first().verdict).toBe('take');
  });

  test('of somebody quicker stands, whatever was tapped here', async () => {
    await comes(conflict());
    await data.decide('conflict', 'k1', 'take');
    await data.commitDecision('k1');
    const { outbox } = needDesk();
    const { id: client } = await outbox.client();
    const [m] = await outbox.unsent();
    const receipt: Omit<WireReceipt, 'seq' | 'id'> = {
      status: 'merged',
      code: 'STATE_CONFLICT',
      version: 9,
      conflicts: [],
      detail: null,
    };
    await outbox.accept(client, [{ seq: m!.seq, id: m!.id, ...receipt }]);
    needDesk().model.loadMutations(await outbox.all());
    await comes(conflict({ status: 'resolved', verdict: 'keep', decided_by: 'anna' }));
    expect(first()).toMatchObject({ status: 'resolved', verdict: 'keep', decidedBy: 'anna' });
  });

  test('shows the word that came with it from elsewhere', async () => {
    await comes(conflict({ status: 'resolved', verdict: 'keep', decided_by: 'anna' }), [
      'decision',
      'x1',
      {
        on_kind: 'conflict',
        on_id: 'k1',
        verdict: 'keep',
        word: 'I asked them',
        author_id: 'anna',
        stands: true,
      },
    ]);
    expect(first()).toMatchObject({ verdict: 'keep', decidedBy: 'anna', word: 'I asked them' });
  });

  test('knows what it may say', async () => {
    await comes(conflict());
    await expect(data.decide('conflict', 'k1', 'approve')).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
    await expect(data.decide('visit', 'v1', 'decline')).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
    await data.decide('visit', 'v1', 'decline', 'another shop');
    expect(get(data.decisionOn('visit', 'v1'))).toMatchObject({ verdict: 'decline', word: 'another shop' });
  });
});

describe('"needs you" counts what this person may decide', () => {
  test('not the conflict of others, but one that overruled them', async () => {
    await comes(conflict({ author_id: 'ben', lost_author_id: 'ben' }));
    expect([first().mayDecide, needs()]).toEqual([false, 0]);
    await comes(conflict({ author_id: 'ben', lost_author_id: me.person.id }));
    expect([first().mayDecide, needs()]).toEqual([true, 1]);
  });

  test('for a lead also those of the team', async () => {
    await arrive('manager');
    await comes(conflict({ author_id: 'ben', lost_author_id: 'ben' }), parkedRow('p1', { author_id: 'ben' }));
    expect(needs()).toBe(2);
  });

  test('a parked change that became a suggestion waits for Anna and does not need its author', async () => {
    await comes(['customer', 'c1', { name: 'Shop', owner_id: 'anna' }]);
    await comes(parkedRow('p1'));
    expect(get(data.customer('c1'))?.receipt).toMatchObject({ state: 'needs-you', waiting: null });
    const ops: Op[] = [{ field: 'phone', op: 'set', old: '1', new: '2' }];
    const suggestion = { kind: 'customer', entity: 'c1', purpose: 'edit', ops, author_id: me.person.id };
    await comes(parkedRow('p1', { suggestion: 's1' }), [
      'suggestion',
      's1',
      { ...suggestion, parked: 'p1', status: 'open', at: '2026-11-21T09:00:00.000Z' },
    ]);
    expect(get(data.parked)[0]).toMatchObject({ needsYou: false, waiting: { person: 'anna' } });
    expect(get(data.suggestions)[0]).toMatchObject({ mayDecide: false, waiting: { person: 'anna' } });
    expect(get(data.customer('c1'))?.receipt).toMatchObject({ state: 'sent', waiting: { person: 'anna' } });
    expect(needs()).toBe(0);
  });

  test('a suggestion needs the owner, but of a manager\u2019s field only a lead', async () => {
    await comes(['customer', 'c1', { name: 'Shop', owner_id: me.person.id }]);
    const row = (field: string) =>
      comes([
        'suggestion',
        's1',
        {
          kind: 'customer',
          entity: 'c1',
          purpose: 'edit',
          ops: [{ field, op: 'set' }],
          author_id: 'ben',
          status: 'open',
        },
      ]);
    await row('phone');
    expect([get(data.suggestions)[0]!.mayDecide, needs()]).toEqual([true, 1]);
    expect(get(data.customer('c1'))?.receipt.state).toBe('needs-you');
    await row('grade');
    expect(get(data.suggestions)[0]).toMatchObject({ mayDecide: false, waiting: { person: null } });
    expect(needs()).toBe(0);
  });

  test('what is parked behind something else follows it and is not counted', async () => {
    await comes(
      parkedRow('p1'),
      parkedRow('p2', { code: 'PARENT_PARKED', behind: 'p1', kind: 'visit', entity: 'v1' }),
    );
    expect(needs()).toBe(1);
    await comes(parkedRow('p1', { status: 'resolved', verdict: 'discard' }));
    expect(needs()).toBe(1);
  });
});

describe('what never left this phone', () => {
  test('is put away and taken out again here alone, and forgotten after thirty days', async () => {
    await comes(['customer', 'c1', { name: 'Shop' }]);
    await data.editCustomer('c1', { note: 'x'.repeat(300_000) });
    const { outbox } = needDesk();
    await outbox.batch();
    needDesk().model.loadMutations(await outbox.all());
    const item = () => get(data.parked)[0]!;
    expect(item()).toMatchObject({ code: 'TOO_LARGE', needsYou: true });
    await data.decide('parked', item().id, 'discard');
    expect(item()).toMatchObject({ status: 'resolved', verdict: 'discard', needsYou: false });
    expect((await outbox.dump()).mutations[0]!.voided?.ops[0]!.new).toHaveLength(300_000);
    await data.decide('parked', item().id, 'retry');
    expect(item()).toMatchObject({ status: 'open', needsYou: true });
    const { id: client } = await outbox.client();
    const [m] = await outbox.unsent();
    const receipt: Omit<WireReceipt, 'seq' | 'id'> = {
      status: 'noop',
      code: null,
      version: null,
      conflicts: [],
      detail: null,
    };
    await outbox.accept(client, [{ seq: m!.seq, id: m!.id, ...receipt }]);
    await outbox.settle(client, m!.seq, new Set([m!.id]));
    await outbox.prune(new Set(), Date.now() + 31 * 86_400_000);
    expect(await outbox.all()).toHaveLength(1);
    await outbox.putAway(m!.id, true);
    await outbox.prune(new Set(), Date.now() + 31 * 86_400_000);
    expect(await outbox.all()).toHaveLength(0);
    expect(await decisions()).toEqual([]);
  });
});

describe('records', () => {
  test('a correction is asked for with a reason, and the visit waits for a lead', async () => {
    await comes(['visit', 'v1', { status: 'done', rep_id: me.person.id, customer_id: 'c1', minutes: 'a' }]);
    await expect(data.requestCorrection('v1', { minutes: 'b' }, ' ')).rejects.toMatchObject({
      code: 'NOT_ALLOWED',
    });
    const id = await data.requestCorrection('v1', { minutes: 'b' }, 'a typing error');
    expect(get(data.amendments)[0]).toMatchObject({
      id,
      visitId: 'v1',
      status: 'open',
      changes: { minutes: 'b' },
      mayDecide: false,
      waiting: { person: null },
      receipt: { state: 'phone' },
    });
    expect(get(data.visit('v1'))).toMatchObject({ minutes: 'a', receipt: { waiting: { person: null } } });
    expect(needs()).toBe(0);
  });

  test('a comment is there at once, takes its draft with it, and does not come twice when its row comes', async () => {
    const draft = data.draft('comment:v1');
    draft.save('half');
    const id = await data.addComment('visit', 'v1', 'half a word', { draft: 'comment:v1' });
    await vi.advanceTimersByTimeAsync(500);
    expect(await data.draft('comment:v1').load()).toBeNull();
    const all = data.comments('visit', 'v1');
    expect(get(all)).toMatchObject([
      { id, body: 'half a word', authorId: me.person.id, receipt: { state: 'phone' } },
    ]);
    await comes(
      [
        'comment',
        id,
        {
          on_kind: 'visit',
          on_id: 'v1',
          body: 'half a word',
          author_id: me.person.id,
          at: '2026-11-21T09:00:00.000Z',
        },
      ],
      [
        'comment',
        'other',
        { on_kind: 'visit', on_id: 'v1', body: 'first', author_id: 'anna', at: '2026-11-20T09:00:00.000Z' },
      ],
    );
    expect(get(all).map((c) => c.body)).toEqual(['first', 'half a word']);
  });

  test('words typed on while a text is being recorded stay in the draft', async () => {
    await comes(['visit', 'v1', { status: 'open', rep_id: me.person.id, customer_id: 'c1' }]);
    const draft = data.draft('minutes:v1');
    draft.save('one');
    const recording = data.setMinutes('v1', 'one', { draft: 'minutes:v1' });
    draft.save('one two');
    await recording;
    await draft.flush();
    expect(await data.draft('minutes:v1').load()).toBe('one two');
  });

  test('an earlier value comes back as an ordinary update of its kind of field, evidence does not', async () => {
    await comes(
      ['customer', 'c1', { name: 'New', note: 'b', tags: ['x'] }],
      ['visit', 'v1', { status: 'done', check_in: { wall: 'w' } }],
    );
    await data.restoreValue('customer', 'c1', 'name', 'Old');
    await data.restoreValue('customer', 'c1', 'note', 'a');
    await data.restoreValue('customer', 'c1', 'tags', ['y']);
    await data.restoreValue('customer', 'c1', 'name', 'Old');
    expect((await needDesk().outbox.all()).flatMap((m) => m.body.ops)).toEqual([
      { field: 'name', op: 'set', old: 'New', new: 'Old' },
      { field: 'note', op: 'text', old: 'b', new: 'a' },
      { field: 'tags', op: 'add', values: ['y'] },
      { field: 'tags', op: 'remove', values: ['x'] },
    ]);
    await expect(data.restoreValue('visit', 'v1', 'check_in', null)).rejects.toMatchObject({
      code: 'NOT_ALLOWED',
    });
  });

  test('open follow-ups are listed by the time they are due', async () => {
    const follow = { customer_id: 'c1', owner_id: me.person.id, status: 'open' };
    await comes(
      ['customer', 'c1', { name: 'Shop' }],
      ['follow_up', 'f1', { ...follow, subject: 'later', due_date: '2026-11-22' }],
      ['follow_up', 'f2', { ...follow, subject: 'all day', due_date: '2026-11-21' }],
      ['follow_up', 'f3', { ...follow, subject: 'at ten', due_date: '2026-11-21', due_time: '10:00:00' }],
      ['follow_up', 'f4', { ...follow, subject: 'done', status: 'done' }],
    );
    expect(get(data.followUps).map((f) => [f.subject, f.customerName, f.dueTime])).toEqual([
      ['at ten', 'Shop', '10:00'],
      ['all day', 'Shop', null],
      ['later', 'Shop', null],
    ]);
  });

  test('a follow-up that was done is told for a while, and its Undo opens it again', async () => {
    const owner = { owner_id: me.person.id, customer_id: 'c1', status: 'open' };
    await comes(['customer', 'c1', { name: 'Shop' }], ['follow_up', 'f1', { ...owner, subject: 'quote' }]);
    const began = Date.now();
    const undo = await data.completeFollowUp('f1');
    expect(get(data.followUps)).toEqual([]);
    expect(get(data.followUpsOf('c1'))).toEqual([]);
    expect(get(data.followUp('f1'))).toMatchObject({ status: 'done', receipt: { state: 'phone' } });
    expect(get(data.followUpsSince(began)).map((f) => f.status)).toEqual(['done']);
    expect(get(data.followUpsSince(Date.now() + 60_000))).toEqual([]);
    await undo();
    expect(get(data.followUps).map((f) => [f.id, f.doneAt])).toEqual([['f1', null]]);
  });

  test('undoing works also where the follow-up has left the phone since it was done', async () => {
    const open = { owner_id: 'ria', customer_id: 'c1', status: 'open', subject: 'quote' };
    await comes(['follow_up', 'f1', open]);
    const undo = await data.completeFollowUp('f1');
    needDesk().model.putRows(new Map([['follow_up f1', undefined]]));
    expect(get(data.followUp('f1'))).toBeUndefined();
    await undo();
    const last = (await needDesk().outbox.all()).at(-1)!;
    expect(last.body).toMatchObject({ verb: 'update', entity: 'f1' });
    expect(last.body.ops).toEqual([{ field: 'status', op: 'go', old: 'done', new: 'open' }]);
  });
});

describe('a customer that was merged', () => {
  test('shows as the one it was merged into, with its visits and the changes made on it here', async () => {
    await comes(
      ['customer', 'old', { name: 'Shop', phone: '1' }],
      ['customer', 'mid', { name: 'The shop' }],
      ['customer', 'new', { name: 'The Shop Ltd', phone: '2' }],
      ['visit', 'v1', { status: 'done', rep_id: me.person.id, customer_id: 'old' }],
    );
    expect(get(data.visit('v1'))?.customerName).toBe('Shop');
    await data.editCustomer('old', { phone: '3' });
    await comes(
      ['customer', 'old', { name: 'Shop', archived: true, merged_into: 'mid' }],
      ['customer', 'mid', { name: 'The shop', archived: true, merged_into: 'new' }],
    );
    expect(get(data.customer('old'))).toMatchObject({ id: 'new', name: 'The Shop Ltd', phone: '3' });
    expect(get(data.visit('v1'))).toMatchObject({ customerId: 'new', customerName: 'The Shop Ltd' });
    expect(get(data.visitsOfCustomer('new')).map((v) => v.id)).toEqual(['v1']);
    expect(get(data.customers).map((c) => c.id)).toEqual(['new']);
    // What is written from now on goes to the one that stands.
    await data.editCustomer('old', { contact: 'Anna' });
    expect((await needDesk().outbox.all()).map((m) => m.body.entity)).toEqual(['old', 'new']);
  });

  test('in a ring of merges hangs nothing', async () => {
    await comes(
      ['customer', 'a', { name: 'A', merged_into: 'b' }],
      ['customer', 'b', { name: 'B', merged_into: 'a' }],
    );
    expect(get(data.customer('a'))?.name).toMatch(/A|B/);
    expect(get(data.customers).length).toBeLessThanOrEqual(2);
  });
});
