"""What may be read of customers: by name with a keyset, or nearest first."""

from __future__ import annotations

from math import cos, radians
from typing import Any

from sqlalchemy import Connection, Select, case, func, or_, select

from server.auth import Principal
from server.customers.model import Customer
from server.customers.rules import distance_m
from server.db import behind
from server.exchange.kinds import CUSTOMER
from server.paging import after, identity, number, page, words
from server.people.grant import held, parents_of
from server.people.model import Setting
from server.people.rules import below


def customers(connection: Connection, principal: Principal, asked: dict[str, Any]) -> dict[str, Any]:
    """A page of customers; `asked` is a loaded `CustomerQuery`. Archived ones are left out."""
    statement = seen_by(connection, principal).where(Customer.archived.is_(False))
    if asked["q"]:
        for word in asked["q"].lower().split()[:8]:
            like = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            statement = statement.where(
                or_(
                    func.lower(Customer.name).like(like, escape="\\"),
                    func.lower(Customer.address).like(like, escape="\\"),
                    func.lower(Customer.code).like(like, escape="\\"),
                )
            )
    if asked["owner"]:
        statement = statement.where(Customer.owner_id == str(asked["owner"]))
    if asked["team"]:
        teams = below(parents_of(connection, principal.org_id), str(asked["team"]))
        statement = statement.where(Customer.team_id.in_(teams))
    for name in ("grade", "lifecycle", "code"):
        if asked[name]:
            statement = statement.where(Customer.__table__.c[name] == asked[name])
    limit = asked["limit"]
    if asked["near"]:
        lat, lon = asked["near"]
        return _nearest(connection, statement, lat, lon, after(asked["cursor"], number, identity), limit)
    place: Any = (Customer.name, Customer.id)
    cursor = after(asked["cursor"], words, identity)
    if cursor:
        statement = statement.where(behind(place, cursor))
    rows = (
        connection.execute(statement.order_by(Customer.name, Customer.id).limit(limit + 1)).mappings().all()
    )
    return page(rows, limit, _document, lambda row: (row["name"], row["id"]))


def survivor(connection: Connection, org_id: str, customer_id: str) -> str:
    """The customer that an id stands for: itself, or what it was merged into, however often."""
    seen: set[str] = set()
    while customer_id not in seen:
        seen.add(customer_id)
        merged_into = connection.execute(
            select(Customer.merged_into).where(Customer.org_id == org_id, Customer.id == customer_id)
        ).scalar_one_or_none()
        customer_id = merged_into or customer_id
    return customer_id


def customer(connection: Connection, principal: Principal, customer_id: str) -> dict[str, Any] | None:
    """The customer that an id stands for, or None where there is none that one may see."""
    found = survivor(connection, principal.org_id, customer_id)
    statement = seen_by(connection, principal).where(Customer.id == found)
    row = connection.execute(statement).mappings().first()
    return _document(row) if row else None


def seen_by(connection: Connection, principal: Principal) -> Select[Any]:
    """The customers a person may see."""
    statement = select(Customer.__table__).where(Customer.org_id == principal.org_id)
    if principal.role == "administrator":
        return statement
    shares = connection.execute(
        select(Setting.value).where(
            Setting.org_id == principal.org_id,
            Setting.key == "share_team_customers",
            Setting.archived.is_(False),
        )
    ).scalar_one_or_none()
    scopes = held(connection, principal.org_id, principal.person_id)
    prefix = "lead:" if shares is False else "team:"
    teams = [scope.removeprefix(prefix) for scope in scopes if scope.startswith(prefix)]
    return statement.where(or_(Customer.owner_id == principal.person_id, Customer.team_id.in_(teams)))


def _nearest(
    connection: Connection,
    statement: Select[Any],
    lat: float,
    lon: float,
    cursor: list[Any] | None,
    limit: int,
) -> dict[str, Any]:
    """Nearest first: ordered by a flat approximation in the database, then exactly, in WGS 84, among those read.

    The keyset is that approximation with the id, so a page may differ from exact order at its edge by a few metres.
    """
    flat = cos(radians(lat)) ** 2
    there = statement.where(Customer.lat.is_not(None), Customer.lon.is_not(None)).subquery()
    apart = func.abs(there.c.lon - lon)
    east = case((apart > 180, 360 - apart), else_=apart)  # the short way round
    square = ((there.c.lat - lat) * (there.c.lat - lat) + flat * east * east).label("square")
    asked = select(there, square)
    if cursor:
        asked = asked.where(behind((square, there.c.id), cursor))
    rows = connection.execute(asked.order_by(square, there.c.id).limit(limit + 1)).mappings().all()
    found = page(
        rows,
        limit,
        lambda row: _document(row) | {"distance_m": round(distance_m(lat, lon, row["lat"], row["lon"]), 1)},
        lambda row: (repr(row["square"]), row["id"]),
    )
    found["items"].sort(key=lambda item: item["distance_m"])
    return found


def _document(row: Any) -> dict[str, Any]:
    return CUSTOMER.document(row) | {"id": row["id"], "version": row["version"]}
