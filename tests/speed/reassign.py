"""Reassign: 1,000 customers with a planned visit each go to somebody else, while two phones go on pushing."""

import http.client
import json
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from server.app import create_app
from server.auth import digest_of, new_secret
from server.config import Config
from server.db import db, writing
from server.people import grant
from server.people.model import ApiToken, Person
from tests.live import LiveServer
from tests.postgres import Cluster
from tests.speed import seed
from tests.speed.load import post

CUSTOMERS = 1000
BATCH = 50
ALONE_S = 3.0


def run(cluster: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report."""
    for name, url in (
        ("PostgreSQL", cluster.create("reassigned")),
        ("SQLite", f"sqlite:///{folder / 'reassigned.db'}"),
    ):
        reps = seed.organisation(url, 4, CUSTOMERS)
        administrator = _administrator(url)
        server = LiveServer(url, folder / name, ROUNDS_SECRET=seed.SECRET.decode())
        server.start()
        try:
            giver, taker, *others = reps
            _plan(server.port, giver)
            with _Pushing(server.port, others) as alone:
                time.sleep(ALONE_S)
            with _Pushing(server.port, others) as meanwhile:
                begun = time.perf_counter()
                told = _reassign(server.port, administrator, giver.id, taker.id)
                seconds = time.perf_counter() - begun
        finally:
            server.stop()
        if (told["customers"], told["visits"]) != (CUSTOMERS, CUSTOMERS):
            raise RuntimeError(f"not all were moved: {told}")
        waited = max(meanwhile.took) - statistics.median(alone.took)
        yield f"{name + ', 1,000 customers':28}{seconds:9.2f} s    wanted: under 5"
        yield f"{'longest a push was held up':28}{waited:9.0f} ms   wanted: under 100"
        yield (
            f"{'a push alone / meanwhile':28}{statistics.median(alone.took):9.1f} / "
            f"{statistics.median(meanwhile.took):.1f} ms   ({len(meanwhile.took)} pushes)"
        )


class _Pushing:
    """Phones that push a visit each, one after another, as long as the block runs; `took` is ms of each push."""

    def __init__(self, port: int, reps: list[seed.Rep]) -> None:
        self.port = port
        self.took: list[float] = []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._push, args=(rep,)) for rep in reps]

    def _push(self, rep: seed.Rep) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        today = datetime.now(UTC)
        while not self._done.is_set():
            body = rep.exchange(rep.creates(1, 10, today))
            begun = time.perf_counter()
            link.request("POST", "/api/sync", body, {"Content-Type": "application/json", **rep.headers})
            answer = link.getresponse()
            told = answer.read()
            self.took.append((time.perf_counter() - begun) * 1000)
            if answer.status != 200:
                raise RuntimeError(f"{answer.status}: {told[:400]!r}")
            self._done.wait(0.02)
        link.close()

    def __enter__(self) -> "_Pushing":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


def _plan(port: int, rep: seed.Rep) -> None:
    """A visit planned at each customer, `BATCH` a day."""
    now, bodies = datetime.now(UTC), []
    for number, start in enumerate(range(0, len(rep.customers), BATCH)):
        day = (now + timedelta(days=3 + number)).date().isoformat()
        some = rep.customers[start : start + BATCH]
        bodies.append(rep.exchange([rep.planned(customer, day, now) for customer, _, _ in some]))
    post(port, "/api/sync", [bodies], [[rep.headers] * len(bodies)])


def _reassign(port: int, token: str, giver: str, taker: str) -> dict[str, int]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sum_, more = {"customers": 0, "visits": 0}, True
    while more:
        link.request("POST", "/api/customers/reassign", json.dumps({"from": giver, "to": taker}), headers)
        answer = link.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {told}")
        sum_ = {name: number + told[name] for name, number in sum_.items()}
        more = told["more"]
    link.close()
    return sum_


def _administrator(url: str) -> str:
    """A token of an administrator."""
    app = create_app(Config(database_url=url, secret=seed.SECRET))
    org, person = seed.organisation_of(url), str(uuid.uuid4())
    token, now = new_secret(org), datetime.now(UTC)
    common = {"org_id": org, "version": 1, "created_by": "", "archived": False, "extra": {}, "stamps": {}}
    about = {"name": "Ada", "role": "administrator", "team_id": None, "active": True, "locale": "en"}
    with app.app_context():
        with writing() as connection:
            connection.execute(
                insert(Person), [common | about | {"id": person, "time_zone": "Europe/London"}]
            )
            connection.execute(
                insert(ApiToken),
                [
                    {
                        "org_id": org,
                        "digest": digest_of(token),
                        "id": str(uuid.uuid4()),
                        "person_id": person,
                        "name": "speed",
                        "created_at": now,
                        "revoked_at": None,
                    }
                ],
            )
            grant.refresh(connection, org, now)
        db.engine.dispose()
    return token
