/**
 * The data layer: the only door of the screens to storage, network, position and service worker.
 *
 * Everything live is a Svelte readable store (`$session`, `$today`); stores made by a function with an argument
 * (`visit(id)`) are cheap and may be made in a component's script: `const v = $derived(visit(id))`, then `$v`.
 * Every view is the replica plus the changes the server does not have yet.
 * Actions are async functions that resolve when the change is durably on this phone ("saved").
 */
export type * from './types';
export { SaveError } from './types';

/** Opens the device's storage and begins the exchange. Called once, by main.ts. */
export { start } from './start';

/** Who is signed in; `acceptInvite` takes the secret of a one-time link instead of a password, `acceptUpload` that of a closed account. */
export { session } from './session';
export { signIn, signOut, acceptInvite, acceptUpload } from './entering';

/** State of the exchange, and "try now" (a button, `online`, pull-down): resolves when that exchange ended. */
export { syncState, syncNow } from './exchange';

/** Storage: last trouble (stays until a save works), `persist()` asks the browser to keep it, `quota()` in bytes. */
export { storageTrouble, persist, quota } from './storage';

/**
 * Views, live:
 * - `customers`: light rows of all known customers by name; `searchCustomers(query, {near, limit})` is synchronous
 *   and fast enough for each keystroke (nearest first with `near`, else by name; best match first with a query).
 * - `customer(id)`, `visit(id)`: undefined while unknown.
 * - `visitsOfDay(day)`: own visits of a day, in time order (check-in, else planned time), cancelled ones included.
 * - `myVisits({limit, from, status})`: own visits, newest first. `visitsOfCustomer(id)`: newest first.
 * - `openVisit`: the visit running now, or null; one whose check-out waits for Undo does not count as running.
 * - `reviews`: visits of others that are in review, as who leads them holds them.
 * - `today`: the device's day (by server time where known) and it moves at midnight. `ready`: what Today shows is read;
 *   `whole`: everything stored is read, so what is `undefined` now is really unknown.
 */
export {
  ready,
  whole,
  today,
  customers,
  customer,
  searchCustomers,
  visitsOfDay,
  visit,
  myVisits,
  visitsOfCustomer,
  openVisit,
  reviews,
  kinds,
  outcomes,
  settings,
  people,
  teams,
  parked,
  conflicts,
  suggestions,
  amendments,
  decisionOn,
  comments,
  followUps,
  followUp,
  followUpsSince,
  followUpsOf,
  notices,
  outbox,
} from './views';

/**
 * Actions, each one strict transaction:
 * - `checkIn` -> id of the visit. Saved before the fix resolves; the fix then improves by itself (3 min or ±25 m).
 * - `checkOut` keeps moment and place as a durable draft; it is recorded after 6 s, on pagehide or by
 *   `commitCheckOut`; `undoCheckOut` takes it back until then (false: too late).
 * - `setOutcome`, `setMinutes`, `setNextStep`: the whole new value; a value equal to the present one writes nothing.
 * - `planVisit`, `movePlan`, `cancelVisit`, `logPastVisit`, `createCustomer` -> id, `editCustomer`.
 *
 * `afterPaint(work)`: when what they changed is painted.
 */
export { afterPaint } from './desk';
export {
  checkIn,
  checkOut,
  undoCheckOut,
  commitCheckOut,
  setOutcome,
  setMinutes,
  setNextStep,
  setMode,
  setKind,
  planVisit,
  movePlan,
  cancelVisit,
  logPastVisit,
  createCustomer,
  editCustomer,
} from './actions';

/**
 * Decisions: `decide(on, id, verdict, word)` is shown as decided at once and recorded after 6 s; `undoDecide(id)`
 * takes it back until then (false: too late, decide anew). What may be decided, by whom, and who is waited for stands
 * on each item of `conflicts`, `parked`, `suggestions`, `amendments` (see `Decidable`).
 * Records: `requestCorrection(visit, changes, reason)` -> id, `addComment(kind, id, body)` -> id,
 * `restoreValue(kind, id, field, value)` brings an earlier value back as an ordinary update.
 */
export { decide, undoDecide, commitDecision } from './decisions';
export { requestCorrection, addComment, restoreValue } from './records';

/**
 * Promises: `addFollowUp` -> id, `completeFollowUp` -> how to take it back, `reopenFollowUp`, `cancelFollowUp`, `editFollowUp`; all work offline.
 * The inbox: `notices` (live), `readNotice`, `snoozeNotice(id, until)`.
 */
