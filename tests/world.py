"""A small organisation to test in, and a phone that speaks PROTOCOL to it from outside, over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import insert

from server import auth
from server.db import writing
from server.exchange.door import Change, client_of, write
from server.exchange.work import Actor
from server.people.model import ApiToken, Head, Login, Organisation

ZONE = "Europe/London"
PLACE = (51.5, -0.12)


def text(instant: datetime) -> str:
    """An instant as the wire writes it."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class World:
    """An organisation with a root team, the teams north and south under it, and people in them, each with a token."""

    def __init__(self, app: Any, slug: str = "acme") -> None:
        self.app = app
        self.org = str(uuid4())
        self.ids: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.system = Actor(self.org, None, "administrator", None, via="cli")
        now = datetime.now(UTC)
        with app.app_context(), writing() as connection:
            connection.execute(
                insert(Organisation),
                [
                    {
                        "id": self.org,
                        "slug": slug,
                        "name": slug.title(),
                        "time_zone": ZONE,
                        "week_start": 0,
                        "locale": "en",
                        "created_at": now,
                    }
                ],
            )
            connection.execute(
                insert(Head), [{"org_id": self.org, "version": 0, "entries": 0, "chain": "", "floor": 0}]
            )
        # What everything begins with comes in at one go: half of a short test's time would otherwise go into it.
        self._begun: list[Change] | None = []
        self._people: list[str] = []
        self.create("team", "root", name="Root")
        self.create("team", "north", name="North", parent_id=self.ids["root"])
        self.create("team", "south", name="South", parent_id=self.ids["root"])
        self.person("admin", "administrator", None)
        self.person("boss", "manager", "root")
        self.person("mia", "manager", "north")
        self.person("rob", "rep", "north")
        self.person("ria", "rep", "north")
        self.person("sam", "rep", "south")
        self.create(
            "visit_kind", "sales_call", code="sales_call", name="Sales call", min_minutes={"in_person": 30}
        )
        self.create("outcome", "order", code="order", name="Order", position=1)
        changes, self._begun = self._begun, None
        assert {receipt["status"] for receipt in self.write(*changes)} == {"applied"}
        self._sign_in(*self._people)

    def write(self, *changes: Change) -> list[dict[str, Any]]:
        """Write as the command line does."""
        with self.app.app_context():
            return write(self.system, client_of(self.org, "cli"), changes, datetime.now(UTC))

    def create(self, kind: str, name: str, /, **fields: Any) -> str:
        """Create an entity under a name of this test's own; returns its id."""
        self.ids[name] = str(uuid4())
        change = Change(kind, self.ids[name], "create", fields)
        if self._begun is not None:
            self._begun.append(change)
            return self.ids[name]
        (receipt,) = self.write(change)
        assert receipt["status"] == "applied", receipt
        return self.ids[name]

    def change(self, kind: str, name: str, /, **fields: Any) -> dict[str, Any]:
        """Change fields of a named entity; returns the receipt."""
        return self.write(Change(kind, self.ids[name], "update", fields, base=2**40))[0]

    def person(self, name: str, role: str, team: str | None, /, **fields: Any) -> str:
        """Somebody with a token."""
        team_id = self.ids[team] if team else None
        self.create("person", name, name=name.title(), role=role, team_id=team_id, time_zone=ZONE, **fields)
        if self._begun is not None:
            self._people.append(name)
        else:
            self._sign_in(name)
        return self.ids[name]

    def _sign_in(self, *names: str) -> None:
        """A token and an address for each."""
        now = datetime.now(UTC)
        for name in names:
            self.tokens[name] = auth.new_secret(self.org)
        tokens = [
            {
                "org_id": self.org,
                "digest": auth.digest_of(self.tokens[name]),
                "id": str(uuid4()),
                "person_id": self.ids[name],
                "name": name,
                "created_at": now,
            }
            for name in names
        ]
        logins = [
            {
                "org_id": self.org,
                "person_id": self.ids[name],
                "email": f"{name}@{self.org[:8]}.test",
                "password_hash": None,
            }
            for name in names
        ]
        with self.app.app_context(), writing() as connection:
            connection.execute(insert(ApiToken), tokens)
            connection.execute(insert(Login), logins)

    def customer(
        self, name: str, /, owner: str | None = "rob", team: str | None = "north", **fields: Any
    ) -> str:
        """A customer at `PLACE`, unless said otherwise."""
        known = {"name": name, "lat": PLACE[0], "lon": PLACE[1]} | fields
        if owner:
            known["owner_id"] = self.ids[owner]
        if team:
            known["team_id"] = self.ids[team]
        return self.create("customer", name, **known)

    def get(self, who: str, path: str, **options: Any) -> Any:
        """GET as somebody."""
        return self.app.test_client().get(
            path,
            headers={"Authorization": f"Bearer {self.tokens[who]}"} | options.pop("headers", {}),
            **options,
        )

    def phone(self, who: str, **options: Any) -> Phone:
        """A phone of somebody."""
        return Phone(self, who, **options)


