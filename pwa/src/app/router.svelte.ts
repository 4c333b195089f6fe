import { tick } from 'svelte';
import { go, NAVIGATED } from '../ui/navigate';
import { placeOf, type Place } from './routes';

/**
 * Where the app stands. Links of the page are taken over, so plain `<a href>` is all a screen needs; going back
 * returns to the old scroll position, going on begins at the top with the heading in focus for who listens.
 */
class Router {
  path = $state(location.pathname);
  query = $state(location.search);
  place = $derived<Place>(placeOf(this.path));

  start(): () => void {
    history.scrollRestoration = 'manual';
    const forward = () => this.#moved(0, true);
    const popped = (event: PopStateEvent) =>
      this.#moved((event.state as { y?: number } | null)?.y ?? 0, false);
    addEventListener(NAVIGATED, forward);
    addEventListener('popstate', popped);
    document.addEventListener('click', follow);
    return () => {
      removeEventListener(NAVIGATED, forward);
      removeEventListener('popstate', popped);
      document.removeEventListener('click', follow);
    };
  }

  #moved(y: number, focus: boolean): void {
    const other = this.path !== location.pathname;
    this.path = location.pathname;
    this.query = location.search;
    if (!other) return;
    void tick().then(async () => {
      scrollTo(0, y);
      if (focus) document.querySelector<HTMLElement>('h1[tabindex]')?.focus({ preventScroll: true });
      // A long list may need a few frames until it is as long as it was.
      for (let i = 0; i < 20 && scrollY < y && this.path === location.pathname; i++) {
        await new Promise(requestAnimationFrame);
        scrollTo(0, y);
      }
    });
  }
}

function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest('a');
  if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
  if (link.pathname.startsWith('/api') || (link.hash && link.pathname === location.pathname)) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

export const router = new Router();
