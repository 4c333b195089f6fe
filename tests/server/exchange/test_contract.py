"""What is published is what is enforced: the OpenAPI document, the exchange as JSON Schema, every wrong value."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server import auth
from server.app import create_app
from server.config import Config
from server.db import writing
from server.exchange.door import Change, client_of, write
from server.exchange.kinds import WRITABLE
from server.people.session import open_session
from tests.conftest import SECRET
from tests.world import World, ago, fix

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.customer("Shop")
    return shared_world


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """GET /api/schema."""
    app = create_app(Config(database_url="sqlite:///unused.db", secret=SECRET))
    document: dict[str, Any] = app.test_client().get("/api/schema").json
    return document


def validator(published: dict[str, Any], name: str) -> Any:
    root = {key: value for key, value in published.items() if key in {"$schema", "$defs"}}
    return jsonschema_rs.validator_for(root | {"$ref": f"#/$defs/{name}"}, validate_formats=True)


# --- the exchange ------------------------------------------------------------------------------------------------------


def test_what_a_phone_sends_and_is_told_is_what_the_schema_describes(world: World) -> None:
    schema = world.app.test_client().get("/api/schema").json
    exchange, receipt = validator(schema, "exchange"), validator(schema, "receipt")
    rob, shop = world.phone("rob"), world.ids["Shop"]
    rob.offset_ms = None
    visit = rob.check_in(shop, ago(minutes=45), check_in_fix={"none": "timeout"})
    bodies = [
        rob.envelope(),
        rob.envelope(visit, rob.check_out(visit["entity"]), pull={"token": None, "limit": 10}),
        rob.envelope(
            rob.create("customer", name="Lead"),
            rob.mutation("customer", shop, "update", [{"field": "tags", "op": "add", "values": ["vip"]}]),
            rob.mutation("customer", shop, "archive", []),
            rob.mutation("customer", shop, "void", []),
            rob.check_in(shop, mode="teleport"),
        ),
        rob.envelope(predecessor=str(uuid4())) | {"client": str(uuid4()), "device": None},
    ]
    statuses = set()
    for body in bodies:
        exchange.validate(body)
        answer = rob.post(json.dumps(body).encode()).json
        for one in answer["receipts"]:
            receipt.validate(one)
            statuses.add(one["status"])
    assert statuses == {"applied", "noop", "parked"}


@pytest.mark.parametrize(
    "change",
    [
        {"client": "nobody"},
        {"client": None},
        {"sent": None},
        {"sent": {"wall": "now"}},
        {"mutations": {}},
        {"mutations": None},
        {"predecessor": 7},
        {"pull": {"limit": "many"}},
        {"pull": []},
        {"protocol": "one"},
    ],
)
def test_an_envelope_that_the_schema_refuses_is_refused_with_its_field(
    world: World, change: dict[str, Any]
) -> None:
    rob = world.phone("rob")
    schema = world.app.test_client().get("/api/schema").json
    body = rob.envelope() | change
    assert not validator(schema, "exchange").is_valid(body)
    response = rob.post(json.dumps(body).encode())
    assert (response.status_code, response.json["code"]) == (422, "INVALID")
    assert next(iter(change)) in json.dumps(response.json["fields"])


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("life", "a\0b"),
        ("zone", "a\0b"),
        ("life", "\ud800"),
        ("life", "x" * 10_000),
        ("mono_ms", float("nan")),
        ("offset_ms", float("inf")),
    ],
)
def test_a_moment_of_sending_that_cannot_be_kept_is_refused_and_named(
    world: World, member: str, value: Any
) -> None:
    rob = world.phone("rob")
    body = rob.envelope(rob.check_in(world.ids["Shop"]))
    body["sent"][member] = value
    response = rob.post(json.dumps(body).encode())
    assert (response.status_code, response.json["code"]) == (422, "INVALID")
    assert "sent" in response.json["fields"]
    assert world.get("rob", "/api/visits").json["items"] == []


@pytest.mark.parametrize(
    "device",
    [
        {"unsent": 0, "app": "a\0b"},
        {"unsent": 0, "push": "\ud800"},
        {"unsent": 0, "oldest": "0001-01-01T00:00:00+14:00"},
        {"unsent": 0, "oldest": "2026-11-21T10:00:00"},
        {"unsent": 2**40},
        {"unsent": 0, "app": "x" * 100_000},
        {"unsent": 0, "persisted": "perhaps"},
        "a phone",
    ],
)
def test_a_phone_that_speaks_nonsense_of_itself_is_heard_all_the_same(world: World, device: Any) -> None:
    rob = world.phone("rob")
    body = rob.envelope(rob.check_in(world.ids["Shop"]), device=device)
    response = rob.post(json.dumps(body).encode())
    assert [receipt["status"] for receipt in response.json["receipts"]] == ["applied"]


# --- every field, wrong ------------------------------------------------------------------------------------------------

WRONG = [
    None,
    True,
    -1,
    0,
    1e308,
    2**63,
    10**30,
    "",
    " ",
    "x" * 20_001,
    "nonsense",
    "2026-02-30",
    "25:00",
    "00000000-0000-0000-0000-00000000000G",
    [],
    [1],
    ["x" * 51],
    ["\u202etxet LTR\u202c"],
    {},
    {"none": "forgotten"},
    {"none": "denied", "lat": 1},
    {"lat": 91, "lon": 0, "accuracy_m": 1, "taken_at": "2026-01-01T00:00:00Z"},
    {"lat": 1, "lon": 0, "accuracy_m": -1, "taken_at": "2026-01-01T00:00:00Z"},
    {"wall": "2026-01-01T00:00:00Z", "mono_ms": -1, "life": "x", "offset_ms": 0, "zone": "UTC"},
    {"wall": "2026-01-01T00:00:00", "mono_ms": 0, "life": "x", "offset_ms": 0, "zone": "UTC"},
    "😀" * 30,
]
RIGHT_START: dict[str, dict[str, Any]] = {
    "customer": {"name": "N"},
    "visit": {"mode": "phone", "status": "open"},
    "team": {"name": "N"},
    "person": {"name": "N", "role": "rep", "time_zone": "UTC"},
    "visit_kind": {"code": "c", "name": "N"},
    "outcome": {"code": "c", "name": "N"},
    "setting": {"key": "k"},
    "follow_up": {"subject": "S"},
    "comment": {"on_kind": "customer", "body": "B"},
    "amendment": {"reason": "R", "changes": {"minutes": "M"}},
    "decision": {"on_kind": "visit", "verdict": "ask"},
    "scheme": {
        "name": "N",
        "valid_from": "2099-01-01",
        "indicators": [{"code": "valid_visits", "weight": "1"}],
    },
    "target": {"indicator": "orders", "period": "month", "starts_on": "2026-01-01", "amount": "1"},
    "value": {"indicator": "orders", "on": "2026-01-01", "amount": "1"},
    "day_off": {"on": "2026-01-01", "name": "N"},
    "appeal": {"text": "T"},
}
ACROSS = {("target", "person_id")}
"""Fields that some other may stand for: without either it is INVALID, though each by itself may be left out."""
UNIQUE = {"code", "key"}
PHONES_WRITE = sorted(WRITABLE.keys() - {"notice", "closing"})
"""Kinds that somebody may create; notices and closings are the ticker's."""
WRITES = {"visit": "rob", "amendment": "rob", "appeal": "rob"}
"""Kind -> who writes it here, where an administrator does not."""


