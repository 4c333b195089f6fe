export interface ToastDeed {
  label: string;
  run: () => void;
}

/** What is said aloud (a polite live region) and what is shown for 6 seconds above the dock. */
class Say {
  /** Words for the live region; gone again after a while, so that nobody meets them when reading the page. */
  spoken = $state('');
  /** How high the dock of the screen is: the toast floats above it. */
  dock = $state(0);
  toast = $state<{ id: number; text: string; action?: ToastDeed } | null>(null);
  #toastTimer: ReturnType<typeof setTimeout> | undefined;
  #spokenTimer: ReturnType<typeof setTimeout> | undefined;
  #next = 1;

  /** For news that no new words on the screen tell. */
  aloud(text: string): void {
    clearTimeout(this.#spokenTimer);
    this.spoken = text;
    this.#spokenTimer = setTimeout(() => (this.spoken = ''), 3000);
  }

  /** Never the only word of trouble: what failed stays on its screen as well. */
  show(text: string, action?: ToastDeed): void {
    clearTimeout(this.#toastTimer);
    const id = this.#next++;
    this.toast = { id, text, ...(action ? { action } : {}) };
    this.#toastTimer = setTimeout(() => {
      if (this.toast?.id === id) this.toast = null;
    }, 6000);
  }

  hide(): void {
    clearTimeout(this.#toastTimer);
    this.toast = null;
  }
}

export const say = new Say();
