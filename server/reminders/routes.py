"""HTTP of reminders: how one wants to be told, and by which channels. Notices themselves travel by the exchange."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask_smorest import Blueprint
from sqlalchemy import Connection, func, select

from server.auth import Principal, config, for_roles, now
from server.db import reading, upsert, writing
from server.errors import Problem
from server.exchange.apply import lock_head
from server.people.model import Login, Organisation
from server.reminders import channels as known_channels
from server.reminders import rules
from server.reminders.model import Outreach, OutreachAttempt, Wish
from server.reminders.reach import silence_of
from server.reminders.schedule import renew
from server.reminders.schema import ChannelsSchema, WishesSchema
from sync.mutation import instant_text

blueprint = Blueprint(
    "reminders", __name__, url_prefix="/api/reminders", description="What one is reminded of, and how"
)


@blueprint.route("/wishes", methods=["GET"])
@blueprint.response(200, WishesSchema)
@for_roles()
def wishes(principal: Principal) -> dict[str, Any]:
    """How the reader is reminded now; what they never set is as everybody has it."""
    with reading() as connection:
        return _told(rules.wishes_of(_stored(connection, principal)))


@blueprint.route("/wishes", methods=["PUT"])
@for_roles()
@blueprint.arguments(WishesSchema)
@blueprint.response(200, WishesSchema)
@blueprint.alt_response(
    422,
    description="INVALID: a time is no time, a kind cannot be turned off or is none, a channel is none of this server",
)
def wish(principal: Principal, asked: dict[str, Any]) -> dict[str, Any]:
    """Be reminded like this from now on; what stands in the schedule moves along. What is left out stays as it is."""
    for rule in asked.get("off", []):
        if rule not in rules.RULES or not rules.RULES[rule].may_turn_off:
            raise _invalid("off", f"{rule!r} cannot be turned off")
    for rule, own in asked.get("kinds", {}).items():
        if rule not in rules.RULES:
            raise _invalid("kinds", f"{rule!r} is no kind of reminder")
        if own.get("lead_min") is not None and rule not in rules.LEADS:
            raise _invalid("kinds", f"{rule!r} has no lead time")
    with writing() as connection:
        lock_head(connection, principal.org_id)
        wanted = [asked.get("channels"), *(own.get("channels") for own in asked.get("kinds", {}).values())]
        if any(wanted):
            offered = _offered(connection, principal)
            for name in (each for some in wanted if some for each in some):
                if name not in offered:
                    raise _invalid("channels", f"{name!r} is no channel of this server")
        document = (_stored(connection, principal) or {}) | asked
        row = {"org_id": principal.org_id, "person_id": principal.person_id, "document": document}
        upsert(Wish, connection, [row])
        renew(connection, principal.org_id, principal.person_id, now())
    return _told(rules.wishes_of(document))


@blueprint.route("/channels", methods=["GET"])
@blueprint.response(200, ChannelsSchema)
@for_roles()
def channels(principal: Principal) -> dict[str, Any]:
    """Which channels take over when no device shows a notice, and how they did; an administrator sees how for everybody."""
    with reading() as connection:
        offered = _offered(connection, principal)
        address = connection.execute(
            select(Login.email).where(
                Login.org_id == principal.org_id, Login.person_id == principal.person_id
            )
        ).scalar_one_or_none()
        when = {
            "sent": _last(connection, principal, "sent"),
            "failed": _last(connection, principal, "failed"),
        }
        usual = silence_of(connection, principal.org_id)
    return {
        "items": [
            {
                "name": name,
                "to": address if name == known_channels.MAIL else None,
                "sent_at": when["sent"].get(name),
                "failed_at": when["failed"].get(name),
            }
            for name in offered
        ],
        "silence_min": int(usual.total_seconds() // 60),
    }


def _last(connection: Connection, principal: Principal, outcome: str) -> dict[str, str]:
    """Channel -> when an attempt last came to this."""
    attempt = OutreachAttempt
    statement = (
        select(attempt.channel, func.max(attempt.ended_at))
        .join(
            Outreach,
            (Outreach.org_id == attempt.org_id)
            & (Outreach.notice_id == attempt.notice_id)
            & (Outreach.channel == attempt.channel),
        )
        .where(attempt.org_id == principal.org_id, attempt.outcome == outcome)
        .group_by(attempt.channel)
    )
    if principal.role != "administrator":
        statement = statement.where(Outreach.person_id == principal.person_id)
    return {name: instant_text(at) for name, at in connection.execute(statement) if at}


def _offered(connection: Connection, principal: Principal) -> list[str]:
    slug = connection.execute(
        select(Organisation.slug).where(Organisation.id == principal.org_id)
    ).scalar_one()
    settings = config()
    return known_channels.offered(settings.channels, settings.mail, slug)


def _stored(connection: Connection, principal: Principal) -> dict[str, Any] | None:
    found: dict[str, Any] | None = connection.execute(
        select(Wish.document).where(Wish.org_id == principal.org_id, Wish.person_id == principal.person_id)
    ).scalar_one_or_none()
    return found


def _invalid(field: str, why: str) -> Problem:
    return Problem(422, "INVALID", "These wishes cannot be taken.", {field: [why]})


def _told(found: rules.Wishes) -> dict[str, Any]:
    return asdict(found) | {"off": sorted(found.off)}
