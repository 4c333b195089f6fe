import { afterEach, expect, test, vi } from 'vitest';
import { ask } from '../src/data/http';

const LONG = { text: 'x'.repeat(5000) };

afterEach(() => vi.unstubAllGlobals());

/** What goes out to an address when a long body is asked with. */
async function sent(path: string): Promise<{ encoding: string | undefined; body: BodyInit }> {
  const fetched = vi.fn(async () => new Response('{}'));
  vi.stubGlobal('fetch', fetched);
  await ask('POST', path, { body: LONG });
  const [, init] = fetched.mock.calls[0] as unknown as [string, RequestInit];
  return {
    encoding: (init.headers as Record<string, string>)['Content-Encoding'],
    body: init.body as BodyInit,
  };
}

test('what goes to the exchange is packed', async () => {
  const { encoding, body } = await sent('/api/sync');
  expect(encoding).toBe('gzip');
  const plain = new Response(
    new Blob([body as ArrayBuffer]).stream().pipeThrough(new DecompressionStream('gzip')),
  );
  expect(await plain.json()).toEqual(LONG);
});

test('what goes anywhere else is not, for nothing else unpacks it', async () => {
  const { encoding, body } = await sent('/api/customers/reassign');
  expect(encoding).toBeUndefined();
  expect(JSON.parse(body as string)).toEqual(LONG);
});
