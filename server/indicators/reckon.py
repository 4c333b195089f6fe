"""Scores of people and teams out of what is stored: which scheme holds, what is wanted, what was measured.

Pure parts do the sums (`score`, `targets`, `measure`); here is what is read for them, in few statements however many people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, select

from server.indicators.actuals import MOST_NAMED, facts_of, quick, quick_of_team
from server.indicators.case import level_of, scheme_of, with_defaults
from server.indicators.measure import Value, measure, of_values
from server.indicators.model import DayOff, IndicatorScheme, IndicatorTarget, IndicatorValue
from server.indicators.periods import MONDAY_TO_FRIDAY, Calendar, Period, own_period, period_of
from server.indicators.score import Actual, Scheme, Score, Target, score
from server.indicators.targets import Wanted, target_of
from server.people.grant import parents_of
from server.people.model import Organisation, Person, Setting
from server.people.rules import above
from server.visits.rules import day_of, zone_of

_NEVER: frozenset[date] = frozenset()

WORKING_DAYS = "working_days"
"""The setting of an organisation that lists its working days of the week, 0 = Monday."""


@dataclass(frozen=True, slots=True)
class Rated:
    """A person who may have a score."""

    id: str
    name: str
    role: str
    team_id: str | None
    zone: tzinfo
    joined: date | None
    left: date | None


@dataclass(frozen=True, slots=True)
class Held:
    """An approved scheme and for whom it holds from when."""

    valid_from: date
    role: str | None
    team_id: str | None
    name: str
    scheme: Scheme


@dataclass(slots=True)
class Book:
    """What scores of an organisation are reckoned by, as it is at `as_of`."""

    connection: Connection
    org_id: str
    as_of: datetime
    zone: tzinfo = UTC
    week_start: int = 0
    parents: dict[str, str | None] = field(default_factory=dict)
    schemes: list[Held] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    off: dict[str | None, frozenset[date]] = field(default_factory=dict)
    worked: dict[str | None, frozenset[date]] = field(default_factory=dict)
    _everybodys: Calendar | None = None

    @property
    def weekdays(self) -> frozenset[int]:
        """The organisation's working days of the week."""
        said = self.settings.get(WORKING_DAYS)
        sound = isinstance(said, list) and all(type(one) is int and 0 <= one < 7 for one in said)
        return frozenset(said) if sound and said else MONDAY_TO_FRIDAY

    @property
    def today(self) -> date:
        """The organisation's day."""
        return date.fromisoformat(day_of(self.as_of, self.zone))

    def calendar(self, person: Rated | None) -> Calendar:
        """Which days are worked by somebody, or by a team."""
        off, worked = self.off.get(None, _NEVER), self.worked.get(None, _NEVER)
        if self._everybodys is None:
            self._everybodys = Calendar(self.weekdays, off, worked=worked)
        if person is None or not (
            person.joined or person.left or person.id in self.off or person.id in self.worked
        ):
            return self._everybodys
        off |= self.off.get(person.id, _NEVER)
        return Calendar(
            self.weekdays, off, person.joined, person.left, worked | self.worked.get(person.id, _NEVER)
        )

    def scheme_in(self, role: str | None, team_id: str | None, period: Period) -> Held | None:
        """The scheme that holds on the first day of a period, or begins in it: the nearest team's, then the latest."""
        teams = [team_id, *above(self.parents, team_id)] if team_id else []
        fitting = [
            one
            for one in self.schemes
            if one.valid_from < period.ends_on
            and one.role in (None, role)
            and (one.team_id is None or one.team_id in teams)
        ]
        holding = [one for one in fitting if one.valid_from <= period.starts_on] or fitting

        def near(one: Held) -> tuple[int, int]:
            distance = len(teams) if one.team_id is None else teams.index(one.team_id)
            return distance, -one.valid_from.toordinal()

        return min(holding, key=near, default=None)


def open_book(connection: Connection, org_id: str, as_of: datetime) -> Book:
    """Read what scores are reckoned by."""
    organisation = connection.execute(
        select(Organisation.time_zone, Organisation.week_start).where(Organisation.id == org_id)
    ).one()
    book = Book(connection, org_id, as_of, zone_of(organisation.time_zone) or UTC, organisation.week_start)
    book.parents = parents_of(connection, org_id)
    book.settings = {
        row.key: row.value
        for row in connection.execute(
            select(Setting.key, Setting.value).where(Setting.org_id == org_id, Setting.archived.is_(False))
        )
    }
    rows = connection.execute(
        select(IndicatorScheme.__table__).where(
            IndicatorScheme.org_id == org_id, IndicatorScheme.status == "approved"
        )
    ).mappings()
    book.schemes = [
        Held(date.fromisoformat(row["valid_from"]), row["role"], row["team_id"], row["name"], _scheme(row))
        for row in rows
    ]
    days: dict[bool, dict[str | None, set[date]]] = {True: {}, False: {}}
    for person, day, worked in connection.execute(
        select(DayOff.person_id, DayOff.on, DayOff.worked).where(
            DayOff.org_id == org_id, DayOff.archived.is_(False)
        )
    ):
        days[bool(worked)].setdefault(person, set()).add(date.fromisoformat(day))
    book.off, book.worked = (
        {person: frozenset(some) for person, some in days[worked].items()} for worked in (False, True)
    )
    return book


