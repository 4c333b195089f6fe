"""What holds of reconcile whatever comes in: total, deterministic, pure, repeatable, and no value lost."""

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from server.exchange.kinds import READABLE, WRITABLE
from sync.mutation import OPS, VERBS, Author, Moment, Mutation, Op, canonical
from sync.policy import Field, Policy
from sync.receipt import MERGED_CODES, PARKED_CODES
from sync.reconcile import Entity, Outcome, apply_outcome, reconcile
from tests.sync.examples import (
    AT,
    CUSTOMER,
    FIX,
    ID,
    LATER,
    MOMENT,
    NO_FIX,
    OTHER_FIX,
    OTHER_ID,
    POLICIES,
    VISIT,
)

ODD_TEXT = st.one_of(
    st.text(max_size=8), st.sampled_from(["", "\0", "\ud83d", "*", "archived", "none", ID, "open", "A"])
)
ODD_NUMBER = st.one_of(
    st.integers(-3, 30),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([10**400, -(10**30), -0.0]),
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), ODD_NUMBER, ODD_TEXT, st.sampled_from([MOMENT, FIX, NO_FIX, ["a", "b"]])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ODD_TEXT, inner, max_size=3)),
    max_leaves=6,
)
ALL = [*POLICIES.values(), *(kind.policy for kind in READABLE.values())]
KINDS = sorted({policy.kind for policy in ALL})
FIELD = st.one_of(st.sampled_from(sorted({name for policy in ALL for name in policy.fields})), ODD_TEXT)
ANY_OP = st.builds(
    Op, FIELD, st.one_of(st.sampled_from(sorted(OPS)), ODD_TEXT), JSON, JSON, st.lists(JSON, max_size=3)
)
AUTHOR = st.builds(
    Author,
    st.sampled_from(["rep", "manager", "x"]),
    st.sampled_from(["rep", "manager", "finance", "administrator", ""]),
    st.sampled_from(["one", "two"]),
)
ANY_MUTATION = st.builds(
    Mutation,
    st.just(1),
    st.just(ID),
    st.sampled_from([1, 1, 1, 1, 0, 2]),
    st.sampled_from([*KINDS, "visit", "customer", "ghost"]),
    st.just(ID),
    st.one_of(st.sampled_from([*sorted(VERBS), "update", "update", "create"]), ODD_TEXT),
    st.integers(-2, 40),
    st.just(AT),
    st.lists(ANY_OP, max_size=4),
)
ANY_ENTITY = st.one_of(
    st.none(),
    st.builds(
        Entity,
        st.dictionaries(FIELD, JSON, max_size=6),
        st.dictionaries(ODD_TEXT, JSON, max_size=3),
        st.dictionaries(
            st.one_of(FIELD, st.just("*")),
            st.one_of(
                JSON,
                st.tuples(st.integers(0, 30), st.sampled_from(["one", "two"]), st.just("rep")).map(list),
            ),
            max_size=4,
        ),
        st.booleans(),
        st.sampled_from(["rep", "manager"]),
        st.integers(0, 30),
    ),
)


@given(ANY_ENTITY, ANY_MUTATION, AUTHOR, st.sampled_from(ALL), st.sampled_from([True, True, True, False]))
def test_every_input_has_an_outcome_whatever_the_policy(entity, asked, author, policy, named):
    if named:
        asked = replace(asked, kind=policy.kind)
    before = copy.deepcopy((entity, asked))
    outcome = reconcile(entity, asked, author, policy)
    assert canonical_of((entity, asked)) == canonical_of(before), "it changed its arguments"
    assert canonical_of(outcome) == canonical_of(reconcile(entity, asked, author, policy))
    assert_consistent(outcome)
    if outcome.status in ("applied", "merged"):
        apply_outcome(entity, outcome, asked, author, 50)


def canonical_of(value: Any) -> str:
    """repr, not equality: NaN differs from itself."""
    return repr(value)


