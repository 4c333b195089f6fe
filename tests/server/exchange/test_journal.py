"""The journal: what came in, once, as it came, never touched again; and the same work gives the same tables everywhere."""

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine
from sqlalchemy import select, text

from server.app import create_app
from server.config import Config
from server.db import db, reading, writing
from server.exchange.apply import link
from server.exchange.check import check
from server.exchange.kinds import READABLE
from server.exchange.model import Batch, Client, Journal, Position
from server.people.model import Grant, Head
from server.visits.model import RepDay
from tests.conftest import SECRET
from tests.world import World, ago, fix

NOON = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)
DRAWN_BY_LOT = {"salt", "seal", "chain"}
CONTACT = {"contact_at", "unsent", "oldest_unsent", "app", "persisted", "push"}


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.customer("Shop")
    return shared_world


def journal(world: World) -> list[dict[str, Any]]:
    statement = select(Journal.__table__).where(Journal.org_id == world.org).order_by(Journal.n)
    with world.app.app_context(), reading() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


# --- the same work, the same tables --------------------------------------------------------------------------------------


def dump(app: Any) -> str:
    """Every table that follows from what people wrote, in one order and one spelling; not what was drawn by lot."""
    models: list[Any] = [kind.model for kind in READABLE.values()]
    models += [Journal, Batch, Position, RepDay, Grant, Client, Head]
    told: dict[str, Any] = {}
    with app.app_context(), reading() as connection:
        for model in models:
            hidden = DRAWN_BY_LOT | (CONTACT if model is Client else set())
            rows = connection.execute(select(model.__table__)).mappings()
            documents = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
            told[model.__tablename__] = sorted(
                json.dumps(one, sort_keys=True, default=str, ensure_ascii=False) for one in documents
            )
    return json.dumps(told, indent=1)


def live_through(app: Any, times: int, seed: int) -> None:
    """An organisation's few days, each batch sent so many times, and all of them once more at the end for each time."""
    world = World(app)
    world.customer("Shop", address="1 Old Road")
    world.customer("Theirs", owner="sam", team="south")
    rng = random.Random(seed)
    batches: list[tuple[Any, bytes]] = []

    def send(phone: Any, *mutations: Any) -> None:
        body = json.dumps(phone.envelope(*mutations)).encode()
        batches.append((phone, body))
        answers = [phone.post(body).json["receipts"] for _ in range(times)]
        assert all(answer == answers[0] for answer in answers)

    phones = [world.phone(who) for who in ("rob", "ria", "mia", "sam")]
    visits: list[tuple[Any, str]] = []
    for step in range(25):
        phone = rng.choice(phones)
        shop, minute = world.ids["Theirs" if phone.who == "sam" else "Shop"], timedelta(minutes=step)
        choice = rng.randrange(7)
        if choice == 0:
            send(
                phone,
                phone.create("customer", name=f"Lead {step}", tags=["new", "vip"], note="Ein Wort.\n日本"),
            )
        elif choice == 1:
            words = {"field": "note", "op": "text", "old": None, "new": f"{phone.who} says {step}"}
            send(phone, phone.mutation("customer", shop, "update", [words], base=rng.randrange(40)))
        elif choice == 2:
            move = {"field": "address", "op": "set", "old": "1 Old Road", "new": f"{step} New Road"}
            tag = {"field": "tags", "op": rng.choice(["add", "remove"]), "values": ["vip", phone.who]}
            send(phone, phone.mutation("customer", shop, "update", [move, tag], base=rng.randrange(40)))
        elif choice == 3:
            send(
                phone,
                phone.check_in(shop, mode="teleport"),
                phone.mutation("nothing", str(uuid4()), "create", []),
            )
        elif choice == 4 and visits:
            owner, visit = rng.choice(visits)
            again = {"field": "check_in_fix", "op": "set", "old": None, "new": fix(NOON, lat=52)}
            send(
                owner,
                owner.check_out(visit, NOON - minute),
                owner.mutation("visit", visit, "update", [again]),
            )
        else:
            began = phone.check_in(
                shop, NOON - timedelta(hours=step), mood={"stars": step}, minutes=f"é {step}"
            )
            visits.append((phone, began["entity"]))
            send(phone, began)
    for _ in range(times - 1):
        rng.shuffle(batches)
        for phone, body in batches:
            assert phone.post(body).status_code == 200


