"""What somebody decides: who may, what it does at once, what happens where two decide, and how it is taken back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from server.db import reading
from server.exchange.check import check
from server.exchange.kinds import WRITABLE
from server.exchange.model import Decision, Journal
from server.exchange.replan import replan
from server.people.model import Organisation
from tests.commands import Commands
from tests.world import PLACE, World, ago, fix

FAR = (PLACE[0] + 0.05, PLACE[1])


@pytest.fixture(autouse=True)
def one_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's instants lie exactly as far apart as it says, however long the machine takes from one to the next."""
    now = datetime.now(UTC)
    monkeypatch.setattr(f"{__name__}.ago", lambda **span: now - timedelta(**span))


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.customer("Shop", address="1 Old Road", lifecycle="customer")
    return shared_world


def decide(phone: Any, kind: str, on: str, verdict: str, word: str | None = None) -> dict[str, Any]:
    """Decide from a phone; returns the receipt."""
    more = {"word": word} if word else {}
    made = phone.create("decision", on_kind=kind, on_id=on, verdict=verdict, **more)
    (receipt,) = phone.push(made)
    return dict(receipt) | {"decision": made["entity"]}


def answer(receipt: dict[str, Any]) -> tuple[str, str | None]:
    return receipt["status"], receipt["code"]


APPLIED = ("applied", None)


def seen(phone: Any, kind: str) -> dict[str, dict[str, Any]]:
    phone.pull()
    return dict(phone.held(kind))


def only(phone: Any, kind: str) -> tuple[str, dict[str, Any]]:
    ((identity, document),) = seen(phone, kind).items()
    return identity, document


def set_(field: str, new: Any, old: Any = None, op: str = "set") -> dict[str, Any]:
    return {"field": field, "op": op, "old": old, "new": new}


def edit(phone: Any, shop: str, *ops: dict[str, Any], base: int = 0) -> dict[str, Any]:
    (receipt,) = phone.push(phone.mutation("customer", shop, "update", list(ops), base=base))
    return dict(receipt)


def shop_of(world: World, name: str = "Shop") -> dict[str, Any]:
    document = world.get("admin", f"/api/customers/{world.ids.get(name, name)}")
    assert document.status_code == 200, document.json
    return dict(document.json)


def is_clean(world: World) -> None:
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


# --- conflicts ---------------------------------------------------------------------------------------------------------


def contested(world: World) -> tuple[Any, Any, str]:
    """rob overruled ria's address: both phones, and the conflict's id."""
    rob, ria = world.phone("rob"), world.phone("ria")
    edit(ria, world.ids["Shop"], set_("address", "2 Ria Road", "1 Old Road"))
    (conflict,) = edit(rob, world.ids["Shop"], set_("address", "3 Rob Road", "1 Old Road"))["conflicts"]
    return rob, ria, conflict


def test_a_conflict_tells_who_wrote_both_values_and_when(world: World) -> None:
    rob, _, conflict = contested(world)
    told = seen(rob, "conflict")[conflict]
    assert (told["kept"], told["kept_author_id"]) == ("3 Rob Road", world.ids["rob"])
    assert (told["lost"], told["lost_author_id"]) == ("2 Ria Road", world.ids["ria"])
    assert told["lost_at"] < told["kept_at"] and told["kept_at"].endswith("Z")
    # The other way round: what a manager set stands against a rep's.
    mia = world.phone("mia")
    base = mia.push(mia.create("customer", name="Second", code="S"))[0]["version"]
    second = next(iter(c for c, d in seen(mia, "customer").items() if d["name"] == "Second"))
    edit(mia, second, set_("phone", "1"), base=base)
    edit(rob, second, set_("phone", "2"))
    (lost,) = edit(mia, second, set_("phone", "3"))["conflicts"]
    told = seen(mia, "conflict")[lost]
    assert (told["kept"], told["kept_author_id"], told["kept_by"]) == ("2", world.ids["rob"], "current")
    assert (told["lost"], told["lost_author_id"]) == ("3", world.ids["mia"])


def test_a_conflict_tells_when_both_values_were_written_not_when_they_came_in(world: World) -> None:
    rob, ria, shop = world.phone("rob"), world.phone("ria"), world.ids["Shop"]
    first, second = ago(hours=5).replace(microsecond=0), ago(hours=2).replace(microsecond=0)
    # Her clock is a day late and she knows; in the same exchange she wrote something else of the same customer later.
    ria.offset_ms = 86_400_000
    a_day_late = timedelta(days=1)
    ops = [[set_("address", "2 Ria Road", "1 Old Road")], [set_("phone", "1")]]
    ria.push(
        ria.mutation("customer", shop, "update", ops[0], at=second - a_day_late),
        ria.mutation("customer", shop, "update", ops[1], at=ago(minutes=1) - a_day_late),
    )
    late = rob.mutation("customer", shop, "update", [set_("address", "3 Rob Road", "1 Old Road")], at=first)
    (conflict,) = rob.push(late)[0]["conflicts"]
    told = seen(rob, "conflict")[conflict]
    assert (told["kept"], datetime.fromisoformat(told["kept_at"])) == ("3 Rob Road", first)
    assert (told["lost"], datetime.fromisoformat(told["lost_at"])) == ("2 Ria Road", second)
    # Of what was taken along with a decision there is only the time of that.
    assert answer(decide(ria, "conflict", conflict, "take")) == APPLIED
    again = rob.mutation("customer", shop, "update", [set_("address", "4 Rob Road", "3 Rob Road")], at=first)
    (other,) = rob.push(again)[0]["conflicts"]
    assert datetime.fromisoformat(seen(rob, "conflict")[other]["lost_at"]) > ago(minutes=5)
    is_clean(world)


def test_an_archive_that_stands_against_an_edit_is_told_with_who_archived_it(world: World) -> None:
    mia, rob, shop = world.phone("mia"), world.phone("rob"), world.ids["Shop"]
    when = ago(hours=3).replace(microsecond=0)
    assert mia.push(mia.mutation("customer", shop, "archive", [], at=when))[0]["status"] == "applied"
    (conflict,) = edit(rob, shop, set_("phone", "1"))["conflicts"]
    told = seen(rob, "conflict")[conflict]
    assert (told["field"], told["kept_author_id"]) == ("archived", world.ids["mia"])
    assert datetime.fromisoformat(told["kept_at"]) == when and told["lost_author_id"] == world.ids["rob"]
    # A rep may not restore; their manager takes what was lost.
    assert answer(decide(rob, "conflict", conflict, "take")) == ("parked", "FORBIDDEN")
    assert answer(decide(mia, "conflict", conflict, "take")) == APPLIED
    assert shop_of(world)["archived"] is False
    assert answer(decide(mia, "conflict", conflict, "keep")) == APPLIED
    assert shop_of(world)["archived"] is True
    is_clean(world)


