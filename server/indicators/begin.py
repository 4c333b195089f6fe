"""What a new organisation begins with: a scheme that works on the first day, with no other system."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from server.exchange.door import Change
from server.indicators.templates import TEMPLATE_NAMES, TEMPLATES
from server.visits.rules import day_of, zone_of

FIRST = "field_only"


def first_scheme(time_zone: str, now: datetime) -> Change:
    """The process indicators alone, approved, valid from the organisation's day on which it begins."""
    name, name_zh = TEMPLATE_NAMES[FIRST]
    fields = {
        "name": name,
        "name_zh": name_zh,
        "template": FIRST,
        "valid_from": day_of(now, zone_of(time_zone) or UTC),
        "indicators": TEMPLATES[FIRST],
        "status": "approved",
    }
    return Change("scheme", str(uuid4()), "create", fields)
