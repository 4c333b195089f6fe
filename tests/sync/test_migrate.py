"""Each shipped schema is accepted for ever. The golden payloads are what phones in the field hold: never edit them."""

import json
from pathlib import Path

import msgspec
import pytest

from sync.migrate import UPCASTERS, upcast
from sync.mutation import SCHEMA, Mutation, digest
from sync.reconcile import Entity, reconcile
from tests.sync.examples import POLICIES, REP, Thing

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
    assert reconcile(current, asked, REP, POLICIES[asked.kind]).status == "applied"


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
