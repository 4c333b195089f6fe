"""Bring values and targets in from a table: first a plan that changes nothing, then the plan through the door.

A row that cannot be taken is told by its line, its column and a stable code, with what it said, so that it can be mended and
sent again; all others are taken. The same file again changes nothing: a value is known by its source and key, or by all
that its row says (the second of two equal rows is another one), a target by whose, of what and when it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import Connection, select

from server.customers.table import Sheet
from server.exchange.door import Change, write
from server.exchange.work import Actor
from server.indicators.catalogue import PROCESS
from server.indicators.model import IndicatorScheme, IndicatorTarget, IndicatorValue
from server.indicators.periods import PERIODS, Period, period_of
from server.indicators.templates import TEMPLATES
from server.people.admin import Refused
from server.people.model import Login, Organisation, Person, Team

AT_ONCE = 100
"""So many rows are one transaction, so that no push waits long."""

MOST_ROWS = 100_000

CODES: Mapping[str, str] = {
    "TOO_MANY_CELLS": "The row has more cells than the header.",
    "PERSON_MISSING": "No person is named, and no team.",
    "PERSON_UNKNOWN": "Nobody here has this e-mail address, name or id.",
    "PERSON_AMBIGUOUS": "Several people have this name; their e-mail address tells them apart.",
    "TEAM_UNKNOWN": "There is no team of this name or id.",
    "TEAM_AMBIGUOUS": "Several teams have this name; the id tells them apart.",
    "BOTH": "A target is one person's or one team's, not both.",
    "INDICATOR_MISSING": "No indicator is named.",
    "INDICATOR_UNKNOWN": "No scheme and no template has this indicator.",
    "INDICATOR_COMPUTED": "This indicator is computed from visits; nobody enters it.",
    "DAY_MISSING": "No day is named.",
    "NOT_A_DAY": "This is no day, or may be two: write YYYY-MM-DD.",
    "NOT_A_PERIOD": "This is no period: write 2026, 2026-H1, 2026-Q1, 2026-03, 2026-W10 or 2026-03-09.",
    "PERIOD_START": "No period of this kind starts on this day.",
    "AMOUNT_MISSING": "There is no amount.",
    "NOT_A_NUMBER": "This is no number, or too long a one.",
    "AMBIGUOUS_NUMBER": "The comma may part thousands or decimals: write 1234 or 1.234, or say which sign parts decimals.",
    "NEGATIVE": "A target is not negative.",
    "TOO_LONG": "The text is too long.",
    "TWICE": "The same was said before in this file, differently.",
    "STANDS": "It was reviewed with another amount; it has to be declined before it is entered anew.",
    "NOT_TAKEN": "The server did not take it; it is parked, where whoever sent it sees it.",
}
"""Every code that a row may be left out with."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a row is left out: its line in the file, the column, a code of `CODES`, a sentence; `cells` is what it said."""

    line: int
    column: str
    code: str
    why: str
    cells: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"line {self.line}, {self.column}" if self.column else f"line {self.line}"
        return f"{where}: {self.code}: {self.why}"


@dataclass(frozen=True, slots=True)
class Step:
    """One change to be made, and the row that asks for it."""

    line: int
    cells: tuple[str, ...]
    change: Change