@contextmanager
def empty_app(engine: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Any]:
    with ExitStack() as stack:
        if engine == "sqlite":
            path = Path(mkdtemp(dir=folder)) / "rounds.db"
            shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
            url = f"sqlite:///{path}"
        else:
            template = request.getfixturevalue("_postgres_template")
            url = stack.enter_context(request.getfixturevalue("postgres").database(template))
        app = create_app(Config(database_url=url, secret=SECRET, state_dir=folder))
        yield app
        with app.app_context():
            db.engine.dispose()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_work_sent_once_twice_or_ten_times_leaves_the_same_tables_on_either_database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    found = {}
    for engine in ("sqlite", "postgresql"):
        for times in (1, 2, 10):
            ids = random.Random(seed)
            for module in ("tests.world", "server.exchange.door", __name__):
                monkeypatch.setattr(
                    f"{module}.uuid4", lambda ids=ids: UUID(int=ids.getrandbits(128), version=4)
                )
            with empty_app(engine, request, tmp_path) as app, time_machine.travel(NOON, tick=False):
                live_through(app, times, seed)
                found[engine, times] = dump(app)
    first = found["sqlite", 1]
    statuses = {json.loads(row)["status"] for row in json.loads(first)["journal"]}
    assert statuses == {"applied", "merged", "parked"}, "a life in which everything happens"
    for key, one in found.items():
        assert one.splitlines() == first.splitlines(), key


# --- as it came ----------------------------------------------------------------------------------------------------------


def test_what_was_sent_is_kept_as_it_was_sent_but_for_its_number(world: World) -> None:
    rob = world.phone("rob")
    sent = [
        rob.check_in(
            world.ids["Shop"], minutes="é 日本 \U0001f600", mood={"b": [1, 2.5, None, True], "a": {}}
        ),
        rob.check_in(world.ids["Shop"], mode="teleport"),
        rob.mutation("spaceship", str(uuid4()), "launch", [{"field": "x", "op": "y", "new": "z"}])
        | {"beside": 1},
        rob.mutation("visit", str(uuid4()), "void", []),
    ]
    rob.push(*sent)
    kept = [entry for entry in journal(world) if entry["client_id"] == rob.client]
    assert [entry["status"] for entry in kept] == ["applied", "parked", "parked", "noop"]
    for mutation, entry in zip(sent, kept, strict=True):
        content = {name: value for name, value in mutation.items() if name != "seq"}
        assert json.loads(entry["payload"]) == content
        plain = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert entry["payload"] == plain
        assert entry["digest"] == hashlib.sha256(plain).hexdigest()
        assert entry["seal"] == hashlib.sha256(entry["salt"] + plain).hexdigest()
        assert (entry["seq"], entry["mutation_id"]) == (mutation["seq"], mutation["id"])


def test_each_entry_is_sealed_with_a_salt_of_its_own_and_chained_to_the_one_before(world: World) -> None:
    rob = world.phone("rob")
    for _ in range(3):
        rob.push(rob.check_in(world.ids["Shop"]), rob.check_in(world.ids["Shop"]))
    entries = journal(world)
    assert len({entry["salt"] for entry in entries}) == len(entries)
    chain = ""
    for entry in entries:
        assert entry["chain"] == link(chain, entry)
        chain = entry["chain"]
        for name in ("n", "version", "client_id", "seq", "mutation_id", "seal", "status", "code"):
            assert link(chain, entry) != link(chain, entry | {name: "other"}), name


def test_a_receipt_is_that_of_then_whatever_happened_since(world: World) -> None:
    rob = world.phone("rob")
    edit = rob.mutation(
        "customer", world.ids["Shop"], "update", [{"field": "address", "op": "set", "old": None, "new": "1"}]
    )
    lost = rob.check_in(str(uuid4()))
    first = rob.push(edit, lost)
    world.change("customer", "Shop", address="2")
    world.change("customer", "Shop", owner_id=world.ids["sam"], team_id=world.ids["south"])
    world.change("person", "rob", active=False)
    assert rob.push(edit, lost) == first
    shop = next(item for item in world.get("sam", "/api/customers").json["items"])
    assert shop["address"] == "2"


