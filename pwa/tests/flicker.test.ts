import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exchange } from '../src/data/exchange';
import { closeForGood } from '../src/data/handle';
import { Model } from '../src/data/model';
import type { Transport } from '../src/data/wire';
import { change, Phone, set } from './phone';
import { Server } from './server';

type Fate = 'fine' | 'request lost' | 'answer lost';
type Step =
  | { do: 'type' | 'office'; visit: number; field: string }
  | { do: 'tag'; visit: number }
  | { do: 'create' }
  | { do: 'exchange'; network: Fate[]; dies: number | null }
  | { do: 'pages'; limit: number }
  | { do: 'restart' | 'backup' | 'put back' };

const visit = fc.nat(1);
const field = fc.constantFrom('minutes', 'outcome');
const fate = fc.constantFrom<Fate>('fine', 'fine', 'fine', 'request lost', 'answer lost');
const only = <T extends string>(word: T) => fc.constant(word);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: only('type'), visit, field }) },
  { weight: 3, arbitrary: fc.record({ do: only('office'), visit, field }) },
  { weight: 1, arbitrary: fc.record({ do: only('tag'), visit }) },
  { weight: 1, arbitrary: fc.record({ do: only('create') }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: only('exchange'),
      network: fc.array(fate, { maxLength: 4 }),
      dies: fc.option(fc.nat(6), { freq: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: only('pages'), limit: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('restart', 'backup', 'put back') }) },
);

/** Remembers when each typed value was in sight, and says which of them was gone in between. */
class Watch {
  private readonly typed = new Set<string>();
  private seen = new Set<string>();
  private readonly gone = new Set<string>();
  readonly flickers: string[] = [];

  add(value: string): void {
    this.typed.add(value);
  }

  /** These may come into sight again. */
  forgive(values: Iterable<string>): void {
    for (const value of values) this.gone.delete(value);
  }

  look(model: Model, when: string): void {
    const now = new Set<string>();
    for (const id of model.ids('visit')) {
      const { data } = model.value('visit', id)!;
      for (const value of [id, ...Object.values(data).flat()]) {
        if (this.typed.has(String(value))) now.add(String(value));
      }
    }
    for (const value of this.seen) if (!now.has(value)) this.gone.add(value);
    for (const value of now) {
      if (this.gone.has(value)) this.flickers.push(`${value} was gone and is back ${when}`);
    }
    this.seen = now;
  }
}

const STORING = {
  outbox: ['accept', 'settle', 'resendFrom', 'resendAll', 'fork', 'write'],
  replica: ['apply'],
} as const;
const SHOWING = ['putRows', 'putMutations', 'loadMutations', 'loadRows', 'clearRows'] as const;

/** A phone that is watched: on its screen at each change of memory, and as a page opened after each transaction. */
class Watched {
  readonly onScreen = new Watch();
  readonly onOpening = new Watch();
  private left: number | null = null;

  constructor(readonly phone: Phone) {
    this.hook();
  }

  async restart(): Promise<void> {
    await this.phone.restart();
    this.hook();
    this.onScreen.look(this.phone.desk.model, 'after a restart');
  }

  /** The page dies as it begins the `dies`-th of the coming transactions. */
  async exchange(server: Server, network: Fate[], dies: number | null): Promise<void> {
    const fates = [...network];
    const transport: Transport = (request) => {
      const now = fates.shift() ?? 'fine';
      if (now === 'request lost') return Promise.reject(new Error('no network'));
      const reply = server.answer(request);
      return now === 'answer lost' ? Promise.reject(new Error('cut off')) : Promise.resolve(reply);
    };
    this.left = dies;
    try {
      await exchange(this.phone.desk, transport, () => {});
    } catch {
      await this.restart();
    }
    this.left = null;
  }

  private hook(): void {
    const { outbox, replica, model } = this.phone.desk;
    for (const name of SHOWING) {
      const real = model[name].bind(model) as (...args: unknown[]) => unknown;
      Object.defineProperty(model, name, {
        value: (...args: unknown[]) => {
          const result = real(...args);
          // Screens paint when the work at hand is done, not in the middle of it.
          queueMicrotask(() => this.onScreen.look(model, `on the screen after ${name}`));
          return result;
        },
      });
    }
    for (const db of ['outbox', 'replica'] as const) {
      const on = this.phone.desk[db] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      for (const name of STORING[db]) {
        const real = on[name]!.bind(on);
        on[name] = async (...args) => {
          if (this.left !== null && this.left-- === 0) {
            closeForGood(outbox);
            closeForGood(replica);
          }
          const result = await real(...args);
          const opened = new Model('me');
          opened.loadRows(await replica.all());
          opened.loadMutations(await outbox.all());
          this.onOpening.look(opened, `on a page opened after ${name}`);
          return result;
        };
      }
    }
  }
}

test('what was typed never goes out of sight and comes back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 16 }), async (steps) => {
      const server = new Server();
      for (let i = 0; i < 2; i++) server.put('visit', `v${i}`, { status: 'open' }, ['person:me']);
      const watched = new Watched(await Phone.make());
      const { phone } = watched;
      await phone.exchange(server);
      let backup = server.backup();
      let n = 0;
      const into = new Map<string, string[]>();
      const typed = (value: string) => {
        watched.onScreen.add(value);
        watched.onOpening.add(value);
        return value;
      };
      for (const s of steps) {
        if (s.do === 'type') {
          const value = typed(`typed ${++n}`);
          const place = `visit v${s.visit} ${s.field}`;
          into.set(place, [...(into.get(place) ?? []), value]);
          await phone.save(change(`v${s.visit}`, 'update', [set(s.field, value)]));
        } else if (s.do === 'tag') {
          const values = [typed(`tag ${++n}`)];
          await phone.save(change(`v${s.visit}`, 'update', [{ field: 'tags', op: 'add', values }]));
        } else if (s.do === 'create')
          await phone.save(change(typed(`new ${++n}`), 'create', [set('minutes', '')]));
        else if (s.do === 'office') {
          const data = server.state.entities.get(`visit v${s.visit}`)!.data;
          server.put('visit', `v${s.visit}`, { ...data, [s.field]: `office ${++n}` }, ['person:me']);
        } else if (s.do === 'exchange') await watched.exchange(server, s.network, s.dies);
        else if (s.do === 'pages') server.pageLimit = s.limit;
        else if (s.do === 'restart') await watched.restart();
        else if (s.do === 'backup') backup = server.backup();
        else {
          // Where the office's word stood over a typed one, it may be lost with what the backup has not. The typed one is
          // then the truth again, and rightly comes back.
          for (const [place, values] of into) {
            const [kind, id, name] = place.split(' ');
            const stands = server.state.entities.get(`${kind} ${id}`)?.data[name!];
            if (!String(stands).startsWith('office')) continue;
            watched.onScreen.forgive(values);
            watched.onOpening.forgive(values);
          }
          server.restore(backup);
        }
      }
      for (let i = 0; i < 4; i++) await watched.exchange(server, [], null);
      phone.close();
      expect([...watched.onScreen.flickers, ...watched.onOpening.flickers]).toEqual([]);
    }),
    { numRuns: Number(process.env['RUNS'] ?? 40) },
  );
});