def right_start(world: World, kind: str) -> dict[str, Any]:
    """The least that a new one of this kind must say."""
    given, shop = dict(RIGHT_START[kind]), world.ids["Shop"]
    for name in UNIQUE & given.keys():
        given[name] = uuid4().hex
    if kind in {"visit", "follow_up"}:
        given["customer_id"] = shop
    if kind == "appeal":
        if "Closing" not in world.ids:
            fields = {"person_id": world.ids["rob"], "period": "month", "starts_on": "2026-01-01"}
            fields |= {
                "ends_on": "2026-02-01",
                "scheme": {},
                "readings": [],
                "reasons": [],
                "adjustments": [],
            }
            fields |= {"closed_at": "2026-02-04T00:00:00Z", "status": "closed"}
            world.ids["Closing"] = str(uuid4())
            change = Change("closing", world.ids["Closing"], "create", fields)
            with world.app.app_context():
                ticker = replace(world.system, via="ticker")
                (receipt,) = write(ticker, client_of(world.org, "ticker"), [change], datetime.now(UTC))
            assert receipt["status"] == "applied", receipt
        given["closing_id"] = world.ids["Closing"]
    if kind in {"target", "value"}:
        given["person_id"] = world.ids["rob"]
    if kind == "comment":
        given["on_id"] = shop
    if kind in {"amendment", "decision"}:
        if "In review" not in world.ids:
            rob = world.phone("rob")
            visit = rob.check_in(shop, ago(minutes=40), check_in_fix=fix(ago(minutes=40), lat=1))
            assert rob.push(visit)[0]["status"] == "applied"
            world.ids["In review"] = visit["entity"]
        given["visit_id" if kind == "amendment" else "on_id"] = world.ids["In review"]
    return given


