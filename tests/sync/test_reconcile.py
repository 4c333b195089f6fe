"""What wins: an example for each row of the table, and for each way a mutation can end."""

from dataclasses import replace

import pytest

from sync.mutation import Author, Op
from sync.policy import Field, Policy, choice, moment
from sync.reconcile import EXTRA_LIMIT, RESERVED, Conflict, apply_outcome, reconcile
from tests.sync.examples import (
    COLLEAGUE,
    CUSTOMER,
    FIX,
    LATER,
    MANAGER,
    MOMENT,
    NO_FIX,
    OTHER_FIX,
    OTHER_ID,
    POLICIES,
    REP,
    VISIT,
    Thing,
    add,
    go,
    mutation,
    put,
    remove,
    write,
)

# --- value -------------------------------------------------------------------------------------------------------


def test_a_value_that_is_as_the_author_saw_it_is_taken():
    shop = Thing("customer", address="Old Street")
    assert shop.take(COLLEAGUE, put("address", "Old Street", "New Street")).status == "applied"
    assert shop["address"] == "New Street"


def test_a_value_that_is_there_already_is_a_noop():
    shop = Thing("customer", address="New Street")
    assert shop.take(COLLEAGUE, put("address", "Old Street", "New Street")).status == "noop"


def test_of_two_concurrent_values_the_incoming_one_wins_and_the_other_stays_in_a_conflict():
    shop = Thing("customer", address="a")
    shop.take(COLLEAGUE, put("address", "a", "theirs"), base=10)
    outcome = shop.take(REP, put("address", "a", "mine"), base=10)
    assert (outcome.status, outcome.code) == ("merged", "FIELD_CONFLICT")
    assert outcome.conflicts == [Conflict("address", "mine", "theirs", "incoming", "FIELD_CONFLICT")]
    assert shop["address"] == "mine"


def test_a_change_the_author_had_seen_is_not_concurrent_even_if_old_is_stale():
    shop = Thing("customer", address="a")
    shop.take(COLLEAGUE, put("address", "a", "theirs"))
    assert shop.take(REP, put("address", "a", "mine"), base=11).status == "applied"


def test_a_change_of_the_same_chain_is_not_concurrent():
    shop = Thing("customer", address="a")
    shop.take(REP, put("address", "a", "first"), base=10)
    other_client = Author("rep", "rep", REP.chain)
    assert shop.take(other_client, put("address", "a", "second"), base=10).status == "applied"


def test_the_same_person_on_another_phone_is_another_client():
    shop = Thing("customer", address="a")
    shop.take(REP, put("address", "a", "first"), base=10)
    assert shop.take(replace(REP, chain="tablet"), put("address", "a", "second"), base=10).status == "merged"


def test_changes_of_different_fields_do_not_meet():
    shop = Thing("customer", address="a", contact="b")
    shop.take(COLLEAGUE, put("address", "a", "theirs"), base=10)
    assert shop.take(REP, put("contact", "b", "mine"), base=10).status == "applied"
    assert (shop["address"], shop["contact"]) == ("theirs", "mine")


def test_a_managers_grade_stands_against_a_reps():
    shop = Thing("customer", grade="C")
    shop.take(MANAGER, put("grade", "C", "A"), base=10)
    outcome = shop.take(REP, put("grade", "C", "B"), base=10)
    assert outcome.conflicts == [Conflict("grade", "A", "B", "current", "FIELD_CONFLICT")]
    assert outcome.status == "merged" and outcome.changes == {}
    assert shop["grade"] == "A"


def test_a_managers_grade_wins_against_a_reps():
    shop = Thing("customer", grade="C")
    shop.take(REP, put("grade", "C", "B"), base=10)
    outcome = shop.take(MANAGER, put("grade", "C", "A"), base=10)
    assert outcome.conflicts == [Conflict("grade", "A", "B", "incoming", "FIELD_CONFLICT")]


