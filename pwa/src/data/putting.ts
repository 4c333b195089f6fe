import { mutationsChanged, needDesk } from './desk';
import { saving } from './storage';
import type { Id } from './types';

/** Puts content that no server would take away, or back; it stays in the outbox and in the rescue file for 30 days. */
export async function putAway(mutation: Id, away: boolean): Promise<void> {
  const desk = needDesk();
  mutationsChanged(desk, await saving(() => desk.outbox.putAway(mutation, away)));
}
