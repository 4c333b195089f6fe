/** Going somewhere by code. Plain links need nothing of this: the router takes them over. */
export const NAVIGATED = 'rounds:navigated';

/** Shows `path` of this app; `replace` leaves no step to go back to. */
export function go(path: string, options: { replace?: boolean } = {}): void {
  const depth = (history.state as { depth?: number } | null)?.depth ?? 0;
  // The scroll position stays with the page that is left.
  if (!options.replace) history.replaceState({ depth, y: scrollY }, '');
  if (options.replace) history.replaceState({ depth }, '', path);
  else history.pushState({ depth: depth + 1 }, '', path);
  dispatchEvent(new Event(NAVIGATED));
}

/** One step back inside the app; where the app was opened by a deep link, to `otherwise` instead of out of it. */
export function back(otherwise: string): void {
  const depth = (history.state as { depth?: number } | null)?.depth ?? 0;
  if (depth > 0) history.back();
  else go(otherwise, { replace: true });
}
