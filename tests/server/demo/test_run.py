"""The demo as one meets it: made once, taken up where it was cut off, topped up later, never in the way of people."""

from __future__ import annotations

import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from sqlalchemy import func, select

from server.app import create_app
from server.config import Config
from server.customers.model import Customer
from server.db import db, reading
from server.demo import run
from server.demo.run import SignIn, keep_living, prepare
from server.demo.words import load
from server.exchange.check import check
from server.exchange.model import Batch, Conflict, Journal, Parked
from server.people.model import Head, Organisation, Person, Team
from server.visits.model import Visit
from server.visits.rules import CODES
from tests.conftest import SECRET

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 18, 14, 10, tzinfo=UTC)
"""A Wednesday afternoon."""

NOT_BY_PHONES = {"ESTIMATED_END", "NO_POSITION_PURGED", "NO_CHECK_IN", "NO_CHECK_OUT", "DECLINED"}
"""Codes of what this demo has no story for: nothing is estimated, purged or declined yet, its phones are whole."""


@contextmanager
def opened(config: Config) -> Iterator[Any]:
    """A demo's database, to be read."""
    app = create_app(config)
    with app.app_context():
        yield app
        db.engine.dispose()


@contextmanager
def served(config: Config) -> Iterator[Any]:
    """The app on a demo's database, at `NOW` by its clock."""
    app = create_app(config)
    with time_machine.travel(NOW, tick=False):
        yield app
    with app.app_context():
        db.engine.dispose()


def everything(config: Config, *tables: Any) -> dict[str, list[Any]]:
    """The rows of these tables in a fixed order."""
    with opened(config), reading() as connection:
        found = {}
        for model in tables:
            table = model.__table__
            rows = connection.execute(select(table).order_by(*table.primary_key)).mappings()
            found[table.name] = [dict(row) for row in rows]
        return found


def config_in(folder: Path) -> Config:
    return Config(database_url=f"sqlite:///{folder / 'rounds.db'}", secret=SECRET, state_dir=folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, list[SignIn]]:
    """The whole demo, as on a first start. Read it; to change it, take a `copy`."""
    config = config_in(tmp_path_factory.mktemp("demo"))
    return config, prepare(config, "en", now=NOW)


@pytest.fixture
def copy(made: tuple[Config, list[SignIn]], tmp_path: Path) -> tuple[Config, list[SignIn]]:
    """A demo of the test's own."""
    shutil.copytree(made[0].state_dir, tmp_path / "demo")
    return config_in(tmp_path / "demo"), made[1]


@pytest.fixture
def few_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "DAYS", 1)


def sign_in(app: Any, who: SignIn) -> Any:
    client = app.test_client()
    asked = {"email": who.email, "password": who.password, "device": {"client": str(uuid4()), "name": "test"}}
    assert client.post("/api/session", json=asked).status_code == 200
    return client


# -- the first start ---------------------------------------------------------------------------------------------------


def test_sixty_days_of_24_reps_and_800_customers_are_there(made: tuple[Config, list[SignIn]]) -> None:
    with opened(made[0]), reading() as connection:
        count = lambda *where: connection.execute(select(func.count()).where(*where)).scalar_one()  # noqa: E731
        assert count(Customer.id.is_not(None)) == 800
        assert count(Customer.lat.is_(None)) == 15
        assert count(Person.role == "rep", Person.active) == 24 and count(Person.role == "manager") == 3
        assert count(Team.parent_id.is_not(None)) == 3 and count(Team.parent_id.is_(None)) == 1
        days = Counter(connection.execute(select(Visit.day)).scalars().all())
        worked = [NOW.date() - timedelta(days=back) for back in range(60)]
        assert all(days[day.isoformat()] > 80 for day in worked if day.weekday() < 5)
        assert 6000 < days.total() < 9000
        said = set(connection.execute(select(Visit.minutes).where(Visit.minutes.is_not(None))).scalars())
        assert len(said) > 4000
        modes = Counter(connection.execute(select(Visit.mode)).scalars().all())
        assert modes.keys() == {"in_person", "phone", "online"} and modes["in_person"] > 0.8 * modes.total()


