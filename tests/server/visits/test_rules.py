"""The server's conclusions about a visit: PRODUCT's "Day", "Valid visit" and "Place", code by code."""

import json
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from server.visits.rules import CODES, KindRule, Settings, best_fix, conclude, place, with_habit, zone_of

TAP = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
HERE = (51.5, -0.12)
RADIUS = 200.0
METRE = 1 / 111_258  # of latitude, in degrees, about here
S = Settings()


def text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fix_at(metres: float = 0, accuracy_m: float = 10, after_s: float = 3) -> dict:
    """A fix so many metres north of the customer, taken so many seconds after the tap."""
    taken_at = text(TAP + timedelta(seconds=after_s))
    return {"lat": HERE[0] + metres * METRE, "lon": HERE[1], "accuracy_m": accuracy_m, "taken_at": taken_at}


def moment(wall: datetime, zone: str = "Europe/London") -> dict:
    return {"wall": text(wall), "mono_ms": 1, "life": "a", "offset_ms": 0, "zone": zone}


def clock_of(best: datetime, doubt_ms: int = 0, written_after: timedelta = timedelta(0)) -> dict:
    written = best + written_after
    return {
        "best": best,
        "doubt_ms": doubt_ms,
        "written": written,
        "received": written + timedelta(seconds=1),
    }


def judge(
    minutes_long: float | None = 45,
    *,
    best: datetime = TAP,
    wall: datetime | None = None,
    zone: str = "Europe/London",
    written_after: timedelta = timedelta(0),
    doubt_ms: int = 0,
    customer: tuple[float, float] | None = HERE,
    kind_rule: KindRule = KindRule(),  # noqa: B008 - frozen
    settings: Settings = S,
    accepted: bool = False,
    after_deactivation: bool = False,
    habit: bool = False,
    declined: dict | None = None,
    **fields,
) -> dict:
    """The conclusion about a visit that counts, but for what is said otherwise. minutes_long None: no check-out."""
    visit = {
        "status": "done",
        "mode": "in_person",
        "minutes": "Met Anna, wants five.",
        "check_in_fix": fix_at(),
    }
    visit["check_in"] = moment(wall or best, zone)
    clock = {"check_in": clock_of(best, doubt_ms, written_after), "check_out": None}
    if minutes_long is not None:
        end = best + timedelta(minutes=minutes_long)
        visit["check_out"] = moment(end, zone)
        clock["check_out"] = clock_of(end)
    found = conclude(
        {**visit, **fields},
        clock,
        customer,
        RADIUS,
        kind_rule,
        settings,
        accepted=accepted,
        after_deactivation=after_deactivation,
        no_position_habit=habit,
        declined=declined,
    )
    assert set(found["reasons"]) | set(found["trust_reasons"]) <= set(CODES)
    assert json.loads(json.dumps(found)) == found
    assert found["valid"] == (not found["reasons"])
    return found


# --- place -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metres", "accuracy", "trust", "reasons"),
    [
        (0, 10, "verified", ["IN_RADIUS"]),
        (199, 200, "verified", ["IN_RADIUS"]),
        (199, 201, "unverified", ["NEAR_EDGE"]),
        (201, 10, "unverified", ["NEAR_EDGE"]),
        (209, 10, "unverified", ["NEAR_EDGE"]),
        (211, 10, "review", ["TOO_FAR"]),
        (1300, 1000, "review", ["TOO_FAR"]),
        (1100, 1000, "unverified", ["NEAR_EDGE"]),
        (0, 1001, "unverified", ["ROUGH_FIX"]),
        (9_000_000, 1001, "unverified", ["ROUGH_FIX"]),
    ],
)
def test_the_place_is_judged_by_distance_radius_and_accuracy(metres, accuracy, trust, reasons):
    metres = min(metres, (89 - HERE[0]) / METRE)
    found = place(fix_at(metres, accuracy), TAP, HERE, RADIUS, S)
    assert (found.trust, found.reasons) == (trust, reasons)
    assert found.accuracy_m == accuracy and found.fix_age_s == -3


