"""When somebody is told of something, and when they are left in peace. Pure: time and zones come in as arguments.

The kinds of reminders are one table, `RULES`. Each person may tune lead time, quiet hours and what they are told of
(`Wishes`); an instant that falls into quiet hours moves to their end. Wall times are taken in the person's zone of the
day they fall on, so a change of clocks moves the instant and not the time on the wall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Literal

from sync.policy import is_time

Urgency = Literal["low", "normal", "high"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of reminder.

    `urgency` is what the push service is told (RFC 8030, section 5.3), `lasts` how long a message may wait for a device
    that is off, `may_turn_off` whether a person can do without it.
    """

    urgency: Urgency
    lasts: timedelta
    may_turn_off: bool = True


RULES: Mapping[str, Rule] = {
    "follow_up_due": Rule("high", timedelta(hours=12)),
    "follow_up_overdue": Rule("normal", timedelta(hours=24)),
    "follow_up_assigned": Rule("normal", timedelta(hours=24)),
    "escalation": Rule("normal", timedelta(hours=24)),
    "low_twice": Rule("low", timedelta(hours=24)),
    **dict.fromkeys(
        ("process_star", "service_star", "fastest_progress", "best_newcomer"),
        Rule("low", timedelta(hours=24)),
    ),
    "plan_not_started": Rule("high", timedelta(hours=4)),
    "visit_open": Rule("high", timedelta(hours=8)),
    "comment": Rule("normal", timedelta(hours=24)),
    "morning": Rule("low", timedelta(hours=6)),
    "day_end": Rule("normal", timedelta(hours=4)),
    "team_day_end": Rule("low", timedelta(hours=12)),
    "snoozed": Rule("high", timedelta(hours=12), may_turn_off=False),
    "test": Rule("high", timedelta(minutes=5), may_turn_off=False),
}
"""Kind of reminder -> how it is sent. `morning` is the daily digest, `team_day_end` the manager's."""

SERVERS_OWN = frozenset({"repeat", "series_ends"})
"""Kinds that nobody is told of: what the server does itself when the time comes. `repeat`: the next of a series is made;
`series_ends`: what was made of one that was ended since is taken back."""

GRACE = timedelta(minutes=30)
"""How long after its planned time a visit may begin before anybody is reminded of it."""

OPEN_LIMIT = timedelta(hours=4)
"""How long a visit may run before its rep is asked whether it still does, unless the organisation set `visit_open_h`."""

ESCALATES_AFTER = timedelta(hours=24)
"""How long a follow-up may be overdue before it is with the manager (PRODUCT, Reminders)."""

NOT_VISITED_DAYS: Mapping[str, int] = {"A": 7, "B": 15, "C": 30}
"""Days without a visit after which a customer of this grade is named in the morning (PRODUCT, Reminders)."""


@dataclass(frozen=True, slots=True)
class OfKind:
    """What one person wants otherwise of one kind of reminder; None: as of all.

    `lead_min`: of `follow_up_due`, minutes before it; of `plan_not_started`, minutes after the planned time.
    """

    lead_min: int | None = None
    quiet_from: str | None = None
    quiet_to: str | None = None
    channels: tuple[str, ...] | None = None


AS_ALL = OfKind()
LEADS = frozenset({"follow_up_due", "plan_not_started"})
"""Kinds of reminders that have a lead time of their own."""

