"""Shapes and ranges of values, and that each check and its published schema say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import is_valid

from sync import policy as p
from tests.sync.examples import FIX, ID, MOMENT

CHECKS = {
    "flag": (p.flag(), [True, False], [0, 1, "true", None]),
    "text": (p.text(5), ["", "字字字字字", "a\nb"], ["123456", 5, None, ["a"]]),
    "text not blank": (p.text(5, 1), ["a", " a "], ["", 5]),
    "number": (p.number(-90, 90), [-90, 90.0, 0], [90.1, -91, "5", True, None, 10**400]),
    "whole": (p.whole(1, 5), [1, 5], [0, 6, 1.5, "1", True]),
    "choice": (p.choice("A", "B"), ["A"], ["a", "", None, ["A"], 5]),
    "uuid": (p.uuid(), [ID], [ID[:-1], "", 5, None]),
    "date": (p.date(), ["2026-11-21", "2024-02-29"], ["2026-1-2", "21.11.2026", "", 5, None]),
    "time": (p.time(), ["00:00", "23:59", "23:59:59"], ["24:00", "9:00", "09:60", "", 900]),
    "zone": (
        p.zone(),
        ["UTC", "Europe/London", "America/Argentina/Buenos_Aires", "Etc/GMT+5"],
        ["", 5, "/etc/passwd"],
    ),
    "fix": (
        p.fix(),
        [FIX, {"none": "denied"}, {**FIX, "accuracy_m": 0}],
        [
            {},
            {"none": "lazy"},
            {"none": None},
            {**FIX, "lat": 90.5},
            {**FIX, "lon": "1"},
            {**FIX, "more": 1},
            [],
            "here",
            {**FIX, "none": "denied"},
        ],
    ),
    "moment": (
        p.moment(),
        [
            MOMENT,
            {**MOMENT, "offset_ms": None},
            {key: value for key, value in MOMENT.items() if key != "offset_ms"},
        ],
        [
            {},
            {**MOMENT, "mono_ms": -1},
            {**MOMENT, "life": ""},
            {**MOMENT, "offset_ms": "1"},
            {**MOMENT, "more": 1},
            {**MOMENT, "zone": 5},
            None,
        ],
    ),
    "tags": (p.tags(2, 3), [[], ["a"], ["a", "abc"]], [["a", "b", "c"], ["abcd"], [""], [1], "a", None, {}]),
    "anything": (p.anything(), [None, 1, [{}]], []),
}
GOOD = [(name, value) for name, (_, good, _) in CHECKS.items() for value in good]
BAD = [(name, value) for name, (_, _, bad) in CHECKS.items() for value in bad]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_good_values_pass_the_check_and_its_schema(name, value):
    check = CHECKS[name][0]
    assert check(value) is True
    assert is_valid(check.schema, value)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_values_pass_neither_the_check_nor_its_schema(name, value):
    check = CHECKS[name][0]
    assert check(value) is False
    format_only = name in ("uuid", "date") and isinstance(value, str)
    assert format_only or not is_valid(check.schema, value)


@pytest.mark.parametrize("value", [" ", "nul\0", "half \ud83d", "\udc00 half"])
def test_text_that_no_database_takes_or_nobody_wrote_is_refused(value):
    assert not p.text(50, 1)(value)


@pytest.mark.parametrize("value", ["2026-02-30", "2026-W47-6", "２０２６-01-01", "2026-11-21\n"])
def test_a_date_is_a_day_of_the_calendar(value):
    assert not p.date()(value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21T10:00:00",
        "2026-11-21T10:00:00+01:00",
        "2026-11-21 10:00:00Z",
        "2026-11-21T25:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-11-21T10:00:00,5Z",
        "20261121T100000Z",
        "2026-11-21T10:00:00Z\n",
    ],
)
def test_an_instant_is_rfc_3339_in_utc(value):
    assert p.instant()("2026-11-21T10:00:00Z") and p.instant()("2026-11-21T10:00:00.123456Z")
    assert not p.instant()(value)


@pytest.mark.parametrize("value", [ID.upper(), ID.replace("-", ""), "{" + ID + "}", ID + "\n"])
def test_ids_have_one_form(value):
    assert not p.uuid()(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_is_finite(value):
    assert not p.number(-1e308, 1e308)(value)
    assert not p.fix()({**FIX, "accuracy_m": value})


ODD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=40),
        st.sampled_from([MOMENT, FIX]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=5)
    ),
    max_leaves=8,
)


@given(ODD)
def test_every_check_answers_every_value_with_yes_or_no(value):
    for check, _, _ in CHECKS.values():
        assert type(check(value)) is bool
