"""A person's open follow-ups and planned visits as iCalendar (RFC 5545): each an event with a UID that never changes.

Timed ones carry their zone and its rules of daylight saving, all-day ones are days. A series is not a rule here: what of
it was made stands there, as it does everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from icalendar import Calendar, Event
from sqlalchemy import Connection, select

from server.customers.model import Customer
from server.followups.model import FollowUp
from server.visits.model import Visit
from server.visits.rules import zone_of

PROMISE_LASTS = timedelta(minutes=15)
VISIT_LASTS = timedelta(minutes=30)
"""How long an event is drawn: neither follow-ups nor plans know their length."""

MOST = 2000
PLANS_BACK = timedelta(days=30)
"""Plans of longer ago that never began are no plans any more."""

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
"""Signs that no text of a calendar may hold (RFC 5545, section 3.3.11); a new line it writes in its own way."""


def calendar_of(
    connection: Connection, org_id: str, reader: Mapping[Any, Any], app: str, now: datetime
) -> bytes:
    """The calendar of `reader` (`id`, `name`, `time_zone`); `app` is the address of the app, for links; `now` its stamp."""
    calendar = Calendar()
    calendar.add("prodid", "-//Rounds//Calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", _text(f"Rounds · {reader['name']}"))
    calendar.add("x-published-ttl", "PT1H")
    zone_name = reader["time_zone"]
    about = (Customer.name.label("customer_name"), Customer.address, Customer.phone)
    promises = connection.execute(
        select(FollowUp.__table__, *about)
        .join(Customer, (Customer.org_id == FollowUp.org_id) & (Customer.id == FollowUp.customer_id))
        .where(
            FollowUp.org_id == org_id,
            FollowUp.owner_id == reader["id"],
            FollowUp.status == "open",
            FollowUp.archived.is_(False),
            FollowUp.due_date.is_not(None),
        )
        .order_by(FollowUp.due_date, FollowUp.id)
        .limit(MOST)
    ).mappings()
    for row in promises:
        zone = row["due_zone"] if row["due_zone"] and zone_of(row["due_zone"]) else zone_name
        event = _event(row, row["due_date"], row["due_time"], zone, PROMISE_LASTS, now)
        event.add("summary", _text(f"{row['subject']} · {row['customer_name']}"))
        event.add("url", f"{app}/follow-ups/{row['id']}")
        calendar.add_component(event)
    plans = connection.execute(
        select(Visit.__table__, *about)
        .join(Customer, (Customer.org_id == Visit.org_id) & (Customer.id == Visit.customer_id))
        .where(
            Visit.org_id == org_id,
            Visit.rep_id == reader["id"],
            Visit.status == "planned",
            Visit.planned_date >= (now - PLANS_BACK).date().isoformat(),
        )
        .order_by(Visit.planned_date, Visit.id)
        .limit(MOST)
    ).mappings()
    for row in plans:
        event = _event(row, row["planned_date"], row["planned_time"], zone_name, VISIT_LASTS, now)
        event.add("summary", _text(row["customer_name"]))
        event.add("url", f"{app}/visits/{row['id']}")
        calendar.add_component(event)
    calendar.add_missing_timezones()
    made: bytes = calendar.to_ical()
    return made


def _event(
    row: Mapping[Any, Any], day: str, at: str | None, zone_name: str, lasts: timedelta, now: datetime
) -> Event:
    event = Event()
    event.add("uid", f"{row['id']}@rounds")
    event.add("dtstamp", now.astimezone(UTC).replace(microsecond=0))
    begins = date.fromisoformat(day)
    if at is None:
        event.add("dtstart", begins)
        if begins < date.max:
            event.add("dtend", begins + timedelta(days=1))
        event.add("transp", "TRANSPARENT")
    else:
        local = datetime.combine(begins, time.fromisoformat(at), zone_of(zone_name) or UTC)
        event.add("dtstart", local)
        event.add("duration", lasts)
    if row["address"]:
        event.add("location", _text(row["address"]))
    if row["phone"]:
        event.add("description", _text(row["phone"]))
    return event


def _text(said: str) -> str:
    return _CONTROL.sub(" ", said)
