"""What follows a change, inside its transaction: a visit is judged, a person's audiences are drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from server.customers.rules import alike_key, cell_of, distance_m
from server.exchange import goals
from server.exchange.kinds import UNDECIDED
from server.exchange.moving import take_customers_along
from server.exchange.work import Row, Work, written_at
from server.followups.rules import due_at
from server.indicators import keep
from server.visits import rules
from sync.clock import best_time, doubt_ms
from sync.mutation import Mutation, instant_text, moment_of
from sync.reconcile import Outcome

DEFAULT_RADIUS_M = 200
RULE_SETTINGS = ("min_note_chars", "backfill_limit_h", "no_position_share")
"""Settings of an organisation that the rules of visits take; each a number."""

HABIT_VISITS = 10
"""Fewer visits without a position than this make no habit. Those with one do not count towards it: a visit more that shows
its place never puts another in review."""

SAYING_WHERE = frozenset({"name", "lat", "lon"})

Follow = Callable[[Work, Row, Mutation, Outcome], None]


def judge_visit(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Conclude from the evidence what the server says of a visit, and mark the days it stands on."""
    values = row.values()
    written = work.written(mutation)
    clock: dict[str, Any] = dict(row.columns.get("clock") or {})
    decided = clock.get("decided") or {}
    told = {name: decided[name] for name in ("by", "word", "at")} if decided else None
    for name in ("check_in", "check_out"):
        if outcome.changes.get(name) and mutation.kind == "visit":
            moment = moment_of(outcome.changes[name])
            clock[name] = {
                "best": instant_text(best_time(moment, work.sent, work.received_at)),
                "doubt_ms": doubt_ms(moment, work.sent, work.received_at),
                "written": instant_text(written),
                "received": instant_text(work.received_at),
            }
    if not work.actor.active:
        clock["after_deactivation"] = True
    if "customer_id" in outcome.changes:
        clock.pop("named", None)
    if row.id in work.named and values["customer_id"] != work.named[row.id]:
        clock["named"] = work.named[row.id]
    place = _door(work, values, clock.get("named"))
    settings = _settings(work)
    known = place.get("lat") is not None and place.get("lon") is not None
    conclusions = rules.conclude(
        values,
        _clock(clock),
        customer_place=(place["lat"], place["lon"]) if known else None,
        radius_m=place.get("radius_m") or _number(work, "radius_m", DEFAULT_RADIUS_M),
        kind_rule=rules.KindRule(work.visit_kind(values.get("kind")) or {}),
        settings=settings,
        accepted=decided.get("verdict") == "accept",
        asked=told if decided.get("verdict") == "ask" else None,
        declined=told if decided.get("verdict") == "decline" else None,
        amended=sorted({name for fields in (clock.get("amended") or {}).values() for name in fields}),
        after_deactivation=bool(clock.get("after_deactivation")),
        no_position_habit=_is_habit(work, values, clock, settings),
    )
    day = conclusions["day"]
    at = datetime.fromisoformat(conclusions["check_in_at"]) if conclusions["check_in_at"] else written
    if (
        mutation.kind != "visit" and not conclusions["check_in_at"]
    ):  # what others decide moves no visit in time
        day = conclusions["day"] = row.columns["day"]
        at = row.columns["at"]
    if day is None:
        day = conclusions["day"] = rules.day_of(written, rules.zone_of(mutation.at.zone) or UTC)
    rep = values["rep_id"]
    was = row.columns.get("day")
    work.rep_days |= {(rep, known_day) for known_day in (was, day) if known_day}
    if row.was is not None and row.was.values.get("rep_id") not in (None, rep) and was:
        work.rep_days.add((row.was.values["rep_id"], was))
    row.columns = {
        "clock": clock,
        "server": conclusions,
        "day": day,
        "at": at,
        "valid": conclusions["valid"],
        "trust": conclusions["trust"],
    }


def ask_habits_anew(work: Work) -> None:
    """Look again at the visits without a position on the days after those of which this transaction changed how many there
    are: so it is the same in whatever order the days came in."""
    changed = work.changed_positions()
    if not changed:
        return
    settings = _settings(work)
    found: dict[tuple[str, str], bool] = {}
    for row in work.without_position_after(changed):
        values, server, day = row.values(), row.columns["server"], row.columns["day"]
        key = (values["rep_id"], day)
        if key not in found:
            found[key] = _has_habit(work, *key, settings)
        anew = rules.with_habit(server, values["status"], found[key])
        if anew != server:
            row.columns = {**row.columns, "server": anew, "valid": anew["valid"], "trust": anew["trust"]}
            row.changed = True
            work.rep_days.add(key)