def assert_consistent(outcome: Outcome) -> None:
    changed = bool(outcome.changes or outcome.added or outcome.removed) or outcome.extra is not None
    changed = changed or outcome.archived is not None
    assert (outcome.status == "merged") == bool(outcome.conflicts)
    if outcome.status in ("noop", "parked"):
        assert not changed
    if outcome.status == "parked":
        assert outcome.code in PARKED_CODES
    elif outcome.status == "merged":
        assert outcome.code in MERGED_CODES
    else:
        assert outcome.code is None


# --- honest phones ----------------------------------------------------------------------------------------------

TEXT = st.text("ab c.\n", max_size=12)
TAG = st.sampled_from(["a", "b", "c", "d"])
TAGS = st.lists(TAG, max_size=3)


def _sets(name: str, values: st.SearchStrategy[Any], op: str = "set") -> st.SearchStrategy[Op]:
    return st.builds(Op, st.just(name), st.just(op), st.one_of(st.none(), values), values)


STATE = st.sampled_from(["planned", "open", "done", "missed", "cancelled"])
SOUND_OP = {
    "customer": st.one_of(
        _sets("name", st.sampled_from(["Shop", "Store", "Bar"])),
        _sets("grade", st.sampled_from(["A", "B", "C"])),
        _sets("contact", st.sampled_from(["Anna", "Ben"])),
        _sets("mood", st.sampled_from(["fine", "grim", 1, True])),
        _sets("note", TEXT, "text"),
        st.builds(Op, st.just("tags"), st.sampled_from(["add", "remove"]), values=TAGS),
    ),
    "visit": st.one_of(
        _sets("outcome", st.sampled_from(["order", "none", None])),
        _sets("minutes", TEXT, "text"),
        _sets("status", STATE, "go"),
        _sets("check_in", st.sampled_from([MOMENT, LATER])),
        _sets("check_in_fix", st.sampled_from([FIX, OTHER_FIX, NO_FIX])),
        _sets("check_out_fix", st.sampled_from([FIX, OTHER_FIX, NO_FIX])),
        st.builds(Op, st.just("tags"), st.sampled_from(["add", "remove"]), values=TAGS),
    ),
}
SOUND_AUTHOR = st.sampled_from(
    [
        Author("rep", "rep", "one"),
        Author("rep", "rep", "tablet"),
        Author("manager", "manager", "two"),
        Author("administrator", "administrator", "three"),
    ]
)


def _updates(
    kind: str, ops: st.SearchStrategy[Op] | None = None
) -> st.SearchStrategy[list[tuple[Author, Mutation]]]:
    update = st.builds(
        Mutation,
        st.just(1),
        st.just(ID),
        st.just(1),
        st.just(kind),
        st.just(ID),
        st.sampled_from(["update"] * 6 + ["archive", "restore"]),
        st.integers(0, 16),
        st.just(AT),
        st.lists(
            SOUND_OP[kind] if ops is None else ops, min_size=1, max_size=4, unique_by=lambda op: op.field
        ),
    ).map(lambda one: one if one.verb == "update" else Mutation(**{**_fields(one), "ops": []}))
    return st.lists(st.tuples(SOUND_AUTHOR, update), min_size=1, max_size=6)


def _fields(asked: Mutation) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in Mutation.__slots__}


def _start(kind: str) -> Entity:
    given = (
        [Op("name", "set", None, "Shop")]
        if kind == "customer"
        else [Op("customer_id", "set", None, OTHER_ID)]
    )
    if kind == "visit":
        given.append(Op("status", "set", None, "open"))
    create = Mutation(1, ID, 1, kind, ID, "create", 0, AT, given)
    author = Author("rep", "rep", "one")
    return apply_outcome(None, reconcile(None, create, author, POLICIES[kind]), create, author, 9)


