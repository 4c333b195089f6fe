const KEY = 'rounds.unfinished';

/**
 * The visit whose check-out sheet is open. A browser killed meanwhile comes back to it: the words are in the draft,
 * this only remembers where to look.
 */
export function unfinished(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export function setUnfinished(visit: string | null): void {
  try {
    if (visit) localStorage.setItem(KEY, visit);
    else localStorage.removeItem(KEY);
  } catch {
    /* private browsing: the draft is still there, only the way back is longer */
  }
}
