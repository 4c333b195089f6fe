"""The checker is checked: bugs planted in the server, in the core and in the model of the phone, each caught by a story.

Each bug is a line of the real code put differently. The same story breaks no law without it (`test_vectors`).
"""

import __future__

import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.db import writing
from server.exchange import apply, pull, routes, settle
from server.exchange.work import Work
from sync import reconcile, scopes
from tests.faults.sim.house import House, house_on
from tests.faults.sim.laws import broken
from tests.faults.sim.phone import Outbox, Phone
from tests.faults.sim.play import Play
from tests.faults.sim.vectors import scenarios
from tests.faults.sim.watch import Flaw

SCENARIOS = scenarios()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[House]:
    """One server for all bugs."""
    folder = tmp_path_factory.mktemp("bugs")
    (folder / "rounds.db").write_bytes(_sqlite_template.read_bytes())
    with house_on(f"sqlite:///{folder / 'rounds.db'}", folder / "state") as house:
        yield house


class Bugs:
    """Plants bugs and takes them out again at the end of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.put = monkeypatch.setattr
        self._setitem = monkeypatch.setitem

    def line(self, owner: Any, name: str, old: str, new: str, **given: Any) -> None:
        """Let a function of the real code read `new` where it reads `old`; `given` are names that `new` needs."""
        function = getattr(owner, name)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(old) == 1, f"{name} no longer holds the line this bug is planted in: {old}"
        for known, value in given.items():
            self._setitem(function.__globals__, known, value)
        flags = __future__.annotations.compiler_flag
        made: dict[str, Any] = {}
        exec(
            compile(source.replace(old, new), inspect.getfile(function), "exec", flags),
            function.__globals__,
            made,
        )
        self.put(owner, name, made[name])


@pytest.fixture
def bugs(monkeypatch: pytest.MonkeyPatch) -> Bugs:
    return Bugs(monkeypatch)


def flaws_of(house: House, story: str | dict[str, Any]) -> list[str]:
    """What breaks in a story, be it one of the vectors or told here; stops at the first that is seen on the way."""
    told = SCENARIOS[story] if isinstance(story, str) else story
    try:
        play = Play(house, told["phones"])
        for step in told["steps"]:
            play.step(step)
        play.rest()
        return broken(play)
    except Flaw as flaw:
        return [str(flaw)]


def save(
    who: str, entity: str, verb: str = "update", of: str = "customer", /, **fields: Any
) -> dict[str, Any]:
    step = {"do": "save", "phone": who, "kind": of, "entity": entity, "verb": verb}
    return step | ({"set": fields} if fields else {})


def exchange(phone: str, *network: str, **more: Any) -> dict[str, Any]:
    return {"do": "exchange", "phone": phone, "network": list(network)} | more


OPEN = {
    "customer_id": "@Shop",
    "mode": "in_person",
    "kind": "sales_call",
    "status": "open",
    "check_in": {"moment": 0},
}
RENUMBERED = {
    "phones": {"rob1": "rob", "mia1": "mia"},
    "steps": [
        save("rob1", "Shop", contact="Ann"),
        exchange("rob1", "answer lost"),
        {"do": "clone", "phone": "rob1", "as": "rob2"},
        save("rob1", "Shop", phone="01"),
        exchange("rob1"),
        save("rob1", "Shop", contact="Bob"),
        exchange("rob1"),
        save("rob2", "Cafe", phone="02"),
        exchange("rob2"),
    ],
}
OVERLAP = {
    "phones": {"rob1": "rob", "mia1": "mia", "ria1": "ria"},
    "steps": [
        save("rob1", "Shop", contact="w1x"),
        save("ria1", "Cafe", contact="w2x"),
        {"do": "overlap", "phone": "rob1", "others": ["ria1", "mia1"], "when": "begin"},
    ],
}
CLOCK_BACK = {
    "phones": {"rob1": "rob"},
    "steps": [
        save("rob1", "v1", "create", "visit", **OPEN),
        {"do": "clock", "phone": "rob1", "minutes": -1000},
        save("rob1", "v1", "update", "visit", minutes="w1x"),
        exchange("rob1"),
    ],
}
MOVED = {
    "phones": {"mia1": "mia", "admin1": "admin"},
    "steps": [
        save("admin1", "mia", "update", "person", team_id="@south"),
        exchange("admin1"),
        exchange("mia1"),
    ],
}
GIVEN = {
    "phones": {"rob1": "rob", "admin1": "admin"},
    "steps": [
        save("admin1", "Shop", owner_id="@sam", team_id="@south"),
        exchange("admin1"),
        exchange("rob1"),
    ],
}
CUT = {
    "phones": {"rob1": "rob"},
    "steps": [{"do": "lose", "phone": "rob1", "what": "replica"}, exchange("rob1", limit=1)],
}
TWO = {
    "phones": {"rob1": "rob", "mia1": "mia"},
    "steps": [
        save("rob1", "Shop", contact="w1x", note="w2x said."),
        save("mia1", "Shop", contact="w3x", note="w4x said."),
        exchange("rob1"),
        exchange("mia1"),
    ],
}
FORKED = {
    "phones": {"rob1": "rob"},
    "steps": [
        {"do": "backup"},
        save("rob1", "v1", "create", "visit", **OPEN),
        exchange("rob1"),
        {"do": "clone", "phone": "rob1", "as": "rob2"},
        save("rob1", "Shop", phone="01"),
        save("rob2", "v1", "update", "visit", minutes="w1x"),
        exchange("rob1"),
        exchange("rob2"),
        {"do": "lose", "phone": "rob1", "what": "outbox"},
        {"do": "put back"},
    ],
}
INTERNAL_AGAIN = {
    "phones": {"mia1": "mia", "rob1": "rob"},
    "steps": [
        save("mia1", "Cafe", contact="w1x"),
        {"do": "clone", "phone": "mia1", "as": "mia5"},
        {"do": "stumble", "phone": "mia5", "times": 3},
        save("mia5", "Cafe", phone="w2x"),
        save("mia1", "Cafe", address="w3x"),
        exchange("mia5"),
        exchange("mia1"),
    ],
}
MOVED_MEANWHILE = {
    "phones": {"admin1": "admin", "ria1": "ria", "mia1": "mia"},
    "steps": [
        save("admin1", "Cafe", "archive"),
        exchange("admin1"),
        save("admin1", "ria", "update", "person", team_id="@south"),
        save("ria1", "Cafe", note="w1x said."),
        {"do": "overlap", "phone": "ria1", "others": ["admin1"], "when": "begin"},
    ],
}
DIES = {
    "phones": {"rob1": "rob"},
    "steps": [save("rob1", "Shop", contact="w1x"), exchange("rob1", "dies after receipts"), exchange("rob1")],
}
HALF = {
    "phones": {"rob1": "rob"},
    "steps": [save("rob1", "v1", "create", "visit", **OPEN), exchange("rob1"), exchange("rob1")],
}
HALF_A_PAGE = {
    "phones": {"rob1": "rob", "ria1": "ria"},
    "steps": [save("ria1", "Shop", contact="w1x"), exchange("ria1"), exchange("rob1", storage=2)],
}
PENDING = {
    "phones": {"rob1": "rob", "admin1": "admin"},
    "steps": [
        save("admin1", "Shop", owner_id="@sam", team_id="@south"),
        exchange("admin1"),
        {"do": "begin", "phone": "rob1", "as": "a"},
        save("rob1", "Shop", contact="w1x"),
        {"do": "end", "of": "a"},
    ],
}


def no_dedupe(bugs: Bugs) -> None:
    bugs.line(apply, "_settle_all", "elif before is not None:", "elif False:")


def the_first_receipt_is_forgotten(bugs: Bugs) -> None:
    bugs.line(
        apply,
        "apply_within",
        "_receipt(item, entries[seq])",
        "_receipt(item, entries[seq] | ({'status': 'noop'} if seq in sorted_.stored else {}))",
    )


def own_mutations_are_not_known_under_another_number(bugs: Bugs) -> None:
    bugs.put(apply, "_clients_of", lambda work, ids: set())


def a_copied_profile_is_not_noticed(bugs: Bugs) -> None:
    bugs.line(apply, "_sort", "or stored[seq]", "or False and stored[seq]")


def the_head_is_taken_before_the_lock(bugs: Bugs) -> None:
    taken: list[int] = []
    real_apply, real_lock = routes.apply, apply.lock_head

    def from_a_sequence(submission: Any) -> Any:
        if submission.items:
            with writing() as connection:
                head = real_lock(connection, submission.actor.org_id)["version"]
            taken.append(max([head, *taken]) + 1)
        mine = taken[-1] if submission.items else 0

        def lock(connection: Any, org_id: str) -> dict[str, Any]:
            return real_lock(connection, org_id) | {"version": mine - 1}

        return with_lock(lock, real_apply, submission)

    def with_lock(lock: Callable[..., Any], then: Callable[..., Any], submission: Any) -> Any:
        real_within = apply.apply_within

        def within(connection: Any, one: Any, **more: Any) -> Any:
            if one.client != submission.client:
                return real_within(connection, one, **more)
            apply.lock_head = lock
            try:
                return real_within(connection, one, **more)
            finally:
                apply.lock_head = real_lock

        apply.apply_within = within
        try:
            return then(submission)
        finally:
            apply.apply_within = real_within

    bugs.put(routes, "apply", from_a_sequence)


def the_clock_decides_the_order(bugs: Bugs) -> None:
    bugs.line(
        apply,
        "_settle_all",
        "for seq, item in fresh:",
        "for seq, item in sorted(fresh, key=lambda one: one[1].mutation.at.wall):",
    )


def a_failure_leaves_half_of_it_behind(bugs: Bugs) -> None:
    failed: list[bool] = []

    def leak(connection: Any) -> None:
        if not failed:
            failed.append(True)
            connection.connection.driver_connection.execute("commit")
            raise RuntimeError("after the rows, before the journal")

    bugs.line(apply, "write", "work.flush()\n", "work.flush(); leak(connection)\n", leak=leak)


def a_parked_mutation_is_not_kept(bugs: Bugs) -> None:
    def park(work: Any, item: Any, code: str, field: Any = None, behind: Any = None) -> Any:
        return settle.Settled("parked", code, field, version=work.version, behind=behind)

    bugs.put(apply, "park", park)
    bugs.put(settle, "park", park)


def a_lost_scope_is_not_taken_away(bugs: Bugs) -> None:
    bugs.line(
        scopes, "plan", "drop = sorted(set(token.positions) - set(granted)) if token else []", "drop = []"
    )


def a_forgotten_token_forgets_the_lost_scopes(bugs: Bugs) -> None:
    bugs.line(scopes, "plan", " if token else []", " if token and not forget else []")


def what_leaves_a_scope_is_not_told(bugs: Bugs) -> None:
    bugs.line(Work, "_tell", "for scope in now_in | before:", "for scope in now_in:")


def a_page_ends_inside_an_entity(bugs: Bugs) -> None:
    bugs.put(pull, "_MOST_SCOPES_OF_AN_ENTITY", 0)
    bugs.line(pull, "_page", "entities.pop()", "pass")


def a_scan_promises_what_it_does_not_hold(bugs: Bugs) -> None:
    bugs.line(pull, "_acked", "if upto < head:", "if False:")


def a_stale_row_is_sent_again_as_gone(bugs: Bugs) -> None:
    bugs.line(pull, "_page", "int(removed_at is None)", "1")


def the_last_writer_of_a_text_wins(bugs: Bugs) -> None:
    bugs.line(reconcile._Update, "_set_text", "if _str(now) != _str(op.old) and", "if False and")


def the_loser_of_a_value_is_forgotten(bugs: Bugs) -> None:
    bugs.put(settle, "_conflicts", lambda *about: ())


def evidence_is_overwritten(bugs: Bugs) -> None:
    bugs.line(reconcile._Update, "_set_evidence", "if (now is None and not real) or", "if True or")


def the_token_is_stored_before_the_rows(bugs: Bugs) -> None:
    bugs.line(
        Phone,
        "apply",
        "self._apply_rows(page)\n    self._keep_token(page)",
        "self._keep_token(page)\n    self.storage()\n    self._apply_rows(page)",
    )


def rows_with_pending_changes_are_purged(bugs: Bugs) -> None:
    bugs.put(Phone, "needed", lambda phone: set())


def nothing_is_sent_again_after_a_backup(bugs: Bugs) -> None:
    bugs.put(Phone, "resend_all", lambda phone: None)
    bugs.put(Phone, "resend_from", lambda phone, expected: True)


def a_receipt_ends_the_overlay(bugs: Bugs) -> None:
    bugs.line(
        Phone,
        "accept",
        'row.state, row.acked_at, row.receipt = "acked"',
        'row.settled, row.state, row.acked_at, row.receipt = True, "acked"',
    )


def a_newer_row_outlives_a_backup(bugs: Bugs) -> None:
    bugs.line(Phone, "_apply_rows", "held.version = 0  #", "pass  #")


def old_numbers_are_kept_behind_newer_ones(bugs: Bugs) -> None:
    bugs.line(Phone, "resend_all", "if any(row.client != box.client for row in rows):", "if False:")


def what_was_never_seen_is_not_asked_about(bugs: Bugs) -> None:
    bugs.line(Outbox, "due", "or not (row.settled or row.id in asked)", "")


CAUGHT: dict[Callable[[Bugs], None], str | dict[str, Any]] = {
    no_dedupe: RENUMBERED,
    the_first_receipt_is_forgotten: "answer-lost",
    own_mutations_are_not_known_under_another_number: RENUMBERED,
    a_copied_profile_is_not_noticed: "cloned-profile",
    the_head_is_taken_before_the_lock: OVERLAP,
    the_clock_decides_the_order: CLOCK_BACK,
    a_failure_leaves_half_of_it_behind: HALF,
    a_parked_mutation_is_not_kept: "poison",
    a_lost_scope_is_not_taken_away: MOVED,
    a_forgotten_token_forgets_the_lost_scopes: "team-left-while-outbox-was-lost",
    what_leaves_a_scope_is_not_told: GIVEN,
    a_page_ends_inside_an_entity: CUT,
    a_scan_promises_what_it_does_not_hold: "own-change-during-a-scan",
    a_stale_row_is_sent_again_as_gone: GIVEN,
    the_last_writer_of_a_text_wins: TWO,
    the_loser_of_a_value_is_forgotten: TWO,
    evidence_is_overwritten: "evidence-twice",
    the_token_is_stored_before_the_rows: HALF_A_PAGE,
    rows_with_pending_changes_are_purged: PENDING,
    nothing_is_sent_again_after_a_backup: "put-back-to-a-backup",
    a_receipt_ends_the_overlay: DIES,
    a_newer_row_outlives_a_backup: "put-back-and-the-author-is-gone",
    old_numbers_are_kept_behind_newer_ones: FORKED,
    what_was_never_seen_is_not_asked_about: "dies-then-put-back-and-a-copy-goes-on",
}
TOLD_HERE = {
    "a renumbered mutation": RENUMBERED,
    "transactions that overlap": OVERLAP,
    "a clock set back": CLOCK_BACK,
    "a manager who changes team": MOVED,
    "a customer given away": GIVEN,
    "pages of one row": CUT,
    "two people and two fields": TWO,
    "a failure that is known under another number": INTERNAL_AGAIN,
    "a rep who changes team while her request is on its way": MOVED_MEANWHILE,
    "a page that dies": DIES,
    "a copy, and a backup put back": FORKED,
    "a failure half-way": HALF,
    "a full disk half-way": HALF_A_PAGE,
    "a change while a page comes": PENDING,
}


@pytest.mark.parametrize("bug", CAUGHT, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(house: House, bugs: Bugs, bug: Callable[[Bugs], None]) -> None:
    bug(bugs)
    assert flaws_of(house, CAUGHT[bug]), "this bug breaks no law"


@pytest.mark.parametrize("name", TOLD_HERE)
def test_without_a_bug_the_same_story_breaks_no_law(house: House, name: str) -> None:
    assert flaws_of(house, TOLD_HERE[name]) == []
