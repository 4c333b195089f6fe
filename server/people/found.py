"""Found an organisation: its row and head, what it starts with, and its first administrator, all or nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import insert, select

from server.db import writing
from server.exchange.door import Change, client_of, write_within
from server.people.admin import Refused, all_applied, checked_zone, login_of, system
from server.people.defaults import OUTCOMES, ROOT_TEAM, SETTINGS, VISIT_KINDS
from server.people.model import Head, Login, Organisation
from sync.policy import well_formed

LOCALES = ("en", "zh-Hans")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class FirstAdministrator:
    """Who administers a new organisation. `password` None: they are to be invited."""

    name: str
    email: str
    password: str | None


def slug_of(name: str) -> str:
    """A slug that a name suggests; "" where it has no letter or digit of ASCII."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:63].strip("-")


def found(
    *,
    name: str,
    slug: str,
    time_zone: str,
    administrator: FirstAdministrator | None,
    now: datetime,
    week_start: int = 0,
    locale: str = "en",
    root_team: str | None = None,
    begun_with: Sequence[Change] = (),
) -> str:
    """Make an organisation and return its id; raises `Refused`, with nothing made, for what cannot be.

    `slug` is unique on this server; `time_zone` an IANA name; `week_start` 0 is Monday; `locale` "en" or "zh-Hans".
    It gets one root team (named after nothing in particular unless `root_team` says), visit kinds, outcomes and settings,
    and what else it is to be begun with (`indicators.begin`).
    """
    if not name.strip() or len(name) > 200 or not well_formed(name):
        raise Refused("An organisation needs a name: text of 200 characters at most.")
    if not _SLUG.fullmatch(slug) or len(slug) > 63:
        raise Refused(f"{slug!r} is no slug: small letters a-z, digits and single dashes, 63 at most.")
    checked_zone(time_zone)
    if week_start not in range(7) or locale not in LOCALES:
        raise Refused("The week starts on a day from 0 (Monday) to 6, and the language is en or zh-Hans.")
    org_id = str(uuid4())
    actor = system(org_id)
    with writing() as connection:
        if connection.execute(select(Organisation.id).where(Organisation.slug == slug)).first():
            raise Refused(f"There is an organisation {slug} here already. Choose another slug.")
        connection.execute(
            insert(Organisation),
            [
                {
                    "id": org_id,
                    "slug": slug,
                    "name": name.strip(),
                    "time_zone": time_zone,
                    "week_start": week_start,
                    "locale": locale,
                    "created_at": now,
                }
            ],
        )
        connection.execute(
            insert(Head), [{"org_id": org_id, "version": 0, "entries": 0, "chain": "", "floor": 0}]
        )
        changes = [*_beginnings(root_team or ROOT_TEAM[locale]), *begun_with]
        if administrator is not None:
            person_id = str(uuid4())
            changes.append(
                Change(
                    "person",
                    person_id,
                    "create",
                    {
                        "name": administrator.name.strip(),
                        "role": "administrator",
                        "time_zone": time_zone,
                        "locale": locale,
                    },
                )
            )
        all_applied(write_within(connection, actor, client_of(org_id, "cli"), changes, now), changes)
        if administrator is not None:
            connection.execute(
                insert(Login), [login_of(org_id, person_id, administrator.email, administrator.password)]
            )
    return org_id


def _beginnings(root_team: str) -> list[Change]:
    changes = [Change("team", str(uuid4()), "create", {"name": root_team, "parent_id": None})]
    changes += [
        Change("setting", str(uuid4()), "create", {"key": key, "value": value})
        for key, value in SETTINGS.items()
    ]
    changes += [
        Change(
            "visit_kind",
            str(uuid4()),
            "create",
            {"code": code, "name": name, "name_zh": name_zh, "min_minutes": minutes},
        )
        for code, name, name_zh, minutes in VISIT_KINDS
    ]
    changes += [
        Change(
            "outcome",
            str(uuid4()),
            "create",
            {"code": code, "name": name, "name_zh": name_zh, "position": position},
        )
        for position, (code, name, name_zh) in enumerate(OUTCOMES, start=1)
    ]
    return changes
