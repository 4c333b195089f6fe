"""What may be read of scores: one's own, and those of the people one leads; an administrator sees all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from server.auth import Principal
from server.customers.exporting import Lines
from server.customers.model import Customer
from server.followups.model import FollowUp
from server.indicators.case import score_document
from server.indicators.closing_model import Closing
from server.indicators.compare import USUAL, quadrant_of, sides
from server.indicators.funnel import planned_to_outcome
from server.indicators.honours import announced
from server.indicators.model import IndicatorValue
from server.indicators.periods import Period, period_of
from server.indicators.reckon import (
    Book,
    Held,
    Rated,
    open_book,
    people_of,
    score_by,
    score_of_team,
    scores_of,
)
from server.indicators.score import NO_EVIDENCE, Indicator, Reading, Scheme
from server.people.grant import parents_of
from server.people.rules import below, led_by
from server.visits.model import Visit

LEADERBOARD = "leaderboard"
"""The setting that says what a rep is shown of places in their team: `off` nothing, `own` their own (what holds where
nothing is set, or anything else), `all` everybody's with name and total."""

LEAST_RANKED = 4


def asked_period(book: Book, kind: str, day: date | None) -> Period:
    """The period of this kind that holds a day, or the organisation's today."""
    return period_of(kind, day or book.today, book.week_start)


def led(connection: Connection, principal: Principal, team: str | None) -> Collection[str] | None:
    """The teams whose people somebody may see, within `team` if one is named; None where that is not theirs to see."""
    parents = parents_of(connection, principal.org_id)
    teams = led_by(principal.role, principal.team_id, parents)
    if team is None:
        return teams
    return below(parents, team) if team in teams else None


def rated(book: Book, principal: Principal, teams: Collection[str] | None, everybody: bool) -> list[Rated]:
    """Whose scores a table holds: the reps of these teams; of somebody who leads nobody, they themselves."""
    if principal.role == "rep":
        return people_of(book.connection, book.org_id, ids=[principal.person_id])
    return people_of(book.connection, book.org_id, teams=None if everybody else teams)


def table(
    connection: Connection,
    principal: Principal,
    kind: str,
    day: date | None,
    team: str | None,
    now: datetime,
) -> dict[str, Any] | None:
    """People with their scores of a period, by name; None for a team that one may not see. `team_score` of a team that was
    named. What is closed stands as it was closed."""
    teams = led(connection, principal, team)
    if teams is None:
        return None
    book = open_book(connection, principal.org_id, now)
    period = asked_period(book, kind, day)
    people = rated(book, principal, teams, principal.role == "administrator" and team is None)
    closed = _closed(connection, principal.org_id, period, people)
    frozen = {person for person, row in closed.items() if row["status"] == "closed"}
    live = scores_of(book, [person for person in people if person.id not in frozen], period)
    rows = []
    for person in people:
        row, score = closed.get(person.id), live.get(person.id)
        if person.id in frozen and row is not None:
            document = _frozen(row) | {"readings": [_bare(one) for one in row["readings"]]}
        elif score is not None:
            document = _live(score_document(score, evidence=False), row)
        else:
            document = _none(period)
        if principal.role != "rep":
            readings = score.readings if score else _readings(document["readings"], period)
            document["quadrant"] = _quadrant(readings)
        rows.append({"person": {"id": person.id, "name": person.name, "team": person.team_id}} | document)
    of_team = None
    if team is not None and principal.role != "rep":
        found = score_of_team(book, team, people, period)
        of_team = None if found is None else score_document(found, evidence=False)
    graded = Counter(str(row["grade"]) for row in rows if row["grade"])
    return {
        "period": period.document(),
        "team": team,
        "scores": rows,
        "team_score": of_team,
        "grades": {grade: graded[grade] for grade in USUAL},
        "usual": usual(),
        **places(book, principal, period),
        "honours": announced(book, period),
    }


