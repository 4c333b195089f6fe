import { decide, undoDecide, type DecidedOn, type Verdict } from '../data';
import { i18n } from '../i18n/i18n.svelte';
import { say } from '../ui/say.svelte';
import { record } from './say.svelte';

/** Decides, says so with Undo; false when the phone's storage refused it. */
export async function settle(on: DecidedOn, id: string, verdict: Verdict, word = ''): Promise<boolean> {
  try {
    await decide(on, id, verdict, word.trim() || undefined);
  } catch {
    return false;
  }
  const undo = async () => {
    const taken = await undoDecide(id).catch(() => false);
    say.show(taken ? record.w.undone : record.w.tooLate);
  };
  say.show(record.w.toast[verdict] ?? record.w.decided, { label: i18n.t.undo, run: () => void undo() });
  return true;
}