def with_value(mutation: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """A create that says this of one of its fields."""
    others = [op for op in mutation["ops"] if op["field"] != field]
    return mutation | {"ops": [*others, {"field": field, "op": "set", "old": None, "new": value}]}


def takes(published: dict[str, Any], kind: str, field: str, value: Any) -> bool:
    """Whether the published schema takes this value for this field of a create; null is a field left out."""
    known = published["kinds"][kind]["fields"][field]
    if known["settles"] == "readonly":
        return False
    if value is None:
        return not known["required"]
    schema = known["schema"]
    if known["settles"] == "state":
        return value in published["kinds"][kind]["states"]["initial"]
    return bool(jsonschema_rs.is_valid(schema, value, validate_formats=True))


@pytest.mark.parametrize("kind", PHONES_WRITE)
def test_each_wrong_value_of_each_field_is_parked_with_the_field_and_blocks_nothing(
    world: World, published: dict[str, Any], kind: str
) -> None:
    phone = world.phone(WRITES.get(kind, "admin"))
    tried = [(field, value) for field in published["kinds"][kind]["fields"] for value in WRONG]
    wrong = []
    for begin in range(0, len(tried), 150):
        part = tried[begin : begin + 150]
        mutations = [with_value(phone.create(kind, **right_start(world, kind)), *each) for each in part]
        good = phone.create(kind, **right_start(world, kind))
        *receipts, last = phone.push(*mutations, good)
        assert last["status"] == "applied"
        for (field, value), receipt in zip(part, receipts, strict=True):
            if takes(published, kind, field, value):
                # of the right shape; whether it may be, and points at something, is another question
                fine = receipt["status"] == "applied" or receipt["code"] in {"FORBIDDEN", "SCOPE_LOST"}
                fine = (
                    fine
                    or receipt["code"] == "UNIQUE_TAKEN"
                    or (field in UNIQUE and receipt["code"] == "INVALID")
                )
                fine = fine or (isinstance(value, str) and not value.strip())  # blanks are no name
                fine = fine or (value is None and (kind, field) in ACROSS)
            else:
                fine = (receipt["code"], receipt["detail"]) == ("INVALID", {"field": field})
            if not fine or receipt["code"] == "INTERNAL":
                wrong.append(
                    (
                        field,
                        value if len(repr(value)) < 60 else type(value),
                        receipt["status"],
                        receipt["code"],
                    )
                )
    assert wrong == []
    assert phone.send(pull={"token": None, "limit": 1000}).status_code == 200


@pytest.mark.parametrize("kind", PHONES_WRITE)
def test_each_wrong_value_of_each_field_is_refused_in_a_change_as_well(
    world: World, published: dict[str, Any], kind: str
) -> None:
    phone = world.phone(WRITES.get(kind, "admin"))
    more = {"status": "planned"} if kind == "visit" else {}
    made = phone.create(kind, **(right_start(world, kind) | more))
    assert phone.push(made)[0]["status"] == "applied"
    tried = []
    for field, known in published["kinds"][kind]["fields"].items():
        for value in WRONG:
            if known["settles"] == "set":
                tried.append({"field": field, "op": "add", "values": value})
            else:
                word = {"text": "text", "state": "go"}.get(known["settles"], "set")
                tried.append({"field": field, "op": word, "old": None, "new": value})
    codes = set()
    for begin in range(0, len(tried), 190):
        receipts = phone.push(
            *(phone.mutation(kind, made["entity"], "update", [op]) for op in tried[begin : begin + 190])
        )
        for op, receipt in zip(tried[begin : begin + 190], receipts, strict=True):
            codes.add(receipt["code"])
            if receipt["code"] == "INVALID":
                assert receipt["detail"]["field"].split("[")[0].split(".")[0] in {op["field"], "ops"}, op
    assert codes <= {
        None,
        "INVALID",
        "FORBIDDEN",
        "SCOPE_LOST",
        "FIELD_CONFLICT",
        "STATE_CONFLICT",
        "TEXT_KEPT_BOTH",
        "UNIQUE_TAKEN",
    }
    assert phone.send(pull={"token": None, "limit": 1000}).status_code == 200


@pytest.mark.parametrize(
    ("member", "values", "code"),
    [
        ("id", ["x", None, 7, "", {}], "INVALID"),
        ("entity", ["x", None, 7, "", {}], "INVALID"),
        ("kind", ["spaceship", None, 7, "", "visit\0", "x" * 1000, {}], None),
        ("verb", ["explode", None, 7, "", "create\0", {}], None),
        ("schema", [0, 2, 99, "1", None, -1, 1.5], None),
        ("base", ["x", None, 1.5, {}, "9" * 5000], "INVALID"),
        ("at", [None, {}, "now", {"wall": "yesterday"}, []], "INVALID"),
        ("ops", [None, {}, "x", [7], [{}], [{"field": 7, "op": "set"}], [{"op": "set"}]], "INVALID"),
    ],
)
def test_each_wrong_member_of_a_mutation_is_parked_and_blocks_nothing(
    world: World, member: str, values: list[Any], code: str | None
) -> None:
    rob = world.phone("rob")
    mutations = [rob.check_in(world.ids["Shop"]) | {member: value} for value in values]
    *receipts, last = rob.push(*mutations, rob.check_in(world.ids["Shop"]))
    assert last["status"] == "applied"
    assert {receipt["status"] for receipt in receipts} == {"parked"}
    assert {receipt["code"] for receipt in receipts} <= ({code} if code else {"INVALID", "UNKNOWN_OP"})
    rob.pull()
    assert len(rob.held("parked")) == len(values)


def test_without_a_number_of_its_own_nothing_is_taken(world: World) -> None:
    for seq in (0, -1, "1", None, 1.5, True, 2**60):
        rob = world.phone("rob")
        response = rob.send(rob.check_in(world.ids["Shop"]) | {"seq": seq})
        assert (response.status_code, response.json["code"], response.json["expected"]) == (
            409,
            "SEQ_GAP",
            1,
        ), seq


@pytest.mark.parametrize("depth", [70, 300, 900])
def test_what_is_nested_without_end_is_parked_and_can_still_be_told(world: World, depth: int) -> None:
    deep: Any = "the word at the bottom"
    for _ in range(depth):
        deep = [deep]
    rob = world.phone("rob")
    visit = rob.check_in(world.ids["Shop"])
    receipts = rob.push(
        visit,
        rob.check_in(world.ids["Shop"], mood=deep),
        rob.mutation("visit", visit["entity"], "update", [{"field": "mood", "op": "set", "new": deep}]),
        rob.check_in(world.ids["Shop"], mood=[[[[["five"]]]]]),
    )
    assert [(receipt["code"], receipt["detail"]) for receipt in receipts] == [
        (None, None),
        ("INVALID", {"field": "mood"}),
        ("INVALID", {"field": "mood"}),
        (None, None),
    ]
    rob.pull()
    assert all("the word at the bottom" in json.dumps(one) for one in rob.held("parked").values())
    assert world.get("rob", f"/api/visits/{visit['entity']}/history").status_code == 200


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "1" * 400, "123456789012345678901234567890"])
def test_a_number_no_database_takes_is_parked_or_kept_and_never_an_error(world: World, number: str) -> None:
    rob = world.phone("rob")
    odd, good = rob.check_in(world.ids["Shop"], mood="MARK"), rob.check_in(world.ids["Shop"])
    response = rob.post(json.dumps(rob.envelope(odd, good)).replace('"MARK"', number).encode())
    first, second = response.json["receipts"]
    assert second["status"] == "applied" and first["code"] in {None, "INVALID"}
    assert rob.send(pull={"token": None, "limit": 500}).status_code == 200


