import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { callHome, LeftOut, Play, type Scenario } from './play';

/** Where `tests/faults/test_engine.py` has the server listen; without one there is nobody to play against. */
const HOUSE = process.env['ROUNDS_HOUSE'];
const FOLDER = join(import.meta.dirname, '../../tests/faults/vectors');

/** A file of histories that nobody thought out; a step that can not be taken here is left out. */
const BY_CHANCE = process.env['ROUNDS_HISTORIES'];

const scenarios = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .sort()
  .map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Scenario);

describe.skipIf(!HOUSE)('the story ends as it says', () => {
  let hangUp = () => {};
  beforeAll(() => {
    vi.useFakeTimers({ toFake: ['Date'] });
    hangUp = callHome(HOUSE!);
  });
  afterAll(() => {
    hangUp();
    vi.useRealTimers();
  });

  for (const scenario of scenarios) {
    test(scenario.name, async () => {
      const play = await Play.begin(scenario.phones);
      for (const step of scenario.steps) await play.step(step);
      await play.rest();
      const flaws = await play.broken();
      for (const wanted of scenario.then) flaws.push(...(await play.unmet(wanted)));
      expect(flaws, scenario.story).toEqual([]);
    });
  }

  const histories = BY_CHANCE ? (JSON.parse(readFileSync(BY_CHANCE, 'utf8')) as Scenario[]) : [];
  for (const history of histories) {
    test(history.name, async () => {
      const play = await Play.begin(history.phones);
      for (const step of history.steps) {
        await play.step(step).catch((error: unknown) => {
          if (!(error instanceof LeftOut)) throw error;
        });
      }
      await play.rest();
      expect(await play.broken()).toEqual([]);
    });
  }
});
