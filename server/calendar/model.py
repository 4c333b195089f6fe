"""The table of calendar feeds: one a person, known by the digest of its secret alone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Instant, Model


class CalendarFeed(Model):
    """That a person's calendar may be read by whoever has the secret. `read_at` is when it last was, to the hour."""

    __tablename__ = "calendar_feed"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        Index("ix_calendar_feed_digest", "org_id", "digest", unique=True),
    )

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(Instant)
    read_at: Mapped[datetime | None] = mapped_column(Instant)
