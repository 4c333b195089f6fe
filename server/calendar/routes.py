"""HTTP of the calendar feed: make its secret address, take it back, read it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint
from sqlalchemy import delete, select, update

from server import auth
from server.auth import Principal, for_roles, open_to_all
from server.calendar.feed import calendar_of
from server.calendar.model import CalendarFeed
from server.calendar.schema import FeedOut, MadeOut
from server.db import reading, upsert, writing
from server.errors import Problem
from server.people.model import Person
from sync.mutation import instant_text

blueprint = Blueprint(
    "calendar", __name__, url_prefix="/api/calendar", description="One's own follow-ups and plans elsewhere"
)

NOTED_EVERY = timedelta(hours=1)
NOBODY_KEEPS = {
    "Cache-Control": "private, no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
}


@blueprint.route("", methods=["GET"])
@blueprint.response(200, FeedOut)
@for_roles("rep", "manager", "administrator")
def feed(principal: Principal) -> dict[str, Any]:
    """Whether one's calendar can be read elsewhere."""
    with reading() as connection:
        row = connection.execute(
            select(CalendarFeed.created_at, CalendarFeed.read_at).where(*_mine(principal))
        ).first()
    if row is None:
        return {"active": False, "created_at": None, "read_at": None}
    read = instant_text(row.read_at) if row.read_at else None
    return {"active": True, "created_at": instant_text(row.created_at), "read_at": read}


@blueprint.route("", methods=["POST"])
@blueprint.response(200, MadeOut)
@for_roles("rep", "manager", "administrator")
def make(principal: Principal) -> dict[str, str]:
    """Make the address of one's calendar; one that was made before leads nowhere from now on."""
    secret, now = auth.new_secret(principal.org_id), auth.now()
    row = {
        "org_id": principal.org_id,
        "person_id": principal.person_id,
        "digest": auth.digest_of(secret),
        "created_at": now,
        "read_at": None,
    }
    with writing() as connection:
        upsert(CalendarFeed, connection, [row])
    return {"url": f"{request.host_url}api/calendar/{secret}.ics", "created_at": instant_text(now)}


@blueprint.route("", methods=["DELETE"])
@blueprint.response(204)
@for_roles("rep", "manager", "administrator", uploads=True)
def revoke(principal: Principal) -> None:
    """Let the address lead nowhere from now on."""
    with writing() as connection:
        connection.execute(delete(CalendarFeed).where(*_mine(principal)))


@blueprint.route("/<string:secret>.ics", methods=["GET"])
@blueprint.response(200, description="text/calendar: iCalendar of the open follow-ups and planned visits")
@blueprint.alt_response(404, description="NOT_FOUND: there is no such calendar, or it was taken back")
@open_to_all
def read(secret: str) -> Response:
    """The calendar itself; the address is all that a calendar program needs."""
    org_id, now = auth.org_of(secret), auth.now()
    nothing = Problem(404, detail="There is no such calendar.", headers=NOBODY_KEEPS)
    if org_id is None:
        raise nothing
    key = (CalendarFeed.org_id == org_id, CalendarFeed.digest == auth.digest_of(secret))
    with reading() as connection:
        row = connection.execute(
            select(Person.id, Person.name, Person.time_zone, CalendarFeed.read_at)
            .join(
                CalendarFeed,
                (CalendarFeed.org_id == Person.org_id) & (CalendarFeed.person_id == Person.id),
            )
            .where(*key, Person.active)
        ).mappings()
        reader = row.first()
        if reader is None:
            raise nothing
        made = calendar_of(connection, org_id, reader, request.host_url.rstrip("/"), now)
    if reader["read_at"] is None or now - reader["read_at"] > NOTED_EVERY:
        with writing() as connection:
            connection.execute(update(CalendarFeed).where(*key).values(read_at=now))
    return Response(made, content_type="text/calendar; charset=utf-8", headers=NOBODY_KEEPS)


def _mine(principal: Principal) -> tuple[Any, ...]:
    return CalendarFeed.org_id == principal.org_id, CalendarFeed.person_id == principal.person_id