def test_what_was_renumbered_keeps_its_receipt_and_leaves_a_second_entry(world: World) -> None:
    rob = world.phone("rob")
    began = rob.check_in(world.ids["Shop"])
    (first,) = rob.push(began)
    heir = world.phone("rob")
    heir.predecessor = rob.client
    (second,) = heir.push(began | {"seq": 1})
    assert second == first | {"seq": 1}
    entries = [entry for entry in journal(world) if entry["mutation_id"] == began["id"]]
    assert [entry["as_of"] for entry in entries] == [first["version"]] * 2
    assert [entry["client_id"] for entry in entries] == [rob.client, heir.client]
    assert len(world.get("rob", "/api/visits").json["items"]) == 1


def test_an_id_of_somebody_elses_mutation_is_no_key_to_its_receipt(world: World) -> None:
    rob, ria = world.phone("rob"), world.phone("ria")
    began = rob.check_in(world.ids["Shop"])
    rob.push(began)
    (stolen,) = ria.push(began)
    assert (stolen["status"], stolen["code"], stolen["detail"]) == ("parked", "INVALID", {"field": "id"})
    assert [item["rep"]["name"] for item in world.get("mia", "/api/visits").json["items"]] == ["Rob"]


def test_a_value_that_lost_is_told_to_who_wrote_it_to_who_overruled_it_and_to_their_manager(
    world: World,
) -> None:
    rob, ria, sam, mia = (world.phone(who) for who in ("rob", "ria", "sam", "mia"))

    def move(phone: Any, new: str) -> dict[str, Any]:
        change = [{"field": "address", "op": "set", "old": None, "new": new}]
        return dict(phone.push(phone.mutation("customer", world.ids["Shop"], "update", change))[0])

    assert move(ria, "2 Ria Road")["status"] == "applied"
    receipt = move(rob, "3 Rob Road")
    (conflict,) = receipt["conflicts"]
    for phone in (rob, ria, mia):
        phone.pull()
        assert phone.held("conflict")[conflict]["lost"] == "2 Ria Road", phone.who
    sam.pull()
    assert sam.held("conflict") == {}
    # the same person on two phones is told once
    tablet = world.phone("rob")
    (second,) = move(tablet, "4 Tablet Road")["conflicts"]
    rob.pull()
    assert rob.held("conflict")[second]["lost"] == "3 Rob Road"
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


# --- never touched again ---------------------------------------------------------------------------------------------------


@contextmanager
def guarded(world: World, *tables: str) -> Iterator[None]:
    """The database itself refuses to change or remove a row of these tables."""
    with world.app.app_context():
        dialect = db.engine.dialect.name
    drops = []
    with world.app.app_context(), writing() as connection:
        if dialect == "postgresql":
            connection.execute(
                text(
                    "create or replace function refuse() returns trigger language plpgsql as"
                    " $$ begin raise exception 'append only'; end $$"
                )
            )
        for table in tables:
            if dialect == "postgresql":
                connection.execute(
                    text(
                        f"create trigger guard_{table} before update or delete on {table}"
                        " for each row execute function refuse()"
                    )
                )
                drops.append(f"drop trigger guard_{table} on {table}")
                continue
            for verb in ("update", "delete"):
                connection.execute(
                    text(
                        f"create trigger guard_{table}_{verb} before {verb} on {table}"
                        " begin select raise(abort, 'append only'); end"
                    )
                )
                drops.append(f"drop trigger guard_{table}_{verb}")
    try:
        yield
    finally:
        with world.app.app_context(), writing() as connection:
            for drop in drops:
                connection.execute(text(drop))


def test_nothing_that_people_do_changes_or_removes_an_entry_of_the_journal(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    with guarded(world, "journal", "batch"):
        began = rob.check_in(world.ids["Shop"], ago(minutes=50))
        batch = [began, rob.check_out(began["entity"]), rob.check_in(world.ids["Shop"], mode="teleport")]
        first = rob.push(*batch)
        assert rob.push(*batch) == first
        world.change("customer", "Shop", owner_id=world.ids["ria"])
        plan = mia.create("visit", customer_id=world.ids["Shop"], status="planned", rep_id=world.ids["rob"])
        off = [{"field": "status", "op": "go", "old": "planned", "new": "cancelled"}]
        receipts = mia.push(plan, mia.mutation("visit", plan["entity"], "update", off))
        assert {receipt["status"] for receipt in receipts} == {"applied"}
        world.change("person", "ria", active=False)
        rob.pull()
        mia.pull()
        with pytest.raises(Exception, match="append only"), world.app.app_context(), writing() as connection:
            connection.execute(text("update journal set code = 'X'"))
    assert [receipt["status"] for receipt in first] == ["applied", "applied", "parked"]
