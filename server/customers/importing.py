"""Bring customers in from a table: first a plan that changes nothing, then the plan through the door.

A customer is known again by the id of an export, else by its external code, else by what its row says. What the last
import said of it is in the journal: only what the file says differently since then is changed, so that the same file
again changes nothing and does not undo what people wrote meanwhile. Where both changed, the usual rules decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import orjson
from sqlalchemy import Connection, select

from server.customers.model import Customer
from server.customers.reassign import along, today_in
from server.customers.table import Entry, Trouble
from server.db import reading
from server.exchange.door import Change, client_of, write
from server.exchange.kinds import CUSTOMER
from server.exchange.model import Journal
from server.people.admin import Refused, system
from server.people.model import Login, Person, Team
from sync.mutation import canonical
from sync.policy import is_uuid, well_formed

AT_ONCE = 50
"""So many rows are one transaction, so that no push waits long."""

_REASONS = {
    "name": "is longer than 200 characters",
    "address": "is longer than 500 characters",
    "code": "is longer than 100 characters",
    "phone": "is longer than 100 characters",
    "contact": "is longer than 200 characters",
    "note": "is longer than 20,000 characters",
    "radius_m": "is not from 20 to 5,000 metres",
    "grade": "is none of A, B, C",
    "lifecycle": "is none of lead, customer, lost",
    "tags": "are more than 50 tags, or one is longer than 50 characters",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One change to be made, and the line of the file that asks for it."""

    line: int
    name: str
    change: Change


@dataclass(slots=True)
class Plan:
    """What an import would do."""

    steps: list[Step] = field(default_factory=list)
    unchanged: int = 0
    failed: list[Trouble] = field(default_factory=list)
    failed_rows: int = 0
    warnings: list[Trouble] = field(default_factory=list)

    @property
    def created(self) -> int:
        """How many customers it would make."""
        return sum(step.change.verb == "create" for step in self.steps)

    @property
    def placeless(self) -> int:
        """How many of those it would make have no coordinates."""
        return sum(step.change.verb == "create" and "lat" not in step.change.new for step in self.steps)

    @property
    def updated(self) -> int:
        """How many customers it would change."""
        return len(self.steps) - self.created


