"""Tables of closings: what a period came to for somebody, frozen; and which of them have to be looked at again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Instant, Json, Model
from server.people.model import Synced


class Closing(Synced, Model):
    """A person's score of a closed period, as it was when the ticker closed it; only reopening it changes its figures.

    `scheme` {"id", "version", "name"}; `readings`, `reasons`, `total` (two places), `grade` as `case.score_document` writes
    them, evidence and all. `closed_at` is the instant from which it was looked. `adjustments`, oldest first: what later
    data would have made of it (see `server.indicators.close`). Reopened with a `reason` at `reopened_at`, it closes anew.
    """

    __tablename__ = "closing"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        Index("ux_closing_period", "org_id", "person_id", "period", "starts_on", unique=True),
        Index("ix_closing_period", "org_id", "period", "starts_on"),
    )

    person_id: Mapped[str] = mapped_column(Id)
    period: Mapped[str] = mapped_column()
    starts_on: Mapped[str] = mapped_column()
    ends_on: Mapped[str] = mapped_column()
    scheme: Mapped[dict[str, Any]] = mapped_column(Json)
    readings: Mapped[list[Any]] = mapped_column(Json)
    reasons: Mapped[list[Any]] = mapped_column(Json)
    total: Mapped[str | None] = mapped_column()
    grade: Mapped[str | None] = mapped_column()
    closed_at: Mapped[str] = mapped_column()
    adjustments: Mapped[list[Any]] = mapped_column(Json)
    status: Mapped[str] = mapped_column()
    reason: Mapped[str | None] = mapped_column()
    reopened_at: Mapped[datetime | None] = mapped_column(Instant)
    reads_from: Mapped[str] = mapped_column()


class Late(Model):
    """That something changed which a closing was made of. Written by the transaction that changed it, taken by the ticker;
    not told to anybody, and no part of what the journal tells."""

    __tablename__ = "late"

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    closing_id: Mapped[str] = mapped_column(Id, primary_key=True)
