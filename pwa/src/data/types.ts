/**
 * The words of the data layer: what a screen may read and what it gets back from an action.
 *
 * Instants are RFC 3339 UTC strings with `Z` unless a name ends in `Ms` (milliseconds) or `At` as a number
 * (milliseconds since 1970 by the device's clock). Distances and accuracies are metres, positions WGS 84 degrees.
 */

export type Id = string;
/** `YYYY-MM-DD`. */
export type Day = string;
/** RFC 3339, UTC, `Z`. */
export type Instant = string;

export type Role = 'rep' | 'manager' | 'finance' | 'administrator';
export type Mode = 'in_person' | 'online' | 'phone';
export type VisitStatus = 'planned' | 'open' | 'done' | 'missed' | 'cancelled';
export type Trust = 'verified' | 'unverified' | 'review';
export type Grade = 'A' | 'B' | 'C';
export type Lifecycle = 'lead' | 'customer' | 'lost';

/** A claim of the device about one moment (PROTOCOL, "Moments"). */
export interface Moment {
  wall: Instant;
  /** `performance.now()` of this page life. */
  mono_ms: number;
  /** Id of this page life; `mono_ms` is comparable within one life only. */
  life: Id;
  /** Server minus device as last measured before, in ms; null if never measured. */
  offset_ms: number | null;
  /** IANA zone of the device at that moment. */
  zone: string;
}

export interface Position {
  lat: number;
  lon: number;
  accuracy_m: number;
  taken_at: Instant;
}
export type NoPosition = 'denied' | 'timeout' | 'unavailable' | 'unsupported' | 'purged';
/** A position, or why there is none. */
export type Fix = Position | { none: NoPosition };

// ---- receipts -------------------------------------------------------------------------------------------------

/**
 * What became of a record.
 * `phone`: at least one change is on this phone alone. `sent`: the server has stored all of it.
 * `merged`: stored beside somebody else's change. `needs-you`: something of it is parked or in conflict, still open.
 */
export type ReceiptState = 'phone' | 'sent' | 'merged' | 'needs-you';

export interface Receipt {
  state: ReceiptState;
  /** Device time (ms) at which the server last confirmed a change made here; null when all came from the server. */
  sentAt: number | null;
  /** Changes of this record which the server does not have yet. */
  unsent: number;
  /**
   * A change of this record awaits somebody else's word (a suggestion, a correction request): who, as far as it is
   * one known person; null: whoever leads. Null altogether while nothing waits. It is stored and nothing to do here.
   */
  waiting: { person: Id | null } | null;
}

// ---- session --------------------------------------------------------------------------------------------------

export interface Person {
  id: Id;
  name: string;
  role: Role;
  team: Id | null;
  locale: string;
  time_zone: string;
}
export interface Organisation {
  id: Id;
  slug: string;
  name: string;
  time_zone: string;
  /** First day of the week, as the server sends it. */
  week_start: number | string;
  locale: string;
}
export interface Team {
  id: Id;
  name: string;
  parent_id: Id | null;
}
export interface Me {
  person: Person;
  organisation: Organisation;
  /** A manager's subtree; a rep's own team. */
  teams: Team[];
}
export interface Session {
  /**
   * `starting`: reading the device. `out`: nobody. `in`: somebody, perhaps offline.
   * `expired`: somebody, but the server asks for sign-in again; work goes on, the queue is kept.
   */
  state: 'starting' | 'out' | 'in' | 'expired';
  me: Me | null;
  /**
   * The page's address is not secure (plain http off localhost): no service worker, no locks, no crypto.subtle.
   * Screens explain it instead of offering sign-in.
   */
  insecure: boolean;
  /** What the last person typed, for the form. */
  last: { organisation: string; email: string } | null;
}
export type SignInResult =
  | { ok: true }
  | {
      ok: false;
      /**
       * `SIGN_IN_FAILED`, `RATE_LIMITED` and other codes of the server as they come; `OFFLINE` when the server could
       * not be reached; `UNSENT_WORK` when another person's unsent work is on this phone (see `other`), sign in
       * again with `{keepOther: true}` once it was rescued or shall simply stay until they return;
       * `INSECURE` on an insecure address; `STORAGE` when the browser refuses to store.
       */
      code: string;
      detail?: string;
      /** ms to wait, with `RATE_LIMITED` or `BUSY`. */
      retryAfterMs?: number;
      other?: { id: Id; name: string; unsent: number };
    };
