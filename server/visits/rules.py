"""What the server concludes from the evidence of a visit: its day, how long it was, where, and whether it counts.

Evidence, not verdict: what is odd becomes `review` with reasons, what is unknown becomes `unverified`, and nothing is
rewritten. Every conclusion carries codes from `CODES`; phone and board translate them. Definitions and formulas:
PRODUCT, "Definitions and formulas"; best time and doubt: PROTOCOL, "Moments".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Literal, TypeGuard
from zoneinfo import ZoneInfo

from server.customers.rules import distance_m
from sync.mutation import instant_text

Trust = Literal["verified", "unverified", "review"]

CODES: dict[str, str] = {
    # Why a visit does not count.
    "NOT_DONE": "The visit is not done.",
    "NO_CHECK_IN": "There is no check-in.",
    "NO_CHECK_OUT": "There is no check-out, and this kind of visit needs a least duration.",
    "ESTIMATED_END": "The end was estimated; an estimate never proves a duration.",
    "TOO_SHORT": "Shorter than the minimum of its kind and mode.",
    "NO_MINUTES": "No minutes were written.",
    "MINUTES_TOO_SHORT": "The minutes are shorter than the organisation asks for.",
    "BACK_FILLED": "Written later than the organisation's limit after the check-in it claims, and not accepted.",
    "DECLINED": "A manager looked at it and declined it.",
    "IN_REVIEW": "In person, in review, and no manager has accepted it yet.",
    # Why a visit is verified, unverified or in review.
    "IN_RADIUS": "verified: inside the customer's radius, by a fix at least as accurate as that.",
    "NEAR_EDGE": "unverified: the fix can neither show that it was inside the radius nor that it was outside.",
    "TOO_FAR": "review: outside the radius by more than the fix's accuracy.",
    "STALE_FIX": "unverified: the position is too old for the check-in, or taken too long after it.",
    "ROUGH_FIX": "unverified: the position is too inaccurate to say anything.",
    "NO_CUSTOMER_PLACE": "unverified: the customer has no position.",
    "NO_POSITION": "unverified: no position has arrived yet.",
    "NO_POSITION_DENIED": "unverified: the phone was not allowed to take a position.",
    "NO_POSITION_TIMEOUT": "unverified: no position was found in time.",
    "NO_POSITION_UNAVAILABLE": "unverified: the phone could not find its position.",
    "NO_POSITION_UNSUPPORTED": "unverified: the phone cannot take positions.",
    "NO_POSITION_PURGED": "unverified: the position was deleted for privacy.",
    "NO_POSITION_HABIT": "review: the share of this rep's visits without a position is above the set one.",
    "CLOCK_OFF": "review: the phone's clock is in doubt by more than the limit.",
    "AFTER_DEACTIVATION": "review: it arrived after the account was deactivated or the device revoked.",
}
"""Every code a conclusion may carry, with its meaning."""

HABIT = "NO_POSITION_HABIT"
ODD = ("CLOCK_OFF", HABIT, "AFTER_DEACTIVATION")
"""What makes a visit a case for review, wherever it took place; in the order in which it is told."""

MODES = ("in_person", "online", "phone")
DEFAULT_MIN_MINUTES: Mapping[str, float] = {"in_person": 30, "online": 30, "phone": 0}
BACK_FILL_GRACE = timedelta(minutes=10)
"""A visit written later than this after its check-in is back-filled; whether that matters is another question."""


@dataclass(frozen=True, slots=True)
class KindRule:
    """What one kind of visit asks for. min_minutes: {mode: minutes}; a mode left out takes the default."""

    min_minutes: Mapping[str, float] = field(default_factory=dict)

    def minimum(self, mode: str) -> timedelta:
        """The least duration that counts."""
        return timedelta(minutes=self.min_minutes.get(mode, DEFAULT_MIN_MINUTES.get(mode, 0)))


@dataclass(frozen=True, slots=True)
class Settings:
    """What an organisation may set.

    zone: IANA name, stands in for a zone that this machine does not know. no_position_share: share of visits without
    a position (0 to 1) above which it is a habit; whoever counts applies it.
    """

    min_note_chars: int = 10
    backfill_limit_h: float = 48
    stale_fix_s: float = 120
    late_fix_s: float = 180
    useless_accuracy_m: float = 1000
    doubt_review_ms: int = 300_000
    no_position_share: float = 0.5
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Place:
    """What a fix says about where a check-in was.

    distance_m: from the customer; accuracy_m: the fix's own; fix_age_s: seconds from the fix to the tap, negative when
    it was taken after. Each None if unknown.
    """

    trust: Trust
    reasons: list[str]
    distance_m: float | None = None
    accuracy_m: float | None = None
    fix_age_s: float | None = None


def place(
    fix: Mapping[str, Any] | None,
    tapped_wall: datetime,
    customer: tuple[float, float] | None,
    radius_m: float,
    s: Settings,
) -> Place:
    """Judge one fix against the customer's place (latitude, longitude) at a tap.

    Geodesic distance d, radius r, accuracy a: `verified` if d <= r and a <= r; `review` if d > r + a; else
    `unverified`. A fix that is stale, or too rough (`useless_accuracy_m`), or absent says nothing: `unverified`.
    So of two fixes at the same spot the rougher one is never the better one, and never accuses. Source: PRODUCT, "Place".
    """
    if not is_position(fix):
        return Place("unverified", [_no_position(fix)])
    accuracy = float(fix["accuracy_m"])
    age = _seconds_between(datetime.fromisoformat(fix["taken_at"]), tapped_wall)
    distance = None if customer is None else distance_m(fix["lat"], fix["lon"], *customer)
    silent = []
    if customer is None:
        silent.append("NO_CUSTOMER_PLACE")
    if not _is_timely(age, s):
        silent.append("STALE_FIX")
    if accuracy > s.useless_accuracy_m:
        silent.append("ROUGH_FIX")
    trust: Trust
    if distance is None or silent:
        trust, reasons = "unverified", silent
    elif distance <= radius_m and accuracy <= radius_m:
        trust, reasons = "verified", ["IN_RADIUS"]
    elif distance > radius_m + accuracy:
        trust, reasons = "review", ["TOO_FAR"]
    else:
        trust, reasons = "unverified", ["NEAR_EDGE"]
    shown = None if distance is None else round(distance, 1)
    return Place(trust, reasons, shown, round(accuracy, 1), round(age, 1))


def best_fix(
    fixes: list[Mapping[str, Any] | None], taps: list[datetime], s: Settings
) -> tuple[Mapping[str, Any] | None, datetime]:
    """The fix that tells most about a check-in, and the reading of the tap's time to judge it by.

    The most accurate fix that is not stale: taken at most `stale_fix_s` before the tap and `late_fix_s` after it
    (indoors a phone needs minutes; later it may have moved on). If all are stale, the one nearest to the tap; if there
    is no position, the first fix that says why. `taps`: the tap as the device's clock showed it and as its best time.
    Some phones stamp a fix with satellite time and not with their own clock, so each fix is compared with the
    nearer of the two: a wrong clock alone makes no fix stale.
    """
    positions = []
    for fix in fixes:
        if is_position(fix):
            taken = datetime.fromisoformat(fix["taken_at"])
            tap = min(taps, key=lambda one: abs(_seconds_between(taken, one)))
            positions.append((fix, tap, _seconds_between(taken, tap)))
    timely = [one for one in positions if _is_timely(one[2], s)]
    if timely:
        fix, tap, _ = min(timely, key=lambda one: (one[0]["accuracy_m"], abs(one[2])))
        return fix, tap
    if positions:
        fix, tap, _ = min(positions, key=lambda one: abs(one[2]))
        return fix, tap
    return next((fix for fix in fixes if fix is not None), None), taps[0]


def conclude(
    visit: Mapping[str, Any],
    clock: Mapping[str, Mapping[str, Any] | None],
    customer_place: tuple[float, float] | None,
    radius_m: float,
    kind_rule: KindRule,
    settings: Settings,
    *,
    accepted: bool,
    after_deactivation: bool,
    no_position_habit: bool,
    asked: Mapping[str, Any] | None = None,
    declined: Mapping[str, Any] | None = None,
    amended: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything the server concludes about a visit: `visit.server`, as JSON.

    visit: field values by wire name. clock: for `check_in` and `check_out` None, or `best` (best time), `doubt_ms`,
    `written` (best time of the writing mutation) and `received`, datetimes with zone. accepted: a manager accepted it;
    asked, declined: they asked about it, or declined it, {by, word, at}. amended: fields that an amendment changed.

    - day, zone: the calendar day of the check-in's best time in the zone of that moment. A zone unknown to this
      machine gives way to the organisation's. Without a check-in: the planned day, else the check-out's.
    - check_in_at, check_out_at, written_at, received_at: instants (best times; the latter two of the check-in).
    - duration_s: whole seconds between the best times; 0 if the clocks make it negative.
    - trust, trust_reasons: in person and checked in, the place rule and every reason for a review. Otherwise there is
      no place to judge: None without reasons, or `review` where the clock or the account gives reason.
    - valid, reasons: whether it counts, and each code why it does not. A visit that is not done says only that.
    - distance_m, accuracy_m, fix_age_s: of the fix that was judged. doubt_ms: the larger of the two moments'.
    - back_filled: written more than ten minutes after the check-in it claims. accepted, asked, declined, amended: as given.
    - estimated_end, missed: the system's own guesses; None and False as long as nobody makes any.
    """
    mode = visit.get("mode") or "in_person"
    check_in = clock.get("check_in") if visit.get("check_in") else None
    check_out = clock.get("check_out") if visit.get("check_out") else None
    day, zone = _day(visit, check_in, check_out, settings)
    doubt = max((one["doubt_ms"] for one in (check_in, check_out) if one), default=None)
    duration = None
    if check_in and check_out:
        duration = max(check_out["best"] - check_in["best"], timedelta(0))
    late = check_in["written"] - check_in["best"] if check_in else timedelta(0)

    where = _place_of(visit, mode, check_in, customer_place, radius_m, settings)
    odd = []
    if doubt is not None and doubt > settings.doubt_review_ms:
        odd.append("CLOCK_OFF")
    if no_position_habit and where and is_withheld(where.reasons, visit.get("status")):
        odd.append(HABIT)
    if after_deactivation:
        odd.append("AFTER_DEACTIVATION")
    trust: Trust | None = "review" if odd else where.trust if where else None
    reasons = _why_not(visit, mode, check_in, check_out, duration, kind_rule, settings)
    if reasons != ["NOT_DONE"]:
        if late > timedelta(hours=settings.backfill_limit_h) and not accepted:
            reasons.append("BACK_FILLED")
        if declined:
            reasons.append("DECLINED")
        elif mode == "in_person" and trust == "review" and not accepted:
            reasons.append("IN_REVIEW")
    return {
        "day": day,
        "zone": zone,
        "check_in_at": instant_text(check_in["best"]) if check_in else None,
        "check_out_at": instant_text(check_out["best"]) if check_out else None,
        "duration_s": None if duration is None else int(duration.total_seconds()),
        "trust": trust,
        "trust_reasons": (where.reasons if where else []) + odd,
        "valid": not reasons,
        "reasons": reasons,
        "distance_m": where.distance_m if where else None,
        "accuracy_m": where.accuracy_m if where else None,
        "fix_age_s": where.fix_age_s if where else None,
        "doubt_ms": doubt,
        "back_filled": late > BACK_FILL_GRACE,
        "written_at": instant_text(check_in["written"]) if check_in else None,
        "received_at": instant_text(check_in["received"]) if check_in else None,
        "estimated_end": None,
        "missed": False,
        "accepted": accepted,
        "asked": dict(asked) if asked else None,
        "declined": dict(declined) if declined else None,
        "amended": list(amended),
    }


