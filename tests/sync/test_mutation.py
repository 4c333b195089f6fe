import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.mutation import Mutation, Op, canonical, digest, moment_of
from tests.sync.examples import MOMENT, WALL

TEXT = st.text(max_size=6)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
)


def test_canonical_json_is_sorted_unspaced_utf_8():
    assert (
        canonical({"b": [1, 2.5, None, True], "a": "é字\n"})
        == '{"a":"é字\\n","b":[1,2.5,null,true]}'.encode()
    )


def test_canonical_json_does_not_normalise():
    assert canonical("\u00e9") != canonical("e\u0301")


@given(JSON)
def test_canonical_json_says_the_same(value):
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(TEXT, JSON, max_size=5), st.randoms())
def test_the_order_of_keys_does_not_matter(value, random):
    keys = list(value)
    random.shuffle(keys)
    assert canonical({key: value[key] for key in keys}) == canonical(value)


def test_a_damaged_text_still_has_a_digest():
    assert digest({"new": "half \ud83d"}) != digest({"new": "half \ud83e"})


def test_a_renumbered_mutation_has_the_same_digest():
    raw = {"seq": 41, "id": "a", "ops": []}
    assert digest(raw) == digest({**raw, "seq": 1}) == hashlib.sha256(b'{"id":"a","ops":[]}').hexdigest()
    assert digest(raw) != digest({**raw, "id": "b"})


def test_a_fast_decoder_fills_the_classes_straight_from_the_wire():
    wire = {
        "seq": 1,
        "id": "i",
        "schema": 1,
        "kind": "visit",
        "entity": "e",
        "verb": "update",
        "base": 9,
        "at": MOMENT,
    }
    wire["ops"] = [{"field": "tags", "op": "add", "values": ["vip"]}]
    decoded = msgspec.json.decode(json.dumps(wire), type=Mutation)
    assert decoded.ops == [Op("tags", "add", None, None, ["vip"])]
    assert decoded.at == moment_of(MOMENT) and decoded.at.wall == WALL


def test_a_moment_may_leave_its_offset_out():
    assert moment_of({key: value for key, value in MOMENT.items() if key != "offset_ms"}).offset_ms is None


def test_mutations_cannot_be_changed():
    with pytest.raises(AttributeError):
        Op("a", "set").new = 5