export type SignOutResult = { ok: true } | { ok: false; code: 'UNSENT_WORK'; unsent: number };

// ---- exchange -------------------------------------------------------------------------------------------------

export interface SyncState {
  /** Changes (mutations) not yet confirmed by the server. */
  unsent: number;
  /** Records those changes belong to: the number people understand ("3 on this phone"). */
  unsentRecords: number;
  /** Device time (ms) of the oldest of them. */
  oldestUnsentAt: number | null;
  /** Open parked things, conflicts, suggestions and correction requests which this person may decide. */
  needsYou: number;
  /** An exchange is running. Show nothing for it under 400 ms. */
  sending: boolean;
  /** Device time (ms) of the last answer of the server to an exchange. */
  lastContactAt: number | null;
  /** Device time (ms) of the last confirmation of something sent. */
  lastSentAt: number | null;
  /** The last exchange could not reach the server. `navigator.onLine` is never asked. */
  offline: boolean;
  signInNeeded: boolean;
  /** The server no longer talks to this version for reading; pushes are still taken. Offer the update. */
  tooOld: boolean;
  /** The browser promised not to evict the storage; null: not asked or unknown. */
  storagePersisted: boolean | null;
  /** Server minus device, as last measured; null if never. */
  serverOffsetMs: number | null;
  /** Until the first pull has come to rest the lists are incomplete. */
  complete: boolean;
}

/** Why something could not be saved on the phone; keep it on the screen, the draft is not lost. */
export interface StorageTrouble {
  /** `QUOTA`: no room left. `BROKEN`: the browser's database fails otherwise. */
  code: 'QUOTA' | 'BROKEN';
  detail: string;
  at: number;
}

// ---- records --------------------------------------------------------------------------------------------------

/** A row of the customer list: light, made for 5,000 of them. */
export interface CustomerRow {
  id: Id;
  name: string;
  address: string;
  grade: Grade | null;
  lifecycle: Lifecycle | null;
  tags: string[];
  lat: number | null;
  lon: number | null;
  radiusM: number;
  ownerId: Id | null;
  archived: boolean;
  /** The customer into which this one was merged, where that one is not known on this phone; else null. */
  mergedInto: Id | null;
  receipt: Receipt;
  /** Present when a position was given to `searchCustomers`. */
  distanceM: number | null;
}
export interface Customer extends CustomerRow {
  teamId: Id | null;
  phone: string;
  contact: string;
  note: string;
  code: string;
  version: number;
}

/** What the server concluded about a visit (`visit.server`); absent until the visit came back. */
export interface Conclusion {
  day: Day | null;
  zone: string | null;
  check_in_at: Instant | null;
  check_out_at: Instant | null;
  duration_s: number | null;
  trust: Trust | null;
  trust_reasons: string[];
  valid: boolean;
  reasons: string[];
  distance_m: number | null;
  accuracy_m: number | null;
  fix_age_s: number | null;
  doubt_ms: number | null;
  back_filled: boolean;
  written_at?: Instant | null;
  received_at?: Instant | null;
  estimated_end: Instant | null;
  missed: boolean;
  accepted?: boolean;
  /** A lead asks about this visit; it stays in review. */
  asked?: { by: Id; word: string | null; at: Instant } | null;
  /** A lead declined it, with a word: it does not count. */
  declined?: { by: Id; word: string } | null;
  /** Fields that were set by an approved correction. */
  amended?: string[];
  [more: string]: unknown;
}