def trial(
    connection: Connection,
    principal: Principal,
    scheme: Scheme,
    kind: str,
    day: date | None,
    team: str | None,
    now: datetime,
) -> dict[str, Any] | None:
    """How the scores of a period would fall by a scheme that holds for nobody yet, among the reps of a team, or of all whom
    the reader leads; None for a team that one may not see. Nothing is kept, and closings are not looked at."""
    teams = led(connection, principal, team)
    if teams is None:
        return None
    book = open_book(connection, principal.org_id, now)
    book.schemes = [Held(date.min, None, None, "", scheme)]
    period = asked_period(book, kind, day)
    people = rated(book, principal, teams, principal.role == "administrator" and team is None)
    found = scores_of(book, people, period).values()
    totals = sorted(score.total for score in found if score.total is not None)
    graded = Counter(score.grade for score in found)
    return {
        "period": period.document(),
        "team": team,
        "people": len(totals),
        "unscored": len(people) - len(totals),
        "lowest": format(totals[0], "f") if totals else None,
        "highest": format(totals[-1], "f") if totals else None,
        "grades": {grade: graded[grade] for grade in USUAL},
        "usual": usual(),
    }


def usual() -> dict[str, list[str]]:
    """The usual shares as they travel."""
    return {grade: [str(low), str(high)] for grade, (low, high) in USUAL.items()}


def places(book: Book, principal: Principal, period: Period) -> dict[str, Any]:
    """A rep's place among the people of their team who have a total; equal totals share a place. As far as the organisation
    shows places (`LEADERBOARD`): `rank` {rank, of} is one's own, `leaderboard` [{person, rank, total}] everybody's.

    `rank` is None without a total of one's own, and where no more than one's own is shown, in a team so small that it would
    tell the others' totals. Both are None for who is no rep.
    """
    shown = book.settings.get(LEADERBOARD)
    nothing: dict[str, Any] = {"rank": None, "leaderboard": None}
    if principal.role != "rep" or principal.team_id is None or shown == "off":
        return nothing
    people = people_of(book.connection, book.org_id, teams=[principal.team_id])
    closed = _closed(book.connection, book.org_id, period, people)
    totals = {person: row["total"] for person, row in closed.items() if row["status"] == "closed"}
    live = scores_of(book, [person for person in people if person.id not in totals], period)
    totals |= {person: score.total for person, score in live.items()}
    known = {person: Decimal(total) for person, total in totals.items() if total is not None}
    place = {one: 1 + sum(total > own for total in known.values()) for one, own in known.items()}
    everybody = shown == "all"
    rank = None
    if principal.person_id in place and (everybody or len(known) >= LEAST_RANKED):
        rank = {"rank": place[principal.person_id], "of": len(known)}
    if not everybody:
        return nothing | {"rank": rank}
    lines = [
        {
            "person": {"id": person.id, "name": person.name},
            "rank": place[person.id],
            "total": format(known[person.id], "f"),
        }
        for person in sorted(people, key=lambda one: place.get(one.id, 0))
        if person.id in place
    ]
    return {"rank": rank, "leaderboard": lines}


def _quadrant(readings: Sequence[Reading]) -> dict[str, str] | None:
    """Where somebody stands: {quadrant, result, quality}, the sides as part totals; None where one was not measured."""
    found = sides(readings)
    if found is None:
        return None
    return {"quadrant": quadrant_of(found), "result": format(found[0], "f"), "quality": format(found[1], "f")}


def _readings(told: Iterable[Mapping[str, Any]], period: Period) -> list[Reading]:
    """Of readings as a closing keeps them, those that counted, with what sides are made of."""
    return [
        Reading(
            Indicator(one["indicator"], one["kind"]),
            period,
            *(None, None, None, None),
            Decimal(one["attainment"]),
            Decimal(one["share"]),
            Decimal(one["points"]),
            (),
            NO_EVIDENCE,
        )
        for one in told
        if one["attainment"] is not None
    ]