def test_a_reps_contact_stands_against_a_managers():
    shop = Thing("customer", contact="Anna")
    shop.take(REP, put("contact", "Anna", "Ben"), base=10)
    outcome = shop.take(MANAGER, put("contact", "Anna", "Carl"), base=10)
    assert outcome.conflicts == [Conflict("contact", "Ben", "Carl", "current", "FIELD_CONFLICT")]
    assert shop["contact"] == "Ben"


def test_a_reps_contact_wins_against_an_administrators():
    shop = Thing("customer", contact="Anna")
    shop.take(replace(MANAGER, role="administrator"), put("contact", "Anna", "Carl"), base=10)
    assert shop.take(REP, put("contact", "Anna", "Ben"), base=10).conflicts[0].kept_by == "incoming"


def test_between_equals_authority_says_nothing():
    shop = Thing("customer", grade="C")
    shop.take(MANAGER, put("grade", "C", "A"), base=10)
    other = replace(MANAGER, person="director", chain="phone-of-director")
    assert shop.take(other, put("grade", "C", "B"), base=10).changes == {"grade": "B"}


# --- text --------------------------------------------------------------------------------------------------------


def test_two_concurrent_texts_both_stay():
    shop = Thing("customer", note="Opens at 9.")
    shop.take(COLLEAGUE, write("note", "Opens at 9.", "Opens at 10."), base=10)
    outcome = shop.take(REP, write("note", "Opens at 9.", "Closed on Mondays."), base=10)
    assert (outcome.status, outcome.code) == ("merged", "TEXT_KEPT_BOTH")
    assert shop["note"] == "Opens at 10.\n\nClosed on Mondays."
    assert outcome.conflicts == [Conflict("note", shop["note"], "Opens at 10.", "incoming", "TEXT_KEPT_BOTH")]


def test_a_text_that_holds_the_other_is_not_a_conflict():
    shop = Thing("customer", note="Opens at 9.")
    shop.take(COLLEAGUE, write("note", "Opens at 9.", "Opens at 9. Ring twice."), base=10)
    assert shop.take(REP, write("note", "", "Opens at 9."), base=10).status == "noop"


def test_a_second_edit_on_an_own_text_that_was_merged_meanwhile_loses_nothing():
    shop = Thing("customer", note="")
    shop.take(COLLEAGUE, write("note", "", "Theirs."), base=10)
    shop.take(REP, write("note", "", "Mine."), base=10)
    shop.take(REP, write("note", "Mine.", "Mine. More."), base=10)
    assert shop["note"] == "Theirs.\n\nMine. More."


def test_a_text_the_author_had_seen_is_replaced():
    shop = Thing("customer", note="Long story.")
    shop.take(COLLEAGUE, write("note", "Long story.", "Longer story."), base=10)
    assert shop.take(REP, write("note", "Longer story.", "Short."), base=11).status == "applied"
    assert shop["note"] == "Short."


def test_no_text_and_empty_text_are_the_same_start():
    shop = Thing("customer")
    assert shop.take(COLLEAGUE, write("note", "", "Ring twice.")).status == "applied"


def test_texts_too_long_to_stand_together_become_a_conflict():
    shop = Thing("customer", note="")
    shop.take(COLLEAGUE, write("note", "", "a" * 150), base=10)
    outcome = shop.take(REP, write("note", "", "b" * 150), base=10)
    assert outcome.conflicts == [Conflict("note", "b" * 150, "a" * 150, "incoming", "FIELD_CONFLICT")]


# --- set ---------------------------------------------------------------------------------------------------------


def test_a_set_settles_element_by_element():
    shop = Thing("customer", tags=["cold", "north"])
    shop.take(COLLEAGUE, add("tags", "vip"), base=10)
    outcome = shop.take(REP, remove("tags", "cold"), add("tags", "late"), base=10)
    assert outcome.status == "applied"
    assert (outcome.added, outcome.removed, outcome.changes) == ({"tags": ["late"]}, {"tags": ["cold"]}, {})
    assert shop["tags"] == ["north", "vip", "late"]


