import { fromStore } from 'svelte/store';
import { customer, kinds, outcomes, parked, people, session, teams, today } from '../data';
import { recordWords, type RecordWords } from '../i18n/records';
import { i18n } from '../i18n/i18n.svelte';
import { fieldName, kindName, moment, valueOf, type Names } from './value';

const held = {
  people: fromStore(people),
  teams: fromStore(teams),
  kinds: fromStore(kinds),
  parked: fromStore(parked),
  outcomes: fromStore(outcomes),
  session: fromStore(session),
  today: fromStore(today),
};

/**
 * Records in the words of the moment: language, names and zone of who reads. Reactive where it is read in a
 * component; names of customers are read once each (they hardly change while one looks).
 */
class RecordSay {
  #named = new Map<string, string>();

  get w(): RecordWords {
    return i18n.language === 'zh-Hans' ? recordWords.zh : recordWords.en;
  }
  get me(): string {
    return held.session.current.me?.person.id ?? '';
  }
  get names(): Names {
    return {
      t: i18n.t,
      w: this.w,
      zone: i18n.zone,
      today: held.today.current,
      person: (id) => this.person(id, true),
      team: (id) => held.teams.current.find((team) => team.id === id)?.name ?? '',
      customer: (id) => this.customer(id),
      kind: (code) =>
        i18n.named(
          held.kinds.current.find((k) => k.code === code),
          code,
        ),
      outcome: (code) =>
        i18n.named(
          held.outcomes.current.find((o) => o.code === code),
          code,
        ),
    };
  }

  /** The name of a person; the reader themselves is "You" unless `plain`. */
  person(id: string | null, plain = false): string {
    if (id === null) return this.w.system;
    if (!plain && id === this.me) return this.w.you;
    return held.people.current.get(id)?.name ?? (plain ? '' : this.w.unknownAuthor);
  }
  customer(id: string): string {
    const known = this.#named.get(id);
    if (known) return known;
    let name = '';
    customer(id).subscribe((c) => (name = c?.name ?? ''))();
    if (name) this.#named.set(id, name);
    return name || this.#unmade(id);
  }
  /** A customer whose making is parked: as it was typed. */
  #unmade(id: string): string {
    const made = held.parked.current.find((p) => p.entity === id && p.mutation?.verb === 'create');
    const typed = made?.mutation?.ops.find((op) => op.field === 'name')?.new;
    return typeof typed === 'string' ? typed : '';
  }
  field = (field: string): string => fieldName(field, this.names);
  kind = (kind: string): string => kindName(kind, this.names);
  value = (kind: string, field: string, value: unknown, zone?: string): string =>
    valueOf(kind, field, value, this.names, zone);
  when = (at: string | number | null, zone?: string): string => moment(at, this.names, zone);
}

export const record = new RecordSay();
