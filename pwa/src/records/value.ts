/** Values of fields as a person reads them: never a code, an id or JSON. Pure: words and names come in. */
import type { Words } from '../i18n/en';
import { readRule, ruleText } from '../followups/repeat';
import type { RecordWords } from '../i18n/records';
import { repeatWords } from '../i18n/repeat';
import {
  accuracy,
  addDays,
  clock,
  dayOf,
  dayShort,
  dayWeekday,
  daysBetween,
  distance,
  duration,
  grouped,
} from '../i18n/format';

/** What the words of a value need to know. Names of ids that are not known come back empty. */
export interface Names {
  t: Words;
  w: RecordWords;
  /** The reader's zone and, in it, today. */
  zone: string;
  today: string;
  person: (id: string) => string;
  team: (id: string) => string;
  customer: (id: string) => string;
  kind: (code: string) => string;
  outcome: (code: string) => string;
}

/** Fields of running text, which are compared word by word. */
export const TEXTS: ReadonlySet<string> = new Set(['minutes', 'next_step', 'note', 'body']);

export function fieldName(field: string, { w }: Names): string {
  return w.fields[field] ?? w.many;
}
export function kindName(kind: string, { w }: Names): string {
  return w.kinds[kind] ?? w.record;
}

/** The value of a record's field in words. `zone`: where the record's own times are told, else the reader's. */
export function valueOf(
  kind: string,
  field: string,
  value: unknown,
  names: Names,
  zone = names.zone,
): string {
  const { t, w } = names;
  if (field === 'archived') return value === true ? w.archivedYes : w.archivedNo;
  if (value === null || value === undefined || value === '') return w.empty;
  if (typeof value === 'boolean') return value ? w.yes : w.no;
  if (Array.isArray(value)) {
    if (field === 'photos') return w.photos(value.length);
    return value.length ? value.map((one) => valueOf(kind, field, one, names, zone)).join(', ') : w.empty;
  }
  if (typeof value === 'object') return fromObject(value as Record<string, unknown>, names, zone);
  if (typeof value === 'number') return fromNumber(field, value, names);
  const text = String(value);
  switch (field) {
    case 'repeat': {
      const rule = readRule(text);
      const words = t.locale.startsWith('zh') ? repeatWords.zh : repeatWords.en;
      return rule ? ruleText(rule, null, words, (day) => dayShort(t, day)) : text;
    }
    case 'owner_id':
    case 'rep_id':
    case 'author_id':
      return names.person(text) || w.somebody;
    case 'team_id':
      return names.team(text) || t.notKnown;
    case 'customer_id':
    case 'merged_into':
      return names.customer(text) || w.somewhere;
    case 'outcome':
      return names.outcome(text) || text;
    case 'kind':
      return (kind === 'follow_up' ? w.followUpKinds[text] : names.kind(text)) || text;
    case 'mode':
      return t.modes[text as keyof typeof t.modes] ?? text;
    case 'status':
      return (
        (kind === 'follow_up' ? w.followUpStates[text] : t.status[text as keyof typeof t.status]) ?? text
      );
    case 'lifecycle':
      return w.lifecycles[text] ?? text;
    case 'verdict':
      return w.verdicts[text] ?? text;
    case 'on_kind':
      return w.kinds[text] ?? w.record;
    case 'planned_date':
    case 'due_date':
      return dayWeekday(t, text);
    case 'planned_time':
    case 'due_time':
      return text.slice(0, 5);
    case 'requested_at':
      return moment(text, names, zone);
    case 'visit_id':
    case 'on_id':
      return w.kinds['visit'] ?? w.record;
    default:
      return text;
  }
}

function fromObject(value: Record<string, unknown>, names: Names, zone: string): string {
  const { t, w } = names;
  if (typeof value['wall'] === 'string') {
    const offset = typeof value['offset_ms'] === 'number' ? value['offset_ms'] : 0;
    return moment(Date.parse(value['wall']) + offset, names, zone);
  }
  if (typeof value['none'] === 'string') {
    return t.noPosition[value['none'] as keyof typeof t.noPosition] ?? t.notKnown;
  }
  if (typeof value['lat'] === 'number' && typeof value['lon'] === 'number') {
    return w.position(accuracy(t, typeof value['accuracy_m'] === 'number' ? value['accuracy_m'] : 0));
  }
  return w.many;
}

function fromNumber(field: string, value: number, { t }: Names): string {
  if (field === 'lat') return `${Math.abs(value).toFixed(5)}° ${t.compass[value < 0 ? 4 : 0]}`;
  if (field === 'lon') return `${Math.abs(value).toFixed(5)}° ${t.compass[value < 0 ? 6 : 2]}`;
  if (field === 'radius_m') return distance(t, value);
  if (field === 'remind_before_min') return duration(t, value * 60);
  return grouped(t, value);
}

/** "today 14:06", "yesterday 09:00", "7 Nov, 14:06". */
export function moment(when: string | number | null, names: Names, zone = names.zone): string {
  if (when === null) return '';
  const { t, w, today } = names;
  const time = clock(when, zone);
  if (time === '') return '';
  const day = dayOf(when, zone);
  const ago = daysBetween(day, today);
  if (ago === 0) return w.todayAt(time);
  if (day === addDays(today, -1)) return w.yesterdayAt(time);
  return w.dayAt(dayShort(t, day, today), time);
}
