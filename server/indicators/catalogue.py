"""The process indicators: computed from facts, never typed. One explicit table. Source: PRODUCT, "Process indicators"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Process:
    """One process indicator.

    `unit`: `count`, `share` (0 to 1), `hours`; `direction` `higher` or `lower`; `facts` from which it is computed;
    `evidence` the kind of the ids behind it; `additive`: the numbers of days add up to a period's; `level`: a target holds
    for any period alike and is not spread over days; `target` what is wanted where nothing else is said.
    """

    code: str
    name: str
    name_zh: str
    unit: str
    facts: str
    evidence: str
    direction: str = "higher"
    additive: bool = False
    level: bool = False
    target: Decimal | None = None


_ALL = Decimal(1)

PROCESS: Mapping[str, Process] = {
    each.code: each
    for each in (
        Process("valid_visits", "Valid visits", "有效拜访", "count", "visits", "visit", additive=True),
        Process("customers_visited", "Customers visited", "拜访客户数", "count", "visits", "visit"),
        Process("coverage", "Coverage of own customers", "客户覆盖率", "share", "own customers", "customer"),
        Process(
            "opportunities_done",
            "Opportunities followed up",
            "商机跟进",
            "count",
            "follow-ups",
            "follow_up",
            additive=True,
        ),
        Process(
            "follow_ups_on_time",
            "Follow-ups on time",
            "跟进及时率",
            "share",
            "follow-ups due",
            "follow_up",
            level=True,
            target=_ALL,
        ),
        Process(
            "response_time",
            "Response time",
            "响应时间",
            "hours",
            "requests",
            "follow_up",
            direction="lower",
            level=True,
            target=Decimal(2),
        ),
        Process(
            "plans_kept",
            "Plans kept",
            "计划完成率",
            "share",
            "planned visits",
            "visit",
            level=True,
            target=_ALL,
        ),
        Process(
            "logged_on_spot",
            "Logged on the spot",
            "现场记录率",
            "share",
            "visits done",
            "visit",
            level=True,
            target=_ALL,
        ),
        Process(
            "new_customers", "New customers", "新增客户", "count", "new customers", "customer", additive=True
        ),
        Process(
            "time_with_customers",
            "Time with customers",
            "客户沟通时长",
            "hours",
            "visits",
            "visit",
            additive=True,
        ),
        Process(
            "conversion", "Conversion", "转化率", "share", "new customers, visits", "customer", level=True
        ),
    )
}
"""Code -> process indicator, in the order in which they are shown."""

CODES: Mapping[str, str] = {
    # Visits: what `visit.server.reasons` says first, or
    "SAME_CUSTOMER": "Another visit to this customer counts already.",
    "NOT_DUE_YET": "It lies still ahead.",
    "OTHER_DAY": "It took place on another day than planned.",
    "CANCELLED": "It was cancelled.",
    "MISSED": "It did not take place.",
    "BACK_FILLED": "It was written long after the check-in it claims.",
    "NOT_DONE": "It is not done.",
    # Follow-ups and requests.
    "LATE": "It was done after it was due.",
    "OVERDUE": "It was due and is not done.",
    "UNANSWERED": "Nobody answered it yet, and it has not waited longer than the others.",
    # Customers.
    "NOT_VISITED": "No valid visit took place there.",
    "NOT_APPROVED": "It is a lead that nobody has approved yet.",
    # Values.
    "ENTERED": "Entered, and not confirmed yet.",
    "CONFIRMED": "Confirmed by a manager, and not reviewed yet.",
    "DECLINED": "It was declined.",
    "SUPERSEDED": "A later value counts.",
}
"""Codes of evidence that does not count, besides those of a visit that is not valid (`server.visits.rules.CODES`)."""
