/** What is known about how a visit was captured, in words. Pure; `now` is server time in ms. */
import type { Day, ServerVisit } from '../data';
import type { IconName } from '../ui/icons';
import { type Look, lookOf } from '../ui/ribbon/ribbon';
import { isPosition, type Say, speakingFix } from './say';

/** Written so much later than the check-in it claims, a visit is back-filled (PRODUCT, "Valid visit"). */
const ON_THE_SPOT_MS = 10 * 60_000;
/** From here on doubt about the phone's clock is a reason to look again (PROTOCOL, "Moments"). */
const DOUBT_MS = 5 * 60_000;
/** Networks and clocks disagree by seconds everywhere; below a minute nothing is worth saying. */
const AGREED_MS = 60_000;

export const TRUST_ICON: Record<'verified' | 'unverified' | 'review', IconName> = {
  verified: 'pin-tick',
  unverified: 'pin-dashed',
  review: 'eye',
};

export interface Line {
  icon: IconName;
  term: string;
  text: string;
  notes: string[];
  /** Somebody's own words: kept as written. */
  words?: boolean;
}

export interface Told {
  look: Look | null;
  review: boolean;
  /** Zone of the visit's own times. */
  zone: string;
  begin: string | null;
  end: string | null;
  /** Seconds of the visit, up to now for a running one; null while an end is missing. */
  seconds: number | null;
  late: boolean;
  doubtful: boolean;
  /** "38 m, ±9 m" or "±9 m" or ''. */
  place: string;
  /** Reasons other than those the marks say anyway. */
  reasons: string[];
  trustReasons: string[];
  lines: Line[];
}