@pytest.mark.parametrize(
    "wall", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
)
@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati", "No/Where", "posix"])
def test_a_clock_at_the_end_of_the_calendar_is_kept_like_any_other(
    world: World, wall: str, zone: str
) -> None:
    rob = world.phone("rob")
    written, begun = rob.check_in(world.ids["Shop"]), rob.check_in(world.ids["Shop"])
    planned = rob.create("visit", customer_id=world.ids["Shop"], status="planned")
    for one in (written, planned):
        one["at"] |= {"wall": wall, "zone": zone}
    begun["ops"][4]["new"] |= {"wall": wall, "zone": zone}
    assert begun["ops"][4]["field"] == "check_in"
    assert {receipt["status"] for receipt in rob.push(written, begun, planned)} == {"applied"}
    assert len(world.get("mia", "/api/visits").json["items"]) == 3
    assert world.get("mia", "/api/board").status_code == 200


@pytest.mark.parametrize("year", [1, 1970])
def test_visits_of_a_phone_that_thought_it_was_long_ago_are_counted_however_long_they_seem(
    world: World, year: int
) -> None:
    rob = world.phone("rob")
    rob.offset_ms = None
    for hour in (8, 9):  # two of 57 years are longer than 32 bits of seconds
        began = rob.check_in(world.ids["Shop"], datetime(year, 1, 1, hour, tzinfo=UTC), mode="phone")
        receipts = rob.push(began, rob.check_out(began["entity"]))
        assert [receipt["status"] for receipt in receipts] == ["applied", "applied"]
    (row,) = [one for one in board(world, f"{year:04}-01-01") if one["person"]["name"] == "Rob"]
    assert row["visits"] == row["valid_visits"] == 2 and row["valid_minutes"] > 2**31 // 60
    assert world.get("rob", f"/api/scores/{world.ids['rob']}?starts_on={year:04}-01-01").status_code == 200


