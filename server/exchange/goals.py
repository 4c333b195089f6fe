"""Schemes, targets, values, days off, appeals at the door: who stands how to them, what each step asks, what follows.

Where one is frozen, its own words decide: an approved scheme is followed by another, a confirmed value is its reviewer's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import MINYEAR, UTC, date
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from server.indicators.model import IndicatorTarget
from server.indicators.periods import period_of
from server.people.rules import FINANCE
from server.visits.rules import day_of, zone_of
from sync import receipt as codes
from sync.mutation import Mutation, Op
from sync.reconcile import Outcome

if TYPE_CHECKING:
    from server.exchange.work import Actor, Row, Work

GOALS = frozenset({"scheme", "target", "value", "day_off", "appeal"})
"""Kinds that this module knows."""

OF_SOMEBODY = GOALS - {"scheme"}

Refusal = tuple[str, str | None]

_HELD = select(IndicatorTarget.id).where(
    IndicatorTarget.org_id == bindparam("org"),
    IndicatorTarget.indicator == bindparam("indicator"),
    IndicatorTarget.period == bindparam("period"),
    IndicatorTarget.starts_on == bindparam("starts_on"),
    IndicatorTarget.person_id.is_not_distinct_from(bindparam("person")),
    IndicatorTarget.team_id.is_not_distinct_from(bindparam("team")),
    IndicatorTarget.status == "held",
)


def relations(work: Work, row: Row, actor: Actor) -> set[str]:
    """How somebody stands to what is somebody's or some team's. Nobody leads themselves: what is theirs, others decide."""
    if not actor.active:
        return set()
    values, found = row.values(), set()
    if actor.role == "administrator":
        found.add("administrator")
    person, team = values.get("person_id"), values.get("team_id")
    if actor.role == FINANCE and person != actor.id and _awaits_finance(row):
        found.add(FINANCE)
    if person is not None:
        if person == actor.id:
            found.add("owner")
        elif work.leads(work.team_of(person)):
            found.add("lead")
    elif team is not None:
        if work.leads(team):
            found.add("lead")
        if f"team:{team}" in work.scopes_of(actor):
            found.add("reader")
    elif row.kind.name == "day_off":
        found.add("reader")
    return found


def audience(work: Work, row: Row) -> set[str]:
    """Who is told: the person and who leads them, finance as long as a value waits for it; of a team's target the team; of
    everybody's day off everybody."""
    values = row.values()
    person = values.get("person_id")
    if person is None:
        return {f"team:{values['team_id']}"} if values.get("team_id") else {"org"}
    team = work.team_of(person)
    waiting = [FINANCE] if _awaits_finance(row) else []
    return {f"person:{person}", *([f"lead:{team}"] if team else []), *waiting}


def _awaits_finance(row: Row) -> bool:
    return row.kind.name == "value" and row.values()["status"] == "confirmed"


# -- rights ------------------------------------------------------------------------------------------------------------