def test_every_code_that_a_phone_can_bring_about_occurs(made: tuple[Config, list[SignIn]]) -> None:
    with opened(made[0]), reading() as connection:
        said: Counter[str] = Counter()
        for server in connection.execute(select(Visit.server)).scalars():
            said.update(
                {*server["reasons"], *server["trust_reasons"], *(["valid"] if server["valid"] else [])}
            )
        assert CODES.keys() - said.keys() == NOT_BY_PHONES
        assert 0.6 * 6000 < said["valid"]
        parked = {code for (code,) in connection.execute(select(Parked.code).distinct())}
        assert parked == {"FORBIDDEN", "SCOPE_LOST", "PARENT_PARKED"}
        conflicts = {code for (code,) in connection.execute(select(Conflict.code).distinct())}
        assert conflicts >= {"FIELD_CONFLICT", "TEXT_KEPT_BOTH"}
        late = connection.execute(
            select(func.count()).where(Visit.status == "open", Visit.day < "2026-11-17")
        ).scalar_one()
        assert late > 3, "check-outs are forgotten"


def test_the_journal_tells_what_the_tables_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "DAYS", 5)
    config = config_in(tmp_path)
    prepare(config, "en", now=NOW)
    with opened(config), reading() as connection:
        org_id = connection.execute(select(Organisation.id)).scalar_one()
        assert connection.execute(select(func.count()).where(Visit.valid)).scalar_one() > 200
        assert check(connection, org_id) == []


