"""What a new organisation starts with; all of it can be changed later. Each entry has its English and Chinese name."""

from __future__ import annotations

from typing import Any

ROOT_TEAM = {"en": "Everybody", "zh-Hans": "全体"}

_LONG = {"in_person": 30, "online": 30, "phone": 0}
_SHORT = {"in_person": 10, "online": 10, "phone": 0}

VISIT_KINDS: tuple[tuple[str, str, str, dict[str, int]], ...] = (
    ("sales_call", "Sales call", "销售拜访", _LONG),
    ("store_call", "Store call", "门店巡访", _SHORT),
    ("first_call", "First call", "首次拜访", _LONG),
    ("negotiation", "Negotiation", "商务谈判", _LONG),
    ("service", "Service", "售后服务", _LONG),
    ("delivery", "Delivery", "送货", _SHORT),
)
"""Purposes of a visit: code, names, and the minutes it must last by mode to count (PRODUCT, Valid visit)."""

OUTCOMES: tuple[tuple[str, str, str], ...] = (
    ("order", "Order", "下单"),
    ("thinking", "Thinking it over", "考虑中"),
    ("no", "No", "无意向"),
    ("complaint", "Complaint taken", "受理投诉"),
    ("payment", "Payment collected", "收到回款"),
    ("nobody", "Nobody there", "无人接待"),
)
"""What may come of a visit, in the order in which the phone offers them: code and names."""

SETTINGS: dict[str, Any] = {
    "radius_m": 200,
    "min_note_chars": 10,
    "backfill_limit_h": 48,
    "share_team_customers": True,
    "no_position_share": 0.5,
    "photos_per_visit": 12,
    "photo_max_bytes": 3 * 1024 * 1024,
    "working_days": [0, 1, 2, 3, 4],
    "close_after_days": 3,
    "honours": True,
    "leaderboard": "own",
}
"""Settings as PRODUCT defines them, written down so that an administrator finds them."""
