import { draft } from '../data';

/**
 * The visit whose check-out sheet is open, kept as durably as the words themselves: a browser that was killed comes
 * back to it. (What a page puts into localStorage is lost with a killed browser; a draft is not.)
 */
const note = () => draft('unfinished');

/** Id of that visit, or null. */
export async function unfinished(): Promise<string | null> {
  return note().load();
}

export async function setUnfinished(visit: string): Promise<void> {
  const at = note();
  at.save(visit);
  await at.flush();
}

export async function finished(): Promise<void> {
  await note().clear();
}
