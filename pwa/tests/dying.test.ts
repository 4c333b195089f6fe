import { expect, test } from 'vitest';
import { closeForGood } from '../src/data/handle';
import { change, Phone, set } from './phone';
import { Server } from './server';

/** A server that was put back lacks what this phone sent under two client ids. */
async function putBack(): Promise<{ server: Server; phone: Phone; saved: string[] }> {
  const server = new Server();
  const phone = await Phone.make();
  await phone.exchange(server);
  const backup = server.backup();
  const saved = await phone.save(change('a', 'create', [set('minutes', 'under the first client id')]));
  await phone.exchange(server);
  const { outbox } = phone.desk;
  await outbox.fork((await outbox.client()).id);
  saved.push(...(await phone.save(change('b', 'create', [set('minutes', 'under the second')]))));
  await phone.exchange(server);
  server.restore(backup);
  return { server, phone, saved };
}

async function expectAllSentAgain(server: Server, phone: Phone, saved: string[]): Promise<void> {
  for (let i = 0; i < 3; i++) await phone.exchange(server);
  expect(server.state.applied.map((m) => m.id)).toEqual(saved);
  expect(await phone.held()).toEqual(server.visible());
  phone.close();
}

test('a page that dies as it hears of a server put back still sends again what that lost', async () => {
  const { server, phone, saved } = await putBack();
  const { outbox, replica } = phone.desk;
  const apply = replica.apply.bind(replica);
  replica.apply = async (...page) => {
    const changed = await apply(...page);
    closeForGood(outbox);
    closeForGood(replica);
    return changed;
  };
  await phone.exchange(server).catch(() => {});
  await phone.restart();
  await expectAllSentAgain(server, phone, saved);
});

test('a phone that lost its replica, and cannot notice a server put back, sends again what that lost', async () => {
  const { server, phone, saved } = await putBack();
  await phone.desk.replica.empty();
  await phone.restart();
  await expectAllSentAgain(server, phone, saved);
});

test('a new phone sends its first changes once', async () => {
  const server = new Server();
  const phone = await Phone.make();
  await phone.save(change('a', 'create', [set('minutes', 'first')]));
  let sent = 0;
  const answer = server.answer.bind(server);
  server.answer = (request) => {
    sent += request.mutations.length;
    return answer(request);
  };
  await phone.exchange(server);
  expect(sent).toBe(1);
  phone.close();
});