export function tell(
  visit: ServerVisit,
  date: Day,
  now: number,
  say: Say,
  names: { outcome: (code: string) => string; kind: (code: string) => string },
  distance: (a: { lat: number; lon: number }, b: { lat: number; lon: number }) => number,
): Told {
  const { t, w } = say;
  const server = visit.server;
  const zone = server?.zone ?? visit.check_in?.zone ?? say.zone;
  const day = server?.day ?? date;
  const at = (instant: string | null) => say.time(instant, day, zone);
  const begin = server?.check_in_at ?? visit.check_in?.wall ?? null;
  const end = server?.check_out_at ?? visit.check_out?.wall ?? null;
  const look = lookOf({
    status: visit.status,
    valid: server?.valid ?? false,
    trust: server?.trust ?? null,
  });
  const trust = server?.trust ?? null;
  const running = visit.status === 'open' && begin !== null;
  const seconds =
    server?.duration_s ?? (running ? Math.max(0, (now - Date.parse(begin as string)) / 1000) : null);
  const lateMs = server?.written_at && begin ? Date.parse(server.written_at) - Date.parse(begin) : 0;
  const late = !!server?.back_filled || lateMs > ON_THE_SPOT_MS;
  const doubt = server?.doubt_ms ?? null;
  // Times here are best times; how far the phone's own clock stood from them is a fact of its own, doubt or not.
  const skew = visit.check_in && begin ? Date.parse(visit.check_in.wall) - Date.parse(begin) : 0;
  const doubtful = (doubt ?? 0) > DOUBT_MS || Math.abs(skew) > DOUBT_MS;
  const trustReasons = (server?.trust_reasons ?? []).filter((code) => code !== 'IN_RADIUS');
  const reasons = (server?.reasons ?? []).filter((code) => code !== 'NOT_DONE' && code !== 'IN_REVIEW');

  const fix = speakingFix(visit.check_in_fix, visit.check_in_best_fix, server?.accuracy_m);
  const accuracy = server?.accuracy_m ?? fix?.accuracy_m ?? null;
  const away = server?.distance_m ?? null;
  const place =
    accuracy === null
      ? ''
      : away === null
        ? say.accuracy(accuracy)
        : `${say.metres(away)}, ${say.accuracy(accuracy)}`;

  const lines: Line[] = [];
  if (begin) {
    const length =
      seconds === null
        ? visit.status === 'done'
          ? w.noEnd
          : ''
        : running
          ? w.running(say.length(seconds))
          : say.length(seconds);
    const notes: string[] = [];
    if (zone !== say.zone) notes.push(w.zoneNote(zone));
    if (Math.abs(skew) >= AGREED_MS) {
      const length = say.length(Math.abs(skew) / 1000);
      notes.push(
        w.sentences(
          skew > 0 ? w.clockFast(length) : w.clockSlow(length),
          w.clockSaid(at(visit.check_in?.wall ?? null)),
        ),
      );
    } else if (doubt !== null && doubt < AGREED_MS) notes.push(w.clockFine);
    if (doubt !== null && doubt >= AGREED_MS) notes.push(w.clockOff(say.length(doubt / 1000)));
    if (server?.estimated_end) notes.push(t.estimatedEnd);
    const span = end ? w.firstLast(at(begin), at(end)) : at(begin);
    lines.push({ icon: 'clock', term: t.time, text: [span, length].filter(Boolean).join(' · '), notes });
  }
  if (visit.mode === 'in_person' && begin) {
    const text =
      accuracy === null
        ? w.positionNone
        : away === null
          ? w.positionRough(say.accuracy(accuracy))
          : w.positionAt(say.metres(away), say.accuracy(accuracy));
    const notes: string[] = [];
    const age = server?.fix_age_s ?? null;
    if (age !== null && accuracy !== null) {
      notes.push(
        Math.abs(age) < 5
          ? w.positionFresh
          : age > 0
            ? w.positionAge(say.length(age))
            : w.positionAfter(say.length(-age)),
      );
    }
    notes.push(...trustReasons.map(say.sentence));
    const out = visit.check_out_fix;
    const { lat, lon } = visit.customer;
    if (isPosition(out)) {
      notes.push(
        lat === null || lon === null
          ? w.atCheckOutRough(say.accuracy(out.accuracy_m))
          : w.atCheckOut(say.metres(distance(out, { lat, lon })), say.accuracy(out.accuracy_m)),
      );
    }
    lines.push({
      icon: trust ? TRUST_ICON[trust] : 'pin',
      term: t.place,
      text: trust ? `${t.trust[trust]} · ${text}` : text,
      notes,
    });
  }
  if (visit.status === 'done' || visit.status === 'open') {
    lines.push({
      icon: server?.valid ? 'ring-full' : 'ring',
      term: w.countsTerm,
      text: server?.valid ? t.counts : visit.status === 'open' ? t.mayCountYet : t.doesNotCount,
      notes: [
        ...(server?.valid ? [] : (server?.reasons ?? []).map(say.sentence)),
        ...(server?.accepted ? [w.accepted] : []),
      ],
    });
    lines.push({
      icon: 'phone',
      term: t.evidence,
      text: late ? w.lateBy(say.length(lateMs / 1000)) : w.onTheSpot,
      notes: [
        ...(server?.received_at ? [w.reached(at(server.received_at))] : []),
        ...(visit.late_reason ? [visit.late_reason] : []),
      ],
    });
    if (visit.outcome) {
      lines.push({ icon: 'tick', term: t.outcome, text: names.outcome(visit.outcome), notes: [] });
    }
    lines.push({ icon: 'pen', term: t.minutes, text: visit.minutes || w.noMinutes, notes: [], words: true });
  }
  if (visit.next_step) {
    lines.push({ icon: 'follow-up', term: t.nextStep, text: visit.next_step, notes: [], words: true });
  }
  lines.push({
    icon: 'shop',
    term: t.kind,
    text: [t.modes[visit.mode], visit.kind ? names.kind(visit.kind) : ''].filter(Boolean).join(' · '),
    notes: [],
  });

  return {
    look,
    review: trust === 'review' && !server?.valid,
    zone,
    begin,
    end,
    seconds,
    late,
    doubtful,
    place,
    reasons,
    trustReasons,
    lines,
  };
}