@pytest.mark.parametrize("who", ["ria", "boss"])
def test_who_decides_a_conflict_may_think_again_as_often_as_they_like(world: World, who: str) -> None:
    _, _, conflict = contested(world)
    phone = world.phone(who)
    assert answer(decide(phone, "conflict", conflict, "take")) == APPLIED
    assert shop_of(world)["address"] == "2 Ria Road"
    told = seen(world.phone("rob"), "conflict")[conflict]
    assert (told["status"], told["verdict"], told["decided_by"]) == ("resolved", "take", world.ids[who])
    assert answer(decide(phone, "conflict", conflict, "keep")) == APPLIED
    assert shop_of(world)["address"] == "3 Rob Road"
    assert answer(decide(phone, "conflict", conflict, "take")) == APPLIED
    assert shop_of(world)["address"] == "2 Ria Road"
    decisions = [one["stands"] for one in seen(phone, "decision").values()]
    assert sorted(decisions) == [False, False, True]
    is_clean(world)


def test_a_conflict_and_what_does_not_exist_answer_others_alike(world: World) -> None:
    _, _, conflict = contested(world)
    for who in ("sam",):
        phone = world.phone(who)
        assert answer(decide(phone, "conflict", conflict, "take")) == ("parked", "SCOPE_LOST")
        assert answer(decide(phone, "conflict", str(uuid4()), "take")) == ("parked", "SCOPE_LOST")
    assert shop_of(world)["address"] == "3 Rob Road"


def test_keeping_closes_a_conflict_and_changes_nothing(world: World) -> None:
    rob, ria, conflict = contested(world)
    version = shop_of(world)["version"]
    assert answer(decide(ria, "conflict", conflict, "keep")) == APPLIED
    assert shop_of(world)["version"] == version
    assert seen(rob, "conflict")[conflict]["verdict"] == "keep"


def test_taking_a_value_overwrites_nothing_that_came_after_the_conflict(world: World) -> None:
    _, ria, conflict = contested(world)
    mia = world.phone("mia")
    edit(mia, world.ids["Shop"], set_("address", "4 Mia Road", "3 Rob Road"))
    assert answer(decide(ria, "conflict", conflict, "take")) == APPLIED
    assert shop_of(world)["address"] == "2 Ria Road"
    newer = [one for one in seen(mia, "conflict").values() if one["status"] == "open"]
    assert [(one["kept"], one["lost"]) for one in newer] == [("2 Ria Road", "4 Mia Road")]
    is_clean(world)


def test_two_deciders_the_first_stands_and_the_second_is_told(world: World) -> None:
    _, _, conflict = contested(world)
    mia, boss = world.phone("mia"), world.phone("boss")
    first = decide(mia, "conflict", conflict, "keep")
    second = decide(boss, "conflict", conflict, "take")
    assert (answer(first), answer(second)) == (APPLIED, ("merged", "STATE_CONFLICT"))
    assert shop_of(world)["address"] == "3 Rob Road"
    told = seen(boss, "conflict")[second["conflicts"][0]]
    assert (told["kind"], told["entity"], told["field"]) == ("decision", second["decision"], "verdict")
    assert (told["kept"], told["kept_author_id"]) == ("keep", world.ids["mia"])
    assert (told["lost"], told["lost_author_id"]) == ("take", world.ids["boss"])
    stands = {identity: one["stands"] for identity, one in seen(boss, "decision").items()}
    assert stands == {first["decision"]: True, second["decision"]: False}
    # Told of it, they may insist: with their own name to it, and back again.
    assert answer(decide(boss, "conflict", second["conflicts"][0], "take")) == APPLIED
    assert shop_of(world)["address"] == "2 Ria Road"
    assert answer(decide(boss, "conflict", second["conflicts"][0], "keep")) == APPLIED
    assert shop_of(world)["address"] == "3 Rob Road"
    is_clean(world)


def test_two_deciders_of_one_mind_are_in_no_conflict(world: World) -> None:
    _, _, conflict = contested(world)
    mia, boss = world.phone("mia"), world.phone("boss")
    assert answer(decide(mia, "conflict", conflict, "take")) == APPLIED
    second = decide(boss, "conflict", conflict, "take")
    assert answer(second) == APPLIED and second["conflicts"] == []
    assert seen(boss, "conflict")[conflict]["decided_by"] == world.ids["mia"]


def test_two_managers_deciding_in_one_instant_leave_one_word_standing(world: World) -> None:
    """Each on a phone that has not heard of the other: the order in which they come in decides."""
    _, _, conflict = contested(world)
    mia, boss = world.phone("mia"), world.phone("boss")
    seen(mia, "conflict"), seen(boss, "conflict")
    a = mia.create("decision", on_kind="conflict", on_id=conflict, verdict="take")
    b = boss.create("decision", on_kind="conflict", on_id=conflict, verdict="keep")
    statuses = [boss.push(b)[0]["status"], mia.push(a)[0]["status"]]
    assert statuses == ["applied", "merged"]
    assert [mia.push(a)[0]["status"], boss.push(b)[0]["status"]] == ["merged", "applied"]
    assert shop_of(world)["address"] == "3 Rob Road"
    with world.app.app_context(), reading() as connection:
        rows = connection.execute(
            select(Decision.id, Decision.stands).where(Decision.org_id == world.org)
        ).all()
    assert {row.id: row.stands for row in rows} == {a["entity"]: False, b["entity"]: True}
    is_clean(world)


def test_a_lost_code_that_is_taken_is_not_taken_and_the_conflict_stays_open(world: World) -> None:
    world.customer("Holder", code="C-1")
    mia = world.phone("mia")
    (conflict,) = edit(mia, world.ids["Shop"], set_("code", "C-1"))["conflicts"]
    receipt = decide(mia, "conflict", conflict, "take")
    assert (answer(receipt), receipt["detail"]) == (("parked", "INVALID"), {"field": "verdict"})
    assert seen(mia, "conflict")[conflict]["status"] == "open"
    world.change("customer", "Holder", code="C-2")
    assert answer(decide(mia, "conflict", conflict, "take")) == APPLIED
    assert shop_of(world)["code"] == "C-1"
    is_clean(world)


