"""Somebody changes team: their customers go with them, and what waits for their lead waits for the new one at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, case, null, select

from server.customers.model import Customer
from server.db import Model, upsert
from server.exchange.model import Amendment, Conflict, Decision, Parked, Position
from server.exchange.work import UNDER_WAY, Row, Work
from server.followups.model import Comment, FollowUp
from server.indicators.model import Appeal, DayOff, IndicatorTarget, IndicatorValue
from server.visits.model import Visit
from sync.mutation import Mutation, Op
from sync.reconcile import Outcome, apply_outcome, reconcile

_OWNED = select(Customer.id).where(
    Customer.org_id == bindparam("org"), Customer.owner_id == bindparam("person")
)
_AWAITED: dict[str, tuple[type[Model], Any]] = {
    "visit": (Visit, (Visit.rep_id, Visit.trust == "review")),
    "follow_up": (FollowUp, (FollowUp.owner_id, FollowUp.status == "open")),
    "parked": (Parked, (Parked.author_id, None)),
    "conflict": (Conflict, (Conflict.author_id, None)),
    "amendment": (Amendment, (Amendment.author_id, None)),
    "target": (IndicatorTarget, (IndicatorTarget.person_id, None)),
    "value": (IndicatorValue, (IndicatorValue.person_id, None)),
    "day_off": (DayOff, (DayOff.person_id, None)),
    "appeal": (Appeal, (Appeal.person_id, None)),
}
"""Kind -> table, whose it is, and when the lead of their team is told of it (always where nothing is said)."""

_SAID: dict[str, Any] = {
    name: select(model.id).where(
        model.org_id == bindparam("org"),
        model.on_kind == bindparam("kind"),
        model.on_id.in_(bindparam("ids", expanding=True)),
    )
    for name, model in (("comment", Comment), ("decision", Decision))
}
"""What is said of those, and goes where they go."""


def take_customers_along(work: Work, person: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Give the customers of somebody who changed team, as far as they were in the old one, to the new one."""
    if "team_id" not in outcome.changes or person.was is None:
        return
    new = outcome.changes["team_id"]
    old = work.team_moves.get(person.id, (None, person.was.values.get("team_id")))[1]
    if new == old:
        return
    work.team_moves[person.id] = (person.was.values.get("team_id"), new)
    if new is None:
        return
    stored = work.connection.execute(_OWNED, {"org": work.org_id, "person": person.id}).scalars()
    in_hand = [entity for kind, entity in work.rows if kind == "customer"]
    owned = sorted({*stored, *in_hand})
    work.load([("customer", entity) for entity in owned])
    for entity in owned:
        row = work.row("customer", entity)
        if row.entity is None or row.entity.values.get("owner_id") != person.id:
            continue
        if row.entity.values.get("team_id") != old:
            continue
        ops = [Op("team_id", "set", old, new)]
        moved = replace(mutation, kind="customer", entity=entity, base=row.entity.version, ops=ops)
        settled = reconcile(row.entity, moved, work.author, row.kind.policy)
        work.put(row, apply_outcome(row.entity, settled, moved, work.author, work.version))


def tell_new_leads(work: Work) -> None:
    """Of everybody who changed team: take what waits for their lead from the old team's and give it to the new one's."""
    positions: dict[tuple[str, str, str], dict[str, Any]] = {}
    for person, (old, new) in work.team_moves.items():
        for kind, (model, (whose, when)) in _AWAITED.items():
            table: Any = model.__table__
            day = case((Visit.status.not_in(UNDER_WAY), Visit.day)) if model is Visit else null()
            statement = select(table.c.id, day).where(table.c.org_id == work.org_id, whose == person)
            found = work.connection.execute(statement if when is None else statement.where(when))
            days: dict[str, str | None] = {row[0]: row[1] for row in found}
            about = {"org": work.org_id, "kind": kind, "ids": list(days)}
            told: list[tuple[str, str, str | None]] = [(kind, entity, days[entity]) for entity in days]
            for name, said in _SAID.items() if days else ():
                told += [(name, one, None) for one in work.connection.execute(said, about).scalars()]
            for name, entity, on in told:
                if old and old != new:
                    key = (f"lead:{old}", name, entity)
                    positions[key] = work._position(f"lead:{old}", name, entity, True, on)
                if new:
                    positions[f"lead:{new}", name, entity] = work._position(
                        f"lead:{new}", name, entity, False, on
                    )
    upsert(Position, work.connection, list(positions.values()))
