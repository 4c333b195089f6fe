"""The real server on a real database, one organisation in it, time and failures in our hands.

Requests go through Flask's test client in this thread. A request may be crashed before or after its commit, another
writer may come in between, the database may be locked by somebody else; nothing else of the server is touched.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import create_engine, delete, insert, select
from sqlalchemy.pool import StaticPool

from server import auth
from server.app import create_app
from server.config import Config
from server.db import JSON_OPTIONS, Model, db, reading, writing
from server.exchange import apply as apply_module
from server.exchange import check as check_module
from server.exchange import pull as pull_module
from server.exchange import settle as settle_module
from server.exchange.door import Change, client_of, write
from server.exchange.work import Actor
from server.people.model import Device, Head, Organisation, Session

SECRET = b"only-for-tests-" * 3
ZONE = "Europe/London"
PLACE = (51.5, -0.12)
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ORG = str(uuid5(NAMESPACE_OID, "faults"))

PEOPLE = {
    "admin": ("administrator", None),
    "boss": ("manager", "root"),
    "mia": ("manager", "north"),
    "max": ("manager", "south"),
    "rob": ("rep", "north"),
    "ria": ("rep", "north"),
    "sam": ("rep", "south"),
}
CUSTOMERS = {"Shop": ("rob", "north"), "Cafe": ("ria", "north"), "Mill": ("sam", "south")}

Rows = dict[str, list[dict[str, Any]]]


class Crash(BaseException):
    """The server dies here: whatever its transaction had not committed is gone, and nobody is answered."""


def identity(name: str) -> str:
    """The id of what bears this name, the same in every run."""
    return str(uuid5(NAMESPACE_OID, f"faults:{name}"))


class House:
    """A server, its database and its clock. `begin` puts everything back to the small organisation it started with."""

    def __init__(self, url: str, state_dir: Path) -> None:
        self.now = START
        self.app = create_app(
            Config(database_url=url, secret=SECRET, state_dir=state_dir, lock_timeout_ms=10)
        )
        self.before_begin: Callable[[], None] | None = None
        self.before_commit: Callable[[], None] | None = None
        self.after_commit: Callable[[], None] | None = None
        self.requests = 0
        self.failures: list[str] = []
        self._client = self.app.test_client(use_cookies=False)
        self._undo: list[Callable[[], None]] = []
        self._scratch: Any = None
        self._phones: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._reconcile = settle_module.reconcile
        self._take_over()
        self._found()
        self._first = self.backup()

    # -- what is in our hands --------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        self.put(auth, "now", lambda: self.now)
        self.put(apply_module, "writing", self._writing)
        self.put(pull_module, "FEWEST_ROWS", 1)  # a page may be cut anywhere
        self.put(check_module, "_nothing", self._nothing)

    def put(self, place: Any, name: str, value: Any) -> None:
        """Put something else in the place of an attribute until `close`."""
        was = getattr(place, name)
        setattr(place, name, value)
        self._undo.append(lambda: setattr(place, name, was))

    @contextmanager
    def _nothing(self) -> Iterator[Any]:
        """An empty database for the replay, made once and rolled back each time: making its tables takes long."""
        if self._scratch is None:
            self._scratch = create_engine(
                "sqlite://",
                creator=lambda: sqlite3.connect("", check_same_thread=False),
                poolclass=StaticPool,
                **JSON_OPTIONS,
            )
            Model.metadata.create_all(self._scratch)
        with self._scratch.connect() as connection:
            with connection.begin() as transaction:
                yield connection
                transaction.rollback()

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        self._once("before_begin")
        with writing() as connection:
            yield connection
            self._once("before_commit")
        self._once("after_commit")

    def stumbles(self, times: int) -> None:
        """Let the server fail unexpectedly while it settles the next mutations, so many times."""
        real, left = self._reconcile, times

        def reconcile(*about: Any) -> Any:
            nonlocal left
            if left > 0:
                left -= 1
                raise RuntimeError("a passing failure")
            return real(*about)

        settle_module.reconcile = reconcile if times else real  # type: ignore[assignment]

    def _once(self, name: str) -> None:
        happening = getattr(self, name)
        setattr(self, name, None)
        if happening is not None:
            contextvars.Context().run(happening)  # a request of its own, not a part of this one

    def close(self) -> None:
        """Give everything back."""
        while self._undo:
            self._undo.pop()()
        if self._scratch is not None:
            self._scratch.dispose()
        with self.app.app_context():
            db.engine.dispose()

    # -- the organisation --------------------------------------------------------------------------------------------

    def _found(self) -> None:
        with self.app.app_context():
            with writing() as connection:
                organisation = {"id": ORG, "slug": "faults", "name": "Faults", "time_zone": ZONE}
                connection.execute(
                    insert(Organisation),
                    [organisation | {"week_start": 0, "locale": "en", "created_at": START}],
                )
                connection.execute(
                    insert(Head), [{"org_id": ORG, "version": 0, "entries": 0, "chain": "", "floor": 0}]
                )
            lat, lon = PLACE
            first: list[Change] = [_created("team", "root", name="Root")]
            first += [
                _created("team", name, name=name.title(), parent_id=identity("root"))
                for name in ("north", "south")
            ]
            for name, (role, team) in PEOPLE.items():
                team_id = identity(team) if team else None
                first.append(
                    _created("person", name, name=name.title(), role=role, team_id=team_id, time_zone=ZONE)
                )
            first.append(
                _created("visit_kind", "sales_call", code="sales_call", name="Sales call", min_minutes={})
            )
            first.append(_created("outcome", "order", code="order", name="Order", position=1))
            for name, (owner, team) in CUSTOMERS.items():
                place = {"lat": lat, "lon": lon}
                first.append(
                    _created(
                        "customer",
                        name,
                        name=name,
                        owner_id=identity(owner),
                        team_id=identity(team),
                        lifecycle="customer",
                        **place,
                    )
                )
            system = Actor(ORG, None, "administrator", None, via="cli")
            receipts = write(system, client_of(ORG, "cli"), first, self.now)
            assert {receipt["status"] for receipt in receipts} == {"applied"}, receipts

    def begin(self) -> None:
        """The organisation as it was founded, and nothing else; time starts again."""
        self.before_begin = self.before_commit = self.after_commit = None
        self.failures = []
        self.requests = 0
        self.now = START
        self.put_back(self._first)

    # A first sign-in and a first pull are always the same, so they are made once and remembered.

    def knows(self, phone: Any) -> bool:
        """Whether such a phone signed in and pulled before."""
        return (phone.name, phone.person) in self._phones

    def furnish(self, phone: Any) -> bool:
        """Give a phone what the same one had after its first pull; False where there was none."""
        if not self.knows(phone):
            return False
        phone.cookie, replica, outbox, phone.offset_ms, phone.met, phone.ended = self._phones[
            phone.name, phone.person
        ]
        phone.replica, phone.outbox, phone.met = copy.deepcopy(replica), copy.deepcopy(outbox), set(phone.met)
        return True

    def remember(self, phone: Any) -> None:
        """Keep what a phone has after its first pull, and the database with its sign-in."""
        mine = (phone.replica, phone.outbox, phone.offset_ms, set(phone.met), phone.ended)
        self._phones[phone.name, phone.person] = (phone.cookie, *copy.deepcopy(mine))
        self._first = self.backup()

    def backup(self) -> Rows:
        """Everything the database holds of the organisation."""
        with self.looking() as connection:
            return {
                table.name: [dict(row) for row in connection.execute(_of_org(table)).mappings()]
                for table in _tables()
            }

    def put_back(self, rows: Rows) -> None:
        """The database as it was when `rows` were backed up."""
        with self.app.app_context(), writing() as connection:
            _patient(connection)
            for table in reversed(_tables()):
                if table.name != "organisation":
                    connection.execute(delete(table).where(_org_column(table) == ORG))
            for table in _tables():
                if table.name != "organisation" and rows[table.name]:
                    connection.execute(insert(table), _parents_first(table.name, rows[table.name]))

    # -- talking to it -------------------------------------------------------------------------------------------------

    def sign_in(self, person: str, device: str) -> str:
        """A session of a person on a device, as signing in opens one; returns the cookie's value."""
        secret = auth.new_secret(ORG)
        with self.app.app_context(), writing() as connection:
            known = connection.execute(select(Device.id).where(Device.org_id == ORG, Device.id == device))
            if known.first() is None:
                row = {"org_id": ORG, "id": device, "person_id": person, "name": "", "created_at": self.now}
                connection.execute(insert(Device), [row])
            session = {
                "org_id": ORG,
                "digest": auth.digest_of(secret),
                "person_id": person,
                "device_id": device,
                "created_at": self.now,
                "expires_at": self.now + timedelta(days=400),
            }
            connection.execute(insert(Session), [session])
        return secret

    def post(self, cookie: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """One exchange as somebody; raises `Crash` where the server was to die."""
        self.requests += 1
        response = self._client.post(
            "/api/sync",
            data=body,
            headers={"Cookie": f"{auth.COOKIE}={cookie}", "Content-Type": "application/json"},
        )
        if response.status_code == 500:
            self.failures.append(response.get_data(as_text=True)[:300])
        return response.status_code, json.loads(response.data) if response.data else {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Somebody else holds the organisation's lock."""
        with self.app.app_context(), writing() as connection:
            connection.execute(select(Head.version).where(Head.org_id == ORG).with_for_update())
            yield

    @contextmanager
    def looking(self) -> Iterator[Any]:
        """A connection to look at the tables with, past the server."""
        with self.app.app_context(), reading() as connection:
            _patient(connection)
            yield connection


@contextlib.contextmanager
def house_on(url: str, state_dir: Path) -> Iterator[House]:
    """A house on a migrated, empty database, closed at the end."""
    house = House(url, state_dir)
    try:
        yield house
    finally:
        house.close()


def _patient(connection: Any) -> None:
    """Let this transaction wait for a lock for longer than a request may: PostgreSQL tidies tables at times of its own."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")


def _created(kind: str, name: str, /, **fields: Any) -> Change:
    given = {field: value for field, value in fields.items() if value is not None}
    return Change(kind, identity(name), "create", given, id=identity(f"first:{name}"))


_known_tables: list[Any] = []


def _tables() -> list[Any]:
    if not _known_tables:
        for table in Model.metadata.sorted_tables:
            if table.name == "organisation" or "org_id" in table.c:
                _known_tables.append(table)
    return _known_tables


def _org_column(table: Any) -> Any:
    return table.c.id if table.name == "organisation" else table.c.org_id


def _of_org(table: Any) -> Any:
    return select(table).where(_org_column(table) == ORG)


def _parents_first(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if name != "team":
        return rows
    return sorted(rows, key=lambda row: row["parent_id"] is not None)
