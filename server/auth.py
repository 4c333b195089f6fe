"""Who is asking: session cookie or bearer token -> a `Principal`; each route names who may call it.

Tokens of both kinds carry their organisation (`<organisation hex>.<secret>`), so that look-ups start with it; only
digests are stored. The session of a deactivated person, or of a revoked device, still takes what the phone holds
(`upload_only`), and no more.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import current_app, g, request
from sqlalchemy import bindparam, select

from server.config import Config
from server.db import reading
from server.errors import Problem
from server.people.model import ApiToken, Device, Person, Session
from server.people.rules import ROLES

COOKIE = "rounds_session"


@dataclass(frozen=True, slots=True)
class Principal:
    """The person a request acts for. `device_id` is None for a bearer token."""

    org_id: str
    person_id: str
    name: str
    role: str
    team_id: str | None
    locale: str
    time_zone: str
    active: bool
    device_id: str | None
    client_id: str | None
    token_id: str | None = None
    revoked: bool = False

    @property
    def upload_only(self) -> str | None:
        """Why nothing but an upload of what a phone still holds is open to them: `deactivated`, `revoked`, or None."""
        if not self.active:
            return "deactivated"
        return "revoked" if self.revoked else None


def now() -> datetime:
    """The server's clock."""
    return datetime.now(UTC)


def config() -> Config:
    """The configuration of the running app."""
    found: Config = current_app.extensions["rounds"]
    return found


def new_secret(org_id: str) -> str:
    """A fresh token of 256 random bits that carries its organisation."""
    return f"{UUID(org_id).hex}.{secrets.token_urlsafe(32)}"


def digest_of(secret: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def org_of(secret: str) -> str | None:
    """The organisation a token carries, or None for a malformed one."""
    try:
        return str(UUID(hex=secret.partition(".")[0]))
    except ValueError:
        return None


def for_roles(*roles: str, uploads: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let only signed-in people of these roles through; `uploads` also those who may upload and no more.

    The view receives the `Principal` as first argument and carries `allowed_roles`, which a test walks.
    """
    allowed = frozenset(roles or ROLES)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            principal = current()
            if principal is None:
                raise Problem(401, "SIGN_IN_REQUIRED", "Sign in first.")
            if principal.upload_only and not uploads:
                detail = "Nothing but an upload of what this device still holds is open here."
                raise Problem(401, "SIGN_IN_REQUIRED", detail, reason=principal.upload_only)
            if principal.role not in allowed:
                raise Problem(403, "FORBIDDEN", "This is not for your role.")
            return view(principal, *args, **kwargs)

        guarded.allowed_roles = allowed  # type: ignore[attr-defined]
        return guarded

    return decorate


def open_to_all(view: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a route that needs no sign-in."""
    view.allowed_roles = None  # type: ignore[attr-defined]
    return view


def current() -> Principal | None:
    """Whoever this request acts for, or None."""
    if "principal" not in g:
        g.principal = _look_up()
    found: Principal | None = g.principal
    return found


_PERSON = (
    Person.org_id,
    Person.id.label("person_id"),
    Person.name,
    Person.role,
    Person.team_id,
    Person.locale,
    Person.time_zone,
    Person.active,
)

# Each request asks one of these first; putting a statement together takes several times as long as the answer.
_SESSION = (
    select(
        *_PERSON,
        Session.device_id,
        Device.client_id,
        Device.revoked_at.is_not(None).label("revoked"),
    )
    .join(Person, (Person.org_id == Session.org_id) & (Person.id == Session.person_id))
    .join(Device, (Device.org_id == Session.org_id) & (Device.id == Session.device_id))
    .where(
        Session.org_id == bindparam("org"),
        Session.digest == bindparam("digest"),
        Session.expires_at > bindparam("at"),
    )
)
_TOKEN = (
    select(*_PERSON, ApiToken.id.label("token_id"))
    .join(Person, (Person.org_id == ApiToken.org_id) & (Person.id == ApiToken.person_id))
    .where(
        ApiToken.org_id == bindparam("org"),
        ApiToken.digest == bindparam("digest"),
        ApiToken.revoked_at.is_(None),
    )
)


def _look_up() -> Principal | None:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        return _by_token(bearer.strip()) if scheme.lower() == "bearer" else None
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        check_origin()
    return _by_session(cookie)


def _by_session(secret: str) -> Principal | None:
    org_id = org_of(secret)
    if org_id is None:
        return None
    asked = {"org": org_id, "digest": digest_of(secret), "at": now()}
    with reading() as connection:
        row = connection.execute(_SESSION, asked).mappings().first()
    return Principal(**row) if row else None


def _by_token(secret: str) -> Principal | None:
    org_id = org_of(secret)
    if org_id is None:
        return None
    with reading() as connection:
        row = connection.execute(_TOKEN, {"org": org_id, "digest": digest_of(secret)}).mappings().first()
    return Principal(**row, device_id=None, client_id=None) if row else None


def check_origin() -> None:
    """Refuse a write that a browser sends for another site: 403 BAD_ORIGIN."""
    origin = request.headers.get("Origin")
    if origin is None:
        if request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}:
            return
        raise Problem(403, "BAD_ORIGIN", "This write comes from another site.")
    if urlsplit(origin).netloc == request.host or origin.rstrip("/") in config().origins:
        return
    raise Problem(403, "BAD_ORIGIN", "This write comes from another site.")
