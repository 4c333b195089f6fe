"""The push side of POST /api/sync, spoken from outside: each row of PROTOCOL's table is a claim here."""

import gzip
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.world import World, ago, fix


def visits_of(world: World, who: str = "rob") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = world.get(who, "/api/visits").json["items"]
    return items


def test_a_visit_logged_on_a_phone_is_on_the_managers_board_once(world: World) -> None:
    shop = world.customer("Shop")
    rob = world.phone("rob")
    began = rob.check_in(shop, ago(minutes=50))
    ended = rob.check_out(began["entity"], ago(minutes=10))
    receipts = rob.push(began, ended)
    assert [receipt["status"] for receipt in receipts] == ["applied", "applied"]
    day = visits_of(world)[0]["server"]["day"]
    board = world.get("mia", f"/api/board?date={day}").json
    (line,) = [rep for rep in board["reps"] if rep["person"]["id"] == world.ids["rob"]]
    assert (line["visits"], line["valid_visits"], line["valid_minutes"]) == (1, 1, 40)
    assert line["open_visit"] is None and line["unsent"] == 0 and line["last_contact_at"]
    (visit,) = visits_of(world)
    assert visit["server"]["trust"] == "verified" and visit["server"]["valid"] is True
    assert visit["status"] == "done" and visit["minutes"] == "They want twelve cases by Friday."


def test_a_resent_mutation_is_applied_once_and_answered_with_its_first_receipt(world: World) -> None:
    rob = world.phone("rob")
    began = rob.check_in(world.customer("Shop"))
    first = rob.push(began)
    for _ in range(3):
        assert rob.push(began) == first
    assert len(visits_of(world)) == 1
    assert len(world.get("rob", f"/api/visits/{began['entity']}/history").json["items"]) == 1