def _scheme(row: Mapping[Any, Any]) -> Scheme:
    document = {name: row[name] for name in ("id", "version", "cap", "indicators")}
    return scheme_of(document)


def people_of(
    connection: Connection,
    org_id: str,
    *,
    ids: Collection[str] | None = None,
    teams: Collection[str] | None = None,
    active: bool = True,
    roles: Sequence[str] = ("rep",),
) -> list[Rated]:
    """People by id, or those of these roles in these teams, by name."""
    statement = select(
        Person.id,
        Person.name,
        Person.role,
        Person.team_id,
        Person.time_zone,
        Person.joined_on,
        Person.left_on,
    ).where(Person.org_id == org_id)
    if ids is not None:
        statement = statement.where(Person.id.in_(ids))
    else:
        statement = statement.where(Person.role.in_(roles))
        if teams is not None:
            statement = statement.where(Person.team_id.in_(teams))
        if active:
            statement = statement.where(Person.active)
    return [
        Rated(
            row.id,
            row.name,
            row.role,
            row.team_id,
            zone_of(row.time_zone) or UTC,
            _date(row.joined_on),
            _date(row.left_on),
        )
        for row in connection.execute(statement.order_by(Person.name, Person.id)).all()
    ]


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


# -- scores ---------------------------------------------------------------------------------------------------------------


def scores_of(book: Book, people: Sequence[Rated], period: Period) -> dict[str, Score]:
    """Person -> score in a period, from sums; who has no scheme has none. Readings carry no evidence."""
    # Of a thousand people many have the same team, the same zone and the same scheme: each is looked up once.
    groups = {(person.role, person.team_id) for person in people}
    held = {group: book.scheme_in(*group, period) for group in groups}
    rated = [person for person in people if held[person.role, person.team_id]]
    schemes = {one.scheme.id: one.scheme for one in held.values() if one}
    if not rated:
        return {}
    periods = {identity: _periods(book, one, period) for identity, one in schemes.items()}
    spans: dict[str, set[Period]] = {"facts": set(), "values": set()}
    for one in schemes.values():
        for each in one.indicators:
            spans[each.source].add(periods[one.id][each.code])
    zones = {zone: day_of(book.as_of, zone) for zone in {person.zone for person in rated}}
    todays = {person.id: zones[person.zone] for person in rated}
    facts = {span: quick(book.connection, book.org_id, todays, span, book.as_of) for span in spans["facts"]}
    values = _values(book, todays, spans["values"]) if spans["values"] else {}
    wanted = _wanted(book, IndicatorTarget.person_id, todays.keys())
    sources = {
        identity: [
            (each, periods[identity][each.code], facts.get(periods[identity][each.code], {}))
            for each in one.indicators
        ]
        for identity, one in schemes.items()
    }
    found = {}
    spread: Spread = {}
    for person in rated:
        by = held[person.role, person.team_id]
        assert by is not None
        own = periods[by.scheme.id]
        actuals: dict[str, Actual] = {}
        for each, span, measured in sources[by.scheme.id]:
            if each.source == "values":
                actuals[each.code] = of_values(each, values.get(person.id, ()), span)
            else:
                actuals[each.code] = measured[person.id][each.code]
        targets = _targets(book, by.scheme, own, wanted.get(person.id, {}), person, spread)
        found[person.id] = score(by.scheme, period, own, targets, actuals)
    return found


def score_of(book: Book, person: Rated, period: Period) -> tuple[Held, Score] | None:
    """Somebody's score with everything behind it; None where no scheme holds."""
    held = book.scheme_in(person.role, person.team_id, period)
    return None if held is None else (held, score_by(book, person, period, held))


def score_by(book: Book, person: Rated, period: Period, held: Held) -> Score:
    """Somebody's score by this scheme, with everything behind it."""
    own = _periods(book, held.scheme, period)
    today = day_of(book.as_of, person.zone)
    wanted = _wanted(book, IndicatorTarget.person_id, [person.id]).get(person.id, {})
    targets = _targets(book, held.scheme, own, wanted, person, {})
    actuals = _measured(book, held.scheme, own, [person.id], today)
    return score(held.scheme, period, own, targets, actuals)


