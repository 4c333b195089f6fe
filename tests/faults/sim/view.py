"""What each person may hold, told from people, teams and records alone: neither positions nor grants are asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from server.exchange.kinds import READABLE
from server.exchange.model import Batch, Client, Journal, Position, Revision
from server.exchange.pull import _parked
from server.exchange.routes import _answer
from tests.faults.sim.house import ORG

WINDOW_DAYS = 180
UNDER_WAY = {"planned", "open"}

Key = tuple[str, str]
Row = Mapping[str, Any]


class Tables:
    """Everything the organisation's tables say, read once."""

    def __init__(self, connection: Any) -> None:
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        for name, kind in READABLE.items():
            table: Any = kind.model.__table__
            found = connection.execute(select(table).where(table.c.org_id == ORG)).mappings()
            self.rows[name] = {row["id"]: dict(row) for row in found}
        self.journal = [
            dict(row)
            for row in connection.execute(
                select(Journal.__table__).where(Journal.org_id == ORG).order_by(Journal.n)
            ).mappings()
        ]
        self.told: dict[Key, set[str]] = {}
        for scope, kind, entity in connection.execute(
            select(Position.scope, Position.kind, Position.id).where(
                Position.org_id == ORG, Position.removed_at.is_(None)
            )
        ):
            self.told.setdefault((kind, entity), set()).add(scope)
        revisions = connection.execute(select(Revision.__table__).where(Revision.org_id == ORG)).mappings()
        self.revisions = [dict(row) for row in revisions]
        batches = connection.execute(select(Batch.__table__).where(Batch.org_id == ORG)).mappings()
        self.batches = {row["version"]: dict(row) for row in batches}
        clients = connection.execute(select(Client.__table__).where(Client.org_id == ORG)).mappings()
        self.clients = {row["id"]: dict(row) for row in clients}
        self.chains: dict[str, set[str]] = {}
        for row in self.clients.values():
            self.chains.setdefault(row["root"], set()).add(row["id"])

    def entities(self) -> Iterator[tuple[Key, dict[str, Any]]]:
        """Every row of every kind that phones hold."""
        for kind, rows in self.rows.items():
            for entity, row in rows.items():
                yield (kind, entity), row

    @staticmethod
    def document(key: Key, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as a pull tells it."""
        document = READABLE[key[0]].document(row)
        told = _parked(document) if key[0] == "parked" else document
        return dict(_answer(200, told).get_json())

    def led_by(self, person: Mapping[str, Any]) -> set[str]:
        """The teams that a person leads."""
        parents = {team: row["parent_id"] for team, row in self.rows["team"].items()}
        if person["role"] == "administrator":
            return set(parents)
        if person["role"] != "manager" or person["team_id"] is None:
            return set()
        return {team for team in parents if person["team_id"] in _upwards(parents, team)}

    def scopes_of(self, person: Mapping[str, Any]) -> set[str]:
        """The audiences a person belongs to, told from the tree alone."""
        led = self.led_by(person)
        member = led | ({person["team_id"]} if person["team_id"] else set())
        return {
            "org",
            f"person:{person['id']}",
            *(f"team:{team}" for team in member),
            *(f"lead:{team}" for team in led),
        }

    def stays(self, entity: str) -> str:
        """The customer that a merged one became, else the entity itself."""
        seen: set[str] = set()
        while entity not in seen and (row := self.rows["customer"].get(entity)) and row.get("merged_into"):
            seen.add(entity)
            entity = row["merged_into"]
        return entity

    @property
    def shares(self) -> bool:
        """Whether the members of a team see each other's customers."""
        settings = {row["key"]: row["value"] for row in self.rows["setting"].values()}
        return settings.get("share_team_customers", True) is not False


def _upwards(parents: Mapping[str, str | None], team: str | None) -> list[str]:
    path: list[str] = []
    while team is not None and team not in path:
        path.append(team)
        team = parents.get(team)
    return path


def authorised(tables: Tables, person_id: str, now: datetime) -> set[Key]:
    """Which records a person's phone must hold at rest, no more and no less."""
    person = tables.rows["person"].get(person_id)
    if person is None or not person["active"]:
        return set()
    led = tables.led_by(person)
    reader = Reader(
        tables,
        person_id,
        led,
        led | ({person["team_id"]} if person["team_id"] else set()),
        (now - timedelta(days=WINDOW_DAYS)).date().isoformat(),
    )
    return {
        (kind, entity)
        for (kind, entity), row in tables.entities()
        if READABLE[kind].org_wide or (kind in _MAY and _MAY[kind](reader, entity, row))
    }


@dataclass(frozen=True)
class Reader:
    """Somebody who reads: the teams they lead, the teams they are in or lead, the first day of visits they hold."""

    tables: Tables
    person: str
    led: set[str]
    member: set[str]
    since: str

    def leads(self, person_id: str | None) -> bool:
        """Whether they lead the team that somebody is in now."""
        person = self.tables.rows["person"].get(person_id or "")
        return bool(person and person["team_id"] in self.led)

    def customer(self, _: str, row: Row) -> bool:
        """Its owner; its team, or its leads alone where teams do not share."""
        return row["owner_id"] == self.person or row["team_id"] in (
            self.member if self.tables.shares else self.led
        )

    def visit(self, _: str, row: Row) -> bool:
        """Its rep, and in review their leads; of the last 180 days, or not over yet."""
        mine = row["rep_id"] == self.person or (row["trust"] == "review" and self.leads(row["rep_id"]))
        over = row["status"] not in UNDER_WAY
        return mine and (not over or row["day"] is None or row["day"] >= self.since)

    def follow_up(self, _: str, row: Row) -> bool:
        """Its owner, and while it is open their leads."""
        return row["owner_id"] == self.person or (row["status"] == "open" and self.leads(row["owner_id"]))

    def comment(self, _: str, row: Row) -> bool:
        """Its author, and whoever may see what it is about (a visit of any age)."""
        on = self.tables.rows[row["on_kind"]].get(row["on_id"])
        ageless = replace(self, since="")
        return row["created_by"] == self.person or bool(
            on and _MAY[row["on_kind"]](ageless, row["on_id"], on)
        )

    def amendment(self, _: str, row: Row) -> bool:
        """The visit's rep and their leads."""
        visit = self.tables.rows["visit"][row["visit_id"]]
        return visit["rep_id"] == self.person or self.leads(visit["rep_id"])

    def suggestion(self, _: str, row: Row) -> bool:
        """Its author, the customer's owner of now, who leads its team."""
        about = self.tables.rows["customer"].get(row["customer_id"], {})
        return self.person in (row["author_id"], about.get("owner_id")) or about.get("team_id") in self.led

    def decision(self, _: str, row: Row) -> bool:
        """Its author, and whoever sees what it is about."""
        on = self.tables.rows[row["on_kind"]].get(row["on_id"])
        ageless = replace(self, since="")
        return row["author_id"] == self.person or bool(on and _MAY[row["on_kind"]](ageless, row["on_id"], on))

    def parked(self, _: str, row: Row) -> bool:
        """Its author and their leads."""
        return row["author_id"] == self.person or self.leads(row["author_id"])

    def conflict(self, entity: str, row: Row) -> bool:
        """As a parked one, and whoever wrote the value that was overruled."""
        lost = row.get("lost_author_id") or _overruled(self.tables, entity, row)
        overruled = lost if row["kept_by"] == "incoming" else None
        return self.person == overruled or self.parked(entity, row)


_MAY: Mapping[str, Callable[[Reader, str, Row], bool]] = {
    "customer": Reader.customer,
    "visit": Reader.visit,
    "follow_up": Reader.follow_up,
    "comment": Reader.comment,
    "amendment": Reader.amendment,
    "suggestion": Reader.suggestion,
    "decision": Reader.decision,
    "parked": Reader.parked,
    "conflict": Reader.conflict,
}


def judged(kind: str) -> bool:
    """Whether `authorised` knows this kind."""
    return READABLE[kind].org_wide or kind in _MAY


def _overruled(tables: Tables, entity: str, row: Mapping[str, Any]) -> str | None:
    """Who wrote the value that lost, where the incoming one stands: the last before who changed that field."""
    if row.get("lost_author_id") or row.get("kept_by") != "incoming":
        return None
    before: str | None = None
    for entry in tables.journal:
        if entity in entry["conflicts"]:
            return before
        if entry["entity"] == row["entity"] and entry["status"] in {"applied", "merged"}:
            body = json.loads(entry["payload"])
            names = {op.get("field") for op in body.get("ops") or []}
            if entry["verb"] == "create" or row["field"] in names:
                before = tables.batches[entry["version"]]["person_id"]
    return before