def test_passwords_are_kept_for_their_owner_alone(made: tuple[Config, list[SignIn]]) -> None:
    config, sign_ins = made
    assert [who.role for who in sign_ins] == ["rep", "manager", "administrator"]
    assert len({who.password for who in sign_ins}) == 3
    (kept,) = config.state_dir.glob("demo-*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert {file.name for file in config.state_dir.iterdir() if "building" in file.name} == set()


def test_the_printed_manager_sees_the_printed_rep_and_whoever_is_silent(
    made: tuple[Config, list[SignIn]],
) -> None:
    config, (rep, manager, administrator) = made
    with served(config) as app:
        me = sign_in(app, rep).get("/api/me").json
        board = sign_in(app, manager).get("/api/board").json
        assert board["date"] == "2026-11-18" and len(board["reps"]) == 8
        by_name = {line["person"]["name"]: line for line in board["reps"]}
        mine = by_name[me["person"]["name"]]
        assert mine["visits"] >= 2 and mine["open_visit"] is None and mine["unsent"] == 0
        assert any(stop["status"] == "planned" for stop in mine["line"])
        silent = [line for line in board["reps"] if line["unsent"]]
        assert [line["unsent"] for line in silent] == [4]
        assert datetime.fromisoformat(silent[0]["last_contact_at"]) < NOW - timedelta(hours=3)
        assert datetime.fromisoformat(silent[0]["oldest_unsent"]) < datetime.fromisoformat(
            silent[0]["last_contact_at"]
        )
        whole = sign_in(app, administrator).get("/api/board").json["reps"]
        assert len(whole) == 24
        assert any(line["open_visit"] for line in whole), "somebody is with a customer right now"
        idle = [line for line in whole if line["visits"] == 0]
        assert idle and all(
            datetime.fromisoformat(line["last_contact_at"]).date() == NOW.date() for line in idle
        )
        heard = [
            datetime.fromisoformat(line["last_contact_at"]) for line in whole if line not in idle + silent
        ]
        assert all(NOW - timedelta(minutes=20) <= at <= NOW for at in heard)


def test_a_newcomer_has_customers_near_and_can_check_in_at_once(copy: tuple[Config, list[SignIn]]) -> None:
    config, (rep, manager, _) = copy
    with served(config) as app:
        client = sign_in(app, rep)
        last = client.get("/api/visits?status=done&limit=1").json["items"][0]["customer"]
        near = client.get(f"/api/customers?near={last['lat']},{last['lon']}&limit=20").json["items"]
        assert sum(customer["distance_m"] < 1000 for customer in near) >= 10
        assert (
            client.post("/api/sync", json=exchange(near[0]["id"])).json["receipts"][0]["status"] == "applied"
        )
        board = sign_in(app, manager).get("/api/board").json["reps"]
        assert (
            sum(
                line["open_visit"] is not None and line["open_visit"]["customer"] == near[0]["name"]
                for line in board
            )
            == 1
        )


def exchange(customer: str, client: str | None = None) -> dict[str, Any]:
    """What a newcomer's phone sends after a check-in."""
    moment = {"wall": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    moment |= {"mono_ms": 5000, "life": str(uuid4()), "offset_ms": 0, "zone": "Europe/London"}
    fields = {
        "customer_id": customer,
        "mode": "in_person",
        "kind": "store_call",
        "status": "open",
        "check_in": moment,
    }
    ops = [{"field": name, "op": "set", "old": None, "new": value} for name, value in fields.items()]
    mutation = {
        "seq": 1,
        "id": str(uuid4()),
        "schema": 1,
        "kind": "visit",
        "entity": str(uuid4()),
        "verb": "create",
        "base": 0,
    }
    return {
        "protocol": 1,
        "client": client or str(uuid4()),
        "sent": moment,
        "mutations": [mutation | {"at": moment, "ops": ops}],
        "pull": None,
    }


# -- later starts ------------------------------------------------------------------------------------------------------

CONTENT = (Head, Journal, Batch, Visit, Customer, Person, Parked, Conflict)


def test_a_second_start_at_the_same_time_changes_nothing(copy: tuple[Config, list[SignIn]]) -> None:
    config, sign_ins = copy
    before = everything(config, *CONTENT)
    assert prepare(config, "en", now=NOW) == sign_ins
    assert everything(config, *CONTENT) == before


def test_a_start_later_that_day_only_adds(copy: tuple[Config, list[SignIn]]) -> None:
    config, _ = copy
    before = everything(config, Journal, Visit)
    prepare(config, "en", now=NOW + timedelta(hours=2))
    after = everything(config, Journal, Visit)
    assert after["journal"][: len(before["journal"])] == before["journal"]
    assert len(after["journal"]) > len(before["journal"]) + 50
    assert {row["id"] for row in before["visit"]} <= {row["id"] for row in after["visit"]}
    prepare(config, "en", now=NOW + timedelta(hours=2))
    assert everything(config, Journal, Visit) == after


def test_days_on_which_nobody_started_it_are_lived_later_and_what_people_logged_stays(
    copy: tuple[Config, list[SignIn]],
) -> None:
    config, (rep, _, _) = copy
    with served(config) as app:
        client = sign_in(app, rep)
        shop = client.get("/api/customers?limit=1").json["items"][0]["id"]
        sent = exchange(shop)
        assert client.post("/api/sync", json=sent).json["receipts"][0]["status"] == "applied"
        mine = client.get("/api/me").json["person"]["id"]
    logged = sent["mutations"][0]["entity"]
    before = {row["id"]: row for row in everything(config, Visit)["visit"]}
    later = NOW + timedelta(days=6, hours=1)
    prepare(config, "en", now=later)
    after = {row["id"]: row for row in everything(config, Visit)["visit"]}
    assert after[logged] == before[logged]
    of_that_day = [
        row for row in after.values() if row["rep_id"] == mine and row["day"] == NOW.date().isoformat()
    ]
    assert {row["id"] for row in of_that_day} == {
        row["id"] for row in before.values() if row["rep_id"] == mine and row["day"] == NOW.date().isoformat()
    }, "the demo's own phone keeps quiet on the day on which somebody else used the account"
    days = Counter(row["day"] for row in after.values())
    assert all(days[f"2026-11-{day}"] > 80 for day in (19, 20, 23)) and days["2026-11-24"] > 40
    with opened(config), reading() as connection:
        org_id = connection.execute(select(Organisation.id)).scalar_one()
        received = connection.execute(select(func.max(Batch.received_at))).scalar_one()
        assert later - timedelta(minutes=30) < received <= later
        silent = [
            row for row in after.values() if row["day"] == NOW.date().isoformat() and row["status"] == "done"
        ]
        assert len(silent) > len(
            [
                row
                for row in before.values()
                if row["day"] == NOW.date().isoformat() and row["status"] == "done"
            ]
        )
        assert connection.execute(select(func.count()).where(Organisation.id == org_id)).scalar_one() == 1


def test_a_demo_that_is_left_running_lives_on(copy: tuple[Config, list[SignIn]]) -> None:
    config, (_, _, administrator) = copy
    hours = iter((0, 1, 2, 3))
    rounds = iter((True, True, True, False))
    before = everything(config, Journal)["journal"]
    keep_living(
        config, "en", lambda: next(rounds), clock=lambda: NOW + timedelta(hours=next(hours)), pause_s=0
    )
    after = everything(config, Journal)["journal"]
    assert after[: len(before)] == before and len(after) > len(before) + 50
    with served(config) as app:
        client = sign_in(app, administrator)
        heard = [
            line["last_contact_at"] for line in client.get("/api/board").json["reps"] if not line["unsent"]
        ]
        assert min(map(datetime.fromisoformat, heard)) > NOW + timedelta(hours=1, minutes=40)


@pytest.mark.usefixtures("few_days")
def test_a_first_start_that_was_cut_off_leaves_nothing_behind_and_the_next_one_works(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        prepare(config, "en", now=NOW, progress=stop_after(100))
    assert not (tmp_path / "rounds.db").exists()
    assert len(prepare(config, "en", now=NOW)) == 3
    assert [file.name for file in tmp_path.iterdir() if "building" in file.name] == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A demo of few days that nothing cut off."""
    config = config_in(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "DAYS", 1)
        prepare(config, "en", now=NOW)
    return config


@pytest.mark.usefixtures("few_days")
def test_a_first_start_in_a_database_that_is_there_is_taken_up_where_it_was_cut_off(
    database_url: str, tmp_path: Path, whole: Config
) -> None:
    """On PostgreSQL, too, where nothing can be moved into place; and the journal tells what the tables say."""
    config = Config(database_url=database_url, secret=SECRET, state_dir=tmp_path / "cut")
    for after in (1, 200):
        with pytest.raises(KeyboardInterrupt):
            prepare(config, "en", now=NOW, progress=stop_after(after))
    prepare(config, "en", now=NOW)
    columns = (
        "id",
        "customer_id",
        "rep_id",
        "status",
        "minutes",
        "check_in",
        "check_out",
        "check_in_fix",
        "server",
    )
    one, other = (
        [{name: row[name] for name in columns} for row in everything(each, Visit)["visit"]]
        for each in (config, whole)
    )
    assert one == other and len(one) > 150
    with opened(config), reading() as connection:
        org_id = connection.execute(select(Organisation.id)).scalar_one()
        assert check(connection, org_id) == []


def stop_after(number: int) -> Any:
    """Somebody presses Ctrl-C once so many mutations are written."""

    def progress(done: int, total: int) -> None:
        if done >= number:
            raise KeyboardInterrupt

    return progress


@pytest.mark.usefixtures("few_days")
def test_both_languages_live_side_by_side_each_with_its_own_company(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    english, chinese = prepare(config, "en", now=NOW), prepare(config, "zh", now=NOW)
    assert {who.email for who in english}.isdisjoint(who.email for who in chinese)
    with served(config) as app:
        me = sign_in(app, chinese[0]).get("/api/me").json
        assert me["person"]["locale"] == "zh-Hans" and me["person"]["name"] == load("zh").town.people[0]
        assert me["organisation"]["time_zone"] == "Asia/Shanghai"
        board = sign_in(app, chinese[1]).get("/api/board").json["reps"]
        assert len(board) == 8 and any(line["visits"] for line in board)
        assert sign_in(app, english[0]).get("/api/me").json["person"]["locale"] == "en"