def test_a_distance_is_told_in_metres():
    assert place(fix_at(150), TAP, HERE, RADIUS, S).distance_m == pytest.approx(150, abs=0.2)


@pytest.mark.parametrize(
    ("after_s", "stale"), [(-119, False), (-121, True), (-86_400, True), (179, False), (181, True)]
)
def test_a_fix_is_timely_from_two_minutes_before_the_tap_to_three_after(after_s, stale):
    found = place(fix_at(after_s=after_s), TAP, HERE, RADIUS, S)
    assert found.reasons == (["STALE_FIX"] if stale else ["IN_RADIUS"])
    assert found.trust == ("unverified" if stale else "verified")


def test_an_old_cached_fix_on_another_continent_accuses_nobody():
    assert place(fix_at(4_000_000, after_s=-3600), TAP, HERE, RADIUS, S).trust == "unverified"


@pytest.mark.parametrize("why", ["denied", "timeout", "unavailable", "unsupported", "purged"])
def test_a_fix_that_is_missing_says_why(why):
    found = place({"none": why}, TAP, HERE, RADIUS, S)
    assert (found.trust, found.reasons) == ("unverified", [f"NO_POSITION_{why.upper()}"])


def test_no_fix_yet_and_no_place_of_the_customer_are_unverified():
    assert place(None, TAP, HERE, RADIUS, S).reasons == ["NO_POSITION"]
    found = place(fix_at(), TAP, None, RADIUS, S)
    assert (found.trust, found.reasons, found.distance_m) == ("unverified", ["NO_CUSTOMER_PLACE"], None)


ORDER = {"verified": 1, "review": 1, "unverified": 0}


@given(st.floats(0, 5000), st.floats(0, 3000), st.floats(0, 3000), st.floats(20, 5000))
def test_worse_accuracy_never_verifies_nor_accuses(metres, one, other, radius):
    better, worse = sorted((one, other))
    sharp = place(fix_at(metres, better), TAP, HERE, radius, S)
    blurred = place(fix_at(metres, worse), TAP, HERE, radius, S)
    if blurred.trust != "unverified":
        assert blurred.trust == sharp.trust


@given(st.floats(0, 9000), st.floats(0, 9000), st.floats(0, 2000), st.floats(20, 5000))
def test_who_is_further_away_is_never_trusted_more(one, other, accuracy, radius):
    rank = ["review", "unverified", "verified"]
    near, far = (place(fix_at(metres, accuracy), TAP, HERE, radius, S) for metres in sorted((one, other)))
    assert rank.index(far.trust) <= rank.index(near.trust)


def test_of_two_fixes_the_more_accurate_timely_one_speaks():
    rough, fine, stale = fix_at(5, 800, 2), fix_at(5, 20, 170), fix_at(5, 3, -600)
    assert best_fix([rough, fine], [TAP], S)[0] == fine
    assert best_fix([stale, rough], [TAP], S)[0] == rough
    assert best_fix([stale, {"none": "timeout"}], [TAP], S)[0] == stale
    assert best_fix([None, {"none": "timeout"}], [TAP], S)[0] == {"none": "timeout"}
    assert best_fix([None, None], [TAP], S)[0] is None


def test_a_fix_that_improved_while_the_visit_ran_verifies_it():
    found = judge(check_in_fix={"none": "timeout"}, check_in_best_fix=fix_at(30, 25, 120))
    assert (found["trust"], found["accuracy_m"], found["fix_age_s"]) == ("verified", 25, -120)


def test_a_wrong_clock_makes_no_fix_stale_whichever_clock_stamped_it():
    wrong = TAP + timedelta(hours=2)
    satellite_time = judge(wall=wrong)
    own_clock = judge(wall=wrong, check_in_fix=fix_at(after_s=7203))
    assert satellite_time["trust"] == own_clock["trust"] == "verified"
    assert satellite_time["fix_age_s"] == own_clock["fix_age_s"] == -3


# --- trust -------------------------------------------------------------------------------------------------------