def test_a_value_a_rep_may_not_set_becomes_a_suggestion_when_they_take_it(world: World) -> None:
    """ria leads the team for a day, sets a grade, is overruled, and takes it when she is a rep again."""
    world.change("person", "ria", role="manager")
    ria, boss = world.phone("ria"), world.phone("boss")
    edit(ria, world.ids["Shop"], set_("grade", "B"))
    (conflict,) = edit(boss, world.ids["Shop"], set_("grade", "A"))["conflicts"]
    world.change("person", "ria", role="rep")
    assert answer(decide(ria, "conflict", conflict, "take")) == APPLIED
    assert shop_of(world)["grade"] == "A"
    told = seen(ria, "conflict")[conflict]
    suggestion, proposed = only(ria, "suggestion")
    assert told["became"] == {"kind": "suggestion", "id": suggestion}
    assert (proposed["status"], proposed["ops"][0]["new"]) == ("open", "B")
    # Thought again before anybody looked: the suggestion is withdrawn.
    assert answer(decide(ria, "conflict", conflict, "keep")) == APPLIED
    assert only(ria, "suggestion")[1]["verdict"] == "decline"
    assert answer(decide(ria, "conflict", conflict, "take")) == APPLIED
    newest = next(i for i, one in seen(ria, "suggestion").items() if one["status"] == "open")
    assert answer(decide(boss, "suggestion", newest, "approve")) == APPLIED
    assert shop_of(world)["grade"] == "B"
    receipt = decide(ria, "conflict", conflict, "keep")
    assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": "verdict"})
    is_clean(world)


# --- evidence and amendments --------------------------------------------------------------------------------------------


def done_visit(world: World, phone: Any, **fields: Any) -> str:
    began = phone.check_in(world.ids["Shop"], ago(minutes=90), **fields)
    receipts = phone.push(began, phone.check_out(began["entity"], ago(minutes=50)))
    assert {receipt["status"] for receipt in receipts} == {"applied"}, receipts
    return str(began["entity"])


def visit_of(world: World, visit: str) -> dict[str, Any]:
    phone = world.phone("rob")
    return seen(phone, "visit")[visit]


def lost_evidence(world: World) -> tuple[Any, str, str]:
    """rob's second check-out differs from the first: his phone, the visit, the conflict."""
    rob = world.phone("rob")
    visit = done_visit(world, rob)
    later = rob.moment(ago(minutes=20))
    (receipt,) = rob.push(rob.mutation("visit", visit, "update", [set_("check_out", later)]))
    assert answer(receipt) == ("merged", "FIELD_CONFLICT")
    return rob, visit, receipt["conflicts"][0]


def test_evidence_taken_by_the_rep_becomes_an_amendment_that_a_lead_approves(world: World) -> None:
    rob, visit, conflict = lost_evidence(world)
    before = visit_of(world, visit)
    assert answer(decide(rob, "conflict", conflict, "take", "The bell rang twice.")) == APPLIED
    assert visit_of(world, visit)["check_out"] == before["check_out"]
    amendment, asked = only(rob, "amendment")
    assert seen(rob, "conflict")[conflict]["became"] == {"kind": "amendment", "id": amendment}
    assert (asked["visit_id"], asked["status"], asked["reason"]) == (visit, "open", "The bell rang twice.")
    assert asked["before"] == {"check_out": before["check_out"]}
    mia = world.phone("mia")
    assert answer(decide(mia, "amendment", amendment, "approve")) == APPLIED
    after = visit_of(world, visit)
    assert after["check_out"] == asked["changes"]["check_out"]
    assert after["server"]["amended"] == ["check_out"]
    assert after["server"]["duration_s"] == before["server"]["duration_s"] + 30 * 60
    board = world.get("mia", f"/api/board?date={after['server']['day']}").json["reps"]
    assert next(rep for rep in board if rep["person"]["name"] == "Rob")["valid_minutes"] == 70
    # Thought again: everything is as it was.
    assert answer(decide(mia, "amendment", amendment, "decline")) == APPLIED
    assert visit_of(world, visit)["server"] == before["server"]
    assert visit_of(world, visit)["check_out"] == before["check_out"]
    is_clean(world)


def test_evidence_taken_by_a_lead_is_set_as_an_approved_amendment(world: World) -> None:
    rob, visit, conflict = lost_evidence(world)
    before = visit_of(world, visit)
    mia = world.phone("mia")
    assert answer(decide(mia, "conflict", conflict, "take")) == APPLIED
    _, amendment = only(rob, "amendment")
    assert (amendment["status"], amendment["verdict"], amendment["decided_by"]) == (
        "resolved",
        "approve",
        world.ids["mia"],
    )
    assert visit_of(world, visit)["server"]["amended"] == ["check_out"]
    assert answer(decide(mia, "conflict", conflict, "keep")) == APPLIED
    assert visit_of(world, visit)["check_out"] == before["check_out"]
    assert visit_of(world, visit)["server"] == before["server"]
    is_clean(world)


def amend(phone: Any, visit: str, **changes: Any) -> tuple[dict[str, Any], str]:
    made = phone.create("amendment", visit_id=visit, reason="I wrote it down wrong.", changes=changes)
    (receipt,) = phone.push(made)
    return receipt, made["entity"]


