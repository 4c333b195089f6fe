"""The house behind HTTP, for an engine that is not Python: its routes as they are, and one path for what befalls it.

`POST /-/<word>` does to the server what a step of the vectors says; it is no part of the server. Requests are answered one
after the other in one thread, so that a story is played alike each time.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from sqlalchemy import select, update

from server import auth
from server.db import writing
from server.exchange.check import check
from server.exchange.model import Journal
from server.people.model import Device, Head, Session
from sync.mutation import instant_text
from tests.faults.sim.house import CUSTOMERS, ORG, PEOPLE, PLACE, ZONE, Crash, House, Rows, identity

WORLD = ("root", "north", "south", *PEOPLE, *CUSTOMERS, "sales_call", "order")
PASSED_ON = ("Content-Type", "Content-Encoding", "Retry-After", "ETag")


def _die() -> None:
    raise Crash


class Fate:
    """What befalls the server, one method a word; each takes and gives JSON."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.locks = 0
        self.saved: Rows | None = None

    def begin(self, said: dict[str, Any]) -> dict[str, Any]:
        """Everything as it was founded; tells who and what there is."""
        self.house.begin()
        self.locks, self.saved = 0, None
        ids = {name: identity(name) for name in WORLD}
        return {
            "now": instant_text(self.house.now),
            "zone": ZONE,
            "place": PLACE,
            "ids": ids,
            "roles": {name: role for name, (role, _) in PEOPLE.items()},
        }

    def sign_in(self, said: dict[str, Any]) -> dict[str, Any]:
        """A session of `person` on `device`, as a cookie."""
        return {"cookie": f"{auth.COOKIE}={self.house.sign_in(said['person'], said['device'])}"}

    def backup(self, said: dict[str, Any]) -> dict[str, Any]:
        """Keep the database as it is."""
        self.saved = self.house.backup()
        return {}

    def put_back(self, said: dict[str, Any]) -> dict[str, Any]:
        """The database as it was kept."""
        assert self.saved is not None
        self.house.put_back(self.saved)
        return {}

    def lock(self, said: dict[str, Any]) -> dict[str, Any]:
        """Somebody else holds the lock while the next `for` requests come; 0: nobody any more."""
        self.locks = said["for"]
        return {}

    def crash(self, said: dict[str, Any]) -> dict[str, Any]:
        """Die at the next request, `before` or `after` its commit."""
        setattr(self.house, f"{said['when']}_commit", _die)
        return {}

    def go_on(self, said: dict[str, Any]) -> dict[str, Any]:
        """Nothing befalls the requests to come."""
        self.house.before_commit = self.house.after_commit = None
        return {}

    def go_by(self, said: dict[str, Any]) -> dict[str, Any]:
        """Time passes."""
        self.house.now += timedelta(days=said.get("days", 0), minutes=said.get("minutes", 0))
        return {"now": instant_text(self.house.now)}

    def expire(self, said: dict[str, Any]) -> dict[str, Any]:
        """The sessions of `device` are over."""
        over = {"expires_at": self.house.now - timedelta(minutes=1)}
        return self._write(update(Session).where(Session.device_id == said["device"]).values(**over))

    def revoke(self, said: dict[str, Any]) -> dict[str, Any]:
        """Somebody closes `device`."""
        closed = {"revoked_at": self.house.now}
        return self._write(update(Device).where(Device.id == said["device"]).values(**closed))

    def _write(self, statement: Any) -> dict[str, Any]:
        with self.house.app.app_context(), writing() as connection:
            connection.execute(statement)
        return {}

    def stumble(self, said: dict[str, Any]) -> dict[str, Any]:
        """Fail while settling the next mutations, so many `times`; 0: no longer."""
        self.house.stumbles(said["times"])
        return {}

    def check(self, said: dict[str, Any]) -> dict[str, Any]:
        """What `rounds check` would find: the journal against the tables."""
        with self.house.looking() as connection:
            return {
                "differences": [str(one) for one in check(connection, ORG)],
                "failures": self.house.failures,
            }

    def look(self, said: dict[str, Any]) -> dict[str, Any]:
        """The head, and of each journal entry the mutation's id and what became of it."""
        with self.house.looking() as connection:
            head = connection.execute(select(Head.version).where(Head.org_id == ORG)).scalar_one()
            entries = connection.execute(
                select(Journal.mutation_id, Journal.status, Journal.code, Journal.as_of)
                .where(Journal.org_id == ORG)
                .order_by(Journal.n)
            )
            return {"head": head, "journal": [list(entry) for entry in entries]}


class _Handler(BaseHTTPRequestHandler):
    fate: Fate

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/-/"):
            told = getattr(self.fate, self.path.removeprefix("/-/"))(json.loads(body or b"{}"))
            self._send(200, {"Content-Type": "application/json"}, json.dumps(told).encode())
            return
        house = self.fate.house
        locked: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if self.fate.locks > 0:
            self.fate.locks -= 1
            locked = house.locked()
        with house.app.test_client(use_cookies=False) as client, locked:
            try:
                response = client.open(
                    self.path, method=self.command, data=body, headers=list(self.headers.items())
                )
            except Crash:
                self.close_connection = True
                self.connection.close()
                return
        if response.status_code == 500:
            house.failures.append(response.get_data(as_text=True)[:300])
        headers = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
        self._send(response.status_code, headers, response.get_data())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(house: House) -> Iterator[str]:
    """The address at which the house answers."""
    server = HTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fate": Fate(house)}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
