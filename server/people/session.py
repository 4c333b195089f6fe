"""Signing in and out: one answer for every reason it fails, counted per account and address in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, func, insert, select, update

from server.auth import digest_of, new_secret, org_of
from server.config import Config
from server.db import reading, writing
from server.errors import Problem
from server.people.model import Device, Invite, Login, Organisation, Person, Session, SignInAttempt

_hasher = PasswordHasher()
_UNKNOWN = "$argon2id$v=19$m=65536,t=3,p=4$z8JTYZyE+Ug/vT8RhpCeIw$+fwJpi2iugzEK7u/z5I6NPL8Ojg2vpz24xAhHhRpFlw"
"""The hash of a word that was thrown away, made as `_hasher` makes them: made anew, it would cost each start a tenth."""

MOST_TRIES_OF_AN_ADDRESS = 20
"""An address may try this many times more than one account: many people sit behind one office router."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that was just opened; `secret` goes into the cookie and nowhere else."""

    secret: str
    org_id: str
    person_id: str
    expires_at: datetime


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its parameters."""
    return _hasher.hash(password)


def sign_in(config: Config, asked: dict[str, Any], address: str, now: datetime) -> NewSession:
    """Open a session; 401 SIGN_IN_FAILED for every reason alike, 429 after too many failures.

    `asked` is a loaded `schema.SignIn`. Where the organisation is left out and the e-mail address is known in one
    organisation only, that one is meant.
    """
    email = normal(asked["email"])
    most = config.sign_in_attempts
    subjects = {f"account:{email}": most, f"address:{address}": most * MOST_TRIES_OF_AN_ADDRESS}
    since = now - timedelta(seconds=config.sign_in_window_s)
    with reading() as connection:
        for subject, most in subjects.items():
            failed = connection.execute(
                select(func.count()).where(SignInAttempt.subject == subject, SignInAttempt.at > since)
            ).scalar_one()
            if failed >= most:
                wait = {"Retry-After": str(config.sign_in_window_s)}
                raise Problem(429, "TOO_MANY_ATTEMPTS", "Too many attempts; wait a while.", headers=wait)
        found = _candidates(connection, asked["organisation"], email)
    match = found[0] if len(found) == 1 else None
    if (
        not _verified(match["password_hash"] if match else None, asked["password"])
        or match is None
        or not match["active"]
    ):
        with writing() as connection:
            connection.execute(delete(SignInAttempt).where(SignInAttempt.at <= since))
            connection.execute(
                insert(SignInAttempt), [{"subject": subject, "at": now} for subject in subjects]
            )
        raise Problem(401, "SIGN_IN_FAILED", "E-mail address or password do not fit.")
    with writing() as connection:
        connection.execute(delete(SignInAttempt).where(SignInAttempt.subject == f"account:{email}"))
        return open_session(connection, config, match["org_id"], match["person_id"], asked["device"], now)


def normal(email: str) -> str:
    """An e-mail address as it is compared."""
    return email.strip().casefold()


def _candidates(connection: Connection, slug: str | None, email: str) -> list[Any]:
    statement = (
        select(Login.org_id, Login.person_id, Login.password_hash, Person.active)
        .join(Person, (Person.org_id == Login.org_id) & (Person.id == Login.person_id))
        .where(Login.email == email)
    )
    if slug:
        statement = statement.join(Organisation, Organisation.id == Login.org_id).where(
            Organisation.slug == slug
        )
    return list(connection.execute(statement.limit(2)).mappings())


def _verified(stored: str | None, password: str) -> bool:
    """Whether the password fits; takes as long for an account that does not exist."""
    try:
        return _hasher.verify(stored or _UNKNOWN, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def open_session(
    connection: Connection, config: Config, org_id: str, person_id: str, device: dict[str, Any], now: datetime
) -> NewSession:
    """A session for a person on a device, bound to it: revoking the device ends it."""
    device_id, secret = str(uuid4()), new_secret(org_id)
    expires_at = now + timedelta(days=config.session_days)
    connection.execute(
        insert(Device),
        [
            {
                "org_id": org_id,
                "id": device_id,
                "person_id": person_id,
                "client_id": str(device["client"]),
                "name": device["name"],
                "created_at": now,
                "revoked_at": None,
            }
        ],
    )
    connection.execute(
        insert(Session),
        [
            {
                "org_id": org_id,
                "digest": digest_of(secret),
                "person_id": person_id,
                "device_id": device_id,
                "created_at": now,
                "expires_at": expires_at,
            }
        ],
    )
    return NewSession(secret, org_id, person_id, expires_at)


def sign_out(org_id: str, device_id: str, now: datetime) -> None:
    """End a device's sessions."""
    with writing() as connection:
        connection.execute(delete(Session).where(Session.org_id == org_id, Session.device_id == device_id))
        connection.execute(
            update(Device).where(Device.org_id == org_id, Device.id == device_id).values(revoked_at=now)
        )


def accept_upload(config: Config, asked: dict[str, Any], now: datetime) -> NewSession:
    """A session of a closed account that can do nothing but upload, by a one-time link; 401 SIGN_IN_FAILED else."""
    secret = asked["invite"]
    org_id = org_of(secret)
    with writing() as connection:
        taken = _take(connection, org_id, secret, now, uploads=True) if org_id else None
        if org_id is None or taken is None:
            raise Problem(401, "SIGN_IN_FAILED", "This link is used up or too old.")
        return open_session(connection, config, org_id, taken, asked["device"], now)


def _take(connection: Connection, org_id: str, secret: str, now: datetime, *, uploads: bool) -> str | None:
    """Use up a one-time link; returns whose it was. One to upload with is for closed accounts, the others for open ones."""
    taken: str | None = connection.execute(
        update(Invite)
        .where(
            Invite.org_id == org_id,
            Invite.digest == digest_of(secret),
            Invite.uploads.is_(uploads),
            Invite.used_at.is_(None),
            Invite.expires_at > now,
        )
        .values(used_at=now)
        .returning(Invite.person_id)
    ).scalar_one_or_none()
    if taken is None:
        return None
    active = connection.execute(
        select(Person.active).where(Person.org_id == org_id, Person.id == taken)
    ).scalar_one()
    return None if active is uploads else taken


def accept_invite(config: Config, asked: dict[str, Any], now: datetime) -> NewSession:
    """Set the password that an invitation allows, once, and sign in; 401 SIGN_IN_FAILED for every reason alike."""
    secret = asked["invite"]
    org_id = org_of(secret)
    refused = Problem(401, "SIGN_IN_FAILED", "This invitation is used up or too old.")
    if org_id is None:
        raise refused
    hashed = hash_password(asked["password"])
    with writing() as connection:
        taken = _take(connection, org_id, secret, now, uploads=False)
        if taken is None:
            raise refused
        connection.execute(
            update(Login).where(Login.org_id == org_id, Login.person_id == taken).values(password_hash=hashed)
        )
        return open_session(connection, config, org_id, taken, asked["device"], now)
