import { watchApp } from './app';
import { commitAllCheckOuts } from './checkout';
import { commitAllDecisions, resumeDecisions } from './decisions';
import { flushDrafts } from './drafts';
import { watchPage } from './exchange';
import { resume } from './session';
import { ask as askTabs, sayGone } from './tabs';

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
  addEventListener('pagehide', () => {
    hide();
    sayGone();
  });
  addEventListener('pageshow', askTabs);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') hide();
    else {
      // A phone that slept may have lost the timers.
      resumeDecisions();
      askTabs();
    }
  });
  void watchApp();
  await resume();
}