export interface Visit {
  id: Id;
  version: number;
  status: VisitStatus;
  customerId: Id;
  /** From the replica if the customer is known there, else '' (see `people`, `customer`). */
  customerName: string;
  repId: Id | null;
  mode: Mode;
  /** Code of the visit kind. */
  kind: string;
  plannedDate: Day | null;
  /** `HH:MM`. */
  plannedTime: string | null;
  /** How the plan comes again, as RFC 5545 writes it; null: once. */
  repeat: string | null;
  /** Code of the outcome. */
  outcome: string | null;
  lateReason: string | null;
  minutes: string;
  nextStep: string;
  tags: string[];
  /** SHA-256 of each photo; see `photosOf`. */
  photos: string[];
  checkIn: Moment | null;
  checkOut: Moment | null;
  checkInFix: Fix | null;
  checkInBestFix: Fix | null;
  checkOutFix: Fix | null;
  /** Best time (server's if known, else wall + offset), ms since 1970 in server time. */
  checkInAt: number | null;
  checkOutAt: number | null;
  /** Difference of the best times in seconds; null while one is missing. */
  durationS: number | null;
  /** Day of the visit: server's, else of the check-in's best time in its zone, else the planned day. */
  day: Day;
  /** The zone of the check-in, else of the device. */
  zone: string;
  /** The check-out was tapped and may be undone until `undoUntil` (device time, ms). Status is still `open`. */
  pendingCheckOut: { at: Moment; undoUntil: number } | null;
  /** The fix of the check-in is still being improved. */
  locating: boolean;
  /** Metres between the better of the check-in fixes and the customer; null when either is unknown. */
  distanceM: number | null;
  /** The server's word; while changes are unsent it is the word on the older state. */
  server: Conclusion | null;
  receipt: Receipt;
}

/** A photo of a visit as a screen shows it. */
export interface VisitPhoto {
  sha256: string;
  /** A small picture: from this phone's bytes, else from the server. */
  url: string;
  /**
   * `phone`: on this phone alone. `sending`: on its way. `stored`: the server has it.
   * `refused`: the server will not have it (`code`); it stays on this phone.
   * `unread`: this phone has not yet looked whether it still has to send it.
   */
  state: 'unread' | 'phone' | 'sending' | 'stored' | 'refused';
  /** Share that has arrived, 0 to 1. */
  progress: number;
  code: string | null;
}

export interface VisitKind {
  code: string;
  name: string;
  nameZh: string;
  minMinutes: { in_person: number; online: number; phone: number };
}
export interface Outcome {
  code: string;
  name: string;
  nameZh: string;
  position: number;
}
export interface PersonName {
  id: Id;
  name: string;
  role: Role | null;
  teamId: Id | null;
  active: boolean;
}

/** What can be decided on. */
export type DecidedOn = 'conflict' | 'parked' | 'amendment' | 'suggestion' | 'visit';
/**
 * conflict: `take` (the lost value) `keep`; parked: `retry` `discard`; amendment, suggestion: `approve` `decline`;
 * visit in review: `accept` `ask` `decline`.
 */
export type Verdict = 'take' | 'keep' | 'retry' | 'discard' | 'approve' | 'decline' | 'accept' | 'ask';

/** Where the decision on a thing stands; a decision made here shows at once, before it is recorded. */
export interface Decidable {
  id: Id;
  status: 'open' | 'resolved';
  verdict: Verdict | null;
  decidedBy: Id | null;
  decidedAt: Instant | null;
  /** What was said with it, where this phone knows. */
  word: string | null;
  /** Device time (ms) until which `undoDecide` takes it back without a trace; null: not made here just now. */
  undoUntil: number | null;
  /** This person may decide it, or decide it anew. */
  mayDecide: boolean;
  /** Open, theirs to decide and waiting for nobody else: what "needs you" counts. */
  needsYou: boolean;
  /** Open, and somebody else's word is awaited: one person, or (null) whoever leads. */
  waiting: { person: Id | null } | null;
}

/** A finished visit of somebody else which was captured so that a person has to look again. */
export interface InReview extends Decidable {
  visit: Visit;
}