def test_a_remove_does_not_touch_what_somebody_else_added_unseen():
    shop = Thing("customer", tags=[])
    shop.take(COLLEAGUE, add("tags", "vip"), base=10)
    assert shop.take(REP, remove("tags", "vip"), base=10).status == "noop"
    assert shop["tags"] == ["vip"]


def test_a_remove_touches_what_was_there_at_base():
    shop = Thing("customer", tags=[])
    shop.take(COLLEAGUE, add("tags", "vip"), base=10)
    assert shop.take(REP, remove("tags", "vip"), base=11).status == "applied"
    assert shop["tags"] == []


def test_a_remove_touches_what_the_own_chain_added():
    shop = Thing("customer", MANAGER, tags=[])
    shop.take(REP, add("tags", "vip"), base=10)
    assert shop.take(REP, remove("tags", "vip"), base=10).status == "applied"


def test_an_element_removed_and_added_again_counts_as_new():
    shop = Thing("customer", tags=["vip"])
    shop.take(COLLEAGUE, remove("tags", "vip"), base=10)
    shop.take(COLLEAGUE, add("tags", "vip"), base=11)
    assert shop.take(replace(REP, chain="tablet"), remove("tags", "vip"), base=10).status == "noop"


def test_a_set_given_whole_changes_only_what_the_author_changed():
    shop = Thing("customer", tags=["cold", "north"])
    shop.take(COLLEAGUE, add("tags", "vip"), base=10)
    shop.take(REP, put("tags", ["cold", "north"], ["north", "late"]), base=10)
    assert shop["tags"] == ["north", "vip", "late"]


def test_a_set_never_grows_past_its_limit():
    shop = Thing("customer", tags=["1", "2", "3", "4"])
    assert shop.take(COLLEAGUE, add("tags", "5")).status == "applied"
    outcome = shop.take(REP, add("tags", "6"))
    assert (outcome.status, outcome.code, outcome.field) == ("parked", "INVALID", "tags")


# --- evidence ----------------------------------------------------------------------------------------------------


def test_evidence_is_written_once():
    visit = Thing("visit", status="open", check_in=MOMENT)
    assert visit.take(REP, put("check_in", None, MOMENT)).status == "noop"
    outcome = visit.take(REP, put("check_in", None, LATER), put("outcome", None, "order"))
    assert outcome.conflicts == [Conflict("check_in", MOMENT, LATER, "current", "FIELD_CONFLICT")]
    assert visit["check_in"] == MOMENT
    assert visit["outcome"] == "order"


@pytest.mark.parametrize("before", [None, NO_FIX])
def test_no_fix_becomes_a_fix_once_while_the_visit_is_open(before):
    visit = Thing("visit", status="open", check_in=MOMENT, check_in_fix=before)
    assert visit.take(REP, put("check_in_fix", before, FIX)).status == "applied"
    assert visit.take(REP, put("check_in_fix", before, OTHER_FIX)).conflicts == [
        Conflict("check_in_fix", FIX, OTHER_FIX, "current", "FIELD_CONFLICT")
    ]


@pytest.mark.parametrize("before", [None, NO_FIX])
def test_a_check_in_fix_that_comes_after_the_visit_is_done_is_kept_beside(before):
    visit = Thing("visit", status="done", check_in=MOMENT, check_in_fix=before)
    outcome = visit.take(REP, put("check_in_fix", before, FIX))
    assert outcome.conflicts == [Conflict("check_in_fix", before, FIX, "current", "FIELD_CONFLICT")]


def test_why_there_is_no_fix_may_be_told_late():
    visit = Thing("visit", status="done", check_in=MOMENT)
    assert visit.take(REP, put("check_in_fix", None, NO_FIX)).status == "applied"
    assert visit.take(REP, put("check_in_fix", None, {"none": "denied"})).status == "merged"