@dataclass(slots=True)
class Plan:
    """What an import would do."""

    steps: list[Step] = field(default_factory=list)
    unchanged: int = 0
    failed: list[Trouble] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """What an import did."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: list[Trouble] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Standing:
    """For all rows that say nothing of it. `decimal`: the sign before decimals, `.` or `,`; "" for whichever is certain.
    `dates`: how days are written that do not begin with the year, `mdy` or `dmy`.
    """

    source: str
    indicator: str | None = None
    status: str = "entered"
    decimal: str = ""
    dates: str = "ymd"


VALUE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "person": ("email", "e_mail", "rep", "owner", "owner_email", "业务员", "姓名", "邮箱"),
    "indicator": ("code", "kpi", "metric", "指标"),
    "on": ("day", "date", "日期"),
    "amount": ("value", "sum", "total", "金额", "数值"),
    "key": ("id", "number", "order", "invoice", "编号", "单号"),
    "source": ("来源",),
    "note": ("remark", "comment", "备注"),
}
TARGET_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "person": VALUE_COLUMNS["person"],
    "team": ("team_name", "团队"),
    "indicator": VALUE_COLUMNS["indicator"],
    "period": ("周期", "期间"),
    "starts_on": ("from", "start", "month", "开始", "月份"),
    "amount": ("target", "value", "目标", "金额", "数值"),
    "source": VALUE_COLUMNS["source"],
    "note": VALUE_COLUMNS["note"],
}
"""Field -> headers that are understood without being told, besides its own name."""


TABLES: Mapping[str, tuple[Mapping[str, tuple[str, ...]], tuple[str, ...]]] = {
    "value": (VALUE_COLUMNS, ("person", "on", "amount")),
    "target": (TARGET_COLUMNS, ("amount",)),
}
"""Kind -> its columns, and those without which no row says anything."""


def error(trouble: Trouble) -> dict[str, Any]:
    """Why a row was left out, as JSON."""
    return {
        "line": trouble.line,
        "column": trouble.column,
        "code": trouble.code,
        "why": trouble.why,
        "cells": list(trouble.cells),
    }


class Bad(Exception):
    """One cell cannot be understood."""

    def __init__(self, column: str, code: str, said: str = "") -> None:
        self.column, self.code = column, code
        self.why = f"{said[:60]!r}: {CODES[code]}" if said else CODES[code]
        super().__init__(self.why)


def columns(
    header: Sequence[str],
    told: Mapping[str, str],
    known: Mapping[str, tuple[str, ...]],
    needed: Iterable[str],
) -> dict[str, int]:
    """Which column holds which field: what was `told` (field -> header, "" for none), then what headers suggest.

    Raises `Refused` for an unknown field or header, or where no column holds what every row needs.
    """
    by_name = {_plain(name): at for at, name in reversed(list(enumerate(header)))}
    found: dict[str, int] = {}
    for target, source in told.items():
        if target not in known:
            raise Refused(f"There is no field {target!r}. There is: {', '.join(known)}.")
        if source and _plain(source) not in by_name:
            near = get_close_matches(source, header, 3, 0.4)
            raise Refused(f"The file has no column {source!r}. It has: {', '.join(near or header)}.")
        if source:
            found[target] = by_name[_plain(source)]
    taken = set(found.values())
    for target, names in known.items():
        for name in () if target in told else (target, *names):
            at = by_name.get(_plain(name))
            if at is not None and at not in taken:
                found[target] = at
                taken.add(at)
                break
    missing = [name for name in needed if name not in found]
    if missing:
        raise Refused(
            f"No column holds {' or '.join(missing)}. Say which with FIELD=COLUMN; there is: {', '.join(header)}."
        )
    return found


def amount_of(text: str, column: str, decimal: str = "") -> Decimal:
    """A number as people write it: blanks and currency signs aside, thousands parted or not; raises `Bad`."""
    bare = re.sub(r"[\s\u00a0\u202f'’_]|[$€£¥￥元]", "", text).replace("，", ",").replace("−", "-")
    if decimal == ",":
        bare = bare.replace(".", "").replace(",", ".")
    elif decimal == ".":
        bare = bare.replace(",", "")
    elif "," in bare and "." in bare:
        last = max(bare.rfind(","), bare.rfind("."))
        parted = re.sub("[,.]", "", bare[:last])
        if not re.fullmatch(r"-?\d{1,3}([,.]\d{3})+", bare[:last]) or len({*bare[:last]} & {",", "."}) > 1:
            raise Bad(column, "NOT_A_NUMBER", text)
        if bare[last] in bare[:last]:
            raise Bad(column, "NOT_A_NUMBER", text)
        bare = f"{parted}.{bare[last + 1 :]}"
    elif "," in bare:
        if re.fullmatch(r"-?\d{1,3}(,\d{3}){2,}", bare):
            bare = bare.replace(",", "")
        elif re.fullmatch(r"-?\d{1,3},\d{3}", bare):
            raise Bad(column, "AMBIGUOUS_NUMBER", text)
        elif bare.count(",") == 1:
            bare = bare.replace(",", ".")
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", bare, re.ASCII):
        raise Bad(column, "NOT_A_NUMBER", text)
    return Decimal(bare)


def day_of(text: str, column: str, dates: str = "ymd") -> date:
    """A day; written year first it can be read in one way only, else `dates` (`mdy`, `dmy`) says how. Raises `Bad`."""
    signs = r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ]\d{2}:\d{2}.*)?"
    found = re.fullmatch(signs, text, re.ASCII) or re.fullmatch(r"(\d{4})(\d{2})(\d{2})", text, re.ASCII)
    other = re.fullmatch(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", text, re.ASCII)
    try:
        if found:
            return date(*map(int, found.groups()))
        if other and dates in {"mdy", "dmy"}:
            first, second, year = map(int, other.groups())
            return date(year, first, second) if dates == "mdy" else date(year, second, first)
    except ValueError:
        pass
    raise Bad(column, "NOT_A_DAY", text)


def period_said(text: str, column: str, week_start: int = 0) -> Period:
    """`2026`, `2026-H1`, `2026-Q1`, `2026-03`, `2026-W10` or a day; raises `Bad`."""
    try:
        found = re.fullmatch(
            r"(\d{4})(?:[-/ ]?([HQW])(\d{1,2})|[-/](\d{1,2})|年(\d{1,2})月)?", text.upper(), re.ASCII
        )
        if found is None:
            return period_of("day", day_of(text, column))
        year, kind, number, month, named = found.groups()
        first = int(year)
        if kind == "W":
            return period_of("week", date.fromisocalendar(first, int(number), 4), week_start)
        if kind in {"H", "Q"}:
            length = 6 if kind == "H" else 3
            return period_of(
                "half" if kind == "H" else "quarter", date(first, (int(number) - 1) * length + 1, 1)
            )
        if month or named:
            return period_of("month", date(first, int(month or named), 1))
        return period_of("year", date(first, 1, 1))
    except (ValueError, OverflowError):
        raise Bad(column, "NOT_A_PERIOD", text) from None
    except Bad:
        raise Bad(column, "NOT_A_PERIOD", text) from None


class _Known:
    """People, teams and indicators of an organisation, as a file may name them."""

    def __init__(self, connection: Connection, org_id: str) -> None:
        self.people: dict[str, set[str]] = {}
        for identity, name, email in connection.execute(
            select(Person.id, Person.name, Login.email)
            .outerjoin(Login, (Login.org_id == Person.org_id) & (Login.person_id == Person.id))
            .where(Person.org_id == org_id, Person.archived.is_(False))
        ):
            for key in (identity, name, email):
                if key:
                    self.people.setdefault(key.strip().casefold(), set()).add(identity)
        self.teams: dict[str, set[str]] = {}
        for identity, name in connection.execute(
            select(Team.id, Team.name).where(Team.org_id == org_id, Team.archived.is_(False))
        ):
            for key in (identity, name):
                self.teams.setdefault(key.strip().casefold(), set()).add(identity)
        self.indicators: dict[str, str] = {code: code for code in PROCESS}
        for (rows,) in connection.execute(
            select(IndicatorScheme.indicators).where(
                IndicatorScheme.org_id == org_id, IndicatorScheme.status != "withdrawn"
            )
        ):
            for row in rows:
                for key in (row["code"], row.get("name"), row.get("name_zh")):
                    if key:
                        self.indicators.setdefault(key.strip().casefold(), row["code"])
        for row in (row for rows in TEMPLATES.values() for row in rows):
            for key in (row["code"], row["name"], row["name_zh"]):
                self.indicators.setdefault(key.strip().casefold(), row["code"])
        self.week_start = connection.execute(
            select(Organisation.week_start).where(Organisation.id == org_id)
        ).scalar_one()

    def person(self, said: str, column: str) -> str:
        return self._one(self.people, said, column, "PERSON")

    def team(self, said: str, column: str) -> str:
        return self._one(self.teams, said, column, "TEAM")

    def _one(self, known: Mapping[str, set[str]], said: str, column: str, what: str) -> str:
        found = known.get(said.strip().casefold(), set())
        if len(found) != 1:
            raise Bad(column, f"{what}_{'AMBIGUOUS' if found else 'UNKNOWN'}", said)
        return next(iter(found))

    def indicator(self, said: str, column: str, *, entered: bool) -> str:
        code = self.indicators.get(said.strip().casefold())
        if code is None:
            raise Bad(column, "INDICATOR_UNKNOWN", said)
        if entered and code in PROCESS:
            raise Bad(column, "INDICATOR_COMPUTED", said)
        return code


class _Cells:
    """One row, by field."""

    def __init__(self, sheet: Sheet, where: Mapping[str, int], line: int, cells: Sequence[str]) -> None:
        self.line, self.cells = line, tuple(cells)
        if len(cells) > len(sheet.header) and any(cell.strip() for cell in cells[len(sheet.header) :]):
            raise Bad("", "TOO_MANY_CELLS")
        self._header = {name: sheet.header[at] for name, at in where.items()}
        self._said = {name: _unguarded(cells[at]) if at < len(cells) else "" for name, at in where.items()}

    def column(self, name: str) -> str:
        return self._header.get(name, name)

    def said(self, name: str, most: int = 2_000) -> str:
        text = self._said.get(name, "")
        if len(text) > most:
            raise Bad(self.column(name), "TOO_LONG", text)
        return text

    def needed(self, name: str, code: str) -> str:
        text = self.said(name)
        if not text:
            raise Bad(self.column(name), code)
        return text


def plan_values(
    connection: Connection, org_id: str, sheet: Sheet, where: Mapping[str, int], standing: Standing
) -> Plan:
    """What these rows would change; reads, and writes nothing."""
    known, found = _Known(connection, org_id), Plan()
    stored = {
        row["id"]: dict(row)
        for row in connection.execute(
            select(
                *(
                    IndicatorValue.__table__.c[name]
                    for name in ("id", "version", "indicator", "person_id", "on", "amount", "status", "note")
                )
            ).where(IndicatorValue.org_id == org_id)
        ).mappings()
    }
    again: dict[str, int] = {}
    keyed: dict[str, tuple[str, ...]] = {}

    def one(row: _Cells) -> None:
        person = known.person(row.needed("person", "PERSON_MISSING"), row.column("person"))
        said = row.said("indicator") or standing.indicator or ""
        if not said:
            raise Bad(row.column("indicator"), "INDICATOR_MISSING")
        new: dict[str, Any] = {
            "indicator": known.indicator(said, row.column("indicator"), entered=True),
            "person_id": person,
            "on": day_of(row.needed("on", "DAY_MISSING"), row.column("on"), standing.dates).isoformat(),
            "amount": _plain_number(
                amount_of(row.needed("amount", "AMOUNT_MISSING"), row.column("amount"), standing.decimal)
            ),
            "source": row.said("source", 200) or standing.source,
            "note": row.said("note") or None,
        }
        key = row.said("key", 200)
        if key:
            about = "\n".join(("key", new["source"], new["indicator"], key))
            before = keyed.setdefault(about, tuple(map(str, new.values())))
            if before != tuple(map(str, new.values())):
                raise Bad(row.column("key"), "TWICE", key)
        else:
            about = "\n".join(("row", *map(str, new.values())))
            again[about] = again.get(about, 0) + 1
            about += f"\n{again[about]}"
        entity = str(uuid5(NAMESPACE_OID, f"rounds:{org_id}:value:{about}"))
        current = stored.get(entity)
        if current is None:
            fields = {name: value for name, value in new.items() if value is not None}
            found.steps.append(
                Step(
                    row.line,
                    row.cells,
                    _change("value", entity, "create", fields | {"status": standing.status}),
                )
            )
            stored[entity] = new | {"status": standing.status, "version": 0}
            return
        differs = {name: new[name] for name in ("on", "amount", "note") if new[name] != current[name]}
        if not differs or current["version"] == 0:
            found.unchanged += 1
            return
        if current["status"] in {"reviewed", "declined"}:
            raise Bad(row.column("amount"), "STANDS", current["amount"])
        old = {name: current[name] for name in differs}
        change = _change("value", entity, "update", differs, old, current["version"])
        found.steps.append(Step(row.line, row.cells, change))

    _each(sheet, where, found, one)
    return found


def plan_targets(
    connection: Connection, org_id: str, sheet: Sheet, where: Mapping[str, int], standing: Standing
) -> Plan:
    """What these rows would change; reads, and writes nothing. A target that differs from the held one replaces it."""
    known, found = _Known(connection, org_id), Plan()
    held: dict[tuple[Any, ...], tuple[str, str]] = {}
    for row in connection.execute(
        select(
            *(
                IndicatorTarget.__table__.c[name]
                for name in ("id", "indicator", "person_id", "team_id", "period", "starts_on", "amount")
            )
        ).where(IndicatorTarget.org_id == org_id, IndicatorTarget.status == "held")
    ):
        held[tuple(row[1:6])] = (row.id, row.amount)
    first: dict[tuple[Any, ...], str] = {}

    def one(row: _Cells) -> None:
        person, team = row.said("person"), row.said("team")
        if person and team:
            raise Bad(row.column("team"), "BOTH", team)
        if not person and not team:
            raise Bad(row.column("person"), "PERSON_MISSING")
        person_id = known.person(person, row.column("person")) if person else None
        team_id = known.team(team, row.column("team")) if team else None
        said = row.said("indicator") or standing.indicator or ""
        if not said:
            raise Bad(row.column("indicator"), "INDICATOR_MISSING")
        indicator = known.indicator(said, row.column("indicator"), entered=False)
        period = _period(row, known.week_start)
        amount = amount_of(row.needed("amount", "AMOUNT_MISSING"), row.column("amount"), standing.decimal)
        if amount < 0:
            raise Bad(row.column("amount"), "NEGATIVE", str(amount))
        text = _plain_number(amount)
        key = (indicator, person_id, team_id, period.kind, period.starts_on.isoformat())
        if first.setdefault(key, text) != text:
            raise Bad(row.column("amount"), "TWICE", text)
        before = held.get(key)
        if before is not None and Decimal(before[1]) == amount:
            found.unchanged += 1
            return
        about = "\n".join(map(str, (*key, text, before[0] if before else "")))
        entity = str(uuid5(NAMESPACE_OID, f"rounds:{org_id}:target:{about}"))
        fields = dict(zip(("indicator", "person_id", "team_id", "period", "starts_on"), key, strict=True))
        fields |= {"amount": text, "source": row.said("source", 200) or standing.source}
        fields |= {"note": row.said("note") or None, "status": "held"}
        fields = {name: value for name, value in fields.items() if value is not None}
        found.steps.append(Step(row.line, row.cells, _change("target", entity, "create", fields)))
        held[key] = (entity, text)

    _each(sheet, where, found, one)
    return found


def _period(row: _Cells, week_start: int) -> Period:
    """The period that a row names: in one cell, or by its kind and a first day."""
    kind, first = row.said("period").lower(), row.said("starts_on")
    if not kind and not first:
        raise Bad(row.column("period"), "DAY_MISSING")
    if kind not in PERIODS:
        return period_said(first if not kind else row.said("period"), row.column("period"), week_start)
    if not first:
        raise Bad(row.column("starts_on"), "DAY_MISSING")
    said = period_said(first, row.column("starts_on"), week_start)
    if said.kind == kind:
        return said
    try:
        found = period_of(kind, said.starts_on, week_start)
    except (ValueError, OverflowError):
        raise Bad(row.column("starts_on"), "NOT_A_PERIOD", first) from None
    if found.starts_on != said.starts_on or said.kind != "day":
        raise Bad(row.column("starts_on"), "PERIOD_START", first)
    return found


def _each(sheet: Sheet, where: Mapping[str, int], plan: Plan, take: Any) -> None:
    if len(sheet.rows) > MOST_ROWS:
        raise Refused(f"The file has {len(sheet.rows):,} rows; at most {MOST_ROWS:,} at once.")
    for line, cells in sheet.rows:
        try:
            take(_Cells(sheet, where, line, cells))
        except Bad as bad:
            plan.failed.append(Trouble(line, bad.column, bad.code, bad.why, tuple(cells)))


def carry_out(actor: Actor, client: str, steps: Sequence[Step], now: datetime, done: Any = None) -> Report:
    """Send the steps of a plan through the door, a few a transaction; `done` is told how many rows each time.

    Stopped between two transactions, it has done a part of the rows wholly, and the same file does the rest.
    """
    report = Report()
    for start in range(0, len(steps), AT_ONCE):
        some = steps[start : start + AT_ONCE]
        receipts = write(actor, client, [step.change for step in some], now)
        for step, receipt in zip(some, receipts, strict=True):
            if receipt["status"] == "parked":
                name = (receipt["detail"] or {}).get("field") or ""
                why = f"{receipt['code']}: {CODES['NOT_TAKEN']}"
                report.failed.append(Trouble(step.line, name, "NOT_TAKEN", why, step.cells))
            elif receipt["status"] == "noop":
                report.unchanged += 1
            elif step.change.verb == "create":
                report.created += 1
            else:
                report.updated += 1
        if done:
            done(len(some))
    return report


def _change(
    kind: str,
    entity: str,
    verb: str,
    new: Mapping[str, Any],
    old: Mapping[str, Any] | None = None,
    base: int = 0,
) -> Change:
    """A change under an id that follows from what it says: sent twice, or by two at once, it is applied once."""
    told = sorted((name, str(value)) for name, value in new.items())
    identity = str(uuid5(NAMESPACE_OID, f"rounds:import:{entity}:{verb}:{base}:{told}"))
    return Change(kind, entity, verb, new, old or {}, identity, base)


def _plain_number(amount: Decimal) -> str:
    text = format(amount, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _plain(header: str) -> str:
    return re.sub(r"[\s_-]+", "_", header.strip().casefold())


def _unguarded(cell: str) -> str:
    """Without a spreadsheet's guard against formulas, and our own."""
    return re.sub(r"^'+(?=[=+\-@\t\r])", "", cell).strip()
