"""Tables of schemes, targets, values, days off, appeals. Amounts are decimal text as they travel; nothing rounds them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Instant, Json, Model
from server.people.model import Synced


class IndicatorScheme(Synced, Model):
    """Indicators with weights, for a role and a team (None: for all), valid from a day on; a change is a new one.

    `cap` of attainments (None: 1.5); `indicators` as `case.indicator_of` reads them; `template` it began as.
    """

    __tablename__ = "scheme"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
        Index("ix_scheme_valid", "org_id", "status", "valid_from"),
    )

    name: Mapped[str] = mapped_column()
    name_zh: Mapped[str | None] = mapped_column()
    template: Mapped[str | None] = mapped_column()
    role: Mapped[str | None] = mapped_column()
    team_id: Mapped[str | None] = mapped_column(Id)
    valid_from: Mapped[str] = mapped_column()
    cap: Mapped[str | None] = mapped_column()
    indicators: Mapped[list[Any]] = mapped_column(Json)
    note: Mapped[str | None] = mapped_column()
    status: Mapped[str] = mapped_column()


class IndicatorTarget(Synced, Model):
    """The amount wanted of one person or one team, of one indicator in one period (its kind and first day)."""

    __tablename__ = "target"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
        Index("ix_target_person", "org_id", "person_id", "status", "starts_on"),
        Index("ix_target_team", "org_id", "team_id", "status", "starts_on"),
    )

    indicator: Mapped[str] = mapped_column()
    person_id: Mapped[str | None] = mapped_column(Id)
    team_id: Mapped[str | None] = mapped_column(Id)
    period: Mapped[str] = mapped_column()
    starts_on: Mapped[str] = mapped_column()
    amount: Mapped[str] = mapped_column()
    source: Mapped[str | None] = mapped_column()
    note: Mapped[str | None] = mapped_column()
    status: Mapped[str] = mapped_column()


class IndicatorValue(Synced, Model):
    """A number that no visit tells: whose, on which day, from where, and who confirmed and reviewed it (None: the server's
    own door)."""

    __tablename__ = "value"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        Index("ix_value_person", "org_id", "person_id", "on"),
        Index("ix_value_on", "org_id", "on", "id"),
    )

    indicator: Mapped[str] = mapped_column()
    person_id: Mapped[str] = mapped_column(Id)
    on: Mapped[str] = mapped_column()
    amount: Mapped[str] = mapped_column()
    source: Mapped[str] = mapped_column()
    note: Mapped[str | None] = mapped_column()
    status: Mapped[str] = mapped_column()
    confirmed_by: Mapped[str | None] = mapped_column(Id)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    reviewed_by: Mapped[str | None] = mapped_column(Id)
    reviewed_at: Mapped[datetime | None] = mapped_column(Instant)


class DayOff(Synced, Model):
    """A day that is not worked: by everybody (a holiday), or by one person. `region` tells whose holiday it is.

    With `worked` it is the contrary, as where a Saturday makes up for a holiday; of two for one day, the one off holds.
    """

    __tablename__ = "day_off"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        Index("ix_day_off_on", "org_id", "on"),
        Index("ix_day_off_person", "org_id", "person_id"),
    )

    on: Mapped[str] = mapped_column()
    name: Mapped[str] = mapped_column()
    name_zh: Mapped[str | None] = mapped_column()
    region: Mapped[str | None] = mapped_column()
    person_id: Mapped[str | None] = mapped_column(Id)
    worked: Mapped[bool | None] = mapped_column()


class Appeal(Synced, Model):
    """What somebody says against a closing of theirs, perhaps against one indicator of it, and what was answered."""

    __tablename__ = "appeal"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        Index("ix_appeal_person", "org_id", "person_id", "status"),
        Index("ix_appeal_closing", "org_id", "closing_id"),
    )

    closing_id: Mapped[str] = mapped_column(Id)
    person_id: Mapped[str] = mapped_column(Id)
    indicator: Mapped[str | None] = mapped_column()
    text: Mapped[str] = mapped_column()
    answer: Mapped[str | None] = mapped_column()
    status: Mapped[str] = mapped_column()
    at: Mapped[datetime] = mapped_column(Instant)
    answered_by: Mapped[str | None] = mapped_column(Id)
    answered_at: Mapped[datetime | None] = mapped_column(Instant)
