import { life } from './clock';
import { told } from './condition';
import type { Id } from './types';

/** What tabs say to each other of themselves; `ask`: the others shall answer, `gone`: this one closes. */
export interface TabNews {
  type: 'tab';
  tab: Id;
  ask?: boolean;
  gone?: boolean;
}

/** How often the others are asked for while this page is in sight; one that is silent twice is gone or frozen. */
const BEAT_MS = 20_000;
const others = new Map<Id, number>();
let post: ((news: TabNews) => void) | null = null;
let beat: ReturnType<typeof setInterval> | undefined;

/** Begins to look for other tabs of the same person. */
export function greet(send: (news: TabNews) => void): void {
  post = send;
  others.clear();
  tellOfOthers();
  clearInterval(beat);
  beat = setInterval(ask, BEAT_MS);
  ask();
}

/** The page closes, or sleeps as good as closed. */
export function sayGone(): void {
  post?.({ type: 'tab', tab: life, gone: true });
}

/** Nobody, or somebody else, sits here from now on. */
export function farewell(): void {
  sayGone();
  post = null;
  clearInterval(beat);
  others.clear();
  tellOfOthers();
}

export function heardOf({ tab, ask: wanted, gone }: TabNews): void {
  if (tab === life) return;
  if (gone) others.delete(tab);
  else others.set(tab, Date.now());
  if (wanted) post?.({ type: 'tab', tab: life });
  tellOfOthers();
}

/** Asks who else is there. */
export function ask(): void {
  if (typeof document !== 'undefined' && document.visibilityState === 'hidden') return;
  const now = Date.now();
  for (const [tab, at] of others) if (now - at > 2.5 * BEAT_MS) others.delete(tab);
  tellOfOthers();
  post?.({ type: 'tab', tab: life, ask: true });
}

function tellOfOthers(): void {
  const otherTab = others.size > 0;
  told.update((t) => (t.otherTab === otherTab ? t : { ...t, otherTab }));
}
