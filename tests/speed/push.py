"""Push: batches of 50 complete visits by eight connections, against bare psycopg that writes the very same rows.

Both write under the organisation's lock, in the same cluster (fsync on), one after the other in each of three rounds;
the bare one gets its rows ready-made, each table's in one statement.
"""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from tests.live import LiveServer
from tests.postgres import Cluster
from tests.speed import seed
from tests.speed.load import Result, post, together

CONNECTIONS = 8
BATCH = 50
BATCHES = 15  # a connection's, in each round
ROUNDS = 3
# Each table that a push writes, with the column that tells which transaction wrote a row.
TABLES = {"visit": "version", "journal": "version", "position": "version", "batch": "version"}


def run(cluster: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report."""
    reps = seed.organisation(cluster.create("pushed"), CONNECTIONS * 4, 40)
    cluster.copy("pushed", "bare")
    server = LiveServer(cluster.url("pushed"), folder, ROUNDS_SECRET=seed.SECRET.decode())
    server.start()
    today = datetime.now(UTC)
    first: list[float] = []
    bare: list[float] = []
    again: list[float] = []
    update: list[float] = []
    quiet: list[float] = []
    disputed: list[float] = []
    latest: Result | None = None
    try:
        for number in range(ROUNDS + 1):  # the first round warms up and is not counted
            batches = [[_whose(reps, index, step) for step in range(BATCHES)] for index in range(CONNECTIONS)]
            head = _head(cluster)
            bodies = [[rep.exchange(rep.creates(BATCH, 10, today)) for rep in row] for row in batches]
            headers = [[rep.headers for rep in row] for row in batches]
            pushed = _push(server.port, bodies, headers)
            _check(pushed, {"applied"})
            if number == 0:
                continue
            latest = pushed
            first.append(_rate(pushed.seconds))
            bare.append(_rate(_bare(cluster, head)))
            again.append(_rate(_push(server.port, bodies, headers).seconds))
            changes = [
                [rep.exchange(rep.updates(rep.visits[-BATCH:], today)) for rep in row[-4:]] for row in batches
            ]
            updated = _push(server.port, changes, [row[-4:] for row in headers])
            update.append(CONNECTIONS * 4 * BATCH / updated.seconds)
            for late, rates in ((0, quiet), (BATCH // 10, disputed)):
                rates.append(_second(server.port, batches, updated, late, today))
    finally:
        server.stop()
    assert latest is not None
    times = f"p50 {latest.median:.1f} ms, p95 {latest.percentile(0.95):.1f} ms"
    yield f"visits pushed a second        {statistics.median(first):9,.0f}   {times}"
    yield f"the same rows, bare psycopg   {statistics.median(bare):9,.0f}"
    yield f"push / bare                   {_ratio(first, bare):9.2f}   wanted: at least 0.5"
    yield f"sent again / first time       {_ratio(again, first):9.2f}   wanted: at least 1"
    yield f"updates / creates             {_ratio(update, first):9.2f}"
    yield f"10 % in conflict / none       {_ratio(disputed, quiet):9.2f}   wanted: at least 0.7"


def _whose(reps: Sequence[seed.Rep], connection: int, step: int) -> seed.Rep:
    """A connection carries four phones in turn; no phone sends by two connections at once."""
    return reps[connection * 4 + step % 4]


def _second(
    port: int, batches: Sequence[Sequence[seed.Rep]], updated: Result, late: int, today: datetime
) -> float:
    """Mutations a second of another device of each rep that thinks again about what was just updated.

    Of each 50 it had not heard of the update of the first `late`, and wrote over it. The first half of the batches
    is taken with `late` 0, the second with more, so that none is thought about twice.
    """
    bodies, headers = [], []
    for row, answers in zip(batches, updated.answers, strict=True):
        mine = []
        for rep, answer in list(zip(row[-4:], answers, strict=True))[2 * bool(late) :][:2]:
            versions = [receipt["version"] for receipt in json.loads(answer)["receipts"]]
            entities = [
                (entity, version) for (entity, _), version in zip(rep.visits[-BATCH:], versions, strict=True)
            ]
            other = seed.Rep(rep.id, rep.token, rep.customers)
            mine.append(other.exchange(other.second_thoughts(entities, late, today)))
        bodies.append(mine)
        headers.append([rep.headers for rep in row[-4:]][2 * bool(late) :][:2])
    result = _push(port, bodies, headers)
    for answers in result.answers:
        for answer in answers:
            statuses = Counter(receipt["status"] for receipt in json.loads(answer)["receipts"])
            if statuses != +Counter(applied=BATCH - late, merged=late):
                raise RuntimeError(f"receipts say {statuses}")
    return CONNECTIONS * 2 * BATCH / result.seconds


def _rate(seconds: float) -> float:
    return CONNECTIONS * BATCHES * BATCH / seconds


def _ratio(these: Sequence[float], those: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


def _push(
    port: int, bodies: Sequence[Sequence[bytes]], headers: Sequence[Sequence[dict[str, str]]]
) -> Result:
    return post(port, "/api/sync", bodies, headers)


def _check(result: Result, wanted: set[str]) -> None:
    for answers in result.answers:
        for answer in answers:
            statuses = {receipt["status"] for receipt in json.loads(answer)["receipts"]}
            if statuses != wanted:
                raise RuntimeError(f"receipts say {statuses}: {answer[:600]!r}")


def _head(cluster: Cluster) -> int:
    with psycopg.connect(cluster.dsn("pushed")) as connection:
        row = connection.execute("select version from head").fetchone()
    assert row is not None
    return int(row[0])


def _bare(cluster: Cluster, after: int) -> float:
    """Seconds in which bare connections write what the server wrote in the versions above `after`."""
    work: dict[int, list[tuple[str, str]]] = {}
    with psycopg.connect(cluster.dsn("pushed")) as source:
        for table, version in TABLES.items():
            rows = source.execute(
                f'select {version}, json_agg(t)::text from "{table}" t where {version} > %s group by {version}',
                (after,),
            )
            for number, text in rows:
                work.setdefault(number, []).append((table, text))
        days = source.execute(
            "select v.version, json_agg(distinct to_jsonb(d))::text from visit v join rep_day d using (org_id, day, rep_id)"
            " where v.version > %s group by v.version",
            (after,),
        )
        for number, text in days:
            work[number].append(("rep_day", text))
        keys = {
            row[0]
            for row in source.execute(
                "select attname from pg_attribute a join pg_index i on i.indrelid = a.attrelid and i.indisprimary"
                " and a.attnum = any(i.indkey) where a.attrelid = 'rep_day'::regclass"
            )
        }
        columns = [
            row[0]
            for row in source.execute(
                "select attname from pg_attribute where attrelid = 'rep_day'::regclass and attnum > 0 and not attisdropped"
            )
        ]
    replace = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
    statements = {
        table: f'insert into "{table}" select * from json_populate_recordset(null::"{table}", %s::json)'
        for table in TABLES
    }
    statements["rep_day"] = (
        "insert into rep_day select * from json_populate_recordset(null::rep_day, %s::json)"
        f" on conflict ({', '.join(keys)}) do update set {replace}"
    )
    versions = sorted(work)

    def writer(index: int) -> Callable[[], None]:
        def write() -> None:
            with psycopg.connect(cluster.dsn("bare")) as connection:
                for version in versions[index::CONNECTIONS]:
                    with connection.transaction(), connection.pipeline():
                        connection.execute("select version from head for update")
                        for table, text in work[version]:
                            connection.execute(statements[table], (text,))
                        connection.execute("update head set version = greatest(version, %s)", (version,))

        return write

    return together([writer(index) for index in range(CONNECTIONS)])