def funnel(
    connection: Connection,
    principal: Principal,
    kind: str,
    day: date | None,
    team: str | None,
    now: datetime,
) -> dict[str, Any] | None:
    """What became of the plans of those whose scores a table of the same period holds; None for a team one may not see."""
    teams = led(connection, principal, team)
    if teams is None:
        return None
    book = open_book(connection, principal.org_id, now)
    period = asked_period(book, kind, day)
    people = rated(book, principal, teams, principal.role == "administrator" and team is None)
    steps = planned_to_outcome(connection, principal.org_id, [person.id for person in people], period)
    return {"period": period.document(), "team": team} | steps


def one(
    connection: Connection, principal: Principal, person_id: str, kind: str, day: date | None, now: datetime
) -> dict[str, Any] | None:
    """One person's score with all that stands behind it; None where one may not see it."""
    found = _somebody(connection, principal, person_id)
    if found is None:
        return None
    book = open_book(connection, principal.org_id, now)
    period = asked_period(book, kind, day)
    row = _closed(connection, principal.org_id, period, [found]).get(found.id)
    if row is not None and row["status"] == "closed":
        document = _frozen(row)
    else:
        held = book.scheme_in(found.role, found.team_id, period)
        if held is None:
            document = _none(period)
        else:
            document = _live(score_document(score_by(book, found, period, held)), row)
            document["scheme"] |= {"name": held.name}
    return {"person": {"id": found.id, "name": found.name, "team": found.team_id}} | document


def closing(connection: Connection, principal: Principal, identity: str) -> dict[str, Any] | None:
    """The figures of one closing without what stands behind them; None where one may not see its person's scores.

    Of one that was reopened the figures are those it was closed with.
    """
    row = (
        connection.execute(
            select(Closing.__table__).where(Closing.org_id == principal.org_id, Closing.id == identity)
        )
        .mappings()
        .one_or_none()
    )
    found = None if row is None else _somebody(connection, principal, row["person_id"])
    if row is None or found is None:
        return None
    document = _frozen(row)
    document["readings"] = [_bare(one) for one in document["readings"]]
    person = {"id": found.id, "name": found.name, "team": found.team_id}
    return {"person": person} | document | {"state": row["status"]}


def evidence(
    connection: Connection, score: Mapping[str, Any], indicator: str, org_id: str
) -> dict[str, Any] | None:
    """What stands behind one reading of a score (as `one` tells it): each thing with its day and customer; None for an
    indicator that the score has not."""
    reading = next((each for each in score["readings"] if each["indicator"] == indicator), None)
    if reading is None:
        return None
    told = reading["evidence"]
    ids = [*told["counted"], *(each["id"] for each in told["not_counted"])]
    known = _things(connection, org_id, told["kind"], ids)
    return {
        "reading": {name: value for name, value in reading.items() if name != "evidence"},
        "kind": told["kind"],
        "counted": [{"id": each} | known.get(each, {}) for each in told["counted"]],
        "not_counted": [each | known.get(each["id"], {}) for each in told["not_counted"]],
    }


CSV = (
    *("person_id", "person", "team_id", "period", "starts_on", "ends_on", "state", "total", "grade"),
    *("scheme_id", "scheme_version", "indicator", "kind", "unit", "actual", "target", "attainment"),
    *("weight", "share", "points", "reasons"),
)
"""One line a reading; who has no scheme has one line without."""

NUMBERS = frozenset({"total", "actual", "target", "attainment", "weight", "share", "points"})
"""Columns whose texts are numbers: one below nothing needs no guard against being read as a formula."""


def csv_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """A table as lines of CSV, the header first."""
    lines = Lines()
    yield lines.line(CSV)
    for score in found["scores"]:
        person, period, scheme = score["person"], score["period"], score["scheme"] or {}
        for reading in score["readings"] or [{}]:
            known = reading | {
                "person_id": person["id"],
                "person": person["name"],
                "team_id": person["team"],
                "period": period["kind"],
                "starts_on": period["starts_on"],
                "ends_on": period["ends_on"],
                "state": score["state"],
                "total": score["total"],
                "grade": score["grade"],
                "scheme_id": scheme.get("id"),
                "scheme_version": scheme.get("version"),
                "reasons": ";".join(reading.get("reasons", ())),
            }
            cells = {name: Decimal(known[name]) for name in NUMBERS & known.keys() if known[name] is not None}
            yield lines.line([cells.get(name, known.get(name)) for name in CSV])


