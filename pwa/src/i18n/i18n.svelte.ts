import { en, type Words } from './en';
import * as format from './format';

export type Language = 'en' | 'zh-Hans';
export const LANGUAGES: readonly Language[] = ['en', 'zh-Hans'];
/** Each language in its own words, for who cannot read the other. */
export const NAMES: Record<Language, string> = { en: 'English', 'zh-Hans': '中文' };
const KEY = 'rounds.language';

/** Each language's first words and the rest, in files of their own; English's first are part of the first load. */
const FILES = {
  en: { first: () => Promise.resolve(en), rest: async () => (await import('./en_later')).later },
  'zh-Hans': {
    first: async () => (await import('./zh')).zh,
    rest: async () => (await import('./zh_later')).later,
  },
};

/** The language meant by a BCP 47 tag such as `zh-CN`; null when it is none of ours. */
export function languageOf(tag: string | null | undefined): Language | null {
  if (!tag) return null;
  const low = tag.toLowerCase();
  if (low.startsWith('zh')) return 'zh-Hans';
  return low.startsWith('en') ? 'en' : null;
}

function remembered(): Language | null {
  try {
    return languageOf(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/**
 * The language and zone of the moment. `i18n.t.checkIn` is the word; the methods put numbers and times into words.
 * Order of choice: what was chosen here, then the person's own, then the browser's.
 *
 * A screen that is not part of the first load waits for `whole()` before it is shown: its words come beside it.
 */
class I18n {
  language = $state<Language>('en');
  zone = $state('UTC');
  /** False only while the first words are being fetched. */
  ready = $state(true);
  // Until `whole()` the later words are missing in fact; no screen that is there by then asks for one.
  #words = $state.raw<Partial<Record<Language, Words>>>({ en: en as Words });
  t = $derived(this.#words[this.language] ?? (en as Words));
  #all = new Set<Language>();
  #wantAll = false;
  #chosen = false;
  #shown = false;
  #wanted: Language = 'en';

  constructor() {
    const own = remembered();
    this.#chosen = own !== null;
    const tags = typeof navigator === 'undefined' ? [] : navigator.languages;
    this.#set(own ?? tags.map(languageOf).find((l) => l !== null) ?? 'en');
    this.#shown = this.ready;
    this.zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  }

  /** Chosen by hand: kept on this device. */
  choose(language: Language): void {
    this.#chosen = true;
    try {
      localStorage.setItem(KEY, language);
    } catch {
      /* private browsing: the choice lasts as long as the page */
    }
    this.#set(language);
  }

  /** What the server says of the person: their language unless one was chosen here, and their zone. */
  follow(person: { locale: string; time_zone: string } | null | undefined): void {
    if (!person) return;
    const own = languageOf(person.locale);
    if (own && !this.#chosen) this.#set(own);
    if (person.time_zone) this.zone = person.time_zone;
  }

  /** Resolves when every screen's words are here; rejects where they cannot be fetched. */
  async whole(): Promise<void> {
    this.#wantAll = true;
    await this.#fetch(this.language);
  }

  /** What is still missing of a language: the old words stay until it is here. */
  async #fetch(language: Language): Promise<void> {
    const all = this.#wantAll;
    if (this.#words[language] && (!all || this.#all.has(language))) return;
    const [first, rest] = await Promise.all([
      FILES[language].first(),
      all ? FILES[language].rest() : undefined,
    ]);
    if (this.#all.has(language)) return;
    if (all) this.#all.add(language);
    this.#words = { ...this.#words, [language]: { ...first, ...rest } as Words };
    // They were asked for meanwhile: a language is not shown over a screen whose words it lacks.
    if (this.#wantAll && !all) await this.#fetch(language);
  }

  #set(language: Language): void {
    this.#wanted = language;
    const show = () => {
      if (this.#wanted !== language) return;
      this.language = language;
      if (typeof document !== 'undefined') document.documentElement.lang = language;
    };
    if (this.#words[language] && (!this.#wantAll || this.#all.has(language))) return show();
    this.ready = this.#shown;
    void this.#fetch(language)
      .then(show)
      .catch(() => {})
      .finally(() => {
        this.ready = true;
        this.#shown = true;
      });
  }

  clock = (when: format.When, zone = this.zone) => format.clock(when, zone);
  clockSeconds = (when: format.When, zone = this.zone) => format.clockSeconds(when, zone);
  dayOf = (when: format.When, zone = this.zone) => format.dayOf(when, zone);
  dayLong = (day: string) => format.dayLong(this.t, day);
  dayShort = (day: string, today?: string) => format.dayShort(this.t, day, today);
  dayWeekday = (day: string) => format.dayWeekday(this.t, day);
  dayAgo = (day: string, today: string) => format.dayAgo(this.t, day, today);
  ago = (milliseconds: number) => format.ago(this.t, milliseconds);
  duration = (seconds: number) => format.duration(this.t, seconds);
  distance = (metres: number) => format.distance(this.t, metres);
  accuracy = (metres: number) => format.accuracy(this.t, metres);
  grouped = (n: number) => format.grouped(this.t, n);
  megabytes = (bytes: number) => format.megabytes(this.t, bytes);
  reasonShort = (code: string) => format.reasonShort(this.t, code);
  reasonLong = (code: string) => format.reasonLong(this.t, code);
  bearing = (from: { lat: number; lon: number }, to: { lat: number; lon: number }) =>
    format.bearing(this.t, from, to);
  /** A row of the office's own lists (visit kinds, outcomes) in the language of the moment. */
  named = (row: { name: string; nameZh: string } | undefined, otherwise = ''): string =>
    row ? (this.language === 'zh-Hans' && row.nameZh ? row.nameZh : row.name) : otherwise;
}

export const i18n = new I18n();