@pytest.mark.parametrize(
    "ops",
    [
        [put("check_in_fix", None, FIX), go("open", "done")],
        [go("planned", "open"), put("check_in_fix", None, FIX)],
    ],
)
def test_a_fix_may_come_with_the_step_that_closes_or_opens_the_visit(ops):
    visit = Thing("visit", status="planned" if ops[0].op == "go" else "open")
    assert visit.take(REP, *ops).status == "applied"
    assert visit["check_in_fix"] == FIX


def test_a_check_out_fix_may_come_after_done():
    visit = Thing("visit", status="open", check_in=MOMENT)
    visit.take(REP, go("open", "done"), put("check_out", None, LATER), put("check_out_fix", None, NO_FIX))
    assert visit.take(REP, put("check_out_fix", NO_FIX, FIX)).status == "applied"


def test_a_purged_fix_never_comes_back():
    visit = Thing("visit", status="open", check_in_fix={"none": "purged"})
    assert visit.take(REP, put("check_in_fix", None, FIX)).changes == {}


def test_evidence_cannot_be_cleared():
    visit = Thing("visit", status="open", check_in=MOMENT)
    outcome = visit.take(REP, put("check_in", MOMENT, None))
    assert (outcome.status, outcome.code, outcome.field) == ("parked", "INVALID", "check_in")


# --- state -------------------------------------------------------------------------------------------------------


def test_a_legal_step_is_taken():
    visit = Thing("visit", status="open")
    assert visit.take(REP, go("open", "done")).status == "applied"


def test_a_state_that_is_there_already_is_a_noop():
    visit = Thing("visit", status="done")
    assert visit.take(REP, go("open", "done")).status == "noop"


PROMISE = Policy(
    kind="promise",
    fields={
        "status": Field("state", choice("open", "done")),
        "done": Field("evidence", moment(), late=frozenset({"done"}), renewed=frozenset({"open"})),
    },
    initial=frozenset({"open", "done"}),
    steps={"open": frozenset({"done"}), "done": frozenset({"open"})},
    rank={"open": 0, "done": 1},
)


def test_evidence_of_what_is_taken_back_is_blanked_and_written_anew(monkeypatch):
    monkeypatch.setitem(POLICIES, "promise", PROMISE)
    promise = Thing("promise", status="done", done=MOMENT, customer_id=None)
    back = promise.take(REP, go("done", "open"), base=promise.version)
    assert (back.status, promise["done"]) == ("applied", None)
    again = promise.take(REP, go("open", "done"), put("done", None, LATER), base=promise.version)
    assert (again.status, promise["done"]) == ("applied", LATER)


def test_evidence_that_was_not_seen_by_who_takes_its_state_back_can_be_taken_again(monkeypatch):
    monkeypatch.setitem(POLICIES, "promise", PROMISE)
    promise = Thing("promise", status="open", customer_id=None)
    seen = promise.version
    promise.take(COLLEAGUE, go("open", "done"), put("done", None, MOMENT), base=seen)
    back = promise.take(REP, go("done", "open"), base=seen)
    assert (back.status, back.code, promise["done"]) == ("merged", "FIELD_CONFLICT", None)
    assert [(one.field, one.kept, one.lost) for one in back.conflicts] == [("done", None, MOMENT)]


def test_evidence_of_a_visit_that_was_cancelled_meanwhile_wins_and_is_flagged():
    visit = Thing("visit", status="planned")
    visit.take(MANAGER, go("planned", "cancelled"), base=10)
    outcome = visit.take(REP, go("planned", "open"), put("check_in", None, MOMENT), base=10)
    assert (outcome.status, outcome.code) == ("merged", "STATE_CONFLICT")
    assert outcome.conflicts == [Conflict("status", "open", "cancelled", "incoming", "STATE_CONFLICT")]
    assert visit["check_in"] == MOMENT


def test_done_outranks_a_cancellation_made_meanwhile():
    visit = Thing("visit", status="open")
    visit.take(MANAGER, go("open", "cancelled"), base=10)
    outcome = visit.take(REP, go("open", "done"), base=10)
    assert outcome.conflicts == [Conflict("status", "done", "cancelled", "incoming", "STATE_CONFLICT")]
    assert visit["status"] == "done"