def test_a_clock_in_doubt_is_a_reason_for_review():
    assert judge(doubt_ms=300_000)["trust"] == "verified"
    found = judge(doubt_ms=300_001)
    assert (found["trust"], found["trust_reasons"]) == ("review", ["IN_RADIUS", "CLOCK_OFF"])
    assert found["doubt_ms"] == 300_001 and found["reasons"] == ["IN_REVIEW"]


def test_a_missing_position_is_a_reason_for_review_only_as_a_habit():
    once = judge(check_in_fix={"none": "denied"})
    assert (once["trust"], once["trust_reasons"], once["valid"]) == (
        "unverified",
        ["NO_POSITION_DENIED"],
        True,
    )
    habit = judge(check_in_fix={"none": "denied"}, habit=True)
    assert (habit["trust"], habit["trust_reasons"]) == ("review", ["NO_POSITION_DENIED", "NO_POSITION_HABIT"])


@pytest.mark.parametrize("status", ["planned", "open", "done"])
@pytest.mark.parametrize("mode", ["in_person", "phone"])
def test_whether_it_is_a_habit_is_looked_at_anew_as_it_was_at_first(mode, status):
    verdicts = [{}, {"accepted": True}, {"declined": {"by": "m", "word": "No", "at": "x"}}]
    fixes = [None, {"none": "denied"}, {"none": "purged"}, fix_at(), fix_at(5000)]
    for after_deactivation, doubt_ms, verdict, fix in product([False, True], [0, 400_000], verdicts, fixes):
        known = [
            judge(
                45 if status == "done" else None,
                status=status,
                mode=mode,
                doubt_ms=doubt_ms,
                after_deactivation=after_deactivation,
                check_in_fix=fix,
                habit=habit,
                **verdict,
            )
            for habit in (False, True)
        ]
        for before, now in product((False, True), repeat=2):
            assert with_habit(known[before], status, now) == known[now]


def test_a_habit_does_not_touch_a_visit_with_a_position_nor_one_still_open_nor_one_purged():
    assert judge(habit=True)["trust"] == "verified"
    assert judge(check_in_fix=None, status="open", habit=True)["trust"] == "unverified"
    assert judge(check_in_fix=None, habit=True)["trust"] == "review"
    assert judge(check_in_fix={"none": "purged"}, habit=True)["trust"] == "unverified"
    assert judge(check_in_fix=fix_at(accuracy_m=5000), habit=True)["trust"] == "unverified"


@pytest.mark.parametrize("mode", ["in_person", "online", "phone"])
def test_what_arrives_after_deactivation_is_in_review(mode):
    found = judge(mode=mode, after_deactivation=True)
    assert found["trust"] == "review" and found["trust_reasons"][-1] == "AFTER_DEACTIVATION"
    assert found["reasons"] == (["IN_REVIEW"] if mode == "in_person" else [])


@pytest.mark.parametrize("mode", ["online", "phone"])
def test_away_from_the_customer_there_is_no_place_to_judge(mode):
    found = judge(mode=mode, check_in_fix=fix_at(5000))
    assert (found["trust"], found["trust_reasons"], found["distance_m"], found["valid"]) == (
        None,
        [],
        None,
        True,
    )


def test_a_manager_may_accept_what_is_in_review():
    assert judge(check_in_fix=fix_at(5000))["reasons"] == ["IN_REVIEW"]
    found = judge(check_in_fix=fix_at(5000), accepted=True)
    assert (found["valid"], found["accepted"], found["trust"]) == (True, True, "review")


# --- valid -------------------------------------------------------------------------------------------------------


def test_a_visit_with_everything_in_order_counts():
    found = judge()
    assert (found["valid"], found["reasons"], found["duration_s"], found["back_filled"]) == (
        True,
        [],
        2700,
        False,
    )
    assert (found["check_in_at"], found["check_out_at"]) == (
        "2026-11-21T10:00:00.000Z",
        "2026-11-21T10:45:00.000Z",
    )
    assert (found["estimated_end"], found["missed"]) == (None, False)


