"""Merge: one entity of 50 fields and one update of all 50, settled by the pure core; wanted is less than 100 µs."""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sync import policy as p
from sync.mutation import Author, Moment, Mutation, Op
from sync.policy import Field, Policy
from sync.reconcile import Entity, apply_outcome, reconcile
from sync.text import merge
from tests.postgres import Cluster

ENTITY = "0b7e2a1e-5d52-4a4e-8f53-0123456789ab"
VALUES, NUMBERS, CODES, TEXTS, SETS = 30, 8, 5, 4, 3  # 50 fields
POLICY = Policy(
    kind="wide",
    fields={
        **{f"value_{n}": Field("value", p.text(200)) for n in range(VALUES)},
        **{f"number_{n}": Field("value", p.number(-180, 180), authority="manager") for n in range(NUMBERS)},
        **{f"code_{n}": Field("value", p.choice("A", "B", "C"), authority="rep") for n in range(CODES)},
        **{f"text_{n}": Field("text", p.text(20_000)) for n in range(TEXTS)},
        **{f"set_{n}": Field("set", p.tags()) for n in range(SETS)},
    },
)
REP, MANAGER = Author("rep", "rep", "phone"), Author("manager", "manager", "desk")
AT = Moment(datetime(2026, 11, 21, 10, tzinfo=UTC), 0.0, "life", 0.0, "UTC")
ROUNDS, TIMES = 15, 200
LONG = " ".join(f"word{number}" for number in range(2_700))[:20_000]


def _ops(old: dict[str, object], mark: int) -> list[Op]:
    """One op for each field, none of which is what stands there."""
    new: dict[str, object] = {}
    for name, field in POLICY.fields.items():
        if name.startswith("number"):
            new[name] = float(mark)
        elif name.startswith("code"):
            new[name] = "ABC"[mark % 3]
        elif field.kind != "set":
            new[name] = f"What {mark} says of it."
    ops = [
        Op(name, "text" if name.startswith("text") else "set", old.get(name), now)
        for name, now in new.items()
    ]
    return ops + [Op(f"set_{n}", "add", values=[f"tag {mark}", "vip"]) for n in range(SETS)]


def _mutation(verb: str, base: int, ops: list[Op]) -> Mutation:
    return Mutation(1, ENTITY, 1, "wide", ENTITY, verb, base, AT, ops)


def _entity() -> Entity:
    asked = _mutation("create", 0, [Op(f"value_{n}", "set", None, "old") for n in range(VALUES)])
    made = apply_outcome(None, reconcile(None, asked, REP, POLICY), asked, REP, 9)
    edit = _mutation("update", 9, _ops(dict(made.values), 0))
    return apply_outcome(made, reconcile(made, edit, REP, POLICY), edit, REP, 10)


def _us(what: Callable[[], object], times: int = TIMES) -> tuple[float, float]:
    """Median and least of a call, in microseconds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(times):
            what()
        rounds.append((time.perf_counter() - began) / times * 1e6)
    return statistics.median(rounds), min(rounds)


def run(cluster: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report; needs no database."""
    entity = _entity()
    values = dict(entity.values)
    asked = _mutation("update", 10, _ops(values, 1))
    outcome = reconcile(entity, asked, REP, POLICY)
    assert outcome.status == "applied" and len(outcome.changes) + len(outcome.added) == 50
    yield _line("50 ops, nobody else wrote", _us(lambda: reconcile(entity, asked, REP, POLICY)))
    yield _line("the entity after it", _us(lambda: apply_outcome(entity, outcome, asked, REP, 11)))

    other = _mutation("update", 10, _ops(values, 2))
    after = apply_outcome(entity, reconcile(entity, other, MANAGER, POLICY), other, MANAGER, 11)
    fields = [op for op in asked.ops if not op.field.startswith("text")]
    most = _mutation("update", 10, fields)
    beside = reconcile(after, most, REP, POLICY)
    assert beside.status == "merged" and len(beside.conflicts) == 43
    yield _line("46 ops, 43 against a manager's values", _us(lambda: reconcile(after, most, REP, POLICY)))
    texts = reconcile(after, asked, REP, POLICY)
    assert sum(one.code == "TEXT_KEPT_BOTH" for one in texts.conflicts) == TEXTS
    yield _line("50 ops, 4 short texts merged too", _us(lambda: reconcile(after, asked, REP, POLICY), 20))
    yield f"   wanted: each without a text to merge {'under 100 µs':>12}"

    mine, theirs = LONG.replace("word300 ", "mine "), LONG.replace("word2000 ", "theirs ")
    assert not merge(LONG, mine, theirs).kept_both
    yield _line("a text of 20,000 characters, two edits", _us(lambda: merge(LONG, mine, theirs), 1))
    anew = " ".join(f"other{number}" for number in range(2_700))[:20_000]
    yield _line("the same, both written anew", _us(lambda: merge(LONG, anew, anew.replace("o", "a")), 1))


def _line(what: str, took: tuple[float, float]) -> str:
    return f"{what:<40} {took[0]:>9,.0f} µs   (at best {took[1]:,.0f})"
