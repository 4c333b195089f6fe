"""HTTP of reminders: how one wants to be told. Notices themselves travel by the exchange."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask_smorest import Blueprint
from sqlalchemy import select

from server.auth import Principal, for_roles
from server.db import reading, upsert, writing
from server.errors import Problem
from server.exchange.apply import lock_head
from server.reminders import rules
from server.reminders.model import Wish
from server.reminders.schedule import renew
from server.reminders.schema import WishesSchema

blueprint = Blueprint(
    "reminders", __name__, url_prefix="/api/reminders", description="What one is reminded of"
)


@blueprint.route("/wishes", methods=["GET"])
@blueprint.response(200, WishesSchema)
@for_roles()
def wishes(principal: Principal) -> dict[str, Any]:
    """How the reader is reminded now; what they never set is as everybody has it."""
    with reading() as connection:
        found = connection.execute(
            select(Wish.document).where(
                Wish.org_id == principal.org_id, Wish.person_id == principal.person_id
            )
        ).scalar_one_or_none()
    return _told(rules.wishes_of(found))


@blueprint.route("/wishes", methods=["PUT"])
@for_roles()
@blueprint.arguments(WishesSchema)
@blueprint.response(200, WishesSchema)
@blueprint.alt_response(422, description="INVALID: a time is no time, or a kind cannot be turned off")
def wish(principal: Principal, asked: dict[str, Any]) -> dict[str, Any]:
    """Be reminded like this from now on; what stands in the schedule moves along."""
    for rule in asked.get("off", []):
        if rule not in rules.RULES or not rules.RULES[rule].may_turn_off:
            raise Problem(
                422, "INVALID", "This cannot be turned off.", {"off": [f"{rule!r} cannot be turned off"]}
            )
    with writing() as connection:
        lock_head(connection, principal.org_id)
        found = connection.execute(
            select(Wish.document).where(
                Wish.org_id == principal.org_id, Wish.person_id == principal.person_id
            )
        ).scalar_one_or_none()
        document = (found or {}) | asked
        row = {"org_id": principal.org_id, "person_id": principal.person_id, "document": document}
        upsert(Wish, connection, [row])
        renew(connection, principal.org_id, principal.person_id)
    return _told(rules.wishes_of(document))


def _told(found: rules.Wishes) -> dict[str, Any]:
    return asdict(found) | {"off": sorted(found.off)}