def score_of_team(
    book: Book, team_id: str, people: Sequence[Rated], period: Period, *, evidence: bool = False
) -> Score | None:
    """A team's score: the same formulas over all its people's facts and values, against the team's own targets."""
    held = book.scheme_in("rep", team_id, period)
    if held is None:
        return None
    own = _periods(book, held.scheme, period)
    ids = [person.id for person in people]
    today = day_of(book.as_of, book.zone)
    wanted = _wanted(book, IndicatorTarget.team_id, [team_id]).get(team_id, {})
    targets = _targets(book, held.scheme, own, wanted, None, {})
    if evidence:
        actuals = _measured(book, held.scheme, own, ids, today)
    else:
        values = _values(book, ids, own.values())
        all_of_them = [value for some in values.values() for value in some]
        facts = {
            span: quick_of_team(book.connection, book.org_id, ids, span, book.as_of, today)
            for span in {own[each.code] for each in held.scheme.indicators if each.source == "facts"}
        }
        actuals = {
            each.code: of_values(each, all_of_them, own[each.code])
            if each.source == "values"
            else facts[own[each.code]][each.code]
            for each in held.scheme.indicators
        }
    return score(held.scheme, period, own, targets, actuals)


def _periods(book: Book, scheme: Scheme, period: Period) -> dict[str, Period]:
    return {each.code: own_period(each.period, period, book.week_start) for each in scheme.indicators}


def _measured(
    book: Book, scheme: Scheme, own: Mapping[str, Period], people: Collection[str], today: str
) -> dict[str, Actual]:
    facts = {
        span: facts_of(book.connection, book.org_id, people, span)
        for span in {own[each.code] for each in scheme.indicators if each.source == "facts"}
    }
    values = _values(book, people, own.values())
    of_them = [value for some in values.values() for value in some]
    return {
        each.code: of_values(each, of_them, own[each.code])
        if each.source == "values"
        else measure(each, facts[own[each.code]], own[each.code], book.as_of, today)
        for each in scheme.indicators
    }


def _values(book: Book, people: Iterable[str], spans: Iterable[Period]) -> dict[str, list[Value]]:
    spans, wanted = list(spans), set(people)
    statement = select(
        IndicatorValue.person_id,
        IndicatorValue.id,
        IndicatorValue.indicator,
        IndicatorValue.on,
        IndicatorValue.amount,
        IndicatorValue.status,
    ).where(
        IndicatorValue.org_id == book.org_id,
        IndicatorValue.archived.is_(False),
        IndicatorValue.on >= min(one.starts_on for one in spans).isoformat(),
        IndicatorValue.on < max(one.ends_on for one in spans).isoformat(),
    )
    if len(wanted) <= MOST_NAMED:
        statement = statement.where(IndicatorValue.person_id.in_(wanted))
    rows = book.connection.execute(statement)
    found: dict[str, list[Value]] = {}
    for person, identity, indicator, on, amount, status in rows:
        if person in wanted:
            found.setdefault(person, []).append(Value(identity, indicator, on, Decimal(amount), status))
    return found


Typed = dict[str, tuple[tuple[str, str, str], ...]]
"""Indicator -> what was typed for it: kind of period, its first day, amount."""

Spread = dict[Any, Any]
"""What was typed, for whose days -> what that comes to: many people are wanted the same in the same days."""


def _wanted(book: Book, whose: Any, ids: Collection[str]) -> dict[str, Typed]:
    statement = select(
        whose,
        IndicatorTarget.indicator,
        IndicatorTarget.period,
        IndicatorTarget.starts_on,
        IndicatorTarget.amount,
    ).where(IndicatorTarget.org_id == book.org_id, whose.is_not(None), IndicatorTarget.status == "held")
    if len(ids) <= MOST_NAMED:
        statement = statement.where(whose.in_(ids))
    found: dict[str, Typed] = {}
    for one, indicator, *typed in book.connection.execute(statement).all():
        of_one = found.setdefault(one, {})
        of_one[indicator] = (*of_one.get(indicator, ()), tuple(typed))
    return found


def _targets(
    book: Book,
    scheme: Scheme,
    own: Mapping[str, Period],
    typed: Typed,
    person: Rated | None,
    spread: Spread,
) -> dict[str, Target]:
    if scheme.id not in spread:
        spread[scheme.id] = with_defaults({}, scheme)
    found = dict(spread[scheme.id])
    if not typed:
        return found
    calendar = book.calendar(person)
    for each in scheme.indicators:
        rows = typed.get(each.code)
        if rows:
            key = (id(calendar), scheme.id, each.code, rows)
            if key not in spread:
                held = [
                    Wanted(period_of(kind, date.fromisoformat(first), book.week_start), Fraction(amount))
                    for kind, first, amount in rows
                ]
                spread[key] = target_of(own[each.code], held, calendar, level=level_of(each))
                spread[id(calendar)] = calendar  # kept, so that nothing else gets its id
            target = spread[key]
            if target is not None:
                found[each.code] = target
    return found
