"""What each person may hold, told from people, teams and records alone: neither positions nor grants are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select

from server.exchange.kinds import READABLE
from server.exchange.model import Batch, Client, Journal
from server.exchange.pull import _parked
from tests.faults.sim.house import ORG

WINDOW_DAYS = 180

Key = tuple[str, str]


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
        return dict(json.loads(orjson.dumps(told)))

    def led_by(self, person: Mapping[str, Any]) -> set[str]:
        """The teams that a person leads."""
        parents = {team: row["parent_id"] for team, row in self.rows["team"].items()}
        if person["role"] == "administrator":
            return set(parents)
        if person["role"] != "manager" or person["team_id"] is None:
            return set()
        return {team for team in parents if person["team_id"] in _upwards(parents, team)}

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
    member = led | ({person["team_id"]} if person["team_id"] else set())
    since = (now - timedelta(days=WINDOW_DAYS)).date().isoformat()
    found: set[Key] = set()
    for (kind, entity), row in tables.entities():
        if READABLE[kind].org_wide:
            mine = True
        elif kind == "customer":
            mine = row["owner_id"] == person_id or row["team_id"] in (member if tables.shares else led)
        elif kind == "visit":
            mine = row["rep_id"] == person_id or (row["trust"] == "review" and _team(tables, row) in led)
            mine = mine and (row["day"] is None or row["day"] >= since)
        elif kind in {"parked", "conflict"}:
            mine = _concerns(tables, kind, entity, row, person_id, led)
        else:
            continue
        if mine:
            found.add((kind, entity))
    return found


def judged(kind: str) -> bool:
    """Whether `authorised` knows this kind."""
    return READABLE[kind].org_wide or kind in {"customer", "visit", "parked", "conflict"}


def _team(tables: Tables, visit: Mapping[str, Any]) -> str | None:
    rep = tables.rows["person"].get(visit["rep_id"])
    return rep["team_id"] if rep else None


def _concerns(
    tables: Tables, kind: str, entity: str, row: Mapping[str, Any], person_id: str, led: set[str]
) -> bool:
    """Its author, whoever was overruled, and the leads of the team the author was in when it was made."""
    if person_id in {row["author_id"], row.get("lost_author_id"), _overruled(tables, entity, row)}:
        return True
    batch = tables.batches.get(_made_at(tables, kind, entity, row))
    return bool(batch and batch["team_id"] in led)


def _made_at(tables: Tables, kind: str, entity: str, row: Mapping[str, Any]) -> int:
    for entry in tables.journal:
        if kind == "conflict" and entity in entry["conflicts"]:
            return int(entry["version"])
    return int(row["version"])


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