/** A change that is stored but could not be applied. */
export interface Parked extends Decidable {
  /** `TOO_LARGE`: never left this phone; it can only be put away (`discard`), its content is in the rescue file. */
  code: string;
  field: string | null;
  detail: string | null;
  kind: string;
  entity: Id;
  authorId: Id | null;
  receivedAt: Instant | null;
  /** What was tried. */
  mutation: Mutation | null;
  /** The suggestion the server made of it; then its author waits and need do nothing. */
  suggestion: Id | null;
  /** The parked change it stands behind (`PARENT_PARKED`): decided there, it follows by itself. */
  behind: Id | null;
  /** False while it is known from a receipt alone and its own row has not come back yet. */
  fromServer: boolean;
}
/** Two values for one field: one holds, the other is kept. */
export interface Conflict extends Decidable {
  kind: string;
  entity: Id;
  field: string;
  kept: unknown;
  lost: unknown;
  /** Which of the two won when they met. */
  keptBy: 'current' | 'incoming' | string;
  code: string;
  /** Who wrote the change that met the other. */
  authorId: Id | null;
  at: Instant | null;
  keptAuthorId: Id | null;
  keptAt: Instant | null;
  lostAuthorId: Id | null;
  lostAt: Instant | null;
  /** What taking the lost value came to, where it needs another's word: it stands there now. */
  became: { kind: 'amendment' | 'suggestion'; id: Id } | null;
}
/** A change somebody may not make themselves, put before those who may; made by the server. */
export interface Suggestion extends Decidable {
  kind: string;
  entity: Id;
  /** Whose owner is asked: the customer itself, or the one a planned visit is to. */
  customerId: Id | null;
  /** `edit`: `ops` would be applied. `merge`: `entity` would be joined into `into`, because both seem to be one place. */
  purpose: 'edit' | 'merge';
  ops: Op[];
  /** The parked change it was made of. */
  parked: Id | null;
  into: Id | null;
  authorId: Id | null;
  at: Instant | null;
}
/** A correction of a visit's evidence, asked for by its rep and approved by whoever leads. */
export interface Amendment extends Decidable {
  visitId: Id;
  reason: string;
  /** Field of the visit -> value wanted. */
  changes: Record<string, unknown>;
  /** The values it replaces, as the server found them; null until it did. */
  before: Record<string, unknown> | null;
  authorId: Id | null;
  at: Instant | null;
  receipt: Receipt;
}
export interface Comment {
  id: Id;
  onKind: CommentedKind;
  onId: Id;
  body: string;
  authorId: Id | null;
  /** When it was written, as well as this phone knows. */
  at: Instant | null;
  receipt: Receipt;
}
export type CommentedKind = 'visit' | 'customer' | 'follow_up';
/** Fields of a visit which a correction request may name, by their names on the wire. */
export type Correctable =
  | 'minutes'
  | 'next_step'
  | 'outcome'
  | 'kind'
  | 'mode'
  | 'check_in'
  | 'check_out'
  | 'check_in_fix'
  | 'check_out_fix'
  | 'late_reason';

/** A promise with a due day, an owner and a customer. */
export interface FollowUp {
  id: Id;
  version: number;
  status: 'open' | 'done' | 'cancelled';
  customerId: Id | null;
  customerName: string;
  visitId: Id | null;
  ownerId: Id | null;
  kind: string;
  subject: string;
  note: string;
  dueDate: Day | null;
  /** `HH:MM`; null: all day. */
  dueTime: string | null;
  dueZone: string | null;
  /** How it comes again, as RFC 5545 writes it; null: once. */
  repeat: string | null;
  /** Of a request: when the customer asked (ms since 1970). */
  requestedAt: number | null;
  /** When it was done (ms since 1970, best time); null while it is not. */
  doneAt: number | null;
  receipt: Receipt;
}

/** One entry of the inbox: what one was told, about which things, when. */
export interface Notice {
  id: Id;
  /** Kind of reminder, or `group` for several at once. */
  rule: string;
  about: { kind: string; id: Id }[];
  /** What its sentence is made of, in no language. */
  words: Record<string, unknown>;
  at: Instant;
  read: boolean;
  snoozedUntil: Instant | null;
  receipt: Receipt;
}

