"""Tables of people: organisation > team (a tree) > person; how they sign in; which audiences they belong to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from server.db import Id, Instant, Json, Model


class Synced:
    """Columns of everything that phones hold.

    `version` is the organisation's head when the row last changed; `stamps` tells who last changed which field
    (see `sync.reconcile.Entity`); `extra` keeps fields that this release does not know, as they came.
    """

    @declared_attr.directive
    def org_id(cls) -> Mapped[str]:
        return mapped_column(Id, ForeignKey("organisation.id"), primary_key=True, sort_order=-2)

    id: Mapped[str] = mapped_column(Id, primary_key=True, sort_order=-1)
    version: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(default="")
    archived: Mapped[bool] = mapped_column(default=False)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    stamps: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Organisation(Model):
    """A tenant. `time_zone`, `week_start` (0 = Monday) and `locale` are what its members start with."""

    __tablename__ = "organisation"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column()
    time_zone: Mapped[str] = mapped_column()
    week_start: Mapped[int] = mapped_column(default=0)
    locale: Mapped[str] = mapped_column(default="en")
    created_at: Mapped[datetime] = mapped_column(Instant)


class Head(Model):
    """One row an organisation, locked first by whoever writes.

    `version` counts writing transactions, `entries` the journal, `chain` is the digest of its last entry, `floor` the
    version up to which tombstones may have been collected.
    """

    __tablename__ = "head"

    org_id: Mapped[str] = mapped_column(Id, ForeignKey("organisation.id"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    entries: Mapped[int] = mapped_column(BigInteger, default=0)
    chain: Mapped[str] = mapped_column(default="")
    floor: Mapped[int] = mapped_column(BigInteger, default=0)


class Setting(Synced, Model):
    """One setting of an organisation that its phones may know: a key and a JSON value."""

    __tablename__ = "setting"
    __table_args__ = (UniqueConstraint("org_id", "key"),)

    key: Mapped[str] = mapped_column()
    value: Mapped[Any] = mapped_column(Json, nullable=True)


class Team(Synced, Model):
    """A node of the team tree."""

    __tablename__ = "team"
    __table_args__ = (ForeignKeyConstraint(["org_id", "parent_id"], ["team.org_id", "team.id"]),)

    name: Mapped[str] = mapped_column()
    parent_id: Mapped[str | None] = mapped_column(Id)


class Person(Synced, Model):
    """Somebody with a role in a team. A manager leads the team they are in and all below it.

    From `joined_on` on they are wanted something, from `left_on` on no more (None: not said); targets go by it.
    """

    __tablename__ = "person"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
        Index("ix_person_team", "org_id", "team_id"),
    )

    name: Mapped[str] = mapped_column()
    role: Mapped[str] = mapped_column()
    team_id: Mapped[str | None] = mapped_column(Id)
    active: Mapped[bool] = mapped_column(default=True)
    locale: Mapped[str] = mapped_column(default="en")
    time_zone: Mapped[str] = mapped_column()
    joined_on: Mapped[str | None] = mapped_column()
    left_on: Mapped[str | None] = mapped_column()


class Login(Model):
    """How a person signs in. Not synced: an e-mail address and a password are nobody else's business."""

    __tablename__ = "login"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        UniqueConstraint("org_id", "email"),
        Index("ix_login_email", "email"),
    )

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column()
    password_hash: Mapped[str | None] = mapped_column()


class Device(Model):
    """A browser profile or app somebody signed in on; once revoked, what it still holds may be uploaded, and no more."""

    __tablename__ = "device"
    __table_args__ = (ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),)

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id)
    client_id: Mapped[str | None] = mapped_column(Id)
    name: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class Session(Model):
    """A signed-in device. Only the digest of the cookie is kept."""

    __tablename__ = "session"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "device_id"], ["device.org_id", "device.id"]),
        ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
    )

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(Id)
    device_id: Mapped[str] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class ApiToken(Model):
    """A bearer token of an integration, acting as one person; only its digest is kept."""

    __tablename__ = "api_token"
    __table_args__ = (ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),)

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(Id)
    person_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class Invite(Model):
    """A one-time link with which a person sets their own password, or (`uploads`) with which a closed account's phone
    uploads what it still holds."""

    __tablename__ = "invite"
    __table_args__ = (ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),)

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(Id)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
    uploads: Mapped[bool] = mapped_column(default=False)


class SignInAttempt(Model):
    """A failed attempt to sign in, counted per address and per account whether it exists or not (no org: one of the few)."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (Index("ix_sign_in_attempt", "subject", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column()
    at: Mapped[datetime] = mapped_column(Instant)


class Grant(Model):
    """That a person belongs to an audience (a scope of PROTOCOL) from one instant until another, or still."""

    __tablename__ = "grant"
    __table_args__ = (Index("ix_grant_scope", "org_id", "scope"),)

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    until: Mapped[datetime | None] = mapped_column(Instant)