@pytest.mark.parametrize("status", ["planned", "open", "missed", "cancelled", None])
def test_a_visit_that_is_not_done_says_only_that(status):
    assert judge(None, status=status, minutes=None, after_deactivation=True)["reasons"] == ["NOT_DONE"]


@pytest.mark.parametrize(
    ("mode", "minutes_long", "reasons"),
    [
        ("in_person", 30, []),
        ("in_person", 29.99, ["TOO_SHORT"]),
        ("online", 29.99, ["TOO_SHORT"]),
        ("phone", 0, []),
        ("phone", None, []),
        ("in_person", None, ["NO_CHECK_OUT"]),
        (None, 29, ["TOO_SHORT"]),
    ],
)
def test_a_visit_needs_the_least_duration_of_its_mode(mode, minutes_long, reasons):
    assert judge(minutes_long, mode=mode)["reasons"] == reasons


def test_a_kind_has_its_own_least_duration():
    store_call = KindRule({"in_person": 10})
    assert judge(10, kind_rule=store_call)["valid"]
    assert judge(29, kind_rule=store_call, mode="online")["reasons"] == ["TOO_SHORT"]


def test_a_duration_is_never_negative():
    found = judge(-5)
    assert (found["duration_s"], found["reasons"]) == (0, ["TOO_SHORT"])


@pytest.mark.parametrize(
    ("minutes", "reasons"),
    [
        (None, ["NO_MINUTES"]),
        ("   \n", ["NO_MINUTES"]),
        ("123456789 ", ["MINUTES_TOO_SHORT"]),
        ("1234567890", []),
        ("下周要五箱，老板在场", []),
    ],
)
def test_minutes_are_written(minutes, reasons):
    assert judge(minutes=minutes)["reasons"] == reasons


def test_an_organisation_may_do_without_minutes():
    assert judge(minutes=None, settings=Settings(min_note_chars=0))["valid"]


def test_a_visit_without_check_in_does_not_count():
    found = judge(check_in=None)
    assert found["reasons"] == ["NO_CHECK_IN"]
    assert (found["trust"], found["check_in_at"], found["written_at"], found["duration_s"]) == (
        None,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("after", "back_filled", "reasons"),
    [
        (timedelta(minutes=10), False, []),
        (timedelta(minutes=11), True, []),
        (timedelta(hours=48), True, []),
        (timedelta(hours=48, seconds=1), True, ["BACK_FILLED"]),
    ],
)
def test_a_visit_written_long_after_its_check_in_is_back_filled(after, back_filled, reasons):
    found = judge(written_after=after)
    assert (found["back_filled"], found["reasons"]) == (back_filled, reasons)
    assert judge(written_after=after, accepted=True)["valid"]


def test_a_slow_sync_is_not_back_filling():
    clock = {**clock_of(TAP), "received": TAP + timedelta(days=30)}
    out = clock_of(TAP + timedelta(minutes=45))
    visit = {"status": "done", "mode": "phone", "minutes": "Met Anna, wants five."}
    visit |= {"check_in": moment(TAP), "check_out": moment(TAP)}
    found = conclude(
        visit, {"check_in": clock, "check_out": out}, HERE, RADIUS, KindRule(), S,
        accepted=False, after_deactivation=False, no_position_habit=False,
    )  # fmt: skip
    assert found["valid"] and not found["back_filled"]
    assert found["received_at"] == "2026-12-21T10:00:00.000Z"