MOST_LEAD_MIN = 40_320
MOST_SILENCE_MIN = 10_080
SILENCE = timedelta(minutes=60)
"""How long no device has to show a notice before other channels take over, unless organisation or person said so."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How one person wants to be reminded; times are `HH:MM` on the wall of their zone.

    `lead_min`: minutes before a timed follow-up, unless it names its own. `quiet_from` to `quiet_to` nothing is shown (the
    same twice: never quiet). `all_day_at`: when an all-day follow-up is due to be thought of. `off`: kinds they go without.
    `discreet`: the lock screen shows no names. `channels`: where a notice goes that no device showed for `silence_min`
    minutes (None: to their own mail, where the server sends any; as the organisation set it). `kinds`: what is otherwise
    for one kind of reminder.
    """

    lead_min: int = 30
    quiet_from: str = "21:00"
    quiet_to: str = "07:30"
    all_day_at: str = "09:00"
    morning_at: str = "08:30"
    day_end_at: str = "18:00"
    off: frozenset[str] = field(default_factory=frozenset)
    discreet: bool = False
    channels: tuple[str, ...] | None = None
    silence_min: int | None = None
    kinds: Mapping[str, OfKind] = field(default_factory=dict)

    def of(self, rule: str) -> OfKind:
        """What is otherwise for this kind."""
        return self.kinds.get(rule, AS_ALL)

    def quiet(self, rule: str) -> tuple[str, str]:
        """When the quiet hours of this kind begin and end."""
        own = self.of(rule)
        return own.quiet_from or self.quiet_from, own.quiet_to or self.quiet_to

    def channels_of(self, rule: str) -> tuple[str, ...] | None:
        """Where this kind goes when no device shows it."""
        own = self.of(rule).channels
        return self.channels if own is None else own


def wishes_of(document: Mapping[str, Any] | None) -> Wishes:
    """The wishes in a stored document; whatever it does not say, or says wrongly, is as everybody has it."""
    told = document or {}
    known: dict[str, Any] = {}
    for name in ("quiet_from", "quiet_to", "all_day_at", "morning_at", "day_end_at"):
        if is_time(told.get(name)):
            known[name] = told[name][:5]
    lead = told.get("lead_min")
    if type(lead) is int and 0 <= lead <= 40_320:
        known["lead_min"] = lead
    off = told.get("off")
    if isinstance(off, list):
        known["off"] = frozenset(rule for rule in off if rule in RULES and RULES[rule].may_turn_off)
    if type(told.get("discreet")) is bool:
        known["discreet"] = told["discreet"]
    known["channels"] = _names(told.get("channels"))
    silence = told.get("silence_min")
    if type(silence) is int and 0 <= silence <= MOST_SILENCE_MIN:
        known["silence_min"] = silence
    kinds = told.get("kinds")
    if isinstance(kinds, Mapping):
        known["kinds"] = {rule: _of_kind(rule, each) for rule, each in kinds.items() if rule in RULES}
    return Wishes(**known)


def _of_kind(rule: str, told: Any) -> OfKind:
    if not isinstance(told, Mapping):
        return AS_ALL
    lead = told.get("lead_min")
    sound = rule in LEADS and type(lead) is int and 0 <= lead <= MOST_LEAD_MIN
    begins, ends = (
        told[name][:5] if is_time(told.get(name)) else None for name in ("quiet_from", "quiet_to")
    )
    return OfKind(lead if sound else None, begins, ends, _names(told.get("channels")))


def _names(told: Any) -> tuple[str, ...] | None:
    return tuple(each for each in told if isinstance(each, str)) if isinstance(told, list | tuple) else None


@dataclass(frozen=True, slots=True)
class Owed:
    """One reminder to come: of which kind, about whose doings, at which instant (UTC).

    `key` is what it is told for once, such as the instant a promise is due: whoever wishes to hear of it sooner or later,
    after they did, does not hear of it again.
    """

    rule: str
    person: str
    at: datetime
    key: str = field(default="", compare=False)


