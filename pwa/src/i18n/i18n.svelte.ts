import { en, type Words } from './en';
import * as format from './format';

export type Language = 'en' | 'zh-Hans';
export const LANGUAGES: readonly Language[] = ['en', 'zh-Hans'];
/** Each language in its own words, for who cannot read the other. */
export const NAMES: Record<Language, string> = { en: 'English', 'zh-Hans': '中文' };
const KEY = 'rounds.language';

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
 */
class I18n {
  language = $state<Language>('en');
  zone = $state('UTC');
  /** False only while the first words are being fetched. */
  ready = $state(true);
  #words = $state.raw<Partial<Record<Language, Words>>>({ en });
  t = $derived(this.#words[this.language] ?? en);
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

  /** A language besides English comes in a file of its own; until it is here the old words stay. */
  #set(language: Language): void {
    this.#wanted = language;
    const show = () => {
      if (this.#wanted !== language) return;
      this.language = language;
      if (typeof document !== 'undefined') document.documentElement.lang = language;
    };
    if (this.#words[language]) return show();
    this.ready = this.#shown;
    void import('./zh')
      .then(({ zh }) => {
        this.#words = { ...this.#words, 'zh-Hans': zh };
        show();
      })
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
