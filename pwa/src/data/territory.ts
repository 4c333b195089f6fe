import { ask, Unreachable } from './http';
import { syncNow } from './exchange';
import type { Id } from './types';

/** What changed hands; or why nothing did: `OFFLINE`, or the server's code. */
export type Reassigned =
  | { ok: true; customers: number; visits: number; followUps: number; refused: number }
  | { ok: false; code: string };

/**
 * Gives customers of one person to another, with the visits planned there and the open follow-ups: `customers`, or
 * all of them. Asks the server, which moves a few at a time; needs the network, a manager or an administrator.
 */
export async function reassignCustomers(from: Id, to: Id, customers?: Id[]): Promise<Reassigned> {
  const sum = { ok: true as const, customers: 0, visits: 0, followUps: 0, refused: 0 };
  const parts = customers ? chunks(customers, 200) : [undefined];
  try {
    for (const part of parts) {
      for (let more = true; more;) {
        const body = { from, to, ...(part ? { customers: part } : {}), with_plans: true };
        const answer = await ask('POST', '/api/customers/reassign', { body, patienceMs: 120_000 });
        const said = (answer.body ?? {}) as Record<string, unknown>;
        if (answer.status !== 200) return { ok: false, code: String(said['code'] ?? answer.status) };
        const moved = Number(said['customers'] ?? 0);
        sum.customers += moved;
        sum.visits += Number(said['visits'] ?? 0);
        sum.followUps += Number(said['follow_ups'] ?? 0);
        sum.refused += Array.isArray(said['refused']) ? said['refused'].length : 0;
        // What cannot move would be found again for ever.
        more = said['more'] === true && moved > 0;
      }
    }
  } catch (error) {
    if (error instanceof Unreachable) return { ok: false, code: 'OFFLINE' };
    throw error;
  }
  void syncNow();
  return sum;
}

function chunks<T>(list: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) =>
    list.slice(i * size, (i + 1) * size),
  );
}
