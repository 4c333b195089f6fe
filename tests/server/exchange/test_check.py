"""`rounds check`: silent on what the door wrote, whatever that was; and it finds each way of going behind its back."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, literal, select, update

from server.app import create_app
from server.config import Config
from server.customers.model import Customer
from server.db import Id, db, reading
from server.exchange import pull
from server.exchange.check import Difference, check
from server.exchange.door import Change
from server.exchange.kinds import VERDICTS
from server.exchange.model import Batch, Conflict, Journal, Parked, Position, Suggestion
from server.indicators.facts_model import FactDay, FactMonth
from server.people.model import Grant, Head
from server.visits.model import RepDay, Visit
from sync.mutation import canonical
from tests.sums import disagreements
from tests.world import PLACE, Phone, World, ago, fix


def differences(world: World) -> list[Difference]:
    with world.app.app_context(), reading() as connection:
        return check(connection, world.org)


class Life:
    """People doing things at random, some of them nonsense, through every kind of client."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.phones = [world.phone(who) for who in ("rob", "rob", "ria", "sam", "mia", "boss")]
        self.customers = [world.customer(f"shop {uuid4()}", owner=who) for who in ("rob", "ria", None)]
        self.customers += [world.customer(f"far {uuid4()}", owner="sam", team="south", lat=None, lon=None)]
        self.visits: list[str] = []
        self.promises: list[str] = []
        self.sent: list[tuple[Phone, dict[str, Any]]] = []

    def live(self, steps: list[str]) -> None:
        for step in steps:
            getattr(self, step)()

    def _send(self, phone: Phone, *mutations: dict[str, Any], **more: Any) -> None:
        assert phone.send(*mutations, **more).status_code in {200, 409}
        self.sent += [(phone, mutation) for mutation in mutations]

    def _update(self, phone: Phone, kind: str, entity: str, *ops: dict[str, Any]) -> dict[str, Any]:
        return phone.mutation(kind, entity, "update", list(ops), base=self.rng.choice([0, 5, 10**6, 2**40]))

    def visit(self) -> None:
        phone = self.rng.choice(self.phones[:4])
        when = ago(minutes=self.rng.randint(0, 5000))
        started = phone.check_in(self.rng.choice(self.customers), when)
        phone.offset_ms = self.rng.choice([None, 0, -420_000])
        self.visits.append(started["entity"])
        self._send(phone, started, *([phone.check_out(started["entity"])] if self.rng.random() < 0.6 else []))

    def edit_visit(self) -> None:
        phone = self.rng.choice(self.phones)
        visit = self.rng.choice([*self.visits, str(uuid4())])
        ops = [
            {"field": "outcome", "op": "set", "old": None, "new": self.rng.choice(["order", "none", 7])},
            {"field": "minutes", "op": "text", "old": None, "new": f"Words {self.rng.random()}"},
            {"field": "tags", "op": "add", "values": [self.rng.choice("abc")]},
            {"field": "tags", "op": "remove", "values": [self.rng.choice("abc")]},
            {
                "field": "status",
                "op": "go",
                "old": "open",
                "new": self.rng.choice(["done", "cancelled", "missed"]),
            },
            {"field": "check_in_fix", "op": "set", "old": None, "new": fix(ago(), PLACE[0] + 0.01)},
            {"field": "shoe_size", "op": "set", "old": None, "new": {"eu": 43.5}},
        ]
        self._send(phone, self._update(phone, "visit", visit, *self.rng.sample(ops, 2)))

    def edit_customer(self) -> None:
        phone = self.rng.choice(self.phones)
        ops = [
            {"field": "name", "op": "set", "old": None, "new": f"Näme {self.rng.random()}"},
            {"field": "phone", "op": "set", "old": None, "new": "020 7946 0000"},
            {
                "field": "owner_id",
                "op": "set",
                "old": None,
                "new": self.world.ids[self.rng.choice(["rob", "ria", "sam"])],
            },
            {"field": "code", "op": "set", "old": None, "new": self.rng.choice(["A1", "A2"])},
            {"field": "tags", "op": "add", "values": ["vip", self.rng.choice("xyz")]},
        ]
        self._send(
            phone, self._update(phone, "customer", self.rng.choice(self.customers), self.rng.choice(ops))
        )

    def new_lead(self) -> None:
        phone = self.rng.choice(self.phones)
        lead = phone.create("customer", name="Lead", lat=PLACE[0], lon=PLACE[1])
        self.customers.append(lead["entity"])
        self._send(phone, lead, phone.check_in(lead["entity"]))

    def promise(self) -> None:
        phone = self.rng.choice(self.phones)
        made = phone.create("follow_up", customer_id=self.rng.choice(self.customers), subject="Call")
        self.promises.append(made["entity"])
        self._send(phone, made)

    def keep_promise(self) -> None:
        phone = self.rng.choice(self.phones)
        steps = [("open", "done"), ("done", "open"), ("open", "cancelled"), ("cancelled", "open")]
        old, new = self.rng.choice(steps)
        ops = [{"field": "status", "op": "go", "old": old, "new": new}]
        if new == "done":
            ops.append({"field": "done", "op": "set", "old": None, "new": phone.moment()})
        if self.rng.random() < 0.3:
            owner = self.world.ids[self.rng.choice(["rob", "ria", "sam"])]
            ops.append({"field": "owner_id", "op": "set", "old": None, "new": owner})
        promise = self.rng.choice([*self.promises, str(uuid4())])
        self._send(phone, self._update(phone, "follow_up", promise, *ops))

    def plan(self) -> None:
        """A plan for one of these days, made, moved or given up."""
        phone = self.rng.choice(self.phones[:5])
        planned = phone.create(
            "visit",
            customer_id=self.rng.choice(self.customers),
            status="planned",
            planned_date=str(ago(days=self.rng.randint(-2, 3)).date()),
        )
        self.visits.append(planned["entity"])
        old, new = self.rng.choice(
            [(None, str(ago(days=1).date())), ("planned", "cancelled"), ("planned", "open")]
        )
        ops = [{"field": "planned_date", "op": "set", "old": None, "new": new}]
        if old:
            ops = [{"field": "status", "op": "go", "old": old, "new": new}]
        if new == "open":
            ops.append({"field": "check_in", "op": "set", "old": None, "new": phone.moment(ago(minutes=40))})
        self._send(phone, planned, self._update(phone, "visit", planned["entity"], *ops))
        if new == "open":
            self._send(phone, phone.check_out(planned["entity"]))

    def request(self) -> None:
        """A customer asks for something; with luck somebody is there soon, or was."""
        phone = self.rng.choice(self.phones[:4])
        asked = ago(hours=self.rng.randint(1, 50))
        customer = self.rng.choice(self.customers)
        made = phone.create(
            "follow_up",
            customer_id=customer,
            subject="They asked",
            kind=self.rng.choice(["request", "opportunity"]),
            requested_at=asked.isoformat().replace("+00:00", "Z"),
            due_date=str((asked + timedelta(days=self.rng.randint(0, 2))).date()),
            due_zone=self.rng.choice([None, "Asia/Tokyo"]),
        )
        self.promises.append(made["entity"])
        began = phone.check_in(customer, ago(minutes=self.rng.randint(40, 2000)), mode="phone")
        self.visits.append(began["entity"])
        self._send(phone, made)
        self._send(phone, began, phone.check_out(began["entity"]))

    def win(self) -> None:
        """A lead becomes a customer, a customer is lost, or comes back."""
        lifecycle = self.rng.choice(["lead", "customer", "lost"])
        op = {"field": "lifecycle", "op": "set", "old": None, "new": lifecycle}
        phone = self.rng.choice(self.phones[4:])
        self._send(phone, self._update(phone, "customer", self.rng.choice(self.customers), op))

    def remark(self) -> None:
        phone = self.rng.choice(self.phones)
        about = {"customer": self.customers, "visit": self.visits, "follow_up": self.promises}
        kind = self.rng.choice(list(about))
        entity = self.rng.choice([*about[kind], str(uuid4())])
        self._send(
            phone, phone.create("comment", on_kind=kind, on_id=entity, body=f"Words {self.rng.random()}")
        )

    def double(self) -> None:
        phone = self.rng.choice(self.phones)
        lat = PLACE[0] + self.rng.choice([0, 0.001, 0.002])
        made = phone.create(
            "customer", name=self.rng.choice(["The Crown", "Crown Inn"]), lat=lat, lon=PLACE[1]
        )
        self.customers.append(made["entity"])
        self._send(phone, made, phone.check_in(made["entity"]))

    def decide(self) -> None:
        """Somebody says something of whatever waits, as likely as not something that cannot be."""
        with self.world.app.app_context(), reading() as connection:
            waiting = [
                (kind, identity)
                for kind, model in (("suggestion", Suggestion), ("conflict", Conflict), ("parked", Parked))
                for identity in connection.execute(
                    select(model.id).where(model.org_id == self.world.org).order_by(model.id)
                ).scalars()
            ]
        waiting += [("visit", visit) for visit in self.visits]
        phone = self.rng.choice(self.phones[2:])
        for kind, identity in self.rng.sample(waiting, min(3, len(waiting))):
            verdict = self.rng.choice([*VERDICTS[kind], VERDICTS[kind][0]])
            said = {"on_kind": kind, "on_id": identity, "verdict": verdict, "word": "So be it."}
            self._send(phone, phone.create("decision", **said))

    def orphan(self) -> None:
        phone = self.phones[0]
        wrong = phone.create("customer", name="")
        self._send(
            phone, wrong, phone.check_in(wrong["entity"]), self._update(phone, "customer", wrong["entity"])
        )

    def nonsense(self) -> None:
        phone = self.rng.choice(self.phones)
        self._send(
            phone,
            phone.mutation(
                "visit", str(uuid4()), "create", [{"field": "minutes", "op": "set", "old": None, "new": "\0"}]
            ),
            phone.mutation("spaceship", str(uuid4()), "create", []),
            phone.mutation("visit", "no id", "update", [], id="nor this"),
            phone.mutation("customer", str(uuid4()), "explode", [], schema=9),
            phone.mutation("visit", str(uuid4()), "void", []),
        )

    def archive(self) -> None:
        phone = self.rng.choice(self.phones)
        verb = self.rng.choice(["archive", "restore"])
        self._send(phone, phone.mutation("customer", self.rng.choice(self.customers), verb, []))

    def again(self) -> None:
        if self.sent:
            phone, mutation = self.rng.choice(self.sent)
            self._send(phone, mutation)

    def forked(self) -> None:
        """A cloned profile: the same numbers with other content, then a new client that renumbers all of it."""
        phone = self.rng.choice(self.phones[:4])
        mine = [mutation for known, mutation in self.sent if known is phone][-2:]
        new = phone.check_in(self.rng.choice(self.customers))
        self._send(phone, *[mutation | {"seq": new["seq"]} for mutation in mine[:1]])
        other = self.world.phone(phone.who)
        other.predecessor = self.rng.choice([None, phone.client])
        self._send(other, *[mutation | {"seq": number} for number, mutation in enumerate([*mine, new], 1)])
        other.seq = len(mine) + 1
        self.phones[self.phones.index(phone)] = other

    def reorganise(self) -> None:
        who = self.rng.choice(["rob", "ria", "sam"])
        self.world.change("person", who, team_id=self.world.ids[self.rng.choice(["north", "south", "root"])])

    def settle_otherwise(self) -> None:
        self.world.write(
            Change("setting", str(uuid4()), "create", {"key": str(uuid4()), "value": 1}),
            Change(
                "visit_kind",
                self.world.ids["sales_call"],
                "update",
                {"min_minutes": {"in_person": 5}},
                base=2**40,
            ),
        )

    def dismiss(self) -> None:
        self.world.change("person", "ria", active=self.rng.random() < 0.5)

    def restore(self) -> None:
        """The head jumps, as it does when a backup is put back."""
        with self.world.app.app_context():
            with reading() as connection:
                head = connection.execute(select(func.max(Head.version))).scalar_one()
            pull.jump(self.world.org, head + 1)