/** What this phone is and has room for. */
export interface DeviceInfo {
  /** The browser promised not to evict the storage; null: not asked or unknown. */
  persisted: boolean | null;
  /** Bytes used and allowed as last estimated; null where the browser does not tell. */
  quota: { used: number; allowed: number } | null;
  /** Less than 10 % or less than 20 MB are left. */
  nearlyFull: boolean;
  /**
   * The server takes this phone's work but gives nothing any more: the phone was revoked (what it held of the
   * server's is wiped once all is sent) or the account closed. Null: neither.
   */
  uploadOnly: null | 'revoked' | 'deactivated';
  /** After `uploadOnly: 'revoked'`: everything was sent and the copy of the server's data is gone from this phone. */
  wiped: boolean;
  /** Rounds is open for the same person in another tab of this browser. */
  otherTab: boolean;
  /** The server no longer talks to this version for reading; pushes are still taken. Offer the update. */
  tooOld: boolean;
}

// ---- mutations ------------------------------------------------------------------------------------------------

export interface Op {
  field: string;
  op: 'set' | 'text' | 'add' | 'remove' | 'go';
  old?: unknown;
  new?: unknown;
  values?: unknown[];
}
export type Verb = 'create' | 'update' | 'archive' | 'restore' | 'void';
export interface Mutation {
  seq: number;
  id: Id;
  schema: number;
  kind: string;
  entity: Id;
  verb: Verb;
  base: number;
  at: Moment;
  ops: Op[];
}

/** One line of "what is on this phone": a change in the outbox. */
export interface OutboxEntry {
  id: Id;
  seq: number;
  kind: string;
  entity: Id;
  verb: Verb;
  savedAt: number;
  sentAt: number | null;
  status: 'unsent' | 'applied' | 'merged' | 'noop' | 'parked';
  code: string | null;
}

// ---- actions --------------------------------------------------------------------------------------------------

/**
 * Every action resolves when its one strict transaction is complete: that is the moment for the word "saved".
 * It rejects with `SaveError` (and `storageTrouble` shows the same) when nothing was stored.
 */
export class SaveError extends Error {
  constructor(
    readonly code: 'QUOTA' | 'BROKEN' | 'NOT_SIGNED_IN' | 'UNKNOWN_RECORD' | 'NOT_ALLOWED',
    detail: string,
  ) {
    super(detail);
    this.name = 'SaveError';
  }
}

export interface CheckInInput {
  customer: Id;
  mode: Mode;
  kind: string;
  /** The planned visit that is opened by this; without it a planned visit is not touched and a new one is made. */
  planned?: Id;
  /** Moment of an earlier tap ("Where are you?"), as given by `moment()`; default now. */
  at?: Moment;
  /** Fix of that earlier tap, when it was at most 2 minutes before; else it is looked for after saving. */
  fix?: Fix;
}
export interface CheckOutInput {
  /** Moment at which the person left, if not now ("left at ..."): marked late. */
  at?: Moment;
  lateReason?: string;
}
export interface PastVisitInput {
  customer: Id;
  mode: Mode;
  kind: string;
  /** Begin and end as typed, ms since 1970. */
  from: number;
  to: number;
  outcome?: string;
  minutes?: string;
  nextStep?: string;
  lateReason?: string;
}
export interface PlanInput {
  customer: Id;
  mode: Mode;
  kind: string;
  date: Day;
  time?: string | null;
  /** How it comes again, as RFC 5545 writes it. */
  repeat?: string | null;
}
export interface NewCustomerInput {
  /** The id of a customer whose making was refused, to make it anew with what hangs on it; else it gets one. */
  id?: Id;
  name: string;
  address?: string;
  phone?: string;
  contact?: string;
  note?: string;
  /** A place, as read at a tap. */
  position?: { lat: number; lon: number } | null;
}
/** Fields of a customer which a rep may edit; absent means unchanged. */
export interface CustomerEdit {
  name?: string;
  address?: string;
  phone?: string;
  contact?: string;
  note?: string;
  tags?: string[];
}

// ---- the server's reading side ----------------------------------------------------------------------------------

