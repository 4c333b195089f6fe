import type { InboxWords } from '../i18n/inbox';

/** What one was told, in no language: kind of reminder, and what its sentence is made of. */
export interface Told {
  rule: string;
  words: Record<string, unknown>;
}
/** Puts an instant into words: `all` whole days only. */
export type Times = (at: string, all: boolean) => string;

const PARTS = ['overdue', 'not_visited', 'minutes', 'unsent', 'open', 'visits', 'valid', 'silent'];
const MOST_NAMES = 3;
const MONTH = /^\d{4}-\d{2}$/;

const fill = (pattern: string, known: Record<string, unknown>): string =>
  pattern.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = known[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  });

/** The rule whose words these are: a snoozed one says again what it said first. */
export const ruleOf = ({ rule, words }: Told): string =>
  rule === 'snoozed' && typeof words['of'] === 'string' ? words['of'] : rule;

/** Title and body of a notice, as the lock screen has them. Pure; times come from `times`. */
export function compose(told: Told, w: InboxWords, times: Times): [title: string, body: string] {
  const { words } = told;
  const rule = ruleOf(told);
  const named = rule === 'follow_up_assigned' && !words['due_at'] ? 'follow_up_assigned_no_due' : rule;
  const pattern = w.said[named];
  if (!pattern) return [w.other, ''];
  const at = (name: string, all: boolean) => {
    const value = words[name];
    return typeof value === 'string' ? times(value, all) : '';
  };
  const month = typeof words['month'] === 'string' ? words['month'] : '';
  const known = {
    ...words,
    month: MONTH.test(month) ? w.monthOf(Date.parse(month)) : month,
    due: at('due_at', words['all_day'] === true),
    since: at('since', false),
    parts: rule === 'group' ? lines(words, w, times) : parts(words, w),
  };
  const [title, body] = pattern.map((one) => fill(one, known).replace(/^[ ·:：]+|[ ·:：]+$/g, ''));
  return [title || w.other, body ?? ''];
}

const lines = (words: Told['words'], w: InboxWords, times: Times): string =>
  linesOf(words)
    .map((line) => compose(line, w, times)[0])
    .join(w.between);

/** The reminders of a group, each with what it is about. */
export function linesOf(words: Told['words']): (Told & { about?: { kind: string; id: string } })[] {
  return Array.isArray(words['lines']) ? (words['lines'] as (Told & { about: never })[]) : [];
}

function parts(words: Told['words'], w: InboxWords): string {
  const said: string[] = [];
  for (const name of PARTS) {
    const value = words[name];
    if (Array.isArray(value) && value.length > 0) {
      let names = value.slice(0, MOST_NAMES).map(String).join(w.comma);
      if (value.length > MOST_NAMES) names = fill(w.more, { names, n: value.length - MOST_NAMES });
      said.push(fill(w.parts[name] ?? '', { names }));
    } else if (typeof value === 'number' && value !== 0) {
      const one = value === 1 ? w.partsOne[name] : undefined;
      said.push(one ?? fill(w.parts[name] ?? '', { n: value }));
    }
  }
  return said.join(w.between);
}

/** The month that a notice of a closing speaks of: of a low grade that person's page, of an honour the page of scores. */
export function closedPath(rule: string | undefined, words: Record<string, unknown>): string {
  const { month, owner_id: owner } = words;
  const day = typeof month === 'string' && MONTH.test(month) ? `?kind=month&day=${month}-01` : '';
  return `/scores${rule === 'low_twice' && typeof owner === 'string' ? `/${owner}` : ''}${day}`;
}

/** Where what a notice is about can be seen; null where there is no page of it. */
export function pathOf(told: Told, about: { kind: string; id: string } | undefined): string | null {
  const rule = ruleOf(told);
  if (rule === 'morning') return '/today';
  if (rule === 'day_end') return '/visits';
  if (rule === 'team_day_end') return '/board';
  if (about?.kind === 'closing') return closedPath(rule, told.words);
  const on =
    about?.kind === 'comment'
      ? { kind: String(told.words['on_kind'] ?? ''), id: String(told.words['on_id'] ?? '') }
      : about;
  if (on?.kind === 'follow_up') return `/follow-ups/${on.id}`;
  if (on?.kind === 'visit') return `/visits/${on.id}`;
  if (on?.kind === 'customer') return `/customers/${on.id}`;
  return null;
}
