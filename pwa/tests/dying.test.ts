import { expect, test } from 'vitest';
import { closeForGood } from '../src/data/handle';
import { change, Phone, set } from './phone';
import { Server } from './server';

test('a page that dies as it hears of a server put back still sends again what that lost', async () => {
  const server = new Server();
  const phone = await Phone.make();
  await phone.exchange(server);
  const backup = server.backup();
  const saved = await phone.save(change('a', 'create', [set('minutes', 'under the first client id')]));
  await phone.exchange(server);
  const { outbox, replica } = phone.desk;
  await outbox.fork((await outbox.client()).id);
  saved.push(...(await phone.save(change('b', 'create', [set('minutes', 'under the second')]))));
  await phone.exchange(server);
  server.restore(backup);

  const apply = replica.apply.bind(replica);
  replica.apply = async (...page) => {
    const changed = await apply(...page);
    closeForGood(outbox);
    closeForGood(replica);
    return changed;
  };
  await phone.exchange(server).catch(() => {});
  await phone.restart();
  for (let i = 0; i < 3; i++) await phone.exchange(server);
  expect(server.state.applied.map((m) => m.id)).toEqual(saved);
  phone.close();
});