export interface BoardLine {
  visit: Id;
  customer: string | { id: Id; name: string; lat?: number | null; lon?: number | null };
  from: Instant | null;
  to: Instant | null;
  planned_time: string | null;
  status: VisitStatus;
  valid: boolean | null;
  trust: Trust | null;
  [more: string]: unknown;
}
export interface BoardRep {
  person: { id: Id; name: string; team: Id | null };
  visits: number;
  valid_visits: number;
  valid_minutes: number;
  review: number;
  parked: number;
  first_check_in: Instant | null;
  last_check_out: Instant | null;
  open_visit: { id: Id; customer: string | { id: Id; name: string }; since: Instant | null } | null;
  last_contact_at: Instant | null;
  unsent: number | null;
  oldest_unsent: Instant | null;
  position: { lat: number; lon: number; accuracy_m: number; at: Instant } | null;
  no_position_share: number | null;
  line: BoardLine[];
}
export interface Board {
  date: Day;
  team: Id | null;
  generated_at: Instant;
  reps: BoardRep[];
}
/** An answer of the reading side, or the last one seen with its age. */
export interface Seen<T> {
  value: T;
  /** Device time (ms) at which the server last said so (a 304 counts). */
  seenAt: number;
  /** The server could not be asked now; `value` is as old as `seenAt` says. */
  stale: boolean;
}
export type Asked<T> = ({ ok: true } & Seen<T>) | { ok: false; code: string; detail?: string };

export interface ServerVisit {
  id: Id;
  version: number;
  server: Conclusion | null;
  customer: { id: Id; name: string; lat: number | null; lon: number | null; radius_m: number | null };
  rep: { id: Id; name: string };
  status: VisitStatus;
  mode: Mode;
  kind: string;
  planned_date: Day | null;
  planned_time: string | null;
  outcome: string | null;
  late_reason: string | null;
  minutes: string | null;
  next_step: string | null;
  tags: string[] | null;
  photos?: string[] | null;
  check_in: Moment | null;
  check_out: Moment | null;
  check_in_fix: Fix | null;
  check_in_best_fix: Fix | null;
  check_out_fix: Fix | null;
  [more: string]: unknown;
}
export interface VisitQuery {
  rep?: Id;
  customer?: Id;
  team?: Id;
  date?: Day;
  from?: Day;
  to?: Day;
  status?: VisitStatus;
  cursor?: string;
  limit?: number;
}
export interface Page<T> {
  items: T[];
  next: string | null;
}
/** One change of a record, newest first. */
export interface RecordChange {
  /** Number in the journal. */
  n: number;
  version: number;
  at: Instant | null;
  received_at: Instant | null;
  person: { id: Id; name: string } | null;
  client: Id | null;
  verb: Verb;
  status: string;
  code: string | null;
  ops: Op[];
  /** What really changed: field -> value before and after. Any `before` can be brought back by `restoreValue`. */
  changes: Record<string, { before: unknown; after: unknown }>;
  /** The decision that led to it, else null. */
  cause: { kind: string; id: Id } | null;
}
export interface HistoryEntry {
  version: number;
  at: Instant | null;
  received_at: Instant | null;
  person: { id: Id; name: string } | null;
  client: Id | null;
  verb: Verb;
  status: string;
  code: string | null;
  ops: Op[];
}

// ---- the app itself -------------------------------------------------------------------------------------------

export interface UpdateState {
  /** A new version is ready and waits for `applyUpdate()`. */
  available: boolean;
  /** The service worker holds the whole app: it opens without network from now on. */
  offlineReady: boolean;
}
export interface InstallState {
  /** The browser offered its install question; `askInstall()` shows it. */
  canAsk: boolean;
  /** Running as an installed app. */
  installed: boolean;
  /** iPhone or iPad in Safari: show how to add to the home screen. */
  ios: boolean;
}
export interface Rescued {
  /** Mutations taken into this phone's outbox. */
  added: number;
  /** Already here or already confirmed. */
  known: number;
  drafts: number;
  /** Photos whose bytes were taken in. */
  photos: number;
}
