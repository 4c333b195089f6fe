"""Clocks are claims: best time and doubt, as PROTOCOL's "Moments" has them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.clock import EARLIEST, MAX_DOUBT_MS, best_time, doubt_ms
from sync.mutation import Moment

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
HOURS = 3_600_000


def moment(wall: datetime, offset_ms: float | None = None, mono_ms: float = 0, life: str = "a") -> Moment:
    return Moment(wall, mono_ms, life, offset_ms, "Europe/London")


def test_best_time_is_the_wall_clock_moved_by_the_offset_measured_before():
    at = moment(NOW - timedelta(minutes=5), offset_ms=-1500)
    assert best_time(at, moment(NOW), NOW) == NOW - timedelta(minutes=5, seconds=1.5)


def test_without_an_offset_the_exchange_itself_shows_it():
    two_hours_fast = timedelta(hours=2)
    at, sent = moment(NOW - timedelta(minutes=5) + two_hours_fast), moment(NOW + two_hours_fast)
    assert best_time(at, sent, NOW) == NOW - timedelta(minutes=5)
    assert doubt_ms(at, sent, NOW) == 0


def test_best_time_is_never_later_than_receipt():
    at = moment(NOW + timedelta(hours=1), offset_ms=0)
    assert best_time(at, moment(NOW), NOW) == NOW


def test_two_offsets_that_disagree_are_doubted_by_their_difference():
    at, sent = moment(NOW - timedelta(hours=1), offset_ms=0), moment(NOW + timedelta(hours=2), life="b")
    assert doubt_ms(at, sent, NOW) == 2 * HOURS


def test_a_clock_set_back_within_one_life_is_doubted_by_what_the_monotonic_clock_saw():
    at, sent = moment(NOW, mono_ms=0), moment(NOW + timedelta(minutes=1), mono_ms=HOURS)
    assert doubt_ms(at, sent, NOW + timedelta(minutes=1)) == HOURS - 60_000


def test_a_monotonic_clock_that_stood_still_in_sleep_proves_nothing():
    at, sent = moment(NOW, mono_ms=0), moment(NOW + timedelta(hours=8), mono_ms=5000)
    assert doubt_ms(at, sent, NOW + timedelta(hours=8)) == 0


def test_monotonic_clocks_of_two_lives_are_not_compared():
    at, sent = moment(NOW, mono_ms=0), moment(NOW, mono_ms=HOURS, life="b")
    assert doubt_ms(at, sent, NOW) == 0


def test_a_wall_clock_without_a_zone_is_taken_as_utc_and_others_are_converted():
    assert best_time(moment(NOW.replace(tzinfo=None), 0), moment(NOW), NOW) == NOW
    tokyo = timezone(timedelta(hours=9))
    assert best_time(moment(NOW.astimezone(tokyo), 0), moment(NOW), NOW).tzinfo is UTC


@pytest.mark.parametrize("offset_ms", [1e308, -1e308, float("inf"), float("-inf"), float("nan")])
def test_absurd_numbers_are_doubted_and_do_not_fail(offset_ms):
    at = moment(NOW, offset_ms)
    assert EARLIEST <= best_time(at, moment(NOW), NOW) <= NOW
    assert doubt_ms(at, moment(NOW), NOW) == MAX_DOUBT_MS


ZONES = st.one_of(st.none(), st.timezones(), st.just(timezone(timedelta(hours=14))))
ANY_MOMENT = st.builds(
    Moment,
    st.datetimes(timezones=ZONES),
    st.floats(),
    st.sampled_from(["a", "b"]),
    st.one_of(st.none(), st.floats()),
    st.text(max_size=3),
)


@given(ANY_MOMENT, ANY_MOMENT, st.datetimes(timezones=st.just(UTC)))
def test_any_moments_have_a_best_time_not_after_receipt_and_a_doubt(at, sent, received_at):
    assert best_time(at, sent, received_at) <= received_at
    assert 0 <= doubt_ms(at, sent, received_at) <= MAX_DOUBT_MS


OFFSETS = st.integers(-10 * 365 * 24 * HOURS, 10 * 365 * 24 * HOURS)


@given(OFFSETS, st.integers(0, 30 * 24 * HOURS), st.booleans())
def test_a_clock_that_is_wrong_but_steady_is_put_right_without_doubt(error_ms, age_ms, measured):
    """Whatever the error, even years: a device clock that only runs beside the true one."""
    device = timedelta(milliseconds=error_ms)
    happened = NOW - timedelta(milliseconds=age_ms)
    offset = -error_ms if measured else None
    at, sent = moment(happened + device, offset), moment(NOW + device, mono_ms=age_ms)
    assert best_time(at, sent, NOW) == happened
    assert doubt_ms(at, sent, NOW) == 0


@given(st.integers(1, 10 * HOURS), st.integers(0, 10 * HOURS))
def test_a_clock_turned_back_to_hide_a_late_entry_is_doubted(turned_ms, age_ms):
    """The offset was measured before the clock was turned: the exchange shows another one."""
    at = moment(NOW - timedelta(milliseconds=age_ms + turned_ms), offset_ms=0)
    sent = moment(NOW, life="b")
    turned_at = Moment(at.wall, 0, "a", float(turned_ms), at.zone)
    assert doubt_ms(turned_at, sent, NOW) == turned_ms
