"""What a pull has to do for a token: which scopes are dropped, read again, gone on with, and that a scan ends."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sync.scopes import Cursor, Plan, Token, advance, plan, seal, unseal

SECRET = b"s" * 32
CLIENT = {"organisation": "o", "client": "c"}


def token(positions: dict[str, int], upto: int | None = None, cursor: Cursor | None = None) -> Token:
    return Token("o", "c", positions, (0, ""), upto, cursor)


def page(of: Plan, last: Cursor | None, *, more: bool) -> Token:
    return advance(of, last, more=more, seen=(0, ""), **CLIENT)


def test_a_token_comes_back_as_it_was_and_a_changed_one_is_none() -> None:
    whole = replace(token({"org": 7, "person:x": 0}, 9, (3, "visit", "id")), seen=(4, "chain"))
    text = seal(whole, SECRET)
    assert unseal(text, SECRET) == whole
    assert unseal(text, b"t" * 32) is None and unseal(text[:-2] + "AA", SECRET) is None
    assert unseal("", SECRET) is None and unseal("ü", SECRET) is None


def test_what_is_granted_no_more_is_dropped_and_what_is_new_is_read_from_its_beginning() -> None:
    found = plan(token({"a": 5, "b": 5}), ["b", "c"], 9, 0, forget=False)
    assert (found.drop, found.reset, found.positions) == (["a"], [], {"b": 5, "c": 0})


def test_what_is_granted_no_more_is_dropped_even_where_all_the_rest_is_read_again() -> None:
    found = plan(token({"a": 5, "b": 5}), ["b", "c"], 9, 0, forget=True)
    assert (found.drop, found.reset, found.positions) == (["a"], ["b", "c"], {"b": 0, "c": 0})


def test_a_position_below_the_floor_is_read_again_and_one_at_it_goes_on() -> None:
    found = plan(token({"a": 4, "b": 5, "c": 0}), ["a", "b", "c"], 9, 5, forget=False)
    assert found.reset == ["a"] and found.positions == {"a": 0, "b": 5, "c": 0}


def test_a_scan_that_is_past_what_was_collected_goes_on_and_one_before_it_begins_again() -> None:
    under_way = token({"a": 4, "b": 0}, upto=20, cursor=(10, "visit", "x"))
    on = plan(under_way, ["a", "b"], 30, 10, forget=False)
    assert (on.reset, on.cursor, on.upto) == ([], (10, "visit", "x"), 20)
    again = plan(under_way, ["a", "b"], 30, 11, forget=False)
    assert (again.reset, again.cursor, again.upto) == (["a"], None, 30)
    assert again.positions == {"a": 0, "b": 0}


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 50), max_size=3),
    st.lists(st.integers(0, 100), max_size=30),
    st.integers(1, 5),
)
def test_a_scan_ends_however_often_the_floor_rises_while_it_runs(
    positions: dict[str, int], floors: list[int], size: int
) -> None:
    """Each page is of `size` versions, head and floor rise with every one; a scan begins again once at most."""
    held, floor, head, starts = token(positions), 0, 50, 0
    for number in range(1000):
        floor = max(floor, min(floors[number % len(floors)] if floors else 0, head))
        found = plan(held, "abc", head, floor, forget=False)
        starts += found.cursor is None
        reached = (found.cursor[0] if found.cursor else min(found.positions.values())) + size
        head += 1
        more = reached < found.upto
        held = page(found, (reached, "visit", "x"), more=more)
        if not more:
            break
    assert held.upto is None and starts <= 2
    assert all(position >= found.upto for position in held.positions.values())
