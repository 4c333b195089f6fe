import { commitDecision, decide, type Parked } from '../data';
import { waitingBehind } from './things.svelte';

/** What was typed into the fields of a form, from the change that was parked. Sets come as "a, b". */
export function typedIn(parked: Parked, fields: readonly string[]): Record<string, string> {
  const typed: Record<string, string> = {};
  for (const op of parked.mutation?.ops ?? []) {
    if (fields.includes(op.field) && typeof op.new === 'string') typed[op.field] = op.new;
  }
  return typed;
}

/**
 * After the same was written anew and can settle: what waited behind the parked change is tried again in its order,
 * then the parked change itself is laid aside. Recorded at once, for the new words are recorded already.
 */
export async function settleAnew(parked: Parked, all: Parked[]): Promise<void> {
  for (const one of waitingBehind(parked, all)) {
    await decide('parked', one.id, 'retry');
    await commitDecision(one.id);
  }
  await decide('parked', parked.id, 'discard');
  await commitDecision(parked.id);
}
