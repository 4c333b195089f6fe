import { watchApp } from './app';
import { commitAllCheckOuts } from './checkout';
import { commitAllDecisions } from './decisions';
import { flushDrafts } from './drafts';
import { watchPage } from './exchange';
import { resume } from './session';

let started = false;

/** Opens the device's storage, begins the exchange, watches page and app. Called once, by main.ts. */
export async function start(): Promise<void> {
  if (started) return;
  started = true;
  watchPage();
  // Phones kill a hidden page without another word: what waits is written now.
  const hide = () => {
    void flushDrafts();
    commitAllCheckOuts();
    commitAllDecisions();
  };
  addEventListener('pagehide', hide);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') hide();
  });
  void watchApp();
  await resume();
}
