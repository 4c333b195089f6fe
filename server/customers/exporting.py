"""Take customers out as CSV, in the columns that an import understands."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from server.customers.model import Customer
from server.customers.table import FIELDS
from server.people.model import Login, Team

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


class Lines:
    """Writes CSV (RFC 4180, CRLF) row by row; a file object for nobody but `csv`."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._writer = csv.writer(self)

    def write(self, text: str) -> int:
        """Take what the csv module writes."""
        self._written.append(text)
        return len(text)

    def line(self, cells: Collection[Any]) -> str:
        """One line of CSV, its end included. Texts are guarded against being read as formulas; numbers are not."""
        self._written.clear()
        self._writer.writerow([safe(cell) if isinstance(cell, str) else cell for cell in cells])
        return "".join(self._written)


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that begins like one gets an apostrophe before it."""
    return f"'{text}" if _FORMULA.match(text) else text


def customers(
    connection: Connection, org_id: str, teams: Collection[str] | None = None, *, archived: bool = False
) -> Iterator[str]:
    """Lines of CSV, the header first, by name; streamed. `teams` None is all; archived ones only if asked for."""
    lines = Lines()
    yield lines.line(FIELDS)
    names = _team_names(connection, org_id)
    statement = (
        select(Customer.__table__, Login.email.label("owner_email"))
        .outerjoin(Login, (Login.org_id == Customer.org_id) & (Login.person_id == Customer.owner_id))
        .where(Customer.org_id == org_id)
        .order_by(Customer.name, Customer.id)
    )
    if teams is not None:
        statement = statement.where(Customer.team_id.in_(teams))
    if not archived:
        statement = statement.where(Customer.archived.is_(False))
    for row in connection.execution_options(yield_per=500).execute(statement).mappings():
        known = dict(row) | {
            "rounds_id": row["id"],
            "team": names.get(row["team_id"]),
            "tags": joined(row["tags"] or []),
        }
        yield lines.line([known[name] for name in FIELDS])


def joined(tags: list[str]) -> str:
    """Tags in one cell, by semicolons; as a JSON list where one holds a sign that would part it."""
    if any(re.search(r"[;,，；]|^\[|^\s|\s$", tag) or not tag for tag in tags):
        return json.dumps(tags, ensure_ascii=False)
    return ";".join(tags)


def _team_names(connection: Connection, org_id: str) -> dict[str | None, str]:
    """What a team is called: its name, or its id where several have that name."""
    rows = connection.execute(
        select(
            Team.id, Team.name, func.count().over(partition_by=func.lower(Team.name)).label("alike")
        ).where(Team.org_id == org_id)
    )
    return {row.id: row.name if row.alike == 1 else row.id for row in rows}
