/** Addresses of the app. Pure: path in, place out. */
export type Place =
  | {
      name:
        | 'start'
        | 'today'
        | 'customers'
        | 'customer-new'
        | 'customers-give'
        | 'follow-ups'
        | 'visits'
        | 'visit-past'
        | 'visit-plan';
    }
  | { name: 'board' | 'review' | 'me' | 'device' | 'inbox' | 'reminders' | 'sign-in' | 'not-found' }
  | { name: 'score' | 'scores' | 'schemes' | 'targets' | 'values' }
  | { name: 'customer' | 'customer-edit' | 'follow-up' | 'visit' | 'decide' | 'score-of'; id: string }
  | { name: 'invite' | 'upload'; secret: string };

const PLAIN: Record<string, Place> = {
  '': { name: 'start' },
  today: { name: 'today' },
  customers: { name: 'customers' },
  'customers/new': { name: 'customer-new' },
  'customers/give': { name: 'customers-give' },
  visits: { name: 'visits' },
  'visits/past': { name: 'visit-past' },
  'visits/plan': { name: 'visit-plan' },
  board: { name: 'board' },
  review: { name: 'review' },
  'follow-ups': { name: 'follow-ups' },
  me: { name: 'me' },
  'me/device': { name: 'device' },
  'me/reminders': { name: 'reminders' },
  inbox: { name: 'inbox' },
  'sign-in': { name: 'sign-in' },
  score: { name: 'score' },
  scores: { name: 'scores' },
  schemes: { name: 'schemes' },
  targets: { name: 'targets' },
  values: { name: 'values' },
};
const ID = '([0-9a-fA-F-]{8,64})';
const WITH_ID: [RegExp, 'customer' | 'customer-edit' | 'follow-up' | 'visit' | 'decide' | 'score-of'][] = [
  [new RegExp(`^customers/${ID}$`), 'customer'],
  [new RegExp(`^customers/${ID}/edit$`), 'customer-edit'],
  [new RegExp(`^visits/${ID}$`), 'visit'],
  [new RegExp(`^follow-ups/${ID}$`), 'follow-up'],
  [new RegExp(`^decide/${ID}$`), 'decide'],
  [new RegExp(`^scores/${ID}$`), 'score-of'],
];

/** What a path shows; slashes at the ends do not matter. */
export function placeOf(path: string): Place {
  const clean = path.replace(/^\/+|\/+$/g, '').replace(/^index\.html$/, '');
  const plain = Object.hasOwn(PLAIN, clean) ? PLAIN[clean] : undefined;
  if (plain) return plain;
  const secret = /^invite\/([^/]+)$/.exec(clean)?.[1];
  if (secret) return { name: 'invite', secret };
  const upload = /^invite\/upload\/([^/]+)$/.exec(clean)?.[1];
  if (upload) return { name: 'upload', secret: upload };
  for (const [pattern, name] of WITH_ID) {
    const id = pattern.exec(clean)?.[1];
    if (id) return { name, id };
  }
  return { name: 'not-found' };
}
