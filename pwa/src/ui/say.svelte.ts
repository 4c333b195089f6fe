/** What is said aloud (a polite live region) and shown for 6 seconds above the dock. */
class Say {
  /** Words for the live region. */
  spoken = $state('');
  toast = $state<{ id: number; text: string; action?: { label: string; run: () => void } } | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #next = 1;

  aloud(text: string): void {
    // The same words twice would not be announced again: a no-break space makes them differ.
    this.spoken = this.spoken === text ? `${text}\u00a0` : text;
  }

  /** Never the only word of trouble: what failed stays on its screen as well. */
  show(text: string, action?: { label: string; run: () => void }): void {
    clearTimeout(this.#timer);
    const id = this.#next++;
    this.toast = { id, text, ...(action ? { action } : {}) };
    this.aloud(text);
    this.#timer = setTimeout(() => {
      if (this.toast?.id === id) this.toast = null;
    }, 6000);
  }

  hide(): void {
    clearTimeout(this.#timer);
    this.toast = null;
  }
}

export const say = new Say();
