import { createSubscriber } from 'svelte/reactivity';

/** The device's clock as something a screen can depend on; it runs only while somebody looks. */
class Tick {
  #subscribe: () => void;

  constructor(everyMs: number) {
    this.#subscribe = createSubscriber((update) => {
      const timer = setInterval(update, everyMs);
      document.addEventListener('visibilitychange', update);
      return () => {
        clearInterval(timer);
        document.removeEventListener('visibilitychange', update);
      };
    });
  }

  /** ms since 1970 by the device. */
  get now(): number {
    this.#subscribe();
    return Date.now();
  }
}

export const second = new Tick(1_000);
export const quarterMinute = new Tick(15_000);
