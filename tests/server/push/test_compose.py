"""What a lock screen says of months and of how many."""

from datetime import UTC

from server.push.compose import compose


def test_a_month_is_told_by_its_name_and_what_is_no_month_as_it_came() -> None:
    def body(month: str, locale: str) -> str:
        return compose("process_star", {"owner": "Rob", "month": month}, locale, UTC)[1]

    assert [body("2026-10", "en"), body("2026-10", "zh-Hans")] == ["October 2026", "2026年10月"]
    assert body("soon", "en") == "soon"


def test_two_visits_still_open_are_told_as_several_and_one_as_one() -> None:
    assert [compose("day_end", {"open": n}, "en", UTC)[1] for n in (1, 2)] == [
        "1 visit still open",
        "2 visits still open",
    ]