def board(world: World, day: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = world.get("mia", f"/api/board?date={day}").json["reps"]
    return rows


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧‍👦 zwölf", "مرحبا", "\u202eabc", "日本語\n\t", "e\u0301", "\ufeff", "x" * 20_000]
)
def test_what_people_write_comes_back_letter_by_letter(world: World, text: str) -> None:
    rob = world.phone("rob")
    visit = rob.check_in(world.ids["Shop"], minutes=text)
    assert rob.push(visit)[0]["status"] == "applied"
    rob.pull()
    assert rob.held("visit")[visit["entity"]]["minutes"] == text
    assert world.get("rob", f"/api/visits/{visit['entity']}").json["minutes"] == text


def test_a_taken_code_of_what_cannot_be_without_one_is_parked_with_the_field(world: World) -> None:
    admin = world.phone("admin")
    fields: dict[str, dict[str, Any]] = {
        "visit_kind": {"code": "sales_call", "name": "Again"},
        "outcome": {"code": "order", "name": "Again"},
        "setting": {"key": "twice", "value": 2},
    }
    assert admin.push(admin.create("setting", key="twice", value=1))[0]["status"] == "applied"
    for kind, known in fields.items():
        (receipt,) = admin.push(admin.create(kind, **known))
        field = "key" if kind == "setting" else "code"
        assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": field}), kind


def test_a_code_moves_from_one_customer_to_another_in_one_batch(world: World) -> None:
    first, second = world.customer("First", code="C-1"), world.customer("Second", code="C-2")
    admin = world.phone("admin")

    def code(entity: str, old: Any, new: Any) -> dict[str, Any]:
        change = [{"field": "code", "op": "set", "old": old, "new": new}]
        return admin.mutation("customer", entity, "update", change, base=2**40)

    receipts = admin.push(code(second, "C-2", None), code(first, "C-1", "C-2"), code(second, None, "C-1"))
    assert [receipt["status"] for receipt in receipts] == ["applied"] * 3
    listed = {item["id"]: item["code"] for item in world.get("admin", "/api/customers").json["items"]}
    assert (listed[first], listed[second]) == ("C-2", "C-1")


# --- the published documents -------------------------------------------------------------------------------------------


def test_the_schema_of_the_exchange_is_a_schema(published: dict[str, Any]) -> None:
    for name in published["$defs"]:
        validator(published, name)
    for kind in published["kinds"].values():
        for field in kind["fields"].values():
            assert jsonschema_rs.meta.is_valid(field["schema"])
    assert published["kinds"]["visit"]["states"]["steps"]["open"] == ["cancelled", "done"]
    assert set(published["codes"]["parked"]) == {
        "INVALID",
        "FORBIDDEN",
        "SCOPE_LOST",
        "PARENT_PARKED",
        "UNKNOWN_OP",
        "INTERNAL",
    }


