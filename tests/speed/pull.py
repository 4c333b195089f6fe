"""Pull: pages of 500 of a rep's 5,000 visits by eight connections, against a bare select of the same rows made into JSON."""

import gzip
import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg
from psycopg.rows import dict_row

from tests.live import LiveServer
from tests.postgres import Cluster
from tests.speed import seed
from tests.speed.load import post, together

VISITS = 5000
PAGE = 500
CONNECTIONS = 8
PAGES = 15  # a connection's, in each round
ROUNDS = 3


def run(cluster: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report."""
    rep, *_ = seed.organisation(cluster.create("pulled"), 1, 40)
    server = LiveServer(cluster.url("pulled"), folder, ROUNDS_SECRET=seed.SECRET.decode())
    server.start()
    today = datetime.now(UTC)
    try:
        bodies = [rep.exchange(rep.creates(50, 32, today)) for _ in range(VISITS // 50)]
        post(server.port, "/api/sync", [bodies], [[rep.headers] * len(bodies)], keep=False)
        tokens: list[str | None] = [None]
        syncs, unpacked, packed, rows = [], 0, 0, 0
        for _ in range(ROUNDS):
            seconds, unpacked, packed, rows, tokens = _first_sync(server.port, rep)
            syncs.append(seconds)
        pulls, bare = [], []
        for _ in range(ROUNDS):
            asked = [rep.exchange([], {"token": token, "limit": PAGE}) for token in tokens[:-2]]
            load = [
                [asked[(index + step) % len(asked)] for step in range(PAGES)] for index in range(CONNECTIONS)
            ]
            result = post(server.port, "/api/sync", load, [[rep.headers] * PAGES] * CONNECTIONS, keep=False)
            pulls.append(CONNECTIONS * PAGES * PAGE / result.seconds)
            bare.append(CONNECTIONS * PAGES * PAGE / _bare(cluster, rep))
    finally:
        server.stop()
    yield f"rows pulled a second          {statistics.median(pulls):9,.0f}   wanted: 100,000"
    yield f"bare select and JSON          {statistics.median(bare):9,.0f}   (one process)"
    yield f"pull / bare                   {statistics.median(a / b for a, b in zip(pulls, bare, strict=True)):9.2f}"
    yield f"first sync, {rows:,} rows        {statistics.median(syncs):9.3f} s wanted: under 0.25 for 5,000 visits"
    yield f"bytes a row, gzipped          {packed / rows:9.0f}   wanted: under 280 (plain: {unpacked / rows:.0f})"


def _first_sync(port: int, rep: seed.Rep) -> tuple[float, int, int, int, list[str | None]]:
    """Walks from nothing to the end: seconds, bytes unpacked and on the wire, rows, and the tokens met."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    tokens: list[str | None] = [None]
    unpacked = packed = rows = 0
    begun = time.perf_counter()
    while True:
        body = rep.exchange([], {"token": tokens[-1], "limit": PAGE})
        link.request(
            "POST",
            "/api/sync",
            body,
            {"Content-Type": "application/json", "Accept-Encoding": "gzip", **rep.headers},
        )
        answer = link.getresponse()
        data = answer.read()
        packed += len(data)
        if answer.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        unpacked += len(data)
        page = json.loads(data)["pull"]
        rows += len(page["rows"])
        tokens.append(page["token"])
        if not page["more"]:
            return time.perf_counter() - begun, unpacked, packed, rows, tokens


def _bare(cluster: Cluster, rep: seed.Rep) -> float:
    """Seconds for as many pages read and written as JSON by the driver alone."""
    with psycopg.connect(cluster.dsn("pulled")) as connection:
        marks = [row[0] for row in connection.execute("select id from visit order by id")][::PAGE]

    def reader(index: int) -> Callable[[], None]:
        def read() -> None:
            with psycopg.connect(cluster.dsn("pulled"), row_factory=dict_row) as connection:
                for step in range(PAGES):
                    page = connection.execute(
                        "select * from visit where id >= %s order by id limit %s",
                        (marks[(index + step) % (len(marks) - 1)], PAGE),
                    ).fetchall()
                    orjson.dumps(page, default=str)

        return read

    return together([reader(index) for index in range(CONNECTIONS)])
