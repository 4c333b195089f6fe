"""Tables of push: notices (the inbox), the devices that are to show them, and each attempt to reach one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Instant, Json, Model
from server.people.model import Synced

WAITING = text("state = 'waiting'")


class Notice(Synced, Model):
    """One entry of a person's inbox: what they were told, about which things, when; the inbox is the truth.

    `rule` is the kind of reminder, or `group` for several at once; `about` the things, each {"kind", "id"}; `words` what its
    sentence is made of, in no language; `status` `unread` or `read`.
    """

    __tablename__ = "notice"
    __table_args__ = (Index("ix_notice_person", "org_id", "person_id", "at"),)

    person_id: Mapped[str] = mapped_column(Id)
    rule: Mapped[str] = mapped_column()
    about: Mapped[list[dict[str, str]]] = mapped_column(Json)
    words: Mapped[dict[str, Any]] = mapped_column(Json)
    at: Mapped[str] = mapped_column()
    status: Mapped[str] = mapped_column(default="unread")
    snoozed_until: Mapped[str | None] = mapped_column()


class Subscription(Model):
    """A device that takes push messages: the endpoint and keys its browser gave, and the server key it was made with.

    `sent_at`, `shown_at`, `opened_at` are its health: when the push service last took a message, when the device last
    said that it showed one, that somebody opened one. `failures` counts refusals in a row, `rest_until` is when it
    may be tried again, `ended_at` and `ended_why` when it was given up.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        UniqueConstraint("org_id", "endpoint_digest"),
        Index("ix_subscription_person", "org_id", "person_id"),
    )

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id)
    device_id: Mapped[str | None] = mapped_column(Id)
    endpoint: Mapped[str] = mapped_column(Text)
    endpoint_digest: Mapped[str] = mapped_column()
    p256dh: Mapped[str] = mapped_column()
    auth: Mapped[str] = mapped_column()
    key: Mapped[str] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(Instant)
    renewed_at: Mapped[datetime] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    shown_at: Mapped[datetime | None] = mapped_column(Instant)
    opened_at: Mapped[datetime | None] = mapped_column(Instant)
    failures: Mapped[int] = mapped_column(default=0)
    rest_until: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_why: Mapped[str | None] = mapped_column()


class Delivery(Model):
    """That one device is owed one notice. The row is the queue: `due_at` says when, a lease says who is at it.

    `state`: `waiting`, `sent`, `gone` (the device has ended), `late` (its time to live passed), `refused`. `shown_at` and
    `opened_at` are what the device reported.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_due", "org_id", "due_at", sqlite_where=WAITING, postgresql_where=WAITING),
    )

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    notice_id: Mapped[str] = mapped_column(Id, primary_key=True)
    subscription_id: Mapped[str] = mapped_column(Id, primary_key=True)
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    urgency: Mapped[str] = mapped_column()
    due_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    shown_at: Mapped[datetime | None] = mapped_column(Instant)
    opened_at: Mapped[datetime | None] = mapped_column(Instant)


class Attempt(Model):
    """One attempt to reach a device: recorded before it is made, its outcome after; without one nobody knows it."""

    __tablename__ = "attempt"

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    notice_id: Mapped[str] = mapped_column(Id, primary_key=True)
    subscription_id: Mapped[str] = mapped_column(Id, primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    begun_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    outcome: Mapped[str | None] = mapped_column()
    status: Mapped[int | None] = mapped_column()
