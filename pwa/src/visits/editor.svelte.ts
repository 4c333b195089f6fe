import { draft, setMinutes, setNextStep, type Draft } from '../data';

/**
 * One text of a visit under somebody's hand. Each key goes into a durable draft; leaving the field writes the text
 * into the record. The draft is cleared only after the record has it, so at every moment one of the two holds all.
 */
export class Editor {
  text = $state('');
  /** The draft has been looked for; before that nothing may be typed over it. */
  loaded = $state(false);
  /** Words were found that never reached the record: the writing was cut off. */
  cutOff = $state(false);
  trouble = $state(false);
  /** Device time (ms) at which these words last became durable, as draft or in the record. */
  keptAt = $state<number | null>(null);
  readonly #visit: string;
  readonly #field: 'minutes' | 'next';
  readonly #draft: Draft;
  readonly #place: Draft;
  /** Where the caret stood when the writing was cut off; null: at the end. */
  caret = $state<number | null>(null);
  #recorded = '';
  #writing: Promise<void> | null = null;

  constructor(visit: string, field: 'minutes' | 'next') {
    this.#visit = visit;
    this.#field = field;
    this.#draft = draft(`${field}:${visit}`);
    this.#place = draft(`caret:${field}:${visit}`);
    this.#draft.savedAt.subscribe((at) => {
      if (at !== null) this.keptAt = at;
    });
  }

  async load(recorded: string): Promise<void> {
    const [kept, place] = await Promise.all([this.#draft.load(), this.#place.load()]);
    this.caret = place === null ? null : Number(place);
    this.#recorded = recorded;
    this.cutOff = kept !== null && kept !== recorded;
    this.text = kept ?? recorded;
    this.loaded = true;
  }

  /** The record changed, here or elsewhere: taken over unless words are being written. */
  follow(recorded: string): void {
    if (!this.loaded || recorded === this.#recorded) return;
    const untouched = this.text === this.#recorded;
    this.#recorded = recorded;
    if (untouched) this.text = recorded;
  }

  typed(text: string, caret?: number | null): void {
    this.text = text;
    this.#draft.save(text);
    if (caret !== null && caret !== undefined) this.#place.save(String(caret));
  }

  /** Writes the text into the record. One after the other: a second call waits for the first. */
  async commit(): Promise<void> {
    await this.#writing;
    this.#writing = this.#write();
    try {
      await this.#writing;
    } finally {
      this.#writing = null;
    }
  }

  async #write(): Promise<void> {
    if (!this.loaded) return;
    const text = this.text;
    if (text === this.#recorded && !this.cutOff) return;
    try {
      await this.#draft.flush();
      await (this.#field === 'minutes' ? setMinutes(this.#visit, text) : setNextStep(this.#visit, text));
      this.#recorded = text;
      this.keptAt = Date.now();
      this.cutOff = false;
      this.trouble = false;
      // Typed on meanwhile: the draft is already ahead of the record again.
      if (this.text === text) {
        await this.#draft.clear();
        await this.#place.clear();
      }
    } catch {
      this.trouble = true;
    }
  }
}