def test_a_gap_is_refused_with_what_is_expected_and_the_prefix_is_kept(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    one, two, three = (rob.check_in(shop) for _ in range(3))
    response = rob.send(one, three)
    assert response.status_code == 409
    assert (
        response.json["code"] == "SEQ_GAP"
        and response.json["expected"] == 2
        and response.json["last_seq"] == 1
    )
    assert [receipt["seq"] for receipt in response.json["receipts"]] == [1]
    assert rob.send(three).json["expected"] == 2
    assert [receipt["status"] for receipt in rob.push(two, three)] == ["applied", "applied"]
    assert len(visits_of(world)) == 3


def test_disorder_inside_a_batch_is_a_gap(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    one, two = rob.check_in(shop), rob.check_in(shop)
    response = rob.send(two, one)
    assert (response.status_code, response.json["code"], response.json["expected"]) == (409, "SEQ_GAP", 1)
    assert visits_of(world) == []


def test_a_cloned_profile_is_forked_and_its_renumbered_work_is_not_applied_twice(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    shared = rob.check_in(shop)
    rob.push(shared)
    clone = world.phone("rob", client=rob.client)
    clone.seq = 1
    mine, theirs = rob.check_in(shop), clone.check_in(shop)
    rob.push(mine)
    response = clone.send(theirs)
    assert response.status_code == 409
    assert response.json["code"] == "CLIENT_FORKED" and response.json["from"] == 2
    clone.predecessor, clone.client = clone.client, str(uuid4())
    again = [shared | {"seq": 1}, theirs | {"seq": 2}]
    receipts = clone.push(*again)
    assert [receipt["status"] for receipt in receipts] == ["applied", "applied"]
    assert {visit["id"] for visit in visits_of(world)} == {m["entity"] for m in (shared, mine, theirs)}
    assert len(world.get("rob", f"/api/visits/{shared['entity']}").json["server"]) > 0


def test_somebody_elses_client_id_is_answered_as_forked(world: World) -> None:
    rob = world.phone("rob")
    rob.push(rob.check_in(world.customer("Shop")))
    ria = world.phone("ria", client=rob.client)
    response = ria.send(ria.check_in(world.ids["Shop"]))
    assert (response.status_code, response.json["code"]) == (409, "CLIENT_FORKED")
    assert response.json["receipts"] == [] and response.json["last_seq"] == 0


def test_a_known_id_with_other_content_is_parked(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    one = rob.check_in(shop)
    other = rob.check_in(shop) | {"id": one["id"]}
    receipts = rob.push(one, other)
    assert [receipt["status"] for receipt in receipts] == ["applied", "parked"]
    assert receipts[1]["code"] == "INVALID" and receipts[1]["detail"] == {"field": "id"}


def test_a_bad_record_never_blocks_a_good_one(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    bad = [
        rob.check_in(shop, mode="teleport"),
        rob.check_in(shop, minutes="x" * 20_001),
        rob.check_in(shop, check_in="yesterday"),
        rob.check_in(
            shop, check_in_fix={"lat": 95, "lon": 0, "accuracy_m": 1, "taken_at": "2026-11-21T10:00:00Z"}
        ),
        rob.check_in(shop, status="cancelled"),
        rob.mutation("visit", str(uuid4()), "create", [{"field": "status", "op": "set", "new": "open"}]),
        rob.mutation("visit", str(uuid4()), "create", "no ops at all"),  # type: ignore[arg-type]
        rob.mutation("visit", "not a uuid", "create", []),
        rob.mutation("spaceship", str(uuid4()), "create", []),
        rob.mutation("visit", str(uuid4()), "explode", []),
        rob.check_in(shop, at=ago(minutes=1)) | {"schema": 99},
    ]
    good = rob.check_in(shop)
    receipts = rob.push(*bad, good)
    assert [receipt["status"] for receipt in receipts] == ["parked"] * len(bad) + ["applied"]
    codes = [(receipt["code"], (receipt["detail"] or {}).get("field")) for receipt in receipts[:-1]]
    assert codes[:6] == [
        ("INVALID", "mode"),
        ("INVALID", "minutes"),
        ("INVALID", "check_in"),
        ("INVALID", "check_in_fix"),
        ("INVALID", "status"),
        ("INVALID", "customer_id"),
    ]
    assert [code for code, _ in codes[6:]] == ["INVALID", "INVALID", "UNKNOWN_OP", "UNKNOWN_OP", "UNKNOWN_OP"]
    rob.pull()
    assert len(rob.held("parked")) == len(bad)
    assert len(visits_of(world)) == 1


def test_text_that_no_database_takes_is_parked_alone_with_its_bytes(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    nul, half, good = (
        rob.check_in(shop, minutes="a\0b"),
        rob.check_in(shop, minutes="MARK"),
        rob.check_in(shop),
    )
    body = json.dumps(rob.envelope(nul, half, good)).replace("MARK", "\\ud83d half").encode()
    response = rob.post(body)
    assert response.status_code == 200
    assert [receipt["status"] for receipt in response.json["receipts"]] == ["parked", "parked", "applied"]
    assert [receipt["detail"] for receipt in response.json["receipts"][:2]] == [{"field": "minutes"}] * 2
    rob.pull()
    raw = json.dumps([document["mutation"] for document in rob.held("parked").values()])
    assert "ud83d" in raw and "u0000" in raw
    assert rob.post(body).json["receipts"] == response.json["receipts"]


def test_a_number_that_is_none_is_parked_alone(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    nan, good = rob.check_in(shop, check_in_fix=fix(ago()) | {"lat": float("nan")}), rob.check_in(shop)
    receipts = rob.push(nan, good)
    assert [receipt["status"] for receipt in receipts] == ["parked", "applied"]


def test_an_unknown_field_is_kept_and_sent_back_untouched(world: World) -> None:
    rob = world.phone("rob")
    began = rob.check_in(world.customer("Shop"), mood={"stars": 4})
    assert rob.push(began)[0]["status"] == "applied"
    rob.pull()
    assert rob.held("visit")[began["entity"]]["mood"] == {"stars": 4}


def test_what_is_not_visible_and_what_does_not_exist_answer_alike(world: World) -> None:
    theirs = world.customer("Theirs", owner="sam", team="south")
    other = World(world.app, "other")
    foreign = other.customer("Foreign")
    rob = world.phone("rob")
    receipts = rob.push(*(rob.check_in(customer) for customer in (theirs, foreign, str(uuid4()))))
    assert {(r["status"], r["code"], r["detail"]["field"]) for r in receipts} == {
        ("parked", "SCOPE_LOST", "customer_id")
    }
    edits = [
        rob.mutation(
            "customer", customer, "update", [{"field": "phone", "op": "set", "old": None, "new": "1"}]
        )
        for customer in (theirs, foreign, str(uuid4()))
    ]
    assert {(r["status"], r["code"], r["detail"]) for r in rob.push(*edits)} == {
        ("parked", "SCOPE_LOST", None)
    }


def test_a_visit_to_a_customer_just_reassigned_still_lands(world: World) -> None:
    shop = world.customer("Shop")
    rob = world.phone("rob")
    began = rob.check_in(shop)
    world.change("customer", "Shop", owner_id=world.ids["sam"], team_id=world.ids["south"])
    assert rob.push(began)[0]["status"] == "applied"
    rob.pull()
    assert shop not in rob.held("customer")
    assert began["entity"] in rob.held("visit")
    ended = rob.check_out(began["entity"])
    assert rob.push(ended)[0]["status"] == "applied"


def test_a_deactivated_account_still_uploads_what_its_phone_holds(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    began = rob.check_in(shop, ago(minutes=50))
    rob.pull()
    world.change("person", "rob", active=False)
    response = rob.send(began, rob.check_out(began["entity"]), pull={"token": rob.token, "limit": 100})
    assert [receipt["status"] for receipt in response.json["receipts"]] == ["applied", "applied"]
    assert response.json["pull"] is None and response.json["upload_only"] == "deactivated"
    assert world.get("rob", "/api/me").status_code == 401
    visit = world.get("mia", f"/api/visits/{began['entity']}").json
    assert visit["server"]["trust"] == "review" and "AFTER_DEACTIVATION" in visit["server"]["trust_reasons"]
    refused = rob.push(rob.create("customer", name="New lead"))
    assert refused[0]["status"] == "parked"


def test_what_stands_on_a_parked_creation_is_parked_behind_it(world: World) -> None:
    rob = world.phone("rob")
    lead = rob.create("customer", name="")
    visit = rob.check_in(lead["entity"])
    edit = rob.mutation("customer", lead["entity"], "update", [{"field": "phone", "op": "set", "new": "1"}])
    receipts = rob.push(lead, visit, edit)
    assert [(r["status"], r["code"]) for r in receipts] == [
        ("parked", "INVALID"),
        ("parked", "PARENT_PARKED"),
        ("parked", "PARENT_PARKED"),
    ]
    later = rob.check_out(visit["entity"])
    assert rob.push(later)[0]["code"] == "PARENT_PARKED"


def test_two_people_changing_one_field_leave_one_value_and_a_conflict(world: World) -> None:
    shop = world.customer("Shop", address="1 Old Road")
    rob, ria = world.phone("rob"), world.phone("ria")
    rob.pull()
    base = rob.replica["customer", shop]["version"]

    def edit(phone: Any, new: str) -> dict[str, Any]:
        op = {"field": "address", "op": "set", "old": "1 Old Road", "new": new}
        return phone.push(phone.mutation("customer", shop, "update", [op], base=base))[0]

    assert edit(ria, "2 Ria Road")["status"] == "applied"
    receipt = edit(rob, "3 Rob Road")
    assert (receipt["status"], receipt["code"]) == ("merged", "FIELD_CONFLICT")
    rob.pull()
    conflict = rob.held("conflict")[receipt["conflicts"][0]]
    assert (conflict["field"], conflict["kept"], conflict["lost"]) == ("address", "3 Rob Road", "2 Ria Road")
    assert rob.held("customer")[shop]["address"] == "3 Rob Road"
    mia = world.phone("mia")
    mia.pull()
    assert receipt["conflicts"][0] in mia.held("conflict")


def test_changes_of_different_fields_settle_without_a_word(world: World) -> None:
    shop = world.customer("Shop")
    rob, ria = world.phone("rob"), world.phone("ria")
    one = rob.mutation("customer", shop, "update", [{"field": "phone", "op": "set", "old": None, "new": "1"}])
    two = ria.mutation(
        "customer", shop, "update", [{"field": "contact", "op": "set", "old": None, "new": "Noor"}]
    )
    assert rob.push(one)[0]["status"] == "applied" and ria.push(two)[0]["status"] == "applied"


def test_a_taken_code_keeps_the_customer_and_leaves_the_code_empty(world: World) -> None:
    world.customer("First", code="C-1")
    identity = str(uuid4())
    mia = world.phone("mia")
    (receipt,) = mia.push(
        mia.create("customer", identity, name="Second", code="C-1", team_id=world.ids["north"])
    )
    assert (receipt["status"], receipt["code"]) == ("merged", "UNIQUE_TAKEN")
    mia.pull()
    assert mia.held("customer")[identity]["code"] is None
    assert mia.held("conflict")[receipt["conflicts"][0]]["lost"] == "C-1"


def test_evidence_is_written_once_and_a_missing_fix_may_come_while_the_visit_is_open(world: World) -> None:
    rob = world.phone("rob")
    began = rob.check_in(world.customer("Shop"), check_in_fix=None)
    later = rob.mutation(
        "visit",
        began["entity"],
        "update",
        [{"field": "check_in_fix", "op": "set", "old": None, "new": fix(ago())}],
    )
    moved = rob.mutation(
        "visit",
        began["entity"],
        "update",
        [{"field": "check_in_fix", "op": "set", "old": None, "new": fix(ago(), lat=40.0)}],
    )
    receipts = rob.push(began, later, moved)
    assert [(r["status"], r["code"]) for r in receipts] == [
        ("applied", None),
        ("applied", None),
        ("merged", "FIELD_CONFLICT"),
    ]
    (visit,) = visits_of(world)
    assert visit["check_in_fix"]["lat"] == 51.5 and visit["server"]["trust"] == "verified"


def test_an_exchange_may_come_gzipped(world: World) -> None:
    rob = world.phone("rob")
    body = gzip.compress(json.dumps(rob.envelope(rob.check_in(world.customer("Shop")))).encode())
    response = rob.post(body, Content_Encoding="gzip")
    assert response.json["receipts"][0]["status"] == "applied"
    assert rob.post(b"no gzip", Content_Encoding="gzip").json["code"] == "BAD_ENCODING"
    bomb = gzip.compress(b" " * (6 * 1024 * 1024))
    assert rob.post(bomb, Content_Encoding="gzip").status_code == 413


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "BAD_JSON"),
        (b"{", 400, "BAD_JSON"),
        (b"[]", 422, "INVALID"),
        (b'{"protocol": 1}', 422, "INVALID"),
        (b"[" * 100_000, 400, "BAD_JSON"),
    ],
)
def test_an_envelope_that_cannot_be_read_is_refused_with_a_code(
    world: World, body: bytes, status: int, code: str
) -> None:
    response = world.phone("rob").post(body)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert response.json["request_id"]


def test_too_many_or_too_large_mutations_are_refused_whole_and_nothing_is_taken(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    many = [rob.check_in(shop) for _ in range(201)]
    assert rob.send(*many).status_code == 413
    rob.seq = 0
    large = rob.check_in(shop, mood="x" * (256 * 1024))
    assert rob.send(large).status_code == 413
    assert visits_of(world) == []
    void = {"ops": [], "verb": "void", "id": str(uuid4())}
    assert rob.push(large | void)[0]["status"] == "noop"


def test_an_app_too_old_to_pull_still_pushes(world: World) -> None:
    rob = world.phone("rob")
    old = rob.send(rob.check_in(world.customer("Shop")), protocol=0, pull={"token": None})
    assert old.status_code == 200 and old.json["pull"] is None
    assert rob.send(protocol=0, pull={"token": None}).status_code == 426


def test_nobody_signed_in_changes_nothing(world: World) -> None:
    rob = world.phone("rob")
    body = json.dumps(rob.envelope(rob.check_in(world.customer("Shop")))).encode()
    world.tokens["rob"] = "0" * 32 + ".guess"
    response = rob.post(body)
    assert (response.status_code, response.json["code"]) == (401, "SIGN_IN_REQUIRED")