def _somebody(connection: Connection, principal: Principal, person_id: str) -> Rated | None:
    found = people_of(connection, principal.org_id, ids=[person_id])
    if not found:
        return None
    if found[0].id == principal.person_id or principal.role == "administrator":
        return found[0]
    teams = led_by(principal.role, principal.team_id, parents_of(connection, principal.org_id))
    return found[0] if found[0].team_id in teams else None


def _closed(
    connection: Connection, org_id: str, period: Period, people: Sequence[Rated]
) -> dict[str, Mapping[Any, Any]]:
    statement = select(Closing.__table__).where(
        Closing.org_id == org_id,
        Closing.period == period.kind,
        Closing.starts_on == period.starts_on.isoformat(),
    )
    if len(people) <= 200:
        statement = statement.where(Closing.person_id.in_([person.id for person in people]))
    return {row["person_id"]: row for row in connection.execute(statement).mappings()}


def _frozen(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "period": {"kind": row["period"], "starts_on": row["starts_on"], "ends_on": row["ends_on"]},
        "scheme": row["scheme"],
        "readings": row["readings"],
        "reasons": row["reasons"],
        "total": row["total"],
        "grade": row["grade"],
        "state": "closed",
        "closing": {
            "id": row["id"],
            "version": row["version"],
            "closed_at": row["closed_at"],
            "adjustments": row["adjustments"],
            "reason": row["reason"],
        },
    }


def _live(document: dict[str, Any], row: Mapping[Any, Any] | None) -> dict[str, Any]:
    """A score of an open period; of one that was reopened, with why."""
    reopened = None if row is None else {"id": row["id"], "closed_at": row["closed_at"]}
    if row is not None and reopened is not None:
        reopened |= {"adjustments": row["adjustments"], "reason": row["reason"]}
    return document | {"state": "open" if row is None else "reopened", "closing": reopened}


def _none(period: Period) -> dict[str, Any]:
    """Of somebody for whom no scheme holds."""
    nothing: dict[str, Any] = {"period": period.document(), "scheme": None, "readings": [], "reasons": []}
    return nothing | {"total": None, "grade": None, "state": "none", "closing": None}


def _bare(reading: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in reading.items() if name != "evidence"}


def _things(connection: Connection, org_id: str, kind: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Id -> what a line about it says: its day and customer, or what it is."""
    if not ids:
        return {}
    if kind == "value":
        rows = connection.execute(
            select(
                IndicatorValue.id,
                IndicatorValue.on,
                IndicatorValue.amount,
                IndicatorValue.source,
                IndicatorValue.status,
            ).where(IndicatorValue.org_id == org_id, IndicatorValue.id.in_(ids))
        ).mappings()
        return {row["id"]: {name: row[name] for name in row if name != "id"} for row in rows}
    if kind == "customer":
        rows = connection.execute(
            select(Customer.id, Customer.name).where(Customer.org_id == org_id, Customer.id.in_(ids))
        ).mappings()
        return {row["id"]: {"customer": {"id": row["id"], "name": row["name"]}} for row in rows}
    table_: Any = Visit if kind == "visit" else FollowUp
    columns = (
        (Visit.day, Visit.status, Visit.mode, Visit.at)
        if kind == "visit"
        else (FollowUp.subject, FollowUp.status, FollowUp.due_date, FollowUp.done_day)
    )
    rows = connection.execute(
        select(table_.id, *columns, Customer.id.label("customer_id"), Customer.name)
        .join(Customer, (Customer.org_id == table_.org_id) & (Customer.id == table_.customer_id))
        .where(table_.org_id == org_id, table_.id.in_(ids))
    ).mappings()
    return {
        row["id"]: {column.key: row[column.key] for column in columns if column.key != "at"}
        | {"customer": {"id": row["customer_id"], "name": row["name"]}}
        for row in rows
    }