@dataclass(slots=True)
class Report:
    """What an import did; `merged` and `failed` name lines."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    merged: list[Trouble] = field(default_factory=list)
    failed: list[Trouble] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Standing:
    """For all rows that say nothing of it: whose the customers are, by e-mail address, and in which team."""

    owner_email: str | None = None
    team: str | None = None


class _People:
    """Owners by e-mail address and teams by name or id, as a file names them."""

    def __init__(self, connection: Connection, org_id: str) -> None:
        logins = connection.execute(
            select(Login.email, Login.person_id)
            .join(Person, (Person.org_id == Login.org_id) & (Person.id == Login.person_id))
            .where(Login.org_id == org_id, Person.archived.is_(False))
        )
        self.by_email: dict[str, str] = {row.email: row.person_id for row in logins}
        self.teams: dict[str, list[str]] = {}
        for team, name in connection.execute(
            select(Team.id, Team.name).where(Team.org_id == org_id, Team.archived.is_(False))
        ):
            self.teams.setdefault(team, []).append(team)
            self.teams.setdefault(name.casefold(), []).append(team)

        people = connection.execute(select(Person.id, Person.team_id).where(Person.org_id == org_id))
        self.team_of: dict[str | None, str | None] = {row.id: row.team_id for row in people}

    def taken_along(
        self, org_id: str, change: Change, current: Mapping[str, Any] | None, values: Mapping[str, Any]
    ) -> Change:
        """A change of owner, where the file says nothing of the team, with the new owner's in place of the old one's."""
        team = self.team_of.get(change.new.get("owner_id"))
        if current is None or team is None or "team_id" in values:
            return change
        if current["team_id"] == team or current["team_id"] not in {
            self.team_of.get(current["owner_id"]),
            None,
        }:
            return change
        new, old = {**change.new, "team_id": team}, {**change.old, "team_id": current["team_id"]}
        return replace(change, new=new, old=old, id=_id(org_id, change.entity, change.base, new, old))

    def owner(self, email: str) -> str:
        found = self.by_email.get(email.strip().casefold())
        if found is None:
            raise Refused(f"nobody here has the e-mail address {email}")
        return found

    def team(self, name: str) -> str:
        found = self.teams.get(name.strip().casefold(), [])
        if len(found) != 1:
            raise Refused(
                f"there is no team {name}"
                if not found
                else f"there are {len(found)} teams {name}; give the id"
            )
        return found[0]


def plan(connection: Connection, org_id: str, entries: Iterable[Entry], standing: Standing) -> Plan:
    """What these rows would change; reads, and writes nothing. Raises `Refused` for an unknown standing owner or team."""
    people = _People(connection, org_id)
    beside: dict[str, Any] = {}
    for name, value, look_up in (
        ("owner_id", standing.owner_email, people.owner),
        ("team_id", standing.team, people.team),
    ):
        if value is not None:
            try:
                beside[name] = look_up(value)
            except Refused as error:
                raise Refused(f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    known = {row["id"]: dict(row) for row in connection.execute(_customers(org_id)).mappings()}
    # One that was merged is known by its code still, unless the code went on to another.
    in_turn = sorted(known.values(), key=lambda row: row["merged_into"] is None)
    by_code = {row["code"]: row["id"] for row in in_turn if row["code"]}
    imported = _last_imported(connection, org_id)
    found = Plan()
    first_line: dict[str, tuple[int, bytes]] = {}
    for entry in entries:
        found.warnings += entry.warnings
        own = canonical(entry.values)
        values = _resolved(entry, people)
        if entry.errors:
            found.failed += entry.errors
            found.failed_rows += 1
            continue
        for name, value in beside.items():
            values.setdefault(name, value)
        rounds_id = values.pop("rounds_id", None)
        said = canonical(values)  # with the team and owner that it resolves to
        entity = _entity(org_id, rounds_id, values.get("code"), own, known, by_code)
        before = first_line.setdefault(entity, (entry.line, said))
        if before[0] != entry.line:
            if before[1] == said:
                found.unchanged += 1
            else:
                found.failed.append(
                    Trouble(entry.line, "code", f"the customer of line {before[0]} again, said differently")
                )
                found.failed_rows += 1
            continue
        change = _change(org_id, entity, values, known.get(entity), imported.get(entity))
        if change is None:
            found.unchanged += 1
        else:
            change = people.taken_along(org_id, change, known.get(entity), values)
            found.steps.append(Step(entry.line, values.get("name", ""), change))
    return found


def carry_out(
    org_id: str, steps: list[Step], now: datetime, done: Callable[[int], Any] = lambda rows: None
) -> Report:
    """Send the steps of a plan through the door, a few a transaction; `done` is told how many rows each time.

    Stopped between two transactions, it has done a part of the rows wholly, and the same file does the rest.
    """
    report = Report()
    actor, client = system(org_id), client_of(org_id, "import")
    for start in range(0, len(steps), AT_ONCE):
        some = steps[start : start + AT_ONCE]
        changes = [step.change for step in some]
        receipts = write(actor, client, [*_go_along(org_id, changes, now), *changes], now)
        for step, receipt in zip(some, receipts[-len(some) :], strict=True):
            _count(report, step, receipt)
        done(len(some))
    return report


def _go_along(org_id: str, changes: Sequence[Change], now: datetime) -> list[Change]:
    """What goes along with customers that get another owner: visits planned from today on, and open follow-ups."""
    takers = {
        change.entity: change.new["owner_id"]
        for change in changes
        if change.verb == "update" and change.new.get("owner_id")
    }
    if not takers:
        return []
    found: list[Change] = []
    with reading() as connection:
        today = today_in(connection, org_id, now)
        rows = connection.execute(
            select(Customer.id, Customer.owner_id).where(
                Customer.org_id == org_id, Customer.id.in_(takers), Customer.owner_id.is_not(None)
            )
        )
        moves: dict[tuple[str, str], list[str]] = {}
        for customer, giver in rows:
            moves.setdefault((str(giver), takers[customer]), []).append(customer)
        for (giver, taker), customers in moves.items():
            for beside in along(connection, org_id, giver, customers, taker, today).values():
                found += beside
    return found


def _count(report: Report, step: Step, receipt: Mapping[str, Any]) -> None:
    status = receipt["status"]
    if status == "parked":
        column = (receipt["detail"] or {}).get("field") or ""
        report.failed.append(
            Trouble(step.line, column, f"was not taken ({receipt['code']}) and is kept for a decision")
        )
        return
    if status == "merged":
        report.merged.append(
            Trouble(step.line, "", f"was taken beside somebody else's change ({receipt['code']})")
        )
    if status == "noop":
        report.unchanged += 1
    elif step.change.verb == "create":
        report.created += 1
    else:
        report.updated += 1


def _customers(org_id: str) -> Any:
    columns = [Customer.__table__.c[name] for name in ("id", "version", *CUSTOMER.fields)]
    return select(*columns).where(Customer.org_id == org_id)


def _last_imported(connection: Connection, org_id: str) -> dict[str, tuple[int, dict[str, Any]]]:
    """Of each customer, what imports last said, field by field, and the version of the last one."""
    rows = connection.execute(
        select(Journal.entity, Journal.as_of, Journal.payload)
        .where(
            Journal.org_id == org_id,
            Journal.client_id == client_of(org_id, "import"),
            Journal.kind == "customer",
            Journal.status.in_(("applied", "merged", "noop")),
        )
        .order_by(Journal.n)
    )
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for entity, version, payload in rows:
        said = found[entity][1] if entity in found else {}
        for op in orjson.loads(payload)["ops"] if payload else ():
            said[op["field"]] = op["new"]
        found[entity] = (version, said)
    return found


def _resolved(entry: Entry, people: _People) -> dict[str, Any]:
    """The values of a row as fields of a customer; what does not fit becomes an error of the entry."""
    values: dict[str, Any] = {}
    for name, value in entry.values.items():
        try:
            if name == "owner_email":
                values["owner_id"] = None if value is None else people.owner(value)
            elif name == "team":
                values["team_id"] = None if value is None else people.team(value)
            elif name == "rounds_id":
                values[name] = value.lower()
                if not is_uuid(values[name]):
                    raise Refused("is no id of an export")
            else:
                values[name] = value
                if value is not None and not CUSTOMER.fields[name].check(value):
                    odd = isinstance(value, str) and not well_formed(value)
                    raise Refused(
                        "holds signs that are no text" if odd else _REASONS.get(name, "is not acceptable")
                    )
        except Refused as error:
            entry.errors.append(Trouble(entry.line, entry.headers.get(name, name), str(error)))
    return values


def _entity(
    org_id: str,
    rounds_id: str | None,
    code: str | None,
    row: bytes,
    known: Mapping[str, Any],
    by_code: Mapping[str, str],
) -> str:
    if rounds_id is not None and (rounds_id in known or not code or code not in by_code):
        return rounds_id
    if code:
        return by_code.get(code) or str(uuid5(NAMESPACE_OID, f"rounds:{org_id}:customer:{code}"))
    return str(uuid5(NAMESPACE_OID, f"rounds:{org_id}:row:{row.hex()}"))


def _change(
    org_id: str,
    entity: str,
    values: Mapping[str, Any],
    current: Mapping[str, Any] | None,
    imported: tuple[int, dict[str, Any]] | None,
) -> Change | None:
    """The mutation that makes a customer what its row says, or None where nothing is to be done."""
    if current is None:
        new = {name: value for name, value in values.items() if value is not None and value != []}
        return Change("customer", entity, "create", new, id=_id(org_id, entity, 0, new, {}))
    base, said = imported or (current["version"], {})
    new, old = {}, {}
    for name, value in values.items():
        before = said.get(name, current[name])
        if _same(value, before) or _same(value, current[name]):
            continue
        new[name], old[name] = value, before
    if not new:
        return None
    return Change("customer", entity, "update", new, old, _id(org_id, entity, base, new, old), base)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) or isinstance(other, list):
        return set(one or ()) == set(other or ())
    if isinstance(one, str) and isinstance(other, str):
        return one.strip() == other.strip()
    return bool(one == other)


def _id(org_id: str, entity: str, base: int, new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """The same for the same change: an import that is sent twice, or by two at once, is applied once."""
    digest = canonical({"new": dict(new), "old": dict(old)}).hex()
    return str(uuid5(NAMESPACE_OID, f"rounds:{org_id}:import:{entity}:{base}:{digest}"))