def complete(work: Work, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a create leaves out: who decides about targets holds them, others propose."""
    if kind != "target":
        return {}
    return {"status": "held" if _decides(work, given) else "proposed"}


def refused_creation(work: Work, kind: str, given: Mapping[str, Any]) -> Refusal | None:
    """Why somebody who belongs here may not make this one."""
    administrator = work.acts_as("administrator")
    if kind == "appeal":
        closing = work.row("closing", given["closing_id"])
        own = closing.entity is not None and closing.values()["person_id"] == work.actor.id
        if not own:
            return codes.SCOPE_LOST, "closing_id"
        if given.get("answer") is not None:
            return codes.FORBIDDEN, "answer"
        return None if given.get("person_id") == work.actor.id else (codes.FORBIDDEN, "person_id")
    if kind == "scheme":
        if given.get("status") == "approved":
            return None if administrator else (codes.FORBIDDEN, "status")
        if administrator:
            return None
        leads = work.acts_as("manager") and work.leads(given.get("team_id"))
        return None if leads else (codes.FORBIDDEN, None)
    if administrator:
        return None
    person = given.get("person_id")
    own = person is not None and person == work.actor.id
    if not own and not _decides(work, given):
        return codes.SCOPE_LOST, "person_id" if person is not None else "team_id"
    status = given.get("status")
    if kind == "target" and own and status != "proposed":
        return codes.FORBIDDEN, "status"
    if kind == "value" and (status == "reviewed" or (own and status != "entered")):
        return codes.FORBIDDEN, "status"
    if kind == "day_off" and own:
        return codes.FORBIDDEN, None
    return None


def _decides(work: Work, given: Mapping[str, Any]) -> bool:
    """Whether the actor decides about somebody's or some team's: who leads them, and is not they."""
    if work.acts_as("administrator"):
        return True
    person = given.get("person_id")
    if person is None:
        return work.leads(given.get("team_id"))
    return person != work.actor.id and work.leads(work.team_of(person))


def refused_op(work: Work, row: Row, mutation: Mutation, op: Op, relations: frozenset[str]) -> Refusal | None:
    """What the state of one adds to the table of kinds."""
    now = row.values()["status"] if row.kind.name != "day_off" else None
    if row.kind.name == "appeal":
        return _refused_appeal(row, mutation, op, relations)
    if row.kind.name == "scheme":
        return _refused_scheme(work, row, op, now, relations)
    if row.kind.name == "target":
        return _refused_target(op, now, relations)
    if row.kind.name == "value":
        return _refused_value(op, now, relations)
    return None


def _refused_scheme(
    work: Work, row: Row, op: Op, now: str | None, relations: frozenset[str]
) -> Refusal | None:
    """A proposal is its author's; an approved scheme stands, but for one that does not hold yet: that may be withdrawn."""
    if op.field != "status":
        return None if now == "proposed" else (codes.FORBIDDEN, op.field)
    if op.new == now:
        return None
    if op.new == "approved":
        if "administrator" not in relations:
            return codes.FORBIDDEN, op.field
        if work.actor.id is not None and row.values()["valid_from"] < today(work):
            return codes.INVALID, "valid_from"  # reps see it before it holds
    elif op.new == "withdrawn" and now == "approved":
        if "administrator" not in relations or row.values()["valid_from"] <= today(work):
            return codes.FORBIDDEN, op.field
    return None


def _refused_target(op: Op, now: str | None, relations: frozenset[str]) -> Refusal | None:
    """Whoever does not decide may word their own proposal anew, or take it back."""
    if relations & {"lead", "administrator"}:
        return None
    if op.field == "status":
        taken_back = op.new == now or (now == "proposed" and op.new == "declined")
        return None if taken_back else (codes.FORBIDDEN, op.field)
    return None if now == "proposed" else (codes.FORBIDDEN, op.field)


def _refused_value(op: Op, now: str | None, relations: frozenset[str]) -> Refusal | None:
    """Entered: theirs and the manager's to mend; from the confirmation on the numbers stand, until it is entered anew."""
    reviewer = bool(relations & {"administrator", FINANCE})
    if op.field != "status":
        if now in {"reviewed", "declined"} or (now == "confirmed" and not reviewer):
            return codes.FORBIDDEN, op.field
        return None
    if op.new == now or reviewer:
        return None
    steps = {("declined", "entered")}
    if "lead" in relations:
        steps |= {("entered", "confirmed"), ("entered", "declined")}
        steps |= {("confirmed", "entered"), ("confirmed", "declined")}
    if "owner" in relations:
        steps |= {("entered", "declined")}
    return None if (now, op.new) in steps else (codes.FORBIDDEN, op.field)


def _refused_appeal(row: Row, mutation: Mutation, op: Op, relations: frozenset[str]) -> Refusal | None:
    """Its author words it until it is answered, or takes it back; an answer decides, and no decision goes without one."""
    now = row.values()["status"]
    if op.field == "text":
        return None if now == "open" else (codes.FORBIDDEN, op.field)
    if op.field != "status" or op.new == now:
        return None
    if op.new == "withdrawn":
        return None if "owner" in relations else (codes.FORBIDDEN, op.field)
    if not relations & {"lead", "administrator"}:
        return codes.FORBIDDEN, op.field
    answered = row.values().get("answer") or any(one.field == "answer" and one.new for one in mutation.ops)
    return None if answered else (codes.INVALID, "answer")


def today(work: Work) -> str:
    """The organisation's day as this transaction began."""
    return day_of(work.now, zone_of(work.organisation_zone()) or UTC)


# -- what has the last word on a new one -------------------------------------------------------------------------------


def weigh_target(work: Work, mutation: Mutation, outcome: Outcome) -> Outcome:
    """A target is one person's or one team's, in a period that begins on its first day."""
    values = outcome.changes
    if (values.get("person_id") is None) == (values.get("team_id") is None):
        return Outcome("parked", codes.INVALID, "team_id" if values.get("team_id") else "person_id")
    first = date.fromisoformat(values["starts_on"])
    try:
        # A week begins on whichever day the organisation's weeks do.
        sound = (
            period_of(values["period"], first, first.weekday()).starts_on == first and first.year > MINYEAR
        )
    except (OverflowError, ValueError):
        sound = False
    return outcome if sound else Outcome("parked", codes.INVALID, "starts_on")


def weigh_scheme(work: Work, mutation: Mutation, outcome: Outcome) -> Outcome:
    """One that is approved as it is made holds from today at the earliest, but for what the server itself sets up."""
    values = outcome.changes
    if values["status"] == "approved" and work.actor.id is not None and values["valid_from"] < today(work):
        return Outcome("parked", codes.INVALID, "valid_from")
    return outcome


# -- what follows ------------------------------------------------------------------------------------------------------


def hold_one(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Of targets for the same indicator, period and subject one is held: a new one replaces the one before."""
    if outcome.changes.get("status") != "held":
        return
    values = row.values()
    key = ("indicator", "period", "starts_on", "person_id", "team_id")
    about = {
        "org": work.org_id,
        "indicator": values["indicator"],
        "period": values["period"],
        "starts_on": values["starts_on"],
        "person": values.get("person_id"),
        "team": values.get("team_id"),
    }
    stored = set(work.connection.execute(_HELD, about).scalars())
    in_hand = {
        entity
        for (kind, entity), one in work.rows.items()
        if kind == "target" and one.entity and all(one.values().get(name) == values.get(name) for name in key)
    }
    work.load([("target", entity) for entity in stored])
    for entity in sorted((stored | in_hand) - {row.id}):
        other = work.row("target", entity)
        if other.entity is None or other.values()["status"] != "held":
            continue
        stamp = [work.version, work.author.chain, work.author.role]
        work.put(
            other,
            replace(
                other.entity,
                values={**other.entity.values, "status": "replaced"},
                stamps={**other.entity.stamps, "status": stamp},
                version=work.version,
            ),
        )


def sign_value(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Say who confirmed a value and who reviewed it; a step back takes their word out."""
    status = outcome.changes.get("status")
    if status is None:
        return
    known = row.columns or dict.fromkeys(("confirmed_by", "confirmed_at", "reviewed_by", "reviewed_at"))
    at = work.written(mutation)
    confirmed: dict[str, Any] = {"confirmed_by": work.actor.id, "confirmed_at": at}
    reviewed: dict[str, Any] = {"reviewed_by": work.actor.id, "reviewed_at": at}
    nobody = dict.fromkeys(("reviewed_by", "reviewed_at"))
    if status == "confirmed":
        row.columns = {**known, **confirmed, **nobody}
    elif status == "reviewed":
        first = {} if known["confirmed_at"] else confirmed
        row.columns = {**known, **first, **reviewed}
    elif status == "entered":
        row.columns = dict.fromkeys(known)
    else:
        row.columns = dict(known)


def sign_appeal(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Say when it was written, and who answered it and when."""
    at = work.written(mutation)
    known = row.columns or {"at": at, "answered_by": None, "answered_at": None}
    if outcome.changes.get("status") in {"upheld", "declined"}:
        known = {**known, "answered_by": work.actor.id, "answered_at": at}
    row.columns = dict(known)