STEPS = [
    name
    for name, value in vars(Life).items()
    if not name.startswith("_") and name != "live" and callable(value)
]


@settings(max_examples=8, phases=[Phase.generate])  # what was lived cannot be made shorter
@given(
    steps=st.lists(st.sampled_from([*STEPS, *["visit", "edit_visit", "edit_customer"] * 3]), max_size=20),
    seed=st.integers(0, 2**32),
)
def test_what_the_door_wrote_is_what_the_journal_tells(world: World, steps: list[str], seed: int) -> None:
    Life(world, random.Random(seed)).live(steps)
    assert differences(world) == []
    assert disagreements(world) == [], "sums and the things they sum up"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An organisation in which something of each kind has happened. What a test does to it is rolled back."""
    folder = tmp_path_factory.mktemp("lived")
    with ExitStack() as stack:
        if request.param == "sqlite":
            path = folder / "rounds.db"
            shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
            url = f"sqlite:///{path}"
        else:
            template = request.getfixturevalue("_postgres_template")
            url = stack.enter_context(request.getfixturevalue("postgres").database(template))
        app = create_app(Config(database_url=url, secret=b"only-for-tests-" * 3, state_dir=folder))
        world = World(app)
        life = Life(world, random.Random(11))
        life.live(STEPS * 2)
        world.customer("Corner shop", code="corner")
        rob = world.phone("rob")
        began = rob.check_in(world.ids["Corner shop"], ago(minutes=50))
        rob.push(began, rob.check_out(began["entity"]))
        world.ids["call"] = began["entity"]
        assert differences(world) == []
        yield world
        with app.app_context():
            db.engine.dispose()


def after(world: World, statement: Any) -> list[Difference]:
    """What is found after something was done behind the door's back."""
    with world.app.app_context(), db.engine.connect() as connection:
        assert connection.execute(statement).rowcount != 0
        return check(connection, world.org)