POOL = (
    *(
        "A",
        "online",
        "two words",
        "open",
        "done",
        "planned",
        "visit",
        "customer",
        "rep",
        "en",
        "Europe/London",
    ),
    *(ID, OTHER_ID, "2026-11-21", "2026-11-22", "10:00", 7, 30, 30.5, True, False, {}, {"phone": 5}),
    *(MOMENT, LATER, FIX, OTHER_FIX, NO_FIX, {"outcome": "A"}, "unread", "take", "2026-11-21T10:00:00Z"),
    *("FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO", {"id": ID, "n": 1, "start": "2026-11-21", "on": "2026-11-21"}),
    *("balanced", "field_only", "proposed", "approved", "held", "entered", "confirmed", "closed", "reopened"),
    *("month", "week", "1.5", "40", [{"code": "valid_visits", "weight": "40"}]),
)
"""Values of which every field of every kind takes some."""

WRITTEN = [kind.policy for kind in WRITABLE.values()]


def _fitting(field: Field) -> list[Any]:
    return [value for value in POOL if field.check.test(value)]


def _any_op(policy: Policy) -> st.SearchStrategy[Op]:
    """A sound op on any field of a policy that somebody may write."""
    words = {"value": "set", "evidence": "set", "text": "text", "state": "go"}
    ways = []
    for name, field in policy.fields.items():
        if field.kind == "set":
            ways.append(st.builds(Op, st.just(name), st.sampled_from(["add", "remove"]), values=TAGS))
        elif field.kind != "readonly":
            ways.append(_sets(name, st.sampled_from(_fitting(field)), words[field.kind]))
    return st.one_of(ways)


def _begun(policy: Policy) -> Entity:
    given = [Op(name, "set", None, _fitting(policy.fields[name])[0]) for name in policy.required]
    given = [op for op in given if op.field != policy.state]
    if policy.state:
        given.append(Op(policy.state, "set", None, sorted(policy.initial)[0]))
    create = Mutation(1, ID, 1, policy.kind, ID, "create", 0, AT, given)
    author = Author("rep", "rep", "one")
    return apply_outcome(None, reconcile(None, create, author, policy), create, author, 9)


@pytest.mark.parametrize("policy", WRITTEN, ids=lambda policy: policy.kind)
@settings(max_examples=25)
@given(data=st.data())
def test_of_every_kind_no_value_is_lost_and_nothing_is_applied_twice(policy, data):
    entity = _begun(policy)
    for version, (author, asked) in enumerate(data.draw(_updates(policy.kind, _any_op(policy))), start=10):
        outcome = reconcile(entity, asked, author, policy)
        if outcome.status == "parked":
            continue
        after = entity
        if outcome.status != "noop":
            after = apply_outcome(entity, outcome, asked, author, version)
            again = reconcile(after, asked, author, policy)
            assert apply_outcome(after, again, asked, author, version) is after
        lost = {(one.field, canonical(one.lost)) for one in outcome.conflicts}
        for op in asked.ops:
            how = policy.fields[op.field].kind
            new, was = _now(after, op.field), _now(entity, op.field)
            renewed = how == "evidence" and new is None  # what it was evidence of was taken back
            if how in ("value", "evidence", "state") and not renewed:
                assert new == op.new or (op.field, canonical(op.new)) in lost
            if how == "evidence":
                assert was in (None, NO_FIX, new) or new is None
            elif how == "value" and _unseen(entity, op.field, asked.base, author):
                assert was in (new, op.old) or (op.field, canonical(was)) in lost
        entity = after


@pytest.mark.parametrize("kind", ["customer", "visit"])
@given(data=st.data())
def test_a_mutation_applied_twice_changes_nothing_the_second_time(kind, data):
    entity = _start(kind)
    for version, (author, asked) in enumerate(data.draw(_updates(kind)), start=10):
        outcome = reconcile(entity, asked, author, POLICIES[kind])
        if outcome.status not in ("applied", "merged"):
            continue
        entity = apply_outcome(entity, outcome, asked, author, version)
        again = reconcile(entity, asked, author, POLICIES[kind])
        if again.status == "merged":  # what lost once loses again
            assert apply_outcome(entity, again, asked, author, version) is entity
        else:
            assert again.status == "noop"