def test_an_amendment_changes_nothing_until_a_lead_approves_it(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    visit = done_visit(world, rob)
    before = visit_of(world, visit)
    receipt, amendment = amend(rob, visit, minutes="Quite another thing was said.", mode="phone")
    assert answer(receipt) == APPLIED and visit_of(world, visit) == before
    asked = seen(mia, "amendment")[amendment]
    assert asked["before"] == {"minutes": before["minutes"], "mode": "in_person"}
    assert answer(decide(mia, "amendment", amendment, "decline", "It was as you said.")) == APPLIED
    assert visit_of(world, visit) == before
    told = seen(rob, "amendment")[amendment]
    assert (told["status"], told["verdict"], told["decided_by"]) == ("resolved", "decline", world.ids["mia"])
    assert [one["word"] for one in seen(rob, "decision").values()] == ["It was as you said."]
    assert answer(decide(mia, "amendment", amendment, "approve")) == APPLIED
    after = visit_of(world, visit)
    assert (after["minutes"], after["mode"]) == ("Quite another thing was said.", "phone")
    assert after["server"]["amended"] == ["minutes", "mode"] and after["server"]["trust"] is None
    is_clean(world)


def test_taking_an_amendment_back_leaves_what_replaced_it_since(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    visit = done_visit(world, rob)
    first = visit_of(world, visit)["check_out"]
    _, one = amend(rob, visit, check_out=rob.moment(ago(minutes=40)), minutes="The first correction.")
    _, two = amend(rob, visit, check_out=rob.moment(ago(minutes=30)))
    assert answer(decide(mia, "amendment", one, "approve")) == APPLIED
    assert answer(decide(mia, "amendment", two, "approve")) == APPLIED
    second = visit_of(world, visit)
    assert answer(decide(mia, "amendment", one, "decline")) == APPLIED
    left = visit_of(world, visit)
    assert (left["check_out"], left["minutes"]) == (second["check_out"], "They want twelve cases by Friday.")
    assert left["server"]["duration_s"] == second["server"]["duration_s"] == 60 * 60
    assert left["server"]["amended"] == ["check_out"] and left["check_out"] != first
    is_clean(world)


def test_an_amended_check_in_is_not_back_filled_by_being_amended(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    visit = done_visit(world, rob)
    _, amendment = amend(rob, visit, check_in=rob.moment(ago(days=3, minutes=95)))
    decide(mia, "amendment", amendment, "approve")
    server = visit_of(world, visit)["server"]
    assert server["check_in_at"][:10] == ago(days=3, minutes=95).date().isoformat()
    assert server["doubt_ms"] == 0 or server["doubt_ms"] < 60_000
    assert server["written_at"] < server["received_at"]


def test_an_amendment_asks_only_for_what_a_visit_could_hold(world: World) -> None:
    rob = world.phone("rob")
    visit = done_visit(world, rob)
    wrong: list[dict[str, Any]] = [
        {},
        {"check_in": None},
        {"status": "open"},
        {"server": {"valid": True}},
        {"customer_id": world.ids["Shop"]},
        {"minutes": "x" * 20_001},
        {"mode": "teleport"},
        {"check_in": "noon"},
    ]
    for changes in wrong:
        receipt, _ = amend(rob, visit, **changes)
        assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": "changes"}), changes


def test_an_amendment_is_asked_for_by_the_visits_rep_alone_and_decided_by_no_rep(world: World) -> None:
    rob = world.phone("rob")
    visit = done_visit(world, rob)
    for who, code in (("mia", "FORBIDDEN"), ("admin", "FORBIDDEN"), ("ria", "SCOPE_LOST")):
        receipt, _ = amend(world.phone(who), visit, minutes="No.")
        assert answer(receipt) == ("parked", code), who
    _, amendment = amend(rob, visit, minutes="Another word.")
    for who, code in (("rob", "FORBIDDEN"), ("ria", "SCOPE_LOST"), ("sam", "SCOPE_LOST")):
        assert answer(decide(world.phone(who), "amendment", amendment, "approve")) == ("parked", code), who
    assert visit_of(world, visit)["minutes"] != "Another word."


def test_a_manager_does_not_wave_through_what_they_did_themselves(world: World) -> None:
    mia, boss = world.phone("mia"), world.phone("boss")
    began = mia.check_in(world.ids["Shop"], ago(minutes=90), check_in_fix=fix(ago(minutes=90), *FAR))
    mia.push(began, mia.check_out(began["entity"], ago(minutes=50)))
    _, amendment = amend(mia, began["entity"], minutes="Better words than before.")
    assert answer(decide(mia, "amendment", amendment, "approve")) == ("parked", "FORBIDDEN")
    assert answer(decide(mia, "visit", began["entity"], "accept")) == ("parked", "FORBIDDEN")
    assert answer(decide(boss, "amendment", amendment, "approve")) == APPLIED
    assert answer(decide(boss, "visit", began["entity"], "accept")) == APPLIED
    is_clean(world)


# --- visits in review ---------------------------------------------------------------------------------------------------


def doubtful(world: World) -> tuple[Any, str]:
    rob = world.phone("rob")
    return rob, done_visit(world, rob, check_in_fix=fix(ago(minutes=90), *FAR))


def rob_on_board(world: World, day: str) -> dict[str, Any]:
    board = world.get("mia", f"/api/board?date={day}").json["reps"]
    return dict(next(rep for rep in board if rep["person"]["name"] == "Rob"))


def test_an_accepted_visit_counts_and_a_declined_one_does_not(world: World) -> None:
    _, visit = doubtful(world)
    server = visit_of(world, visit)["server"]
    day = server["day"]
    assert server["trust"] == "review" and server["reasons"] == ["IN_REVIEW"]
    assert (rob_on_board(world, day)["valid_visits"], rob_on_board(world, day)["review"]) == (0, 1)
    mia = world.phone("mia")
    assert visit in seen(mia, "visit")
    assert answer(decide(mia, "visit", visit, "ask", "Which door was that?")) == APPLIED
    server = visit_of(world, visit)["server"]
    assert (server["asked"]["by"], server["asked"]["word"]) == (world.ids["mia"], "Which door was that?")
    assert server["asked"]["at"].endswith("Z") and not server["valid"]
    assert rob_on_board(world, day)["review"] == 1
    assert answer(decide(mia, "visit", visit, "accept")) == APPLIED
    server = visit_of(world, visit)["server"]
    assert (server["accepted"], server["valid"], server["asked"], server["declined"]) == (
        True,
        True,
        None,
        None,
    )
    assert (rob_on_board(world, day)["valid_visits"], rob_on_board(world, day)["review"]) == (1, 0)
    receipt = decide(mia, "visit", visit, "decline")
    assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": "word"})
    assert answer(decide(mia, "visit", visit, "decline", "You were at home.")) == APPLIED
    server = visit_of(world, visit)["server"]
    assert (server["accepted"], server["valid"], server["reasons"]) == (False, False, ["DECLINED"])
    assert (server["declined"]["by"], server["declined"]["word"]) == (world.ids["mia"], "You were at home.")
    assert (rob_on_board(world, day)["valid_visits"], rob_on_board(world, day)["review"]) == (0, 0)
    is_clean(world)


def test_what_was_accepted_stays_accepted_when_the_rep_writes_more(world: World) -> None:
    rob, visit = doubtful(world)
    assert answer(decide(world.phone("mia"), "visit", visit, "accept")) == APPLIED
    before = visit_of(world, visit)["server"]
    assert before["accepted"] and before["valid"]
    words = "They want twelve cases by Friday. And a sign for the window."
    change = set_("minutes", words, "They want twelve cases by Friday.", "text")
    assert rob.push(rob.mutation("visit", visit, "update", [change]))[0]["status"] == "applied"
    assert visit_of(world, visit)["server"] == before


def test_a_visit_written_too_late_counts_once_it_is_accepted(world: World) -> None:
    rob = world.phone("rob")
    began = rob.check_in(world.ids["Shop"], ago(days=4), status="done", minutes="They want twelve cases.")
    began["at"] = rob.moment()
    began["ops"].append({"field": "check_out", "op": "set", "old": None, "new": rob.moment(ago(days=3.9))})
    assert rob.push(began)[0]["status"] == "applied"
    assert visit_of(world, began["entity"])["server"]["reasons"] == ["BACK_FILLED"]
    assert answer(decide(world.phone("mia"), "visit", began["entity"], "accept")) == APPLIED
    assert visit_of(world, began["entity"])["server"]["valid"] is True


def test_only_a_visit_that_awaits_a_word_gets_one_and_only_from_a_lead(world: World) -> None:
    rob = world.phone("rob")
    sound = done_visit(world, rob)
    _, visit = doubtful(world)
    receipt = decide(world.phone("mia"), "visit", sound, "decline", "I do not like it.")
    assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": "on_id"})
    for who, code in (("rob", "FORBIDDEN"), ("ria", "SCOPE_LOST"), ("sam", "SCOPE_LOST")):
        assert answer(decide(world.phone(who), "visit", visit, "accept")) == ("parked", code), who
    assert visit_of(world, visit)["server"]["accepted"] is False


def test_a_visit_accepted_for_want_of_a_position_stays_so_though_that_was_no_habit_after_all(
    world: World,
) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    visit = done_visit(world, rob, check_in_fix={"none": "denied"})
    declined = decide(mia, "visit", visit, "decline", "No habit, no reason.")
    assert (declined["code"], declined["detail"]) == ("INVALID", {"field": "on_id"})
    assert answer(decide(mia, "visit", visit, "accept")) == APPLIED
    days = [
        rob.check_in(world.ids["Shop"], ago(days=day), check_in_fix={"none": "denied"})
        for day in range(1, 12)
    ]
    rob.push(*days)
    told = visit_of(world, visit)["server"]
    assert (told["trust"], told["valid"], told["accepted"]) == ("review", True, True)
    is_clean(world)


def test_of_two_managers_who_look_at_a_visit_the_first_stands(world: World) -> None:
    _, visit = doubtful(world)
    mia, boss = world.phone("mia"), world.phone("boss")
    assert answer(decide(mia, "visit", visit, "ask", "Where?")) == APPLIED
    assert answer(decide(boss, "visit", visit, "accept")) == APPLIED  # a question is nobody's last word
    second = decide(mia, "visit", visit, "decline", "No.")
    assert answer(second) == ("merged", "STATE_CONFLICT")
    assert visit_of(world, visit)["server"]["accepted"] is True
    assert answer(decide(mia, "conflict", second["conflicts"][0], "take")) == APPLIED
    server = visit_of(world, visit)["server"]
    assert (server["accepted"], server["declined"]["word"]) == (False, "No.")
    is_clean(world)


# --- parked -------------------------------------------------------------------------------------------------------------


def lead_with_visits(world: World, phone: Any, **fields: Any) -> tuple[str, list[str], list[dict[str, Any]]]:
    """A new customer that is parked, and three visits behind it, one with more behind that."""
    made = phone.create("customer", name="Corner shop", lat=PLACE[0], lon=PLACE[1], **fields)
    visits = [phone.check_in(made["entity"], ago(minutes=300 - 60 * n)) for n in range(3)]
    first = visits[0]["entity"]
    receipts = phone.push(made, *visits, phone.check_out(first, ago(minutes=260)))
    assert [receipt["code"] for receipt in receipts[1:]] == ["PARENT_PARKED"] * 4
    return made["entity"], [one["entity"] for one in visits], receipts


def test_a_lead_brings_back_what_a_rep_may_not_make_and_everything_behind_it_follows_in_order(
    world: World,
) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    shop, visits, receipts = lead_with_visits(world, rob, code="C-77")
    assert receipts[0]["code"] == "FORBIDDEN"
    parked = {one["entity"]: (identity, one) for identity, one in seen(mia, "parked").items()}
    assert len(seen(mia, "parked")) == 5
    for number in "123":
        edit(rob, shop, set_("phone", number))
    # Their author alone may not: it stays, and so does what is behind it.
    assert answer(decide(rob, "parked", parked[shop][0], "retry")) == APPLIED
    assert {one["status"] for one in seen(rob, "parked").values()} == {"open"}
    assert [one["stands"] for one in seen(rob, "decision").values()] == [False]
    assert answer(decide(mia, "parked", parked[shop][0], "retry")) == APPLIED
    told = seen(rob, "parked")
    assert {(one["status"], one["verdict"]) for one in told.values()} == {("resolved", "retry")}
    assert {one["decided_by"] for one in told.values()} == {world.ids["mia"]}
    customer = seen(rob, "customer")[shop]
    assert customer["phone"] == "3" and seen(rob, "conflict") == {}
    assert (customer["code"], customer["owner_id"], customer["lifecycle"]) == (
        "C-77",
        world.ids["rob"],
        "lead",
    )
    mine = seen(rob, "visit")
    assert [mine[one]["status"] for one in visits] == ["done", "open", "open"]
    assert mine[visits[0]]["server"]["duration_s"] == 40 * 60
    # What the phone was told of its own pushes stays what it was told.
    assert rob.push() == []
    is_clean(world)


def test_what_came_long_ago_is_settled_by_the_clocks_of_then(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    rob.offset_ms = None
    shop, visits, _ = lead_with_visits(world, rob, code="C-77")
    parked = next(i for i, one in seen(mia, "parked").items() if one["entity"] == shop)
    decide(mia, "parked", parked, "retry")
    server = seen(rob, "visit")[visits[0]]["server"]
    with world.app.app_context(), reading() as connection:
        entry = connection.execute(
            select(Journal.version).where(Journal.org_id == world.org, Journal.entity == visits[0])
        ).first()
    assert entry is not None and not server["back_filled"] and server["doubt_ms"] < 60_000
    received = next(one["received_at"] for one in seen(rob, "parked").values() if one["entity"] == visits[0])
    behind = datetime.fromisoformat(received) - datetime.fromisoformat(server["received_at"])
    assert timedelta(0) <= behind < timedelta(milliseconds=1)


def test_an_invalid_creation_stays_with_what_is_behind_it_until_it_is_discarded(world: World) -> None:
    rob = world.phone("rob")
    shop, _, receipts = lead_with_visits(world, rob, grade="Z")
    assert (receipts[0]["code"], receipts[0]["detail"]) == ("INVALID", {"field": "grade"})
    parent = next(i for i, one in seen(rob, "parked").items() if one["entity"] == shop)
    assert answer(decide(rob, "parked", parent, "retry")) == APPLIED
    assert {one["status"] for one in seen(rob, "parked").values()} == {"open"}
    assert answer(decide(rob, "parked", parent, "discard")) == APPLIED
    told = seen(rob, "parked")
    assert {(one["status"], one["verdict"]) for one in told.values()} == {("resolved", "discard")}
    assert all(one["mutation"]["ops"] for one in told.values()), "what was typed stays readable"
    board = rob_on_board(world, ago().date().isoformat())
    assert board["parked"] == 0
    # A straggler behind what was discarded waits there, and is not lost in a wrong scope.
    (late,) = rob.push(rob.check_in(shop))
    assert late["code"] == "PARENT_PARKED"
    is_clean(world)


def test_what_was_discarded_is_brought_back_with_what_was_discarded_with_it(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    shop, visits, _ = lead_with_visits(world, rob, code="C-77")
    by_entity = {(one["entity"], one["verb"]): identity for identity, one in seen(mia, "parked").items()}
    alone = by_entity[visits[2], "create"]
    assert answer(decide(mia, "parked", alone, "discard")) == APPLIED
    assert answer(decide(mia, "parked", by_entity[shop, "create"], "discard")) == APPLIED
    assert rob_on_board(world, ago().date().isoformat())["parked"] == 0
    assert answer(decide(mia, "parked", by_entity[shop, "create"], "retry")) == APPLIED
    mine = seen(rob, "visit")
    assert set(mine) == set(visits[:2]), "what was discarded for itself stays discarded"
    assert answer(decide(mia, "parked", alone, "retry")) == APPLIED
    assert set(seen(rob, "visit")) == set(visits)
    receipt = decide(mia, "parked", alone, "discard")
    assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": "verdict"})
    is_clean(world)


def test_behind_a_creation_that_was_sent_again_put_right_nothing_waits_any_longer(world: World) -> None:
    rob = world.phone("rob")
    shop, visits, _ = lead_with_visits(world, rob, grade="Z")
    parent = next(i for i, one in seen(rob, "parked").items() if one["entity"] == shop)
    assert rob.push(rob.create("customer", shop, name="Corner shop", grade="A"))[0]["status"] == "applied"
    assert answer(decide(rob, "parked", parent, "discard")) == APPLIED
    assert set(seen(rob, "visit")) == set(visits)
    assert {one["status"] for one in seen(rob, "parked").values()} == {"resolved"}
    is_clean(world)


def test_parked_work_is_decided_by_its_author_and_who_leads_them(world: World) -> None:
    rob = world.phone("rob")
    lead_with_visits(world, rob, code="C-77")
    parked = list(seen(rob, "parked"))
    for who in ("ria", "sam"):
        for identity in parked:
            assert answer(decide(world.phone(who), "parked", identity, "retry")) == ("parked", "SCOPE_LOST")
    for who, identity in zip(("rob", "mia", "boss", "admin"), parked, strict=False):
        assert answer(decide(world.phone(who), "parked", identity, "discard")) == APPLIED, who


def test_a_lost_scope_that_was_regained_lets_its_author_try_again(world: World) -> None:
    shop = world.customer("Theirs", owner="sam", team="south")
    rob = world.phone("rob")
    began = rob.check_in(shop)
    assert rob.push(began)[0]["code"] == "SCOPE_LOST"
    parked, _ = only(rob, "parked")
    assert only(rob, "parked")[1]["suggestion"] is None
    decide(rob, "parked", parked, "retry")
    assert only(rob, "parked")[1]["status"] == "open"
    # One who leads both teams carries it, without the rep ever learning of the customer.
    assert answer(decide(world.phone("mia"), "parked", parked, "retry")) == APPLIED
    assert only(rob, "parked")[1]["code"] == "SCOPE_LOST"
    assert answer(decide(world.phone("boss"), "parked", parked, "retry")) == APPLIED
    assert began["entity"] in seen(rob, "visit") and shop not in seen(rob, "customer")
    is_clean(world)


# --- suggestions --------------------------------------------------------------------------------------------------------


def test_an_edit_of_a_managers_field_is_suggested_to_the_owner_and_the_lead(world: World) -> None:
    ria = world.phone("ria")
    receipt = edit(ria, world.ids["Shop"], set_("grade", "A"), set_("phone", "1"))
    assert answer(receipt) == ("parked", "FORBIDDEN")
    identity, told = only(ria, "suggestion")
    assert (told["kind"], told["entity"], told["purpose"]) == ("customer", world.ids["Shop"], "edit")
    assert [(op["field"], op["new"]) for op in told["ops"]] == [("grade", "A"), ("phone", "1")]
    assert told["author_id"] == world.ids["ria"] and told["status"] == "open"
    parked, row = only(ria, "parked")
    assert (row["suggestion"], told["parked"]) == (identity, parked)
    for who, expected in (("rob", 1), ("mia", 1), ("boss", 1), ("sam", 0)):
        assert len(seen(world.phone(who), "suggestion")) == expected, who


def test_an_approved_suggestion_is_applied_and_a_declined_one_leaves_everything(world: World) -> None:
    ria, mia = world.phone("ria"), world.phone("mia")
    edit(ria, world.ids["Shop"], set_("grade", "A"), {"field": "tags", "op": "add", "values": ["vip"]})
    identity, _ = only(ria, "suggestion")
    before = shop_of(world)
    assert answer(decide(mia, "suggestion", identity, "decline", "Not yet.")) == APPLIED
    assert shop_of(world) == before
    assert only(ria, "parked")[1]["verdict"] == "discard"
    assert answer(decide(mia, "suggestion", identity, "approve")) == APPLIED
    assert (shop_of(world)["grade"], shop_of(world)["tags"]) == ("A", ["vip"])
    told = only(ria, "suggestion")[1]
    assert (told["status"], told["verdict"], told["decided_by"]) == ("resolved", "approve", world.ids["mia"])
    assert told["changed"] == {"grade": [None, "A"], "tags": [[], ["vip"]]}
    assert only(ria, "parked")[1]["status"] == "resolved"
    assert answer(decide(mia, "suggestion", identity, "decline")) == APPLIED
    assert (shop_of(world)["grade"], shop_of(world)["tags"]) == (None, [])
    is_clean(world)


def test_an_owner_who_is_a_rep_approves_no_more_than_they_may_do(world: World) -> None:
    ria, rob = world.phone("ria"), world.phone("rob")
    edit(ria, world.ids["Shop"], set_("grade", "A"))
    identity, _ = only(ria, "suggestion")
    assert answer(decide(rob, "suggestion", identity, "approve")) == ("parked", "FORBIDDEN")
    assert shop_of(world)["grade"] is None
    assert answer(decide(ria, "suggestion", identity, "approve")) == ("parked", "FORBIDDEN")
    assert answer(decide(world.phone("sam"), "suggestion", identity, "approve")) == ("parked", "SCOPE_LOST")
    assert answer(decide(rob, "suggestion", identity, "decline")) == APPLIED


def test_an_edit_after_losing_a_customer_goes_to_the_new_owner(world: World) -> None:
    rob, sam = world.phone("rob"), world.phone("sam")
    world.change("customer", "Shop", owner_id=world.ids["sam"], team_id=world.ids["south"])
    receipt = edit(rob, world.ids["Shop"], set_("phone", "020 1"))
    assert (receipt["status"], receipt["code"]) == ("parked", "SCOPE_LOST")
    identity, told = only(sam, "suggestion")
    assert told["author_id"] == world.ids["rob"]
    assert identity in seen(rob, "suggestion") and seen(world.phone("mia"), "suggestion") == {}
    assert answer(decide(sam, "suggestion", identity, "approve")) == APPLIED
    assert shop_of(world)["phone"] == "020 1"
    assert seen(rob, "suggestion")[identity]["verdict"] == "approve"
    assert world.ids["Shop"] not in seen(rob, "customer")
    is_clean(world)


def test_a_plan_for_a_customer_that_went_away_is_suggested_to_its_new_owner(world: World) -> None:
    rob, sam = world.phone("rob"), world.phone("sam")
    world.change("customer", "Shop", owner_id=world.ids["sam"], team_id=world.ids["south"])
    plan = rob.create("visit", customer_id=world.ids["Shop"], status="planned", planned_date="2031-01-31")
    after = rob.mutation("visit", plan["entity"], "update", [set_("planned_time", "09:15")])
    assert [receipt["code"] for receipt in rob.push(plan, after)] == ["SCOPE_LOST", "PARENT_PARKED"]
    identity, _ = only(sam, "suggestion")
    assert answer(decide(sam, "suggestion", identity, "approve")) == APPLIED
    mine = seen(rob, "visit")[plan["entity"]]
    assert (mine["rep_id"], mine["planned_time"]) == (world.ids["rob"], "09:15")
    receipt = decide(sam, "suggestion", identity, "decline")
    assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": "verdict"})
    is_clean(world)


def test_nobody_learns_of_a_customer_they_never_held(world: World) -> None:
    theirs = world.customer("Theirs", owner="sam", team="south")
    rob = world.phone("rob")
    real, none = edit(rob, theirs, set_("grade", "A")), edit(rob, str(uuid4()), set_("grade", "A"))
    alike = ("status", "code", "conflicts", "detail")
    assert {name: real[name] for name in alike} == {name: none[name] for name in alike}
    assert seen(rob, "suggestion") == {} and seen(world.phone("sam"), "suggestion") == {}
    assert {one["suggestion"] for one in seen(rob, "parked").values()} == {None}


def test_a_suggestion_follows_the_customer_to_whoever_decides_about_it_now(world: World) -> None:
    ria, rob, sam = (world.phone(who) for who in ("ria", "rob", "sam"))
    edit(ria, world.ids["Shop"], set_("grade", "A"))
    identity, _ = only(rob, "suggestion")
    world.change("customer", "Shop", owner_id=world.ids["sam"], team_id=world.ids["south"])
    assert seen(rob, "suggestion") == {} and identity in seen(sam, "suggestion")
    assert identity in seen(ria, "suggestion"), "its author still sees what became of it"
    assert seen(world.phone("mia"), "suggestion") == {}
    assert answer(decide(world.phone("mia"), "suggestion", identity, "approve")) == ("parked", "SCOPE_LOST")
    assert answer(decide(world.phone("boss"), "suggestion", identity, "approve")) == APPLIED
    assert shop_of(world)["grade"] == "A"
    is_clean(world)


def test_what_was_suggested_and_decided_follows_the_customer(world: World) -> None:
    ria, rob, boss, sam = (world.phone(who) for who in ("ria", "rob", "boss", "sam"))
    edit(ria, world.ids["Shop"], set_("grade", "A"))
    identity, _ = only(rob, "suggestion")
    # Given away and decided in one request: who has the customer now is told, who had it is not any more.
    owner = [
        set_("owner_id", world.ids["sam"], world.ids["rob"]),
        set_("team_id", world.ids["south"], world.ids["north"]),
    ]
    given = boss.mutation("customer", world.ids["Shop"], "update", owner)
    said = boss.create("decision", on_kind="suggestion", on_id=identity, verdict="approve")
    assert {receipt["status"] for receipt in boss.push(given, said)} == {"applied"}
    for phone, there in ((rob, set()), (sam, {identity}), (ria, {identity})):
        assert set(seen(phone, "suggestion")) == there
        assert set(seen(phone, "decision")) == ({said["entity"]} if there else set())
    # Given back when all is said: both go along.
    world.change("customer", "Shop", owner_id=world.ids["rob"], team_id=world.ids["north"])
    for phone, there in (
        (rob, {identity}),
        (sam, set()),
        (ria, {identity}),
        (world.phone("mia"), {identity}),
    ):
        assert set(seen(phone, "suggestion")) == there
        assert set(seen(phone, "decision")) == ({said["entity"]} if there else set())
    is_clean(world)


def test_what_was_changed_since_is_not_lost_by_an_approval(world: World) -> None:
    ria, mia = world.phone("ria"), world.phone("mia")
    edit(ria, world.ids["Shop"], set_("grade", "A"))
    identity, _ = only(ria, "suggestion")
    edit(mia, world.ids["Shop"], set_("grade", "C"))
    assert answer(decide(mia, "suggestion", identity, "approve")) == APPLIED
    assert shop_of(world)["grade"] == "A"
    _, conflict = only(mia, "conflict")
    assert (conflict["lost"], conflict["lost_author_id"]) == ("C", world.ids["mia"])
    assert (conflict["kept"], conflict["kept_author_id"]) == ("A", world.ids["ria"])
    is_clean(world)


def test_what_who_left_still_sends_is_suggested(world: World) -> None:
    rob = world.phone("rob")
    world.change("person", "rob", active=False)
    assert edit(rob, world.ids["Shop"], set_("phone", "1"))["code"] == "SCOPE_LOST"
    mia = world.phone("mia")
    identity, _ = only(mia, "suggestion")
    assert answer(decide(mia, "suggestion", identity, "approve")) == APPLIED
    assert shop_of(world)["phone"] == "1"
    is_clean(world)


# --- all together -------------------------------------------------------------------------------------------------------


def is_awaited(held: dict[str, Any]) -> bool:
    """Whether there is something to decide, or to decide again."""
    return "server" not in held or held["server"]["trust"] == "review"


@pytest.mark.parametrize("seed", [2])
def test_whatever_is_written_and_decided_the_journal_tells_the_same(world: World, seed: int) -> None:
    rng = random.Random(seed)
    world.customer("Other", code="C-0")
    phones = [world.phone(who) for who in ("rob", "ria", "mia", "boss", "sam", "admin")]
    visits: list[tuple[Any, str]] = []
    for step in range(40):
        phone = rng.choice(phones)
        shop = world.ids[rng.choice(["Shop", "Other"])]
        choice = rng.randrange(10)
        if choice == 0:
            owner, team = rng.choice([("rob", "north"), ("ria", "north"), ("sam", "south")])
            world.change("customer", "Shop", owner_id=world.ids[owner], team_id=world.ids[team])
        elif choice == 1:
            edit(phone, shop, set_(rng.choice(["grade", "phone", "code", "address"]), rng.choice("ABC")))
        elif choice == 2:
            words = set_("note", f"{phone.who} {step}", None, "text")
            edit(phone, shop, words, {"field": "tags", "op": "add", "values": [phone.who]})
        elif choice == 3:
            began = phone.check_in(
                shop,
                ago(minutes=300 - step),
                check_in_fix=fix(ago(minutes=300 - step), *rng.choice([PLACE, FAR])),
            )
            phone.push(began, phone.check_out(began["entity"], ago(minutes=rng.randrange(200))))
            visits.append((phone, began["entity"]))
        elif choice == 4 and visits:
            owner, visit = rng.choice(visits)
            owner.push(owner.mutation("visit", visit, "update", [set_("check_out", owner.moment(ago()))]))
            amend(owner, visit, minutes=f"Amended {step}", check_in=owner.moment(ago(minutes=400)))
        elif choice == 5:
            lead = phone.create(
                "customer", name=f"Lead {step}", **rng.choice([{}, {"grade": "Z"}, {"code": "X"}])
            )
            phone.push(lead, phone.check_in(lead["entity"]), phone.mutation("customer", shop, "archive", []))
        else:
            phone = rng.choice([phone, *phones[2:]])
            phone.pull()
            waiting = {
                kind: [one for one, held in phone.held(kind).items() if is_awaited(held)]
                for kind in ("conflict", "parked", "suggestion", "amendment", "visit")
            }
            kinds = [kind for kind, found in waiting.items() if found]
            if kinds:
                kind = rng.choice(kinds)
                identity = rng.choice(waiting[kind])
                verdicts = {
                    "conflict": ("take", "keep"),
                    "parked": ("retry", "discard"),
                    "visit": ("accept", "ask", "decline"),
                }.get(kind, ("approve", "decline"))
                decide(phone, kind, identity, rng.choice(verdicts), rng.choice([None, "So be it."]))
    is_clean(world)
    for phone in phones:
        fresh = world.phone(phone.who)
        phone.pull(), fresh.pull()
        assert phone.replica == fresh.replica, phone.who


# --- after an upgrade ---------------------------------------------------------------------------------------------------


@contextmanager
def older_release(kind: str) -> Iterator[None]:
    """A server that does not know this kind yet."""
    known = dict(WRITABLE)
    del WRITABLE[kind]
    try:
        yield
    finally:
        WRITABLE.clear()
        WRITABLE.update(known)


def test_what_an_older_release_did_not_understand_is_settled_by_the_next_one(world: World) -> None:
    rob, shop = world.phone("rob"), world.ids["Shop"]
    promise = rob.create("follow_up", customer_id=shop, subject="Send the price list")
    note = {"field": "note", "op": "text", "old": None, "new": "The one with discounts."}
    after = rob.mutation("follow_up", promise["entity"], "update", [note])
    hidden = world.customer("Theirs", owner="sam", team="south")
    theirs = rob.create("follow_up", customer_id=hidden, subject="Not mine to promise")
    newer = rob.create("gadget", colour="red")
    with older_release("follow_up"):
        receipts = rob.push(promise, after, theirs, newer)
        assert {receipt["code"] for receipt in receipts} == {"UNKNOWN_OP"}
        first = next(i for i, one in seen(rob, "parked").items() if one["entity"] == promise["entity"])
        # Its author cannot hurry it, and trying does not close it.
        assert answer(decide(rob, "parked", first, "retry")) == ("parked", "UNKNOWN_OP")
        with world.app.app_context():
            assert replan(ago()).get(slug_of(world), 0) == 0
    config = world.app.extensions["rounds"]
    rounds = Commands(config.database_url, config.state_dir)
    assert f"{slug_of(world)}: settled 2." in rounds("replan").output
    assert rounds.json("replan") == {}
    mine = seen(rob, "follow_up")[promise["entity"]]
    assert (mine["subject"], mine["note"]) == ("Send the price list", "The one with discounts.")
    left = {one["entity"]: one["code"] for one in seen(rob, "parked").values() if one["status"] == "open"}
    assert left.pop(theirs["entity"]) == "SCOPE_LOST", "nobody's decision lends no rights"
    assert set(left.values()) == {"UNKNOWN_OP"} and newer["entity"] in left
    is_clean(world)


def slug_of(world: World) -> str:
    with world.app.app_context(), reading() as connection:
        return str(
            connection.execute(select(Organisation.slug).where(Organisation.id == world.org)).scalar_one()
        )
