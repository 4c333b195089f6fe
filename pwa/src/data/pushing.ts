/**
 * The two moments in which push is looked after without a screen that shows it; all else about it lies in a file of its
 * own, which the first page does without. Where that cannot be fetched now, the next start looks again.
 */

/** At each start, and when the browser changed something about it. */
export async function lookAtPush(): Promise<void> {
  await import('./push').then((push) => push.lookAtPush()).catch(() => {});
}
/** When its person signs out. */
export async function disablePush(): Promise<void> {
  await import('./push').then((push) => push.disablePush()).catch(() => {});
}
