"""Each shipped schema is accepted for ever. The golden payloads are what phones in the field hold: never edit them."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from server.exchange.kinds import WRITABLE
from sync.migrate import UPCASTERS, is_newer, upcast
from sync.mutation import SCHEMA, Mutation, Op, digest
from sync.reconcile import Entity, reconcile
from tests.sync.examples import REP, Thing

GOLDEN = sorted((Path(__file__).parent / "golden").glob("schema_*.json"))
PAYLOADS = [(path.stem, one) for path in GOLDEN for one in json.loads(path.read_text())]


def test_every_schema_up_to_todays_has_golden_payloads():
    assert [path.stem for path in GOLDEN] == [f"schema_{number}" for number in range(1, SCHEMA + 1)]
    assert set(UPCASTERS) == set(range(1, SCHEMA))


@pytest.mark.parametrize(("schema", "golden"), PAYLOADS)
def test_a_golden_payload_is_recognised_by_its_digest_for_ever(schema, golden):
    assert digest(golden["mutation"]) == golden["sha256"]


@pytest.mark.parametrize(("schema", "golden"), PAYLOADS)
def test_a_golden_payload_is_still_understood(schema, golden):
    raw = golden["mutation"]
    assert f"schema_{raw['schema']}" == schema
    asked = msgspec.convert(upcast(raw), Mutation)
    current: Entity | None = None
    if asked.verb != "create":
        current = Thing(
            asked.kind, **({"status": "open", "tags": ["cold"]} if asked.kind == "visit" else {})
        ).entity
    kind = WRITABLE[asked.kind]
    if asked.verb == "create":  # the door completes it by its author
        missing = kind.completed - {op.field for op in asked.ops}
        asked = replace(asked, ops=[*asked.ops, *(Op(name, "set", None, asked.id) for name in missing)])
    assert reconcile(current, asked, REP, kind.policy).status == "applied"


def test_an_old_payload_takes_every_step_and_is_not_changed():
    steps = {1: lambda raw: {**raw, "one": 1}, 2: lambda raw: {**raw, "two": raw["one"] + 1}}
    raw = {"schema": 1}
    assert upcast(raw, steps, today=3) == {"schema": 3, "one": 1, "two": 2}
    assert upcast({"schema": 2, "one": 5}, steps, today=3) == {"schema": 3, "one": 5, "two": 6}
    assert raw == {"schema": 1}


@pytest.mark.parametrize("schema", [None, "1", 1.5, True, 0, -1, 99, [1]])
def test_a_schema_that_is_no_known_number_comes_back_as_it_is(schema):
    raw = {"schema": schema, "ops": []}
    assert upcast(raw) == {"schema": schema, "ops": []}


@pytest.mark.parametrize(("schema", "newer"), [(SCHEMA + 1, True), (99, True), (SCHEMA, False), (0, False)])
def test_a_schema_of_a_later_release_is_told_from_a_broken_one(schema, newer):
    assert is_newer({"schema": schema}) is newer


@pytest.mark.parametrize("schema", [None, "2", 2.0, True, [2]])
def test_what_is_no_number_is_broken_and_not_newer(schema):
    assert not is_newer({"schema": schema})
