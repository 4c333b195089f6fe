"""What facts tell of everybody, held against what going through every visit, follow-up and customer tells."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from server.db import reading
from server.indicators.actuals import facts_of, quick, quick_of_team
from server.indicators.catalogue import PROCESS
from server.indicators.measure import measure
from server.indicators.periods import Period, period_of
from server.indicators.score import Actual, Indicator
from tests.world import ZONE, World

KINDS = ("day", "week", "month", "quarter")


def told(actual: Actual) -> tuple[object, object, tuple[str, ...]]:
    """A number without its evidence; where there was no case, what was not counted is nobody's business."""
    part, whole = (0, 0) if not actual.whole else (actual.part, actual.whole)
    return part, whole, actual.reasons


def disagreements(
    world: World, who: Iterable[str] = ("rob", "ria", "sam", "mia"), now: datetime | None = None
) -> list[tuple[object, ...]]:
    """Each indicator of a person, or of all of them together, for which the two ways differ."""
    now = now or datetime.now(UTC)
    today = now.astimezone(ZoneInfo(ZONE)).date()
    people = {world.ids[name]: today.isoformat() for name in who}
    found: list[tuple[object, ...]] = []
    with world.app.app_context(), reading() as connection:
        for period in (period_of(kind, today) for kind in KINDS):
            summed = quick(connection, world.org, people, period, now)
            summed["all"] = quick_of_team(
                connection, world.org, people.keys(), period, now, today.isoformat()
            )
            for person, sums in summed.items():
                mine = people.keys() if person == "all" else [person]
                facts = facts_of(connection, world.org, mine, period)
                for code in PROCESS:
                    looked_at = measure(Indicator(code), facts, period, now, today.isoformat())
                    if told(sums[code]) != told(looked_at):
                        found.append((period.kind, person, code, told(sums[code]), told(looked_at)))
    return found


def of(world: World, who: str, period: Period, now: datetime) -> dict[str, Actual]:
    """Code -> actual of somebody in a period, from facts."""
    today = now.astimezone(ZoneInfo(ZONE)).date().isoformat()
    with world.app.app_context(), reading() as connection:
        return quick(connection, world.org, {world.ids[who]: today}, period, now)[world.ids[who]]