def of_follow_up(
    values: Mapping[str, Any], due: datetime | None, zone: tzinfo, wishes: Wishes
) -> Iterator[Owed]:
    """What is owed about a follow-up with these field values; nothing unless it is open and has a day.

    `due` is the instant until which it is owed (`server.followups.rules.due_at`), `zone` the one its times stand in.
    Timed: at its lead time, and overdue when it falls due. All day: at the wished time of its day, and overdue at the same
    time of the next. A day after it fell due it escalates; to whom is asked when that comes.
    """
    if values.get("status") != "open" or due is None:
        return
    owner, lead = values["owner_id"], values.get("remind_before_min")
    key = due.isoformat()
    if values.get("due_time") is not None:
        wished = wishes.of("follow_up_due").lead_min
        before = next(each for each in (lead, wished, wishes.lead_min) if each is not None)
        first = shifted(due, -timedelta(minutes=before))
        late = due
    else:
        day = date.fromisoformat(values["due_date"])
        first = shifted(wall(day, wishes.all_day_at, zone), -timedelta(minutes=lead or 0))
        late = wall(day + timedelta(days=1), wishes.all_day_at, zone) if day < date.max else due
    yield Owed("follow_up_due", owner, first, key if lead is None else f"{key} {lead}")
    yield Owed("follow_up_overdue", owner, late, key)
    yield Owed("escalation", owner, shifted(due, ESCALATES_AFTER), key)


def of_visit(
    values: Mapping[str, Any],
    began: datetime | None,
    zone: tzinfo,
    limit: timedelta,
    wishes: Wishes | None = None,
) -> Iterator[Owed]:
    """What is owed about a visit: a timed plan that did not start, or a visit that runs on.

    `began` is the best time of its check-in, None before it; `zone` the rep's.
    """
    rep = values["rep_id"]
    if values.get("status") == "planned" and values.get("planned_date") and values.get("planned_time"):
        day = date.fromisoformat(values["planned_date"])
        planned = wall(day, values["planned_time"], zone)
        own = wishes.of("plan_not_started").lead_min if wishes else None
        grace = GRACE if own is None else timedelta(minutes=own)
        yield Owed("plan_not_started", rep, shifted(planned, grace), planned.isoformat())
    elif values.get("status") == "open" and began is not None:
        yield Owed("visit_open", rep, shifted(began, limit), began.isoformat())


def shifted(instant: datetime, by: timedelta) -> datetime:
    """An instant moved by so much, or the instant itself where the calendar ends before that."""
    try:
        return instant + by
    except OverflowError:
        return instant


def wall(day: date, at: str, zone: tzinfo) -> datetime:
    """The instant, in UTC, at which a clock on the wall shows `at` (`HH:MM[:SS]`) on `day` in `zone`.

    A time that a change of clocks leaves out is taken as the clock before the change would have counted on (02:30 of a night
    without it is 03:30); one that comes twice is the first of the two.
    """
    try:
        return datetime.combine(day, time.fromisoformat(at), zone).astimezone(UTC)
    except OverflowError:  # at the calendar's ends
        return datetime.combine(day, time.fromisoformat(at), UTC)


def next_beat(after: datetime, at: str, zone: tzinfo) -> datetime:
    """The first instant later than `after` at which the clock on the wall shows `at`."""
    day = after.astimezone(zone).date()
    while True:
        found = wall(day, at, zone)
        if found > after:
            return found
        day += timedelta(days=1)


def disturb_at(wanted: datetime, wishes: Wishes, zone: tzinfo, rule: str = "") -> datetime:
    """The first instant not before `wanted` that lies outside the quiet hours of `rule`; `wanted` itself where it does."""
    begins, ends = map(time.fromisoformat, wishes.quiet(rule))
    if begins == ends:
        return wanted
    local = wanted.astimezone(zone)
    now = local.time().replace(tzinfo=None)
    quiet = begins <= now < ends if begins < ends else now >= begins or now < ends
    if not quiet:
        return wanted
    day = local.date()
    if begins > ends and now >= begins:
        day += timedelta(days=1)
    # A change of clocks may put the end of the night before an instant that still reads as night.
    return max(wall(day, ends.isoformat(), zone), wanted)


def not_visited(grade: str | None, last: date | None, today: date) -> bool:
    """Whether a customer has waited too long for its grade. One without a grade, or that nobody ever visited, has not."""
    limit = NOT_VISITED_DAYS.get(grade or "")
    return limit is not None and last is not None and (today - last).days > limit
