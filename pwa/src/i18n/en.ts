import type { later } from './en_later';

/**
 * The words of the first screens in English, and of what may come before the others' words do (`en_later.ts`): a test
 * says which words belong here. Keys that a sentence fills in are functions; `zh.ts` must answer each key.
 */
const s = (n: number) => (n === 1 ? '' : 's');

export const en = {
  locale: 'en-GB' as string,
  appName: 'Rounds',

  // ---- places to be
  today: 'Today',
  customers: 'Customers',
  visits: 'Visits',
  followUps: 'Follow-ups',
  score: 'Score',
  values: 'Values',
  board: 'Board',
  review: 'Review',
  me: 'Me',
  inbox: (unread: number): string => (unread > 0 ? `Inbox, ${unread} unread` : 'Inbox'),
  mainMenu: 'Main menu',
  deeds: 'What to do here',
  skip: 'Skip to content',

  // ---- small deeds
  back: 'Back',
  close: 'Close',
  undo: 'Undo',
  notFound: 'Nothing lives at this address.',
  goHome: 'Go to the start',
  loading: 'Reading this phone',

  // ---- receipts and sync
  onThisPhone: 'On this phone',
  sent: 'Sent',
  merged: 'Merged',
  needsYou: 'Needs you',
  sentAt: (time: string) => `Sent ${time}`,
  countOnPhone: (n: number) => `${n} on this phone`,
  countNeedsYou: (n: number): string => (n === 1 ? '1 needs you' : `${n} need you`),
  nothingSentYet: 'Nothing sent yet',
  inTouchAt: (time: string) => `In touch ${time}`,
  savedOnPhone: 'Saved on this phone',
  noSignalLong: 'No signal, work goes on: records are on this phone and leave by themselves.',
  noSignalNothing: 'No signal, work goes on: what you see is from this phone.',
  sessionEnded: 'Your session ended. Work goes on; sign in and it leaves at once.',
  tooOld: 'This version is too old to read from the server. Your work is still taken.',
  look: 'Look',
  revokedLine: (n: number) =>
    `This device was signed out by your administrator. ${n ? `${n} change${s(n)} ${n === 1 ? 'is' : 'are'} still here and ${n === 1 ? 'is' : 'are'} being sent.` : 'Everything was sent.'}`,
  closedLine: (n: number) =>
    `This account was closed. ${n ? `${n} change${s(n)} ${n === 1 ? 'is' : 'are'} still here and ${n === 1 ? 'is' : 'are'} being sent.` : 'Everything was sent.'}`,
  stillReading: 'The first reading is still under way: lists grow as they arrive.',
  storageQuota: 'No room left on this phone: the last change is not saved. Free some space, then try again.',
  storageBroken: 'This phone’s storage does not answer: the last change is not saved.',
  saveFailed: 'Not saved: this phone’s storage refused it. Your words are still here.',
  notAllowed: 'Not possible any more: the record changed meanwhile.',

  // ---- updates and install
  newVersionReady: 'A new version is ready.',
  updateNow: 'Update',
  installTitle: 'Keep Rounds on the home screen',
  installWhy: 'It opens in one tap, and the phone keeps unsent work safe.',
  install: 'Install',
  notNow: 'Not now',

  // ---- sign-in
  signIn: 'Sign in',

  // ---- a visit's words
  checkIn: 'Check in',
  nearby: 'Nearby',
  status: { planned: 'Planned', open: 'Open now', done: 'Done', missed: 'Missed', cancelled: 'Cancelled' },
  now: 'Now',
  planned: 'Planned',
  unknownCustomer: 'A customer not on this phone',

  // ---- today
  validCount: (n: number) => `${n}`,
  validWord: (n: number): string => (n === 1 ? 'valid visit' : 'valid visits'),
  mayCount: (n: number) => `${n} more may count`,
  noVisitsYet: 'No visits yet today',
  whereAreYou: 'Where are you?',
  whereTitle: 'Which customer is this?',
  whereKept: (time: string) => `Time kept: ${time}.`,
  whereKeptBoth: (time: string, accuracy: string) => `Time and place kept: ${time}, ${accuracy}.`,
  visitedLately: 'Visited lately',
  whereLooking: 'Looking for your place',
  whereNoFix: 'No position. Choose by name; the visit is saved as unverified.',
  threeNearest: 'Nearest to you',
  searchByName: 'Search by name',
  placeLineTitle: 'Before your phone asks',
  placeLine: 'Your place is taken when you tap, never in between.',
  placeLineMore:
    'It shows that you were there. You see everything that is held. Without it the visit is saved all the same, as unverified.',
  goOn: 'Go on',
  writeMinutes: 'Write minutes so it counts',
  stillAt: (name: string) => `Still at ${name}?`,
  stillAtWhy: (time: string) => `Checked in at ${time}, not checked out yet.`,
  stillHere: 'Still here',
  leftAt: 'I left at',
  leftAtSave: 'Save when I left, then check in',
  leftAtReason: 'Check-out forgotten, time given at the next check-in',
  leftAtLate: 'It is marked as logged late.',
  leftAtRange: 'Between the check-in and now.',
  logPast: 'Log a past visit',
  planVisit: 'Plan a visit',
  dayLine: 'The day as a line',

  // ---- customers
  searchPlaceholder: 'Name, street, phone',
  noneFound: (q: string) => `Nothing matches “${q}”.`,

  // ---- a running visit
  running: 'Running visit',

  // ---- evidence
  trust: { verified: 'Verified', unverified: 'Unverified', review: 'Review' },
  accuracyOf: (m: string) => `±${m}`,
  notKnown: 'not known',
  doesNotCount: 'Does not count',
  backFilled: 'Logged late',

  // ---- me

  // ---- joints
  pair: (a: string, b: string) => `${a}, ${b}`,
  sentences: (...parts: string[]) => parts.filter(Boolean).join(' '),

  // ---- units
  min: (n: number) => `${n} min`,
  hmin: (h: number, m: number) => (m ? `${h} h ${m}` : `${h} h`),
  metres: (n: string) => `${n} m`,
  kilometres: (n: string) => `${n} km`,
  justNow: 'just now',
  agoSeconds: (n: number) => `${n} s ago`,
  agoMinutes: (n: number) => `${n} min ago`,
  agoHours: (n: number) => `${n} h ago`,
  agoDays: (n: number): string => (n === 1 ? 'yesterday' : `${n} days ago`),
  todayWord: 'today',
  inDays: (n: number): string => (n === 1 ? 'tomorrow' : `in ${n} days`),
  megabytes: (n: string) => `${n} MB`,

  // ---- codes. Short words for marks, whole sentences for the reader who asks.
  reasons: {
    NOT_DONE: ['not finished', 'The visit is not finished.'],
    TOO_SHORT: ['too short', 'It was shorter than its kind asks.'],
    NO_MINUTES: ['no minutes', 'No minutes are written.'],
    MINUTES_TOO_SHORT: ['minutes too short', 'The minutes are shorter than asked.'],
    BACK_FILLED: ['logged late', 'It was logged later than the limit and nobody has accepted it yet.'],
    IN_REVIEW: ['in review', 'A manager looks at it again before it counts.'],
    DECLINED: ['declined', 'A manager looked at it and declined it.'],
    ESTIMATED_END: ['check-out estimated', 'The check-out is estimated, which proves no duration.'],
    NO_CHECK_IN: ['no check-in', 'There is no check-in.'],
    NO_CHECK_OUT: ['no check-out', 'There is no check-out.'],
    IN_RADIUS: ['at the customer', 'The position lies at the customer’s place.'],
    NEAR_EDGE: [
      'near the edge',
      'The position is too rough to tell whether it lies at the customer’s place.',
    ],
    TOO_FAR: ['another place', 'The position lies farther away than its accuracy explains.'],
    STALE_FIX: ['old position', 'The position was more than 2 minutes old at the tap.'],
    ROUGH_FIX: ['rough position', 'The position is too rough to say anything.'],
    NO_POSITION_DENIED: ['position not allowed', 'The phone was not allowed to give its position.'],
    NO_POSITION_TIMEOUT: ['no position in time', 'The phone found no position in time.'],
    NO_POSITION_UNAVAILABLE: ['no position', 'The phone had no position to give.'],
    NO_POSITION_UNSUPPORTED: ['no position', 'This device cannot tell its position.'],
    NO_POSITION_PURGED: ['position removed', 'The position was removed for privacy.'],
    NO_POSITION: ['no position', 'No position has arrived.'],
    NO_CUSTOMER_PLACE: ['customer has no place', 'The customer has no place on record to compare with.'],
    CLOCK_OFF: ['clock off', 'The phone’s clock differed from the server’s by more than 5 minutes.'],
    NO_POSITION_HABIT: ['often no position', 'Many visits have come without a position.'],
    AFTER_DEACTIVATION: ['after closing', 'It arrived after the account was closed.'],
  } as Record<ReasonCode, [short: string, long: string]>,
  unknownReason: (code: string) => [code, `The server gave the reason ${code}.`] as [string, string],
  noPosition: {
    denied: 'position not allowed',
    timeout: 'no position in time',
    unavailable: 'no position',
    unsupported: 'this device cannot tell its position',
    purged: 'position removed for privacy',
  },
  compass: ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'],
};

export type ReasonCode =
  | 'NOT_DONE'
  | 'TOO_SHORT'
  | 'NO_MINUTES'
  | 'MINUTES_TOO_SHORT'
  | 'BACK_FILLED'
  | 'IN_REVIEW'
  | 'DECLINED'
  | 'ESTIMATED_END'
  | 'NO_CHECK_IN'
  | 'NO_CHECK_OUT'
  | 'IN_RADIUS'
  | 'NEAR_EDGE'
  | 'TOO_FAR'
  | 'STALE_FIX'
  | 'ROUGH_FIX'
  | 'NO_POSITION_DENIED'
  | 'NO_POSITION_TIMEOUT'
  | 'NO_POSITION_UNAVAILABLE'
  | 'NO_POSITION_UNSUPPORTED'
  | 'NO_POSITION_PURGED'
  | 'NO_POSITION'
  | 'NO_CUSTOMER_PLACE'
  | 'CLOCK_OFF'
  | 'NO_POSITION_HABIT'
  | 'AFTER_DEACTIVATION';

export type FirstWords = typeof en;
export type LaterWords = typeof later;
export type Words = FirstWords & LaterWords;