def found(differences: list[Difference]) -> set[tuple[str, str]]:
    return {(one.table, one.field) for one in differences}


def test_a_changed_row_is_found_with_its_column(lived: World) -> None:
    (only,) = after(lived, update(Customer).where(Customer.code == "corner").values(phone="666"))
    assert (only.table, only.key, only.field) == ("customer", lived.ids["Corner shop"], "phone")
    assert (only.stored, only.expected) == ("666", None)
    assert lived.ids["Corner shop"] in str(only)


def test_a_deleted_row_is_found(lived: World) -> None:
    assert found(after(lived, delete(Visit).where(Visit.id == lived.ids["call"]))) == {("visit", "row")}


def test_a_row_that_nobody_wrote_is_found(lived: World) -> None:
    names = [column.name for column in Visit.__table__.columns if column.name != "id"]
    of_the_other = select(literal(str(uuid4()), Id), *(Visit.__table__.c[name] for name in names))
    copied = insert(Visit).from_select(["id", *names], of_the_other.where(Visit.id == lived.ids["call"]))
    assert found(after(lived, copied)) == {("visit", "row")}


def test_a_changed_payload_is_found(lived: World) -> None:
    entry = newest_entry(lived, Journal.verb == "update")
    changed = entry.payload.replace(b"twelve", b"twenty")
    assert changed != entry.payload
    told = after(lived, update(Journal).where(Journal.n == entry.n).values(payload=changed))
    assert found(told) >= {("journal", "payload"), ("journal", "digest"), ("visit", "minutes")}