def test_a_late_cancellation_does_not_undo_done():
    visit = Thing("visit", status="open")
    visit.take(REP, go("open", "done"), base=10)
    outcome = visit.take(MANAGER, go("open", "cancelled"), base=10)
    assert outcome.conflicts == [Conflict("status", "done", "cancelled", "current", "STATE_CONFLICT")]
    assert visit["status"] == "done"


def test_an_illegal_step_from_the_state_the_author_saw_is_invalid():
    visit = Thing("visit", status="done")
    outcome = visit.take(REP, go("done", "open"))
    assert (outcome.status, outcome.code, outcome.field) == ("parked", "INVALID", "status")


@pytest.mark.parametrize("damaged", [None, 5, ["open"], {"open": 1}])
def test_a_visit_whose_state_is_damaged_can_still_be_closed(damaged):
    visit = Thing("visit", status="open").entity
    visit = replace(visit, values={**visit.values, "status": damaged})
    assert reconcile(visit, mutation(go("open", "done")), REP, VISIT).changes == {"status": "done"}


# --- archive, restore, void --------------------------------------------------------------------------------------


def test_an_edit_of_an_archived_entity_is_applied_and_flagged():
    shop = Thing("customer", address="a")
    assert shop.take(MANAGER, verb="archive").status == "applied"
    outcome = shop.take(REP, put("address", "a", "b"), base=10)
    assert (outcome.status, outcome.code) == ("merged", "EDIT_ARCHIVED")
    assert outcome.conflicts == [Conflict("archived", True, False, "current", "EDIT_ARCHIVED")]
    assert shop["address"] == "b" and shop.entity.archived


def test_archive_and_restore_are_noops_when_it_is_so_already():
    shop = Thing("customer")
    assert shop.take(MANAGER, verb="restore").status == "noop"
    shop.take(MANAGER, verb="archive")
    assert shop.take(MANAGER, verb="archive").status == "noop"
    assert shop.take(MANAGER, verb="restore").status == "applied"
    assert shop.entity.archived is False


def test_what_was_typed_with_an_archive_is_not_dropped():
    shop = Thing("customer")
    assert shop.take(MANAGER, put("address", None, "b"), verb="archive").code == "INVALID"


def test_a_void_changes_nothing_whatever_it_holds():
    assert reconcile(None, mutation(put("nonsense", 1, 2), verb="void"), REP, VISIT).status == "noop"


def test_of_several_codes_a_lost_value_is_named_first():
    shop = Thing("customer", address="a", note="")
    shop.take(COLLEAGUE, put("address", "a", "b"), write("note", "", "Theirs."), base=10)
    shop.take(COLLEAGUE, verb="archive")
    outcome = shop.take(REP, write("note", "", "Mine."), put("address", "a", "c"), base=10)
    assert outcome.code == "FIELD_CONFLICT"
    assert [one.code for one in outcome.conflicts] == ["TEXT_KEPT_BOTH", "FIELD_CONFLICT", "EDIT_ARCHIVED"]


# --- create ------------------------------------------------------------------------------------------------------


def test_a_create_sent_again_is_a_noop_for_its_author_alone():
    ops = [put("name", None, "Shop"), put("tags", None, ["a", "b"]), put("shoe_size", None, 44)]
    again = mutation(*ops, kind="customer", verb="create")
    first = reconcile(None, again, REP, CUSTOMER)
    shop = apply_outcome(None, first, again, REP, 10)
    assert shop.created_by == "rep" and shop.version == 10 and shop.stamps == {"*": [10, REP.chain, "rep"]}
    assert reconcile(shop, again, REP, CUSTOMER).status == "noop"
    assert reconcile(shop, again, COLLEAGUE, CUSTOMER).code == "INVALID"
    other = mutation(put("name", None, "Other"), kind="customer", verb="create")
    outcome = reconcile(shop, other, REP, CUSTOMER)
    assert (outcome.status, outcome.code, outcome.field) == ("parked", "INVALID", "entity")