# --- day ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("best", "zone", "day"),
    [
        ("2026-11-30T23:30:00Z", "Europe/London", "2026-11-30"),
        ("2026-11-30T23:30:00Z", "Europe/Berlin", "2026-12-01"),
        ("2026-12-31T10:00:00Z", "Pacific/Kiritimati", "2027-01-01"),  # +14
        ("2027-01-01T10:30:00Z", "Pacific/Pago_Pago", "2026-12-31"),  # -11
        ("2026-03-29T00:59:00Z", "Europe/London", "2026-03-29"),  # the minute before summer time
        ("2026-03-28T23:30:00Z", "Europe/London", "2026-03-28"),
        ("2026-03-29T23:30:00Z", "Europe/London", "2026-03-30"),  # summer time: an hour ahead
        ("2026-10-25T22:59:00Z", "Europe/London", "2026-10-25"),
        ("2026-10-24T23:30:00Z", "Europe/London", "2026-10-25"),  # the last evening of summer time
        ("2026-10-25T23:30:00Z", "Europe/London", "2026-10-25"),  # back to winter time
        ("2024-02-29T12:00:00Z", "Asia/Shanghai", "2024-02-29"),
        ("2024-02-28T16:00:00Z", "Asia/Shanghai", "2024-02-29"),
        ("2026-11-20T18:30:00Z", "Asia/Kathmandu", "2026-11-21"),  # +05:45
    ],
)
def test_a_visit_belongs_to_the_day_of_its_check_in_in_the_zone_of_that_moment(best, zone, day):
    found = judge(best=datetime.fromisoformat(best), zone=zone)
    assert (found["day"], found["zone"]) == (day, zone)


def test_best_time_decides_the_day_and_not_the_phone():
    found = judge(
        best=datetime(2026, 11, 30, 23, 30, tzinfo=UTC), wall=datetime(2026, 12, 1, 1, 30, tzinfo=UTC)
    )
    assert found["day"] == "2026-11-30"


@pytest.mark.parametrize("unknown", ["Mars/Base", "America", "", "../etc/passwd", "x" * 64])
def test_a_zone_unknown_here_gives_way_to_the_organisations(unknown):
    late = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    found = judge(best=late, zone=unknown, settings=Settings(zone="Asia/Shanghai"))
    assert (found["day"], found["zone"]) == ("2026-12-01", "Asia/Shanghai")
    found = judge(best=late, zone=unknown, settings=Settings(zone=unknown))
    assert (found["day"], found["zone"]) == ("2026-11-30", "UTC")


def test_without_a_check_in_the_plan_decides_the_day_then_the_check_out():
    planned = judge(check_in=None, planned_date="2026-11-25")
    assert (planned["day"], planned["zone"]) == ("2026-11-25", None)
    assert judge(check_in=None)["day"] == "2026-11-21"
    assert judge(None, check_in=None)["day"] is None


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from(["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/London"]),
)
def test_every_instant_has_a_day_within_a_day_of_its_own(best, zone):
    assume(best.year < 9999)
    found = judge(best=best, zone=zone)
    day = datetime.fromisoformat(found["day"]).date()
    assert abs(day - best.date()) <= timedelta(days=1)


# --- whatever comes in -------------------------------------------------------------------------------------------

FIXES = st.one_of(
    st.none(),
    st.sampled_from([{"none": why} for why in ("denied", "timeout", "purged")]),
    st.builds(fix_at, st.floats(-100_000, 100_000), st.floats(0, 1e8), st.integers(-(10**6), 10**6)),
)
BEST = st.integers(0, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(
    st.one_of(st.none(), st.floats(-1000, 1000)),
    BEST,
    st.sampled_from(["in_person", "online", "phone", None, "by_boat"]),
    st.sampled_from(["planned", "open", "done", "missed", "cancelled"]),
    st.one_of(st.none(), st.text(max_size=12)),
    FIXES,
    FIXES,
    st.tuples(*[st.booleans()] * 3),
    st.integers(0, 10**15),
)
def test_whatever_the_evidence_every_visit_that_does_not_count_says_why(
    minutes_long, best, mode, status, minutes, fix, better, flags, doubt_ms
):
    accepted, gone, habit = flags
    found = judge(
        minutes_long, best=best, mode=mode, status=status, minutes=minutes, check_in_fix=fix, check_in_best_fix=better,
        accepted=accepted, after_deactivation=gone, habit=habit, doubt_ms=doubt_ms,
    )  # fmt: skip
    assert found["trust"] in (None, "verified", "unverified", "review")
    assert (found["trust"] is None) == (not found["trust_reasons"])
    if found["valid"]:
        assert status == "done"


def test_every_zone_is_looked_up_once():
    assert zone_of("Europe/London") is zone_of("Europe/London")
    assert zone_of("Nowhere/At_All") is None