def with_habit(conclusions: Mapping[str, Any], status: str, habit: bool) -> dict[str, Any]:
    """What was concluded of a visit, but for whether missing positions are its rep's habit: that was looked at anew.

    The same as `conclude` says with `no_position_habit=habit`, without judging anything else again.
    """
    known = conclusions["trust_reasons"]
    if not is_withheld(known, status):
        return dict(conclusions)
    odd = [code for code in ODD if (habit if code == HABIT else code in known)]
    reasons = [code for code in conclusions["reasons"] if code != "IN_REVIEW"]
    judged = conclusions["accepted"] or conclusions["declined"] or reasons == ["NOT_DONE"]
    if odd and not judged:
        reasons.append("IN_REVIEW")
    return {
        **conclusions,
        "trust": "review" if odd else "unverified",
        "trust_reasons": [code for code in known if code not in ODD] + odd,
        "valid": not reasons,
        "reasons": reasons,
    }


def is_position(fix: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Whether a fix holds a position and not the reason why there is none."""
    return fix is not None and "none" not in fix


@lru_cache(maxsize=1024)
def zone_of(name: str | None) -> ZoneInfo | None:
    """The time zone of this IANA name; None for one that this machine does not know, and for none."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # unknown; not a name at all; the name of a folder of zones
        return None


def _day(
    visit: Mapping[str, Any],
    check_in: Mapping[str, Any] | None,
    check_out: Mapping[str, Any] | None,
    settings: Settings,
) -> tuple[str | None, str | None]:
    planned = visit.get("planned_date")
    if check_in:
        moment, best = visit["check_in"], check_in["best"]
    elif check_out and not planned:
        moment, best = visit["check_out"], check_out["best"]
    else:
        return planned, None
    name = moment["zone"]
    zone = zone_of(name)
    if zone is None:
        name, zone = settings.zone, zone_of(settings.zone)
    if zone is None:
        name, zone = "UTC", ZoneInfo("UTC")
    return day_of(best, zone), name


def day_of(instant: datetime, zone: tzinfo) -> str:
    """The calendar day of an instant in a zone, `YYYY-MM-DD`; in UTC where the calendar ends."""
    try:
        return instant.astimezone(zone).date().isoformat()
    except OverflowError:  # within a day of its ends
        return instant.date().isoformat()


def _place_of(
    visit: Mapping[str, Any],
    mode: str,
    check_in: Mapping[str, Any] | None,
    customer_place: tuple[float, float] | None,
    radius_m: float,
    settings: Settings,
) -> Place | None:
    if mode != "in_person" or not check_in:
        return None
    taps = [datetime.fromisoformat(visit["check_in"]["wall"]), check_in["best"]]
    fix, tap = best_fix([visit.get("check_in_fix"), visit.get("check_in_best_fix")], taps, settings)
    return place(fix, tap, customer_place, radius_m, settings)


def _why_not(
    visit: Mapping[str, Any],
    mode: str,
    check_in: Mapping[str, Any] | None,
    check_out: Mapping[str, Any] | None,
    duration: timedelta | None,
    kind_rule: KindRule,
    settings: Settings,
) -> list[str]:
    """The reasons not to count it that lie in the visit itself."""
    if visit.get("status") != "done":
        return ["NOT_DONE"]
    reasons = []
    minimum = kind_rule.minimum(mode)
    if not check_in:
        reasons.append("NO_CHECK_IN")
    if not check_out and minimum:
        reasons.append("NO_CHECK_OUT")
    if duration is not None and duration < minimum:
        reasons.append("TOO_SHORT")
    written = len((visit.get("minutes") or "").strip())
    if written < settings.min_note_chars:
        reasons.append("MINUTES_TOO_SHORT" if written else "NO_MINUTES")
    return reasons


def is_withheld(trust_reasons: Sequence[str], status: str | None) -> bool:
    """No position, and none to be expected any more. One deleted for privacy is not the rep's doing."""
    reason = trust_reasons[0] if trust_reasons else ""
    if reason == "NO_POSITION":
        return status != "open"
    return reason.startswith("NO_POSITION_") and reason not in {"NO_POSITION_PURGED", HABIT}


def _no_position(fix: Mapping[str, Any] | None) -> str:
    code = "NO_POSITION" if fix is None else f"NO_POSITION_{fix['none']}".upper()
    return code if code in CODES else "NO_POSITION"


def _is_timely(age_s: float, s: Settings) -> bool:
    return -s.late_fix_s <= age_s <= s.stale_fix_s


def _seconds_between(earlier: datetime, later: datetime) -> float:
    return (later - earlier).total_seconds()