@pytest.mark.parametrize(
    ("ops", "code", "field"),
    [
        ([], "INVALID", "name"),
        ([put("name", None, None)], "INVALID", "name"),
        ([put("name", None, "  ")], "INVALID", "name"),
        ([put("name", "Old", "New")], "INVALID", "name"),
        ([put("name", None, "Shop"), put("name", None, "Shop")], "INVALID", "name"),
        ([put("name", None, "Shop"), add("tags", "a")], "INVALID", "tags"),
        ([put("name", None, "Shop"), put("tags", None, "a")], "INVALID", "tags"),
        ([put("name", None, "Shop"), Op("address", "grow", None, "a")], "UNKNOWN_OP", "address"),
        ([put("name", None, "Shop"), put("archived", None, True)], "INVALID", "archived"),
    ],
)
def test_a_bad_create_is_parked_with_its_field(ops, code, field):
    outcome = reconcile(None, mutation(*ops, kind="customer", verb="create"), REP, CUSTOMER)
    assert (outcome.status, outcome.code, outcome.field) == ("parked", code, field)


@pytest.mark.parametrize("state", ["missed", "cancelled", "closed"])
def test_a_visit_does_not_start_in_every_state(state):
    start = mutation(put("customer_id", None, OTHER_ID), put("status", None, state), verb="create")
    assert reconcile(None, start, REP, VISIT).field == "status"


def test_an_entity_needs_a_create_that_was_taken():
    asked = mutation(put("name", None, ""), kind="customer", verb="create")
    with pytest.raises(ValueError, match="makes no entity"):
        apply_outcome(None, reconcile(None, asked, REP, CUSTOMER), asked, REP, 10)


# --- what cannot be taken ----------------------------------------------------------------------------------------


def test_one_bad_field_parks_the_whole_mutation():
    visit = Thing("visit", status="open")
    outcome = visit.take(REP, put("outcome", None, "order"), put("planned_date", None, "2026-02-30"))
    assert (outcome.status, outcome.code, outcome.field) == ("parked", "INVALID", "planned_date")
    assert outcome.changes == {} and visit["outcome"] is None


@pytest.mark.parametrize(
    "op",
    [
        put("server", None, {"valid": True}),
        put("customer_id", OTHER_ID, None),
        put("outcome", None, 5),
        put("outcome", None, "nul\0"),
        put("outcome", None, "half \ud83d"),
        write("outcome", None, "order"),
        put("status", "open", "done"),
        go("open", None),
        go("open", "over"),
        go("open", ["done"]),
        Op("minutes", "add", values=["a"]),
        add("tags", 5),
        add("tags", ""),
        remove("tags", None),
        put("tags", "a", ["b"]),
        put("check_in", None, {**MOMENT, "more": 1}),
        put("check_in_fix", None, {**FIX, "lat": 91}),
        put("check_in_fix", None, {"none": "lazy"}),
        put("version", None, 5),
        put("*", None, 5),
        put("later", None, "nul\0"),
        put("later", None, ["half \ud83d"]),
        put("later", None, "a" * EXTRA_LIMIT),
    ],
    ids=lambda op: f"{op.field}-{op.op}",
)
def test_a_bad_op_parks_as_invalid_with_its_field(op):
    outcome = Thing("visit", status="open").take(REP, op)
    assert (outcome.status, outcome.code, outcome.field) == ("parked", "INVALID", op.field)


def test_two_answers_to_one_question_are_invalid():
    visit = Thing("visit", status="open")
    assert visit.take(REP, put("outcome", None, "a"), put("outcome", "a", "b")).field == "outcome"


