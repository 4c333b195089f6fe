"""What an administrator does from the command line: people, teams, invitations and tokens.

People and teams are written through the door like everything that phones hold; logins, invitations and tokens are
nobody else's business and are written beside it, in the same transaction.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any
from uuid import uuid4
from zoneinfo import available_timezones

from sqlalchemy import Connection, func, insert, select, update

from server.auth import digest_of, new_secret
from server.db import reading, writing
from server.exchange.apply import lock_head
from server.exchange.door import Change, client_of, write_within
from server.exchange.model import Client
from server.exchange.work import Actor
from server.people.model import ApiToken, Device, Invite, Login, Organisation, Person, Team
from server.people.rules import ROLES
from server.people.session import hash_password, normal
from sync.policy import is_uuid

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1024
INVITE_DAYS = 7

NEED_A_TEAM = frozenset({"rep", "manager"})
"""Roles that mean nothing without a team."""

_EMAIL = re.compile(r"[^\s@,;<>\"\x00-\x1f]{1,64}@[^\s@,;<>\"\x00-\x1f]+")
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is misread aloud or on paper


class Refused(ValueError):
    """What was asked for cannot be done; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody to be added. `team` is a team's name or id; `time_zone` and `locale` None as the organisation's."""

    name: str
    email: str
    role: str
    team: str | None = None
    password: str | None = None
    time_zone: str | None = None
    locale: str | None = None


def system(org_id: str) -> Actor:
    """The command line as an author: an administrator who is nobody in particular."""
    return Actor(org_id, None, "administrator", None, via="cli")


def organisation(connection: Connection, slug: str | None) -> dict[str, Any]:
    """The organisation of this slug, or the only one; raises `Refused`."""
    rows = connection.execute(select(Organisation.__table__).order_by(Organisation.slug)).mappings().all()
    if not rows:
        raise Refused("There is no organisation yet. Make one with `rounds init`.")
    known = ", ".join(row["slug"] for row in rows[:20])
    if slug is None:
        if len(rows) > 1:
            raise Refused(f"Which organisation? Say --organisation with one of: {known}.")
        return dict(rows[0])
    for row in rows:
        if row["slug"] == slug:
            return dict(row)
    raise Refused(f"There is no organisation {slug}. There is: {known}.")


# -- people ------------------------------------------------------------------------------------------------------------


def people(org_id: str) -> list[dict[str, Any]]:
    """Everybody, by name: id, name, email, role, team (its name), active, has_password."""
    with reading() as connection:
        rows = connection.execute(
            select(
                Person.id,
                Person.name,
                Login.email,
                Person.role,
                Team.name.label("team"),
                Person.active,
                Login.password_hash.is_not(None).label("has_password"),
            )
            .outerjoin(Login, (Login.org_id == Person.org_id) & (Login.person_id == Person.id))
            .outerjoin(Team, (Team.org_id == Person.org_id) & (Team.id == Person.team_id))
            .where(Person.org_id == org_id, Person.archived.is_(False))
            .order_by(func.lower(Person.name), Person.id)
        ).mappings()
        return [dict(row) for row in rows]


def add_person(of: dict[str, Any], new: NewPerson, now: datetime) -> str:
    """Add somebody to an organisation (its row) and return their id; raises `Refused`."""
    org_id, person_id = of["id"], str(uuid4())
    email = checked_email(new.email)
    if new.role not in ROLES:
        raise Refused(f"{new.role!r} is no role; there is {', '.join(ROLES)}.")
    zone = checked_zone(new.time_zone) if new.time_zone else of["time_zone"]
    login = login_of(org_id, person_id, email, new.password)  # hashing takes its time: before the transaction
    with writing() as connection:
        lock_head(connection, org_id)
        _refuse_known(connection, org_id, email)
        team_id = _team_for(connection, org_id, new.team, new.role)
        change = Change(
            "person",
            person_id,
            "create",
            {
                "name": new.name.strip(),
                "role": new.role,
                "team_id": team_id,
                "time_zone": zone,
                "locale": new.locale or of["locale"],
            },
        )
        all_applied(
            write_within(connection, system(org_id), client_of(org_id, "cli"), [change], now), [change]
        )
        connection.execute(insert(Login), [login])
    return person_id


def person_of(connection: Connection, org_id: str, email: str) -> dict[str, Any]:
    """The person with this e-mail address; raises `Refused`."""
    row = (
        connection.execute(
            select(Person.__table__, Login.email)
            .join(Login, (Login.org_id == Person.org_id) & (Login.person_id == Person.id))
            .where(Person.org_id == org_id, Login.email == normal(email))
        )
        .mappings()
        .first()
    )
    if row is None:
        raise Refused(f"Nobody here has the e-mail address {email}. See `rounds person list`.")
    return dict(row)


def change_person(
    org_id: str, email: str, told: Mapping[str, str | None], team: str | None, now: datetime
) -> list[str]:
    """Change fields of somebody (None says nothing), and their team; returns what changed. Raises `Refused`."""
    if told.get("time_zone"):
        checked_zone(str(told["time_zone"]))
    with writing() as connection:
        lock_head(connection, org_id)
        person = person_of(connection, org_id, email)
        wanted = {name: value for name, value in told.items() if value is not None}
        if team is not None:
            wanted["team_id"] = team_of(connection, org_id, team)
        new = {name: value for name, value in wanted.items() if value != person[name]}
        if not new:
            return []
        if "role" in new and person["role"] == "administrator":
            _refuse_last(connection, org_id, person)
        if not (new.get("team_id") or person["team_id"]) and new.get("role") in NEED_A_TEAM:
            raise Refused(f"A {new['role']} needs a team. Say --team; see `rounds team list`.")
        old = {name: person[name] for name in new}
        change = Change("person", person["id"], "update", new, old, base=person["version"])
        all_applied(
            write_within(connection, system(org_id), client_of(org_id, "cli"), [change], now), [change]
        )
    return [name.removesuffix("_id").replace("_", " ") for name in new]


def _refuse_last(connection: Connection, org_id: str, person: Mapping[str, Any]) -> None:
    """Refuse to lose the last active administrator."""
    others = connection.execute(
        select(func.count()).where(
            Person.org_id == org_id,
            Person.role == "administrator",
            Person.active.is_(True),
            Person.id != person["id"],
        )
    ).scalar_one()
    if not others:
        raise Refused(f"{person['name']} is the only administrator. Add another one first.")


def set_active(org_id: str, email: str, active: bool, now: datetime) -> bool:
    """Deactivate somebody, or take them back; whether that changed anything. Raises `Refused`.

    Their sessions stay: what a deactivated person's phone still holds may be uploaded, and no more. The last
    active administrator cannot be deactivated.
    """
    with writing() as connection:
        lock_head(
            connection, org_id
        )  # two who deactivate each other's administrator come one after the other
        person = person_of(connection, org_id, email)
        if person["active"] == active:
            return False
        if not active and person["role"] == "administrator":
            _refuse_last(connection, org_id, person)
        change = Change(
            "person",
            person["id"],
            "update",
            {"active": active},
            {"active": person["active"]},
            base=person["version"],
        )
        all_applied(
            write_within(connection, system(org_id), client_of(org_id, "cli"), [change], now), [change]
        )
        if not active:
            connection.execute(
                update(Invite)
                .where(Invite.org_id == org_id, Invite.person_id == person["id"], Invite.used_at.is_(None))
                .values(used_at=now)
            )
    return True


def invite(org_id: str, email: str, now: datetime, days: int = INVITE_DAYS, *, uploads: bool = False) -> str:
    """A one-time secret with which somebody sets their password; earlier ones end. Raises `Refused`.

    `uploads`: for a closed account, with which its phone uploads what it still holds and reads nothing.
    """
    secret = new_secret(org_id)
    with writing() as connection:
        person = person_of(connection, org_id, email)
        if uploads and person["active"]:
            raise Refused(f"{person['name']} is not deactivated: signing in sends what their phone holds.")
        if not uploads and not person["active"]:
            raise Refused(
                f"{person['name']} is deactivated. `rounds person activate {email}` takes them back, and "
                f"`rounds person upload-link {email}` lets their phone send what it still holds."
            )
        connection.execute(
            update(Invite)
            .where(Invite.org_id == org_id, Invite.person_id == person["id"], Invite.used_at.is_(None))
            .values(used_at=now)
        )
        connection.execute(
            insert(Invite),
            [
                {
                    "org_id": org_id,
                    "digest": digest_of(secret),
                    "person_id": person["id"],
                    "expires_at": now + timedelta(days=days),
                    "used_at": None,
                    "uploads": uploads,
                }
            ],
        )
    return secret


# -- teams -------------------------------------------------------------------------------------------------------------


def teams(org_id: str) -> list[dict[str, Any]]:
    """The tree in reading order: id, name, parent_id, depth, people (active ones directly in it)."""
    with reading() as connection:
        rows = connection.execute(
            select(Team.id, Team.name, Team.parent_id).where(Team.org_id == org_id, Team.archived.is_(False))
        ).mappings()
        known = {row["id"]: dict(row) for row in rows}
        counted = connection.execute(
            select(Person.team_id, func.count().label("number"))
            .where(Person.org_id == org_id, Person.active.is_(True), Person.archived.is_(False))
            .group_by(Person.team_id)
        )
        members = {row.team_id: row.number for row in counted}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for team in known.values():
        children.setdefault(team["parent_id"] if team["parent_id"] in known else None, []).append(team)
    found: list[dict[str, Any]] = []

    def walk(parent: str | None, depth: int) -> None:
        for team in sorted(children.get(parent, ()), key=lambda each: (each["name"].casefold(), each["id"])):
            found.append(team | {"depth": depth, "people": members.get(team["id"], 0)})
            walk(team["id"], depth + 1)

    walk(None, 0)
    return found


def add_team(org_id: str, name: str, under: str | None, now: datetime, *, top: bool = False) -> str:
    """Add a team under another (default: the only root), or at the top; returns its id. Raises `Refused`."""
    team_id = str(uuid4())
    if not name.strip():
        raise Refused("A team needs a name.")
    with writing() as connection:
        lock_head(connection, org_id)
        parent = None if top else _parent(connection, org_id, under)
        same = connection.execute(
            select(Team.id).where(
                Team.org_id == org_id,
                Team.name == name.strip(),
                Team.parent_id.is_not_distinct_from(parent),
                Team.archived.is_(False),
            )
        ).first()
        if same:
            raise Refused(f"There is a team {name.strip()} there already.")
        change = Change("team", team_id, "create", {"name": name.strip(), "parent_id": parent})
        all_applied(
            write_within(connection, system(org_id), client_of(org_id, "cli"), [change], now), [change]
        )
    return team_id


def team_of(connection: Connection, org_id: str, wanted: str) -> str:
    """The id of the team of this name or id; raises `Refused` for an unknown or ambiguous one."""
    known = select(Team.id, Team.name).where(Team.org_id == org_id, Team.archived.is_(False))
    if is_uuid(wanted):
        rows = connection.execute(known.where(Team.id == wanted)).all()
    else:
        rows = connection.execute(known.where(func.lower(Team.name) == wanted.strip().lower())).all()
        exact = [row for row in rows if row.name == wanted.strip()]
        rows = exact or rows
    if not rows:
        raise Refused(f"There is no team {wanted}. See `rounds team list`.")
    if len(rows) > 1:
        raise Refused(
            f"There are {len(rows)} teams {wanted}; say which by its id: {', '.join(row.id for row in rows)}."
        )
    found: str = rows[0].id
    return found


def _parent(connection: Connection, org_id: str, under: str | None) -> str | None:
    if under is not None:
        return team_of(connection, org_id, under)
    roots = connection.execute(
        select(Team.id).where(Team.org_id == org_id, Team.parent_id.is_(None), Team.archived.is_(False))
    ).all()
    if len(roots) > 1:
        raise Refused("There are several teams at the top. Say --under with one of them, or --top.")
    return roots[0].id if roots else None


def _team_for(connection: Connection, org_id: str, team: str | None, role: str) -> str | None:
    """Who works in the field or leads has a team: the one named, or the only one there is."""
    if team is not None:
        return team_of(connection, org_id, team)
    if role not in NEED_A_TEAM:
        return None
    rows = connection.execute(
        select(Team.id).where(Team.org_id == org_id, Team.archived.is_(False)).limit(2)
    ).all()
    if len(rows) == 1:
        return str(rows[0].id)
    raise Refused(f"A {role} needs a team. Say --team; see `rounds team list`.")


# -- tokens ------------------------------------------------------------------------------------------------------------


def create_token(org_id: str, email: str, name: str, now: datetime) -> tuple[str, str]:
    """(id, secret) of a new bearer token that acts as somebody; the secret is not kept. Raises `Refused`."""
    secret, token_id = new_secret(org_id), str(uuid4())
    with writing() as connection:
        person = person_of(connection, org_id, email)
        if not person["active"]:
            raise Refused(f"{person['name']} is deactivated; a token of theirs could do nothing.")
        connection.execute(
            insert(ApiToken),
            [
                {
                    "org_id": org_id,
                    "digest": digest_of(secret),
                    "id": token_id,
                    "person_id": person["id"],
                    "name": name,
                    "created_at": now,
                    "revoked_at": None,
                }
            ],
        )
    return token_id, secret


def tokens(org_id: str) -> list[dict[str, Any]]:
    """All tokens, newest first: id, name, email, created_at, revoked_at. Their secrets are known to nobody."""
    with reading() as connection:
        rows = connection.execute(
            select(ApiToken.id, ApiToken.name, Login.email, ApiToken.created_at, ApiToken.revoked_at)
            .outerjoin(Login, (Login.org_id == ApiToken.org_id) & (Login.person_id == ApiToken.person_id))
            .where(ApiToken.org_id == org_id)
            .order_by(ApiToken.created_at.desc(), ApiToken.id)
        ).mappings()
        return [dict(row) for row in rows]


def revoke_token(org_id: str, which: str, now: datetime) -> dict[str, Any]:
    """Revoke the token whose id begins with `which` (4 characters or more) and return it; raises `Refused`."""
    found = _one(tokens(org_id), which, "token")
    _revoke(ApiToken, org_id, found["id"], now)
    return found


# -- devices -----------------------------------------------------------------------------------------------------------


def devices(org_id: str) -> list[dict[str, Any]]:
    """All devices that somebody signed in on, newest first: id, name, email, created_at, contact_at, unsent, revoked_at.

    `contact_at` and `unsent` are what its outbox last told the server.
    """
    with reading() as connection:
        rows = connection.execute(
            select(
                Device.id,
                Device.name,
                Login.email,
                Device.created_at,
                Device.revoked_at,
                Client.contact_at,
                Client.unsent,
            )
            .outerjoin(Login, (Login.org_id == Device.org_id) & (Login.person_id == Device.person_id))
            .outerjoin(Client, (Client.org_id == Device.org_id) & (Client.id == Device.client_id))
            .where(Device.org_id == org_id)
            .order_by(Device.created_at.desc(), Device.id)
        ).mappings()
        return [dict(row) for row in rows]


def revoke_device(org_id: str, which: str, now: datetime) -> dict[str, Any]:
    """Revoke the device whose id begins with `which` and return it; raises `Refused`.

    Its sessions read nothing any more. What its phone holds is still taken, and looked at by the lead.
    """
    found = _one(devices(org_id), which, "device")
    _revoke(Device, org_id, found["id"], now)
    return found


# -- what they share ---------------------------------------------------------------------------------------------------


def _one(known: list[dict[str, Any]], which: str, what: str) -> dict[str, Any]:
    """The only one whose id begins with `which` (4 characters or more); raises `Refused`."""
    found = [each for each in known if len(which) >= 4 and each["id"].startswith(which.lower())]
    if not found:
        raise Refused(f"There is no {what} {which}. See `rounds {what} list`.")
    if len(found) > 1:
        raise Refused(f"{len(found)} {what}s begin with {which}; give more of the id.")
    return found[0]


def _revoke(model: type[ApiToken] | type[Device], org_id: str, identity: str, now: datetime) -> None:
    with writing() as connection:
        connection.execute(
            update(model)
            .where(model.org_id == org_id, model.id == identity, model.revoked_at.is_(None))
            .values(revoked_at=now)
        )


def all_applied(receipts: Sequence[dict[str, Any]], changes: Sequence[Change]) -> None:
    """Raise `Refused`, and so undo the transaction, unless each change was taken as asked."""
    for receipt, change in zip(receipts, changes, strict=True):
        if receipt["status"] not in {"applied", "noop"}:
            field = (receipt["detail"] or {}).get("field")
            value = f": {field} {change.new.get(field)!r} is not acceptable" if field else ""
            raise Refused(f"The {change.kind.replace('_', ' ')} was not taken ({receipt['code']}){value}.")


def login_of(org_id: str, person_id: str, email: str, password: str | None) -> dict[str, Any]:
    """The login row of somebody; raises `Refused` for a password or address that will not do."""
    return {
        "org_id": org_id,
        "person_id": person_id,
        "email": checked_email(email),
        "password_hash": None if password is None else hash_password(checked_password(password)),
    }


def checked_email(email: str) -> str:
    """The address as it is stored and compared; raises `Refused` for what is none."""
    address = normal(email)
    if not _EMAIL.fullmatch(address) or len(address) > 320:
        raise Refused(f"{email!r} is no e-mail address.")
    return address


def checked_password(password: str) -> str:
    """The password; raises `Refused` for one too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Refused(
            f"A password has at least {SHORTEST_PASSWORD} characters (and {LONGEST_PASSWORD} at most)."
        )
    return password


def checked_zone(zone: str) -> str:
    """The IANA name of a time zone; raises `Refused` for one that there is not, with what may have been meant."""
    known = available_timezones()
    if zone not in known:
        near = get_close_matches(zone.replace(" ", "_"), known, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "such as Europe/London or Asia/Shanghai."
        raise Refused(f"{zone!r} is no time zone. An IANA name is wanted; {hint}")
    return zone


def new_password() -> str:
    """A password to be read from a screen and typed on a phone: 15 of 31 signs, 74 random bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(3))


def _refuse_known(connection: Connection, org_id: str, email: str) -> None:
    known = connection.execute(
        select(Person.name, Person.active)
        .join(Login, (Login.org_id == Person.org_id) & (Login.person_id == Person.id))
        .where(Login.org_id == org_id, Login.email == email)
    ).first()
    if known:
        again = "" if known.active else f"; `rounds person activate {email}` takes them back"
        raise Refused(f"{email} is {known.name}'s address already{again}.")
