"""The roll-up of a rep's day: re-aggregated from its visits by every transaction that touches one of them.

Re-aggregating instead of counting up keeps late, changed and moved visits right, and costs one small read and one
upsert a day touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from server.customers.model import Customer
from server.db import upsert
from server.visits.model import RepDay, Visit

_VISITS = (
    select(
        Visit.id,
        Visit.status,
        Visit.mode,
        Visit.planned_time,
        Visit.valid,
        Visit.trust,
        Visit.server,
        Visit.check_in_fix,
        Visit.check_in_best_fix,
        Visit.check_out_fix,
        Visit.at,
        Visit.day,
        Visit.customer_id,
        Visit.planned_date,
        Customer.name.label("customer"),
    )
    .join(Customer, (Customer.org_id == Visit.org_id) & (Customer.id == Visit.customer_id))
    .where(
        Visit.org_id == bindparam("org"),
        Visit.rep_id == bindparam("rep"),
        Visit.day.in_(bindparam("days", expanding=True)),
    )
)


def refresh_days(
    connection: Connection, org_id: str, days: Iterable[tuple[str, str]]
) -> dict[str, dict[str, list[Mapping[Any, Any]]]]:
    """Make the roll-ups of these (rep id, day) true again; returns the visits of each rep's day, as they were read."""
    of_rep: dict[str, dict[str, list[Mapping[Any, Any]]]] = {}
    for rep, day in sorted(days):
        of_rep.setdefault(rep, {})[day] = []
    rows = []
    for rep, touched in of_rep.items():
        about = {"org": org_id, "rep": rep, "days": list(touched)}
        for visit in connection.execute(_VISITS, about).mappings():
            touched[visit["day"]].append(visit)
        for day, visits in touched.items():
            # Sorted here: asked to, SQLite walks the index of times through the whole history.
            visits.sort(key=lambda visit: (visit["at"], visit["id"]))
            rows.append({"org_id": org_id, "day": day, "rep_id": rep} | summarise(visits))
    upsert(RepDay, connection, rows)
    return of_rep


def summarise(visits: Iterable[Mapping[Any, Any]]) -> dict[str, Any]:
    """The figures of one day from its visits in time order; seconds, instants, and the line as the board draws it."""
    total: dict[str, Any] = {
        "visits": 0,
        "valid_visits": 0,
        "valid_s": 0,
        "review": 0,
        "in_person": 0,
        "no_position": 0,
        "first_check_in": None,
        "last_check_out": None,
        "open_visit": None,
        "position": None,
        "line": [],
    }
    for visit in visits:
        server = visit["server"] or {}
        began, ended = _instant(server.get("check_in_at")), _instant(server.get("check_out_at"))
        total["line"].append(
            {
                "visit": visit["id"],
                "customer": visit["customer"],
                "from": server.get("check_in_at"),
                "to": server.get("check_out_at"),
                "planned_time": visit["planned_time"],
                "status": visit["status"],
                "valid": visit["valid"],
                "trust": visit["trust"],
            }
        )
        if visit["status"] not in {"open", "done"}:
            continue
        total["visits"] += 1
        if visit["valid"]:
            total["valid_visits"] += 1
            total["valid_s"] += server.get("duration_s") or 0
        decided = server.get("accepted") or server.get("declined")
        total["review"] += visit["trust"] == "review" and not decided
        if visit["mode"] == "in_person":
            total["in_person"] += 1
            total["no_position"] += not (_place(visit["check_in_fix"]) or _place(visit["check_in_best_fix"]))
        if began and (total["first_check_in"] is None or began < total["first_check_in"]):
            total["first_check_in"] = began
        if ended and (total["last_check_out"] is None or ended > total["last_check_out"]):
            total["last_check_out"] = ended
        if visit["status"] == "open":
            total["open_visit"] = {
                "id": visit["id"],
                "customer": visit["customer"],
                "since": server.get("check_in_at"),
            }
        for name, at in (("check_in_fix", began), ("check_in_best_fix", began), ("check_out_fix", ended)):
            fix = visit[name]
            if at and _place(fix):
                total["position"] = {
                    "lat": fix["lat"],
                    "lon": fix["lon"],
                    "accuracy_m": fix["accuracy_m"],
                    "at": fix["taken_at"],
                }
    return total


def _place(fix: Mapping[str, Any] | None) -> bool:
    return bool(fix) and "none" not in (fix or {})


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