class Phone:
    """An outbox in the hands of one person. `offset_ms` is what it believes of its own clock."""

    def __init__(self, world: World, who: str, client: str | None = None) -> None:
        self.world = world
        self.who = who
        self.client = client or str(uuid4())
        self.predecessor: str | None = None
        self.seq = 0
        self.life = str(uuid4())
        self.offset_ms: float | None = 0
        self.token: str | None = None
        self.replica: dict[tuple[str, str], dict[str, Any]] = {}
        self.zone = ZONE

    def moment(self, at: datetime | None = None) -> dict[str, Any]:
        """What this phone says the time is."""
        at = at or datetime.now(UTC)
        return {
            "wall": text(at),
            "mono_ms": 1_000_000 + at.timestamp() % 1_000_000,
            "life": str(uuid4()),
            "offset_ms": self.offset_ms,
            "zone": self.zone,
        }

    def mutation(
        self,
        kind: str,
        entity: str,
        verb: str,
        ops: list[dict[str, Any]],
        at: datetime | None = None,
        base: int = 0,
        **more: Any,
    ) -> dict[str, Any]:
        """The next mutation of this outbox."""
        self.seq += 1
        return {
            "seq": self.seq,
            "id": str(uuid4()),
            "schema": 1,
            "kind": kind,
            "entity": entity,
            "verb": verb,
            "base": base,
            "at": self.moment(at),
            "ops": ops,
        } | more

    def create(
        self, kind: str, entity: str | None = None, /, at: datetime | None = None, **fields: Any
    ) -> dict[str, Any]:
        """A create with these fields."""
        ops = [{"field": name, "op": "set", "old": None, "new": value} for name, value in fields.items()]
        return self.mutation(kind, entity or str(uuid4()), "create", ops, at)

    def check_in(self, customer: str, at: datetime | None = None, **fields: Any) -> dict[str, Any]:
        """A visit begun at a customer, with a fix at the door."""
        at = at or datetime.now(UTC)
        known = {
            "customer_id": customer,
            "mode": "in_person",
            "kind": "sales_call",
            "status": "open",
            "check_in": self.moment(at),
            "check_in_fix": fix(at),
        }
        return self.create("visit", at=at, **(known | fields))

    def check_out(self, visit: str, at: datetime | None = None, **fields: Any) -> dict[str, Any]:
        """The end of a visit, with outcome and minutes."""
        at = at or datetime.now(UTC)
        known = {"outcome": "order", "minutes": "They want twelve cases by Friday."} | fields
        ops = [
            {"field": "check_out", "op": "set", "old": None, "new": self.moment(at)},
            {"field": "status", "op": "go", "old": "open", "new": "done"},
        ]
        ops += [
            {
                "field": name,
                "op": "text" if name in {"minutes", "next_step"} else "set",
                "old": None,
                "new": value,
            }
            for name, value in known.items()
        ]
        return self.mutation("visit", visit, "update", ops, at)

    def envelope(self, *mutations: dict[str, Any], **more: Any) -> dict[str, Any]:
        """An exchange with these mutations."""
        return {
            "protocol": 1,
            "client": self.client,
            "predecessor": self.predecessor,
            "sent": self.moment(),
            "device": {"unsent": 0, "oldest": None, "app": "1.0.0", "persisted": True, "push": "default"},
            "mutations": list(mutations),
            "pull": None,
        } | more

    def send(self, *mutations: dict[str, Any], **more: Any) -> Any:
        """Push, and return the HTTP response."""
        return self.post(json.dumps(self.envelope(*mutations, **more)).encode())

    def post(self, body: bytes, **headers: str) -> Any:
        """Send bytes as they are."""
        return self.world.app.test_client().post(
            "/api/sync",
            data=body,
            headers={
                "Authorization": f"Bearer {self.world.tokens[self.who]}",
                "Content-Type": "application/json",
            }
            | {name.replace("_", "-"): value for name, value in headers.items()},
        )

    def push(self, *mutations: dict[str, Any]) -> list[dict[str, Any]]:
        """Push, and return the receipts."""
        response = self.send(*mutations)
        assert response.status_code == 200, response.json
        receipts: list[dict[str, Any]] = response.json["receipts"]
        return receipts

    def pull(self, limit: int = 500) -> list[dict[str, Any]]:
        """Pull to the end, keep the replica as PROTOCOL says, and return the pages."""
        pages = []
        while True:
            response = self.send(pull={"token": self.token, "limit": limit})
            assert response.status_code == 200, response.json
            page = response.json["pull"]
            pages.append(page)
            self._apply(page)
            if not page["more"]:
                return pages

    def _apply(self, page: dict[str, Any]) -> None:
        gone = set(page["drop"]) | set(page["reset"])
        for held in self.replica.values():
            held["scopes"] -= gone
        for row in page["rows"]:
            held = self.replica.setdefault(
                (row["kind"], row["id"]), {"scopes": set(), "data": None, "version": 0}
            )
            for scope, there in row["scopes"].items():
                (held["scopes"].add if there else held["scopes"].discard)(scope)
            if "data" in row:
                held["data"], held["version"] = row["data"], row["version"]
        self.replica = {key: held for key, held in self.replica.items() if held["scopes"]}
        self.token = page["token"]

    def held(self, kind: str) -> dict[str, dict[str, Any]]:
        """The replica's documents of one kind, by id."""
        return {entity: held["data"] for (known, entity), held in self.replica.items() if known == kind}


def fix(at: datetime, lat: float = PLACE[0], lon: float = PLACE[1], accuracy_m: float = 8) -> dict[str, Any]:
    """A fix taken at that moment."""
    return {"lat": lat, "lon": lon, "accuracy_m": accuracy_m, "taken_at": text(at)}


def ago(**span: float) -> datetime:
    """That long before now."""
    return datetime.now(UTC) - timedelta(**span)