@pytest.mark.parametrize("kind", ["customer", "visit"])
@given(data=st.data())
def test_every_value_of_two_clients_is_in_the_entity_or_in_a_conflict(kind, data):
    """A value typed, or one that another client wrote unseen, is never merely gone."""
    entity = _start(kind)
    for version, (author, asked) in enumerate(data.draw(_updates(kind)), start=10):
        outcome = reconcile(entity, asked, author, POLICIES[kind])
        if outcome.status == "parked":
            continue
        after = entity
        if outcome.status != "noop":
            after = apply_outcome(entity, outcome, asked, author, version)
        lost = {(one.field, canonical(one.lost)) for one in outcome.conflicts}
        for op in asked.ops:
            field = POLICIES[kind].fields.get(op.field)
            how = field.kind if field else "value"
            if how in ("value", "evidence", "state"):
                new, was = _now(after, op.field), _now(entity, op.field)
                assert new == op.new or (op.field, canonical(op.new)) in lost
                if how == "evidence":
                    assert was in (None, NO_FIX, new)
                elif _unseen(entity, op.field, asked.base, author) and was not in (new, op.old):
                    legal = how == "state" and new in VISIT.steps.get(was, ())
                    assert legal or (op.field, canonical(was)) in lost
            elif how == "text":
                old, new = op.old or "", op.new or ""
                typed = set(re.findall(r"\w+", new)) - set(re.findall(r"\w+", old))
                said = set(re.findall(r"\w+", _now(after, op.field) or ""))
                assert typed <= said or (op.field, canonical(op.new)) in lost
            elif op.op == "add":
                assert set(op.values) <= set(_now(after, op.field) or [])
        entity = after


def _now(entity: Entity, field: str) -> Any:
    return entity.values.get(field, entity.extra.get(field))


def _unseen(entity: Entity, field: str, base: int, author: Author) -> bool:
    version, chain, _ = entity.stamps.get(field, entity.stamps["*"])
    return version > base and chain != author.chain


@given(st.lists(st.tuples(SOUND_AUTHOR, TAGS), min_size=1, max_size=6), st.randoms())
def test_adds_of_many_clients_come_to_the_same_set_in_any_order(adds, random):
    def play(order):
        entity = _start("customer")
        for version, (author, values) in enumerate(order, start=10):
            asked = Mutation(1, ID, 1, "customer", ID, "update", 0, AT, [Op("tags", "add", values=values)])
            outcome = reconcile(entity, asked, author, CUSTOMER)
            if outcome.status == "applied":
                entity = apply_outcome(entity, outcome, asked, author, version)
        return set(entity.values.get("tags") or [])

    shuffled = list(adds)
    random.shuffle(shuffled)
    assert play(adds) == play(shuffled) == {tag for _, values in adds for tag in values}


@given(st.lists(st.tuples(SOUND_AUTHOR, STATE), min_size=1, max_size=8))
def test_a_visit_once_done_stays_done(steps):
    entity = _start("visit")
    done = False
    for version, (author, state) in enumerate(steps, start=10):
        asked = Mutation(1, ID, 1, "visit", ID, "update", 0, AT, [Op("status", "go", "open", state)])
        outcome = reconcile(entity, asked, author, VISIT)
        if outcome.status in ("applied", "merged"):
            entity = apply_outcome(entity, outcome, asked, author, version)
        done = done or entity.values["status"] == "done"
        assert not done or entity.values["status"] == "done"


@given(st.data())
def test_no_clock_has_a_say(data):
    """The device's moment is carried, never asked: whatever it is, the outcome is the same."""
    [(author, asked), *_] = data.draw(_updates("customer"))
    assume(asked.verb == "update")
    other = Moment(
        data.draw(st.datetimes()), data.draw(st.floats()), "x", data.draw(st.floats()), "Mars/Base"
    )
    moved = Mutation(**{**_fields(asked), "at": other})
    entity = _start("customer")
    assert reconcile(entity, asked, author, CUSTOMER) == reconcile(entity, moved, author, CUSTOMER)
