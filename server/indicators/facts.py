"""What a day comes to in counts and sums, and numbers out of such sums. Pure: rows in, sums out; no clock, no database.

The same numbers as `server.indicators.measure` finds by going through every visit, without the evidence: quick enough for
a whole organisation. A test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from server.indicators.score import Actual

OF_VISITS = ("done", "valid_visits", "valid_s", "on_the_spot")
OF_PLANS = ("planned", "plans_ahead", "kept")
OF_FOLLOW_UPS = (
    "follow_ups_done",
    "opportunities_done",
    "due",
    "due_open",
    "on_time",
    "answered",
    "response_us",
)
SUMS = (*OF_VISITS, *OF_PLANS, *OF_FOLLOW_UPS, "new_customers")
"""What days add up to, by column of `fact_day` and `fact_month`."""

Row = Mapping[Any, Any]


def sum_visits(visits: Iterable[Row]) -> dict[str, Any]:
    """`OF_VISITS` and `customers` of the visits of one day."""
    total: dict[str, Any] = dict.fromkeys(OF_VISITS, 0)
    customers = set()
    for visit in visits:
        if visit["status"] != "done":
            continue
        server = visit["server"] or {}
        total["done"] += 1
        total["on_the_spot"] += not server.get("back_filled")
        if visit["valid"]:
            total["valid_visits"] += 1
            total["valid_s"] += server.get("duration_s") or 0
            customers.add(visit["customer_id"])
    return total | {"customers": sorted(customers)}


def sum_plans(visits: Iterable[Row]) -> dict[str, int]:
    """`OF_PLANS` of the visits planned for one day, on whatever day they were made."""
    total = dict.fromkeys(OF_PLANS, 0)
    for visit in visits:
        total["planned"] += 1
        total["plans_ahead"] += visit["status"] in {"planned", "open"}
        total["kept"] += bool(visit["valid"]) and visit["day"] == visit["planned_date"]
    return total


def sum_follow_ups(day: str, follow_ups: Iterable[Row]) -> dict[str, int]:
    """`OF_FOLLOW_UPS` of one day, from the follow-ups that were done, are due or were asked for on it."""
    total = dict.fromkeys(OF_FOLLOW_UPS, 0)
    for each in follow_ups:
        if each["archived"]:
            continue
        done = each["status"] == "done"
        if done and each["done_day"] == day:
            total["follow_ups_done"] += 1
            total["opportunities_done"] += each["kind"] == "opportunity"
        if each["due_date"] == day and each["status"] != "cancelled":
            total["due"] += 1
            total["due_open"] += not done
            total["on_time"] += done and each["done_at"] is not None and each["done_at"] <= each["due_at"]
        if each["request_day"] == day and each["answered_at"] is not None:
            total["answered"] += 1
            asked = datetime.fromisoformat(each["requested_at"])
            total["response_us"] += max(each["answered_at"] - asked, timedelta(0)) // timedelta(
                microseconds=1
            )
    return total


def answered_at(follow_up: Row, visited: Iterable[datetime]) -> datetime | None:
    """When a request was answered: by its owner's first valid visit to that customer after it, of whatever mode (`visited`:
    the beginnings of their valid visits there), or by being done. None for what waits, or is no request."""
    if follow_up["kind"] != "request" or not follow_up["requested_at"]:
        return None
    asked = datetime.fromisoformat(follow_up["requested_at"])
    answers = [at for at in visited if at >= asked]
    if follow_up["done_at"] is not None:
        answers.append(follow_up["done_at"])
    return min(answers, default=None)


def actuals_of(
    sums: Mapping[str, int], *, visited: int, own: int, own_visited: int, waited: Sequence[timedelta]
) -> dict[str, Actual]:
    """Code -> actual of every process indicator, without evidence.

    `sums` of a period, `due` and `planned` less what is not due yet; `visited` distinct customers, `own` customers and how
    many of them were visited; `waited`: how long each request that nobody answered has waited so far.
    """
    valid, new = sums["valid_visits"], sums["new_customers"]
    conversion = Actual(new, valid) if valid else Actual(0, 1, reasons=("NO_VISITS",))
    return {
        "valid_visits": Actual(valid),
        "customers_visited": Actual(visited),
        "coverage": Actual(own_visited, own),
        "opportunities_done": Actual(sums["opportunities_done"]),
        "follow_ups_on_time": Actual(sums["on_time"], sums["due"]),
        "response_time": _response_time(sums["answered"], sums["response_us"], waited),
        "plans_kept": Actual(sums["kept"], sums["planned"]),
        "logged_on_spot": Actual(sums["on_the_spot"], sums["done"]),
        "new_customers": Actual(new),
        "time_with_customers": Actual(sums["valid_s"], 3600),
        "conversion": conversion,
    }


def _response_time(answered: int, micros: int, waited: Sequence[timedelta]) -> Actual:
    each = [one // timedelta(microseconds=1) for one in waited]
    longer = [one for one in each if not answered or one * answered > micros]
    whole = micros + sum(longer)
    return Actual(
        Decimal(whole).scaleb(-6).normalize() if whole else 0,
        3600 * (answered + len(longer)),
        reasons=("STILL_WAITING",) if longer else (),
    )