def newest_entry(world: World, condition: Any) -> Any:
    """The newest journal entry about the visit that every `lived` organisation ends with."""
    with world.app.app_context(), reading() as connection:
        about = select(Journal.n, Journal.payload).where(Journal.entity == world.ids["call"], condition)
        return connection.execute(about).one()


NEWEST = select(func.max(Journal.n)).scalar_subquery()
FIRST = select(func.min(Journal.n)).scalar_subquery()


def test_a_changed_receipt_is_found(lived: World) -> None:
    told = after(lived, update(Journal).where(Journal.n == NEWEST).values(status="noop"))
    assert found(told) >= {("journal", "chain"), ("journal", "status")}


@pytest.mark.parametrize(("which", "where"), [(FIRST, ("journal", "row")), (NEWEST, ("head", "entries"))])
def test_a_removed_journal_entry_is_found(lived: World, which: Any, where: tuple[str, str]) -> None:
    assert where in found(after(lived, delete(Journal).where(Journal.n == which)))


def test_a_stale_roll_up_is_found(lived: World) -> None:
    newest = select(func.max(RepDay.day)).where(RepDay.rep_id == lived.ids["rob"]).scalar_subquery()
    of_rob = (RepDay.rep_id == lived.ids["rob"], RepDay.day == newest)
    told = after(lived, update(RepDay).where(*of_rob).values(visits=RepDay.visits + 1))
    assert found(told) == {("rep_day", "visits")}


