"""Tables of facts: what each person's days and months come to, and whose a customer was when."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Json, Model


class Sums:
    """What days add up to, in one row of a person's.

    Of visits, on the day they belong to: `done` all of that state, `valid_visits` those that count, `valid_s` their seconds,
    `on_the_spot` those of `done` that are not back-filled. Of plans, on the planned day: `planned` all, `plans_ahead` those
    neither made nor given up, `kept` those validly made on that very day. Of follow-ups: `follow_ups_done` on the day they
    were done, `opportunities_done` those of that kind; `due` on the day they are due, `due_open` those not done, `on_time`
    those done by then; `answered` requests of those that came in on the day, and the microseconds that took.
    `new_customers` on the day they first became customers.
    """

    done: Mapped[int] = mapped_column()
    valid_visits: Mapped[int] = mapped_column()
    valid_s: Mapped[int] = mapped_column(BigInteger)
    on_the_spot: Mapped[int] = mapped_column()
    planned: Mapped[int] = mapped_column()
    plans_ahead: Mapped[int] = mapped_column()
    kept: Mapped[int] = mapped_column()
    follow_ups_done: Mapped[int] = mapped_column()
    opportunities_done: Mapped[int] = mapped_column()
    due: Mapped[int] = mapped_column()
    due_open: Mapped[int] = mapped_column()
    on_time: Mapped[int] = mapped_column()
    answered: Mapped[int] = mapped_column()
    response_us: Mapped[int] = mapped_column(BigInteger)
    new_customers: Mapped[int] = mapped_column()


class FactDay(Sums, Model):
    """The counts and sums of one person's local day that the process indicators are made of; `customers` who was validly
    visited on it, sorted."""

    __tablename__ = "fact_day"
    __table_args__ = (Index("ix_fact_day", "org_id", "day", "person_id", "plans_ahead"),)

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    day: Mapped[str] = mapped_column(primary_key=True)
    customers: Mapped[list[Any]] = mapped_column(Json)


class FactMonth(Sums, Model):
    """The sums of one person's days of a calendar month, `YYYY-MM`, and what cannot be summed.

    `customers_visited` are the distinct customers of all its days, `own_customers` those the person had at its end, as far
    as that is known, `own_visited` those of them that were validly visited in it. There is a row for each month with facts
    or with a change of customers; between two rows the own customers stay the same.
    """

    __tablename__ = "fact_month"

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    customers_visited: Mapped[int] = mapped_column()
    own_customers: Mapped[int] = mapped_column()
    own_visited: Mapped[int] = mapped_column()


class Owned(Model):
    """That a customer was somebody's own from the day `since` to the day before `until`, or still; days of the organisation.

    Own are the customers one owns that are neither archived nor lost.
    """

    __tablename__ = "owned"
    __table_args__ = (Index("ix_owned_person", "org_id", "person_id", "until"),)

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    customer_id: Mapped[str] = mapped_column(Id, primary_key=True)
    since: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(Id)
    until: Mapped[str | None] = mapped_column()