def redraw_audiences(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """A person or the team tree changed: who belongs to which audience is computed before the commit."""
    work.people_changed = True
    if row.kind.name == "person":
        take_customers_along(work, row, mutation, outcome)


def place_customer(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Say where to look for others that may be the same place, and look there where the name or the place is new; note
    since when it is whose own."""
    values = row.values()
    _note_owner(work, row, mutation)
    if row.was is None or outcome.changes.keys() & SAYING_WHERE:
        row.columns = {
            "merged_into": row.columns.get("merged_into"),
            "alike": alike_key(values["name"]),
            "cell": cell_of(values.get("lat"), values.get("lon")),
            "customer_since": row.columns.get("customer_since"),
            "won_by": row.columns.get("won_by"),
        }
        work.placed.add(row.id)
    if outcome.changes.get("lifecycle") == "customer" and row.columns["customer_since"] is None:
        zone = rules.zone_of(work.organisation_zone()) or UTC
        row.columns = {
            **row.columns,
            "customer_since": rules.day_of(work.written(mutation), zone),
            "won_by": None if mutation.verb == "create" else values.get("owner_id"),
        }


def _note_owner(work: Work, row: Row, mutation: Mutation) -> None:
    assert row.entity is not None
    known = work.handed.setdefault(row.id, [])
    owner = keep.own_of(row.entity)
    if owner != (known[-1][1] if known else keep.own_of(row.was) if row.was else None):
        # What a decision brings about holds from the decision on, and not since somebody first wished for it.
        first = mutation.verb == "create" or work.cause is None
        known.append((work.written(mutation) if first else work.now, owner))


def time_follow_up(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Say until when it is owed, when it was done and on whose day, and mark the days it stood on."""
    values, known = row.values(), row.columns
    if row.was is not None:
        work.promise_days |= keep.days_of(row.was.values, known)
    named = values.get("due_zone")
    known_zone = rules.zone_of(named) if named else None
    if known_zone is None and (values.get("due_date") or values.get("requested_at")):
        owner = work.row("person", values["owner_id"]).entity
        known_zone = rules.zone_of(owner.values.get("time_zone")) if owner else None
    zone = known_zone or UTC
    done_at, done_day = known.get("done_at"), known.get("done_day")
    if values["status"] != "done":
        done_at = done_day = None
    elif done_at is None or outcome.changes.get("done"):
        moment = moment_of(values["done"]) if values.get("done") else mutation.at
        done_at = written_at(moment, work.sent, work.received_at)
        done_day = rules.day_of(done_at, rules.zone_of(moment.zone) or zone)
    asked = values.get("requested_at") if values.get("kind") == "request" else None
    row.columns = {
        "due_at": due_at(values.get("due_date"), values.get("due_time"), zone),
        "done_at": done_at,
        "done_day": done_day,
        "request_day": rules.day_of(datetime.fromisoformat(asked), zone) if asked else None,
        "answered_at": known.get("answered_at"),
    }


def await_amendment(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """A new amendment waits, beside what it would replace."""
    values = row.values()
    visit = work.row("visit", values["visit_id"]).values()
    row.columns = {
        "before": {name: visit.get(name) for name in values["changes"]},
        "author_id": work.actor.id,
        "at": work.written(mutation),
        **UNDECIDED,
    }


def note_closing(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Say since when it is open again, and from which day on its readings look."""
    values = row.values()
    reopened = values["status"] == "reopened"
    before = row.columns.get("reopened_at")
    row.columns = {
        "reopened_at": (before or work.now) if reopened else None,
        "reads_from": min(
            [values["starts_on"], *(reading["period"]["starts_on"] for reading in values["readings"])]
        ),
    }


def sign_comment(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Say whose a new comment is, and when it was written."""
    if row.was is None:
        row.columns = {"author_id": work.actor.id, "at": work.written(mutation)}


FOLLOWS: dict[str, Follow] = {
    "visit": judge_visit,
    "amendment": await_amendment,
    "comment": sign_comment,
    "closing": note_closing,
    "customer": place_customer,
    "follow_up": time_follow_up,
    "target": goals.hold_one,
    "value": goals.sign_value,
    "appeal": goals.sign_appeal,
    "person": redraw_audiences,
    "team": redraw_audiences,
}
"""Kind -> what follows a change of one."""


def _door(work: Work, values: Mapping[str, Any], named: str | None) -> Mapping[str, Any]:
    """The customer by whose place a visit is judged.

    A visit to one that was merged since may have been at either door: the nearer one counts.
    """
    customer = work.row("customer", values["customer_id"])
    if named is None:
        return customer.values() if customer.entity else {}
    known = [door.values() for door in (customer, work.row("customer", named)) if door.entity is not None]
    fix = next(
        (
            values[name]
            for name in ("check_in_fix", "check_in_best_fix")
            if rules.is_position(values.get(name))
        ),
        None,
    )
    places = [door for door in known if door.get("lat") is not None and door.get("lon") is not None]
    if len(places) < 2 or fix is None:
        return (places or known or [{}])[0]
    return min(places, key=lambda door: distance_m(fix["lat"], fix["lon"], door["lat"], door["lon"]))


def _settings(work: Work) -> rules.Settings:
    known = {name: _number(work, name, None) for name in RULE_SETTINGS}
    return rules.Settings(
        **{name: value for name, value in known.items() if value is not None}, zone=work.organisation_zone()
    )


def _number(work: Work, name: str, default: Any) -> Any:
    """A setting that has to be a number; anything else counts as not set, so that no visit fails for it."""
    value = work.settings.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default


def _is_habit(
    work: Work, values: Mapping[str, Any], clock: Mapping[str, Any], settings: rules.Settings
) -> bool:
    """Whether visits without any position are this rep's habit: more than the set share of those of the 30 days before.

    Asked only for a visit in person that has none itself.
    """
    fixes = (values.get("check_in_fix"), values.get("check_in_best_fix"))
    if values.get("mode") != "in_person" or any(map(rules.is_position, fixes)):
        return False
    if not values.get("check_in") or "check_in" not in clock:
        return False
    zone = rules.zone_of(values["check_in"]["zone"]) or rules.zone_of(settings.zone) or UTC
    day = rules.day_of(datetime.fromisoformat(clock["check_in"]["best"]), zone)
    return _has_habit(work, values["rep_id"], day, settings)


def _has_habit(work: Work, rep: str, day: str, settings: rules.Settings) -> bool:
    in_person, without = work.positions_before(rep, day)
    return without >= HABIT_VISITS and without > settings.no_position_share * in_person


def _clock(clock: dict[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = {"check_in": None, "check_out": None}
    for name in parsed:
        if name in clock:
            facts = clock[name]
            parsed[name] = {
                "doubt_ms": facts["doubt_ms"],
                **{key: datetime.fromisoformat(facts[key]) for key in ("best", "written", "received")},
            }
    return parsed