@pytest.mark.parametrize(
    "asked",
    [
        mutation(verb="explode"),
        mutation(schema=2),
        mutation(kind="customer"),
        mutation(Op("outcome", "increment", 1, 2)),
    ],
)
def test_what_this_release_does_not_know_is_parked_as_unknown(asked):
    outcome = reconcile(Thing("visit").entity, asked, REP, VISIT)
    assert (outcome.status, outcome.code) == ("parked", "UNKNOWN_OP")


@pytest.mark.parametrize("verb", ["update", "archive", "restore"])
def test_a_missing_entity_is_an_outcome_not_an_exception(verb):
    assert reconcile(None, mutation(verb=verb), REP, VISIT).code == "INVALID"


# --- unknown fields ----------------------------------------------------------------------------------------------


def test_an_unknown_field_is_kept_and_sent_back_untouched():
    visit = Thing("visit")
    value = {"nested": [1, 2.5, None, "\\u0000 is text here"]}
    assert visit.take(REP, put("mood", None, value)).extra == {"mood": value}
    assert visit.entity.extra == {"mood": value}
    assert visit.take(REP, put("mood", None, value)).status == "noop"
    assert visit.take(REP, put("mood", value, None)).extra == {}


def test_unknown_fields_settle_like_values_and_sets():
    visit = Thing("visit")
    visit.take(COLLEAGUE, put("mood", None, 1), add("badges", "x"), base=10)
    outcome = visit.take(REP, put("mood", None, True), add("badges", "y"), base=10)
    assert outcome.conflicts == [Conflict("mood", True, 1, "incoming", "FIELD_CONFLICT")]
    assert visit.entity.extra == {"mood": True, "badges": ["x", "y"]}


def test_unknown_fields_share_one_limit():
    visit = Thing("visit")
    assert visit.take(REP, put("one", None, "a" * 5000)).status == "applied"
    outcome = visit.take(REP, put("two", None, "a" * 5000))
    assert (outcome.code, outcome.field) == ("INVALID", "two")


def test_an_unknown_field_nested_beyond_reason_is_invalid():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    outcome = Thing("visit").take(REP, put("mood", None, deep))
    assert (outcome.code, outcome.field) == ("INVALID", "mood")


def test_an_old_value_nested_beyond_reason_is_just_not_what_stands():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    visit = Thing("visit")
    visit.take(REP, put("mood", None, "fine"))
    assert visit.take(REP, put("mood", deep, "grim")).status == "applied"


def test_no_known_field_has_a_reserved_name_but_the_servers_own():
    for policy in (CUSTOMER, VISIT):
        assert {name for name, field in policy.fields.items() if name in RESERVED} <= {"server"}


# --- applying ----------------------------------------------------------------------------------------------------


def test_stamps_tell_who_changed_what_last():
    shop = Thing("customer", tags=["a"], address="x")
    shop.take(COLLEAGUE, put("address", "x", "y"), add("tags", "b"), base=10)
    assert shop.entity.stamps == {
        "*": [10, REP.chain, "rep"],
        "address": [11, COLLEAGUE.chain, "rep"],
        "tags": {"b": [11, COLLEAGUE.chain, "rep"]},
    }
    assert shop.entity.version == 11 and shop.entity.created_by == "rep"


def test_a_conflict_that_changes_nothing_leaves_the_entity_as_it_was():
    visit = Thing("visit", status="open", check_in=MOMENT)
    asked = mutation(put("check_in", None, LATER))
    outcome = reconcile(visit.entity, asked, REP, VISIT)
    assert outcome.status == "merged"
    assert apply_outcome(visit.entity, outcome, asked, REP, 99) is visit.entity


def test_a_create_that_lost_a_unique_code_still_makes_its_entity():
    asked = mutation(put("name", None, "Shop"), kind="customer", verb="create")
    outcome = replace(reconcile(None, asked, REP, CUSTOMER), status="merged", code="UNIQUE_TAKEN")
    assert apply_outcome(None, outcome, asked, REP, 10).values == {"name": "Shop"}


def test_a_policy_has_one_state():
    with pytest.raises(ValueError, match="more than one state"):
        Policy("odd", {"a": Field("state"), "b": Field("state")})