def test_a_stale_fact_is_found(lived: World) -> None:
    of_rob = (FactDay.person_id == lived.ids["rob"], FactDay.valid_visits > 0)
    one = select(func.max(FactDay.day)).where(*of_rob).scalar_subquery()
    told = after(
        lived, update(FactDay).where(*of_rob, FactDay.day == one).values(valid_s=FactDay.valid_s + 1)
    )
    assert found(told) == {("fact_day", "valid_s")}
    month = update(FactMonth).where(FactMonth.own_customers > 0).values(own_visited=-1)
    assert found(after(lived, month)) == {("fact_month", "own_visited")}


@pytest.mark.parametrize(
    ("statement", "field"),
    [(update(Position).values(version=Position.version - 1), "version"), (delete(Position), "row")],
)
def test_somebody_who_is_not_told_is_found(lived: World, statement: Any, field: str) -> None:
    assert found(after(lived, statement.where(Position.id == lived.ids["call"]))) == {("position", field)}


def test_a_grant_that_nobody_gave_is_found(lived: World) -> None:
    stolen = {
        "org_id": lived.org,
        "person_id": lived.ids["sam"],
        "scope": "lead:everybody",
        "since": ago(),
        "until": None,
    }
    assert found(after(lived, insert(Grant).values(stolen))) == {("grant", "row")}


def test_a_batch_whose_author_was_changed_is_found(lived: World) -> None:
    newest = select(func.max(Batch.version)).scalar_subquery()
    told = after(lived, update(Batch).where(Batch.version == newest).values(role="administrator"))
    assert ("visit", "stamps") in found(told)


def test_a_purge_of_a_position_leaves_the_journal_whole(lived: World) -> None:
    entry = newest_entry(lived, Journal.verb == "create")
    document = json.loads(entry.payload)
    for op in document["ops"]:
        if op["field"] == "check_in_fix":
            op["new"] = {"none": "purged"}
    purge = update(Journal).where(Journal.n == entry.n).values(payload=canonical(document), salt=None)
    told = after(lived, purge)
    assert {one.table for one in told} == {"visit", "rep_day"}, (
        "where the position itself is still to be purged"
    )


def test_a_payload_without_a_seal_that_nothing_was_purged_from_is_found(lived: World) -> None:
    assert ("journal", "salt") in found(
        after(lived, update(Journal).where(Journal.n == NEWEST).values(salt=None))
    )


def test_another_organisation_is_none_of_its_business(lived: World) -> None:
    other = World(lived.app, "other")
    rob = other.phone("rob")
    rob.push(rob.check_in(other.customer("Elsewhere"), datetime.now(UTC)))
    assert differences(other) == []
    assert after(lived, update(Customer).where(Customer.name == "Elsewhere").values(name="x")) == []


@pytest.mark.parametrize("said", ["closing", "visit"])
def test_what_only_the_ticker_may_write_is_taken_from_the_command_line_in_no_replay(
    world: World, said: str
) -> None:
    of_rob = {"person_id": world.ids["rob"], "period": "month", "starts_on": "2026-10-01"}
    figures = {"scheme": {"id": "", "version": 1}, "readings": [], "reasons": [], "adjustments": []}
    plan = {"rep_id": world.ids["rob"], "customer_id": world.customer("shop", owner="rob")}
    place = {"id": str(uuid4()), "n": 2, "start": "2026-11-23", "on": "2026-11-30"}
    new = {
        "closing": of_rob
        | figures
        | {"ends_on": "2026-11-01", "status": "closed", "closed_at": "2026-11-04T00:00:00.000Z"},
        "visit": plan | {"status": "planned", "planned_date": "2026-11-30", "series": place},
    }
    (receipt,) = world.write(Change(said, str(uuid4()), "create", new[said]))
    assert (receipt["status"], receipt["code"]) == ("parked", "FORBIDDEN")
    assert differences(world) == []
