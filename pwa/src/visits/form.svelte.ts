import { draft, type Draft } from '../data';

/** A form whose every key is kept on the phone: a killed browser finds it as it was. */
export class FormDraft<T extends Record<string, string>> {
  values: T = $state() as T;
  /** What was kept stands in `values`. */
  loaded = $state(false);
  readonly #draft: Draft;
  #ended = false;

  constructor(key: string, initial: T) {
    this.values = { ...initial };
    this.#draft = draft(`form:${key}`);
    let before = JSON.stringify(this.values);
    void this.#draft.load().then((kept) => {
      const known = kept === null ? null : parse(kept);
      // What was asked for by the link wins over what was left lying about.
      if (known && (!initial['customer'] || initial['customer'] === known['customer'])) {
        for (const name of Object.keys(initial)) {
          const value = known[name];
          if (typeof value === 'string') (this.values as Record<string, string>)[name] = value;
        }
      }
      before = JSON.stringify(this.values);
      this.loaded = true;
    });
    $effect(() => {
      const now = JSON.stringify(this.values);
      if (now === before || this.#ended) return;
      before = now;
      this.#draft.save(now);
    });
  }

  /** The record has it. */
  async done(): Promise<void> {
    this.#ended = true;
    await this.#draft.clear();
  }
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
