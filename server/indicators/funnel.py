"""From plan to outcome: how many visits were planned, made, left a follow-up behind, brought something."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, case, exists, func, select

from server.followups.model import FollowUp
from server.indicators.periods import Period
from server.visits.model import Visit


def planned_to_outcome(
    connection: Connection, org_id: str, people: Collection[str], period: Period
) -> dict[str, int]:
    """Of the visits that these people had planned for days of a period, cancelled ones left out: `planned`; of these
    `visited`; of those visited `followed` by a promise that came from them, and `outcome`, that of which one was noted.
    """
    left = exists().where(
        FollowUp.org_id == Visit.org_id, FollowUp.visit_id == Visit.id, FollowUp.archived.is_(False)
    )
    done = Visit.status == "done"

    def number(condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    row = connection.execute(
        select(
            func.count(), number(done), number(done & left), number(done & Visit.outcome.is_not(None))
        ).where(
            Visit.org_id == org_id,
            Visit.rep_id.in_(people),
            Visit.planned_date >= period.starts_on.isoformat(),
            Visit.planned_date < period.ends_on.isoformat(),
            Visit.status != "cancelled",
        )
    ).one()
    return dict(zip(("planned", "visited", "followed", "outcome"), map(int, row), strict=True))