export {
  addFollowUp,
  completeFollowUp,
  reopenFollowUp,
  cancelFollowUp,
  editFollowUp,
  readNotice,
  snoozeNotice,
  type FollowUpInput,
  type FollowUpEdit,
} from './promises';

/**
 * Push: `$push.mode` tells whether reminders reach this device; `enablePush()` only from a tap; `pushDevices()`,
 * `testPush()`, `getWishes()`, `setWishes(part)`, `getChannels()`, `getCalendar()`, `makeCalendar()` ask the server (null: it
 * cannot be asked now).
 */
export { lookAtPush } from './pushing';
export {
  push,
  enablePush,
  disablePush,
  pushDevices,
  testPush,
  getWishes,
  setWishes,
  getChannels,
  getCalendar,
  makeCalendar,
  revokeCalendar,
  type Channel,
  type OfKind,
  type CalendarFeed,
  type PushState,
  type PushMode,
  type PushDevice,
  type Wishes,
} from './push';

/**
 * Photos: `addPhoto(visit, file)` shrinks it, takes every note of the camera out and resolves when picture and change
 * are on this phone; it rejects with `PhotoError` or `SaveError`. `photosOf(visit)`: live, with what became of each.
 * `removePhoto(visit, sha256)` and, for a while, `bringPhotoBack`. `photoUrl(sha256)`: the large picture, to be given
 * back by `letPhotoGo`; null where it is not here and the server cannot be asked.
 */
export {
  addPhoto,
  removePhoto,
  bringPhotoBack,
  photosOf,
  photoUrl,
  letPhotoGo,
  photoPath,
  retryPhotos,
  PhotoError,
} from './photos';

/**
 * Drafts: text that is being typed, durable 300 ms after a key and at once when the page hides.
 * `draft(key)` -> `{load(): Promise<string | null>, save(text): void, flush(): Promise<void>, clear(): Promise<void>,
 * savedAt: Readable<number | null>}`; keys as `minutes:<visit id>`. Clear it when the action that took the text resolved.
 */
export { draft, type Draft } from './drafts';

/**
 * Position, only to be called from a tap. `takeFix({timeoutMs})` -> `Fix` (never rejects). `lastFix`: last position
 * of this page life or null; `fixAgeMs(fix)`; `moment()`: this moment, for `checkIn({at})`; `distanceM(a, b)`.
 */
export { takeFix, lastFix, fixAgeMs, distanceM } from './place';
export { claim, moment, serverNow } from './clock';

/** The server's reading side. `getBoard` uses ETag and keeps the last board seen for offline, with its age. */
export { getBoard, getVisits, getServerVisit, getHistory, getRecordHistory } from './reading';

/** Customers change hands, on the server: one, several, or all of a person's. */
export { reassignCustomers, type Reassigned } from './territory';

/** New version: `$update.available`, then `applyUpdate()` (reloads once; never by itself). Install question. */
export { update, applyUpdate, install, askInstall } from './app';

/** Storage asked for, quota, another tab, upload-only sessions, a version too old: what a screen tells of the phone. */
export { device, askPersist } from './condition';

/** The whole outbox as one JSON file, out and in, by hand. */
export { exportRescue, importRescue, RescueError } from './rescue';

/**
 * What scores are made of: `held(kind)` are schemes, targets, values, days off, closings and appeals; `workOf(person, from)`
 * the visits, promises and customers behind them. `makeRecord(s)`, `changeRecord` write one of these kinds.
 * `reopenClosing` one that this phone need not hold. `getScores`, `getScore`, `getClosing`, `getEvidence` ask the server for those of others.
 */
export {
  held,
  workOf,
  radiusOf,
  survivorOf,
  tenureOf,
  makeRecord,
  makeRecords,
  changeRecord,
  reopenClosing,
  getScores,
  getScore,
  getClosing,
  getEvidence,
  getFunnel,
  tryScheme,
  scoresCsv,
  type Funnel,
  type Trial,
  type ServerScore,
  type ScoreTable,
  type Thing,
  type Held,
  type Work,
  type ScoreKind,
} from './scoring';
/** The choice of what reps see of places, and what the server tells of places, quadrants and honours. */
export { putSetting, shownOf, type Honoured, type PlaceLine, type Shown, type Standing } from './places';