def test_fixes_and_moments_of_the_wire_pass_their_schema(published: dict[str, Any], world: World) -> None:
    moment, position = validator(published, "moment"), validator(published, "fix")
    moment.validate(world.phone("rob").moment())
    position.validate(fix(ago()))
    position.validate({"none": "denied"})
    assert not position.is_valid({"none": "denied", "lat": 1}) and not position.is_valid({})
    assert not moment.is_valid({"wall": "2026-01-01T00:00:00Z"})


def test_a_schema_that_did_not_change_is_not_sent_again(world: World) -> None:
    client = world.app.test_client()
    tag = client.get("/api/schema").headers["ETag"]
    assert client.get("/api/schema", headers={"If-None-Match": tag}).status_code == 304


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.forbidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "href", "action", "poster", "data"}:
                self.found.append(value or "")
            if name == "style" or name.startswith("on"):
                self.forbidden.append(f"{tag} {name}")
        if tag in {"script", "style"}:
            self.forbidden.append(tag)


def test_the_page_of_the_api_needs_nothing_from_elsewhere_and_shows_every_operation(world: World) -> None:
    response = world.app.test_client().get("/api/docs")
    assert response.status_code == 200 and response.content_type.startswith("text/html")
    page = _References()
    page.feed(response.text)
    assert page.forbidden == [] and all(
        one.startswith("/") and not one.startswith("//") for one in page.found
    )
    spec = world.app.test_client().get("/api/openapi.json").json
    for path, item in spec["paths"].items():
        for method in item.keys() & {"get", "post", "put", "delete"}:
            assert f"{method.upper()} {path}" in response.text


def references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield document["$ref"]
        for value in document.values():
            yield from references(value)
    elif isinstance(document, list):
        for value in document:
            yield from references(value)


def test_the_openapi_document_is_sound_and_covers_every_route(world: World) -> None:
    spec = world.app.test_client().get("/api/openapi.json").json
    assert spec["openapi"].startswith("3.1")
    documented = {
        (path, method.upper())
        for path, item in spec["paths"].items()
        for method in item.keys() & {"get", "post", "put", "patch", "delete"}
    }
    undocumented = {"/api/docs", "/api/openapi.json"}
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in world.app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.rule not in undocumented
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert documented == routes
    for reference in references(spec):
        found: Any = spec
        assert reference.startswith("#/"), "a document that is whole by itself"
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    for _, item in spec["paths"].items():
        for method in item.keys() & {"get", "post", "delete"}:
            assert item[method]["summary"] and item[method]["responses"]


@pytest.mark.parametrize(
    ("shared_app", "door"), [("sqlite", "token"), ("postgresql", "cookie")], indirect=["shared_app"]
)
def test_whatever_the_documents_allow_is_answered_as_they_say(
    world: World, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        world.app.extensions, "rounds", replace(world.app.extensions["rounds"], sign_in_attempts=10**6)
    )
    rob = world.phone("mia")
    rob.push(rob.check_in(world.ids["Shop"]))
    signed_in: dict[str, Any] = {"headers": {"Authorization": f"Bearer {world.tokens['mia']}"}}
    if door == "cookie":
        with world.app.app_context(), writing() as connection:
            device = {"client": uuid4(), "name": "x"}
            opened = open_session(connection, auth.config(), world.org, world.ids["mia"], device, auth.now())
        signed_in = {"cookies": {"rounds_session": opened.secret}}
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", world.app)
    answered: dict[str, set[int]] = {}

    def ask_of(operation: Any) -> None:
        def ask(case: Any) -> None:
            response = case.call(**signed_in)
            answered.setdefault(operation.label, set()).add(response.status_code)
            case.validate_response(response, checks=CHECKS)

        few = settings(
            max_examples=10,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        few(given(case=operation.as_strategy())(ask))()

    for result in schema.get_all_operations():
        if result.ok().label != "DELETE /api/session":  # it would end the session that the others need
            ask_of(result.ok())
    assert 200 in answered["GET /api/board"] and 200 in answered["GET /api/visits"]
    assert len(answered) >= 9
