"""Commands about schemes, values, targets and holidays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import click
from sqlalchemy import select

from server.cli.common import json_option, now, organisation_option, plainly, say_json, table, within
from server.customers.exporting import Lines
from server.customers.table import open_sheet
from server.db import reading
from server.exchange.door import Change, client_of, write
from server.indicators import importing
from server.indicators.case import BadCase, indicators_of
from server.indicators.model import IndicatorScheme
from server.indicators.periods import period_of
from server.indicators.score import exact, rounded
from server.indicators.templates import TEMPLATE_NAMES, TEMPLATES
from server.people.admin import Refused, all_applied, system, team_of
from server.visits.rules import zone_of

MOST_SHOWN = 20


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What both imports take."""
    for option in (
        click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)),
        click.option(
            "--map",
            "told",
            multiple=True,
            metavar="FIELD=COLUMN",
            help="Which column holds which field; many times. FIELD= leaves a field out.",
        ),
        click.option("--indicator", metavar="CODE", help="Indicator of rows that name none."),
        click.option(
            "--source", help="Where rows come from that do not say it; the file's name unless said."
        ),
        click.option(
            "--decimal", type=click.Choice([".", ","]), help="The sign before decimals, if not certain."
        ),
        click.option(
            "--dates",
            type=click.Choice(["ymd", "mdy", "dmy"]),
            default="ymd",
            help="How days are written that do not begin with the year: 3/9/2026 as mdy or dmy.",
        ),
        click.option("--encoding", help="Encoding of the file; UTF-8 where nothing is said."),
        click.option(
            "--delimiter", help="Sign between columns: , ; | or tab. Found out where nothing is said."
        ),
        click.option("--dry-run", is_flag=True, help="Only show what would happen."),
        click.option("--yes", is_flag=True, help="Do it without asking."),
        click.option(
            "--rejects",
            type=click.Path(dir_okay=False, writable=True, path_type=Path),
            help="Write the rows that were left out here, with why, to be mended and imported.",
        ),
        organisation_option,
        json_option,
    )[::-1]:
        command = option(command)
    return command


@click.group("scheme")
def scheme_command() -> None:
    """Schemes: which indicators count, with which weights, from when on."""


@scheme_command.command("add")
@click.argument("template", type=click.Choice(list(TEMPLATES)))
@click.option(
    "--valid-from", type=click.DateTime(["%Y-%m-%d"]), help="First day; the next month's unless said."
)
@click.option("--role", type=click.Choice(["rep", "manager"]), help="For whom; for all unless said.")
@click.option("--team", help="For which team and those below it, by name or id; for all unless said.")
@click.option(
    "--weight", "weights", multiple=True, metavar="CODE=WEIGHT", help="Another weight; 0 leaves it out."
)
@click.option(
    "--approve", is_flag=True, help="Approve it at once; else it is proposed, for administrators to approve."
)
@organisation_option
@json_option
@plainly
def scheme_add(
    template: str,
    valid_from: datetime | None,
    role: str | None,
    team: str | None,
    weights: Sequence[str],
    approve: bool,
    slug: str | None,
    as_json: bool,
) -> None:
    """Make a scheme from a template. Everybody sees it before it holds; once approved, it is changed by the next one."""
    told = dict(_pair(each) for each in weights)
    weighed = [{**row, "weight": told.pop(row["code"], row["weight"])} for row in TEMPLATES[template]]
    rows = [row for row in weighed if row["weight"] != "0"]
    if told:
        raise Refused(f"The template {template} has no {', '.join(told)}.")
    try:
        indicators = indicators_of(rows)
    except BadCase as error:
        raise Refused(f"{error.path}: {error.detail}") from None
    name, name_zh = TEMPLATE_NAMES[template]
    with within(slug) as of:
        zone = zone_of(of["time_zone"])
        today = now().astimezone(zone).date()
        first = valid_from.date() if valid_from else period_of("month", today).ends_on
        with reading() as connection:
            team_id = team_of(connection, of["id"], team) if team else None
        fields: dict[str, Any] = {
            "name": name,
            "name_zh": name_zh,
            "template": template,
            "valid_from": first.isoformat(),
        }
        fields |= {"indicators": rows, "status": "approved" if approve else "proposed"}
        fields |= {name: value for name, value in (("role", role), ("team_id", team_id)) if value}
        change = Change("scheme", str(uuid4()), "create", fields)
        all_applied(write(system(of["id"]), client_of(of["id"], "cli"), [change], now()), [change])
    total = sum((each.weight for each in indicators), Decimal(0))
    if as_json:
        say_json(
            {"id": change.entity, "valid_from": str(first), "status": fields["status"], "sum": str(total)}
        )
        return
    shares = [rounded(*exact(100 * each.weight, total), 2) for each in indicators]
    table(
        [["indicator", "weight", "of 100"]]
        + [[each.code, str(each.weight), str(share)] for each, share in zip(indicators, shares, strict=True)]
    )
    if total != 100:
        click.echo(f"The weights sum to {total} and are normalised to 100.")
    click.echo(f"{name}: {fields['status']}, valid from {first}.")


@scheme_command.command("list")
@organisation_option
@json_option
@plainly
def scheme_list(slug: str | None, as_json: bool) -> None:
    """List all schemes, the latest first."""
    with within(slug) as of, reading() as connection:
        rows = [
            dict(row)
            for row in connection.execute(
                select(
                    *(
                        IndicatorScheme.__table__.c[name]
                        for name in ("id", "name", "status", "valid_from", "role", "team_id", "indicators")
                    )
                )
                .where(IndicatorScheme.org_id == of["id"])
                .order_by(IndicatorScheme.valid_from.desc(), IndicatorScheme.id)
            ).mappings()
        ]
    if as_json:
        say_json(rows)
        return
    table(
        [["valid from", "status", "name", "role", "indicators"]]
        + [
            [row["valid_from"], row["status"], row["name"], row["role"] or "all", str(len(row["indicators"]))]
            for row in rows
        ]
    )


@click.group("values")
def values_command() -> None:
    """Values: numbers that no visit tells, each with its source and approval."""


@values_command.command("import")
@_options
@click.option(
    "--status",
    type=click.Choice(["entered", "confirmed", "reviewed"]),
    default="entered",
    show_default=True,
    help="How far these are approved: only reviewed values count.",
)
@plainly
def values_import(file: Path, status: str, **options: Any) -> None:
    """Import values from a CSV file with a header (- reads standard input).

    \b
    Columns: person (e-mail address, name or id), indicator, on (day), amount; and source, note, and a key by which
    a row is known again. Without a key a row is known by all it says, so the same file again changes nothing.

    Rows with an error are left out and named with line, column and code; all others are imported. Exit code 1 if one was.
    """
    _import(file, "value", status=status, **options)


@click.group("targets")
def targets_command() -> None:
    """Targets: what is wanted of people and teams."""


@targets_command.command("import")
@_options
@plainly
def targets_import(file: Path, **options: Any) -> None:
    """Import targets from a CSV file with a header (- reads standard input).

    \b
    Columns: person (e-mail address, name or id) or team, indicator, period, amount; and source, note. The period is
    2026, 2026-H1, 2026-Q1, 2026-03, 2026-W10 or a day; or its kind (month), with its first day in starts_on.

    A target that differs from the one held replaces it; the same file again changes nothing. Rows with an error are left
    out and named with line, column and code; all others are imported. Exit code 1 if one was left out.
    """
    _import(file, "target", status="held", **options)


def _import(
    file: Path,
    kind: str,
    *,
    told: Sequence[str],
    indicator: str | None,
    source: str | None,
    status: str,
    decimal: str | None,
    dates: str,
    encoding: str | None,
    delimiter: str | None,
    dry_run: bool,
    yes: bool,
    rejects: Path | None,
    slug: str | None,
    as_json: bool,
) -> None:
    mapping = dict(_pair(each) for each in told)
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    standing = importing.Standing(
        source or ("standard input" if str(file) == "-" else file.name),
        indicator,
        status,
        decimal or "",
        dates,
    )
    with within(slug) as of:
        chinese = of["locale"] == "zh-Hans"
        sign = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
        sheet = open_sheet(data, encoding, sign, "gb18030" if chinese else "cp1252")
        where = importing.columns(sheet.header, mapping, *importing.TABLES[kind])
        plan_of = importing.plan_values if kind == "value" else importing.plan_targets
        with reading() as connection:
            plan = plan_of(connection, of["id"], sheet, where, standing)
        if not as_json:
            for said in sheet.said:
                click.echo(said)
            click.echo("Columns: " + ", ".join(f"{name} = {sheet.header[at]}" for name, at in where.items()))
            _say_failed(plan.failed)
            click.echo(
                f"{len(sheet.rows)} rows: {len(plan.steps)} to write, {plan.unchanged} unchanged, "
                f"{len(plan.failed)} left out."
            )
        report = None
        if plan.steps and not dry_run:
            if not yes:
                _confirm(err=as_json)
            report = importing.carry_out(system(of["id"]), client_of(of["id"], "import"), plan.steps, now())
    failed = [*plan.failed, *(report.failed if report else [])]
    if rejects is not None and failed:
        _write_rejects(rejects, sheet.header, failed)
    if as_json:
        say_json(
            {
                "done": report is not None,
                "created": report.created if report else 0,
                "updated": report.updated if report else 0,
                "unchanged": plan.unchanged + (report.unchanged if report else 0),
                "to_write": len(plan.steps),
                "failed": len(failed),
                "errors": [importing.error(trouble) for trouble in failed],
            }
        )
    elif report is not None:
        _say_failed(report.failed)
        click.echo(
            f"Done: {report.created} created, {report.updated} updated, "
            f"{plan.unchanged + report.unchanged} unchanged, {len(failed)} left out."
        )
    if failed:
        sys.exit(1)


def _say_failed(failed: Sequence[importing.Trouble]) -> None:
    for trouble in failed[:MOST_SHOWN]:
        click.echo(f"  {trouble}")
    if len(failed) > MOST_SHOWN:
        click.echo(f"  and {len(failed) - MOST_SHOWN} more; --rejects FILE writes them all down.")


def _write_rejects(path: Path, header: Sequence[str], failed: Sequence[importing.Trouble]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        lines = Lines()
        # What is wrong stands first: a row with too many cells keeps them all, and is still known for it.
        file.write(lines.line(["error_line", "error_column", "error_code", "error", *header]))
        for trouble in failed:
            said = [trouble.column, trouble.code, trouble.why, *trouble.cells]
            file.write(lines.line([trouble.line, *said]))


def _pair(told: str) -> tuple[str, str]:
    name, equals, column = told.partition("=")
    if not equals:
        raise click.BadParameter(f"{told!r} is no FIELD=COLUMN.", param_hint="--map")
    return name.strip(), column.strip()


def _confirm(*, err: bool) -> None:
    """Go on only if somebody says so; where nobody answers, nothing is done and that is said."""
    try:
        click.confirm("Import this?", abort=True, err=err)
    except click.Abort:
        raise Refused("Nothing was imported. (--yes imports without asking, --dry-run only looks.)") from None


@click.group("holidays")
def holidays_command() -> None:
    """Holidays: days off that everybody has."""


@holidays_command.command("add")
@click.argument("country", metavar="COUNTRY")
@click.argument("years", nargs=-1, required=True, type=click.IntRange(1990, 2100))
@click.option("--region", help="State or province, such as BY for Bavaria.")
@click.option("--dry-run", is_flag=True, help="Only show them.")
@organisation_option
@json_option
@plainly
def holidays_add(
    country: str, years: Sequence[int], region: str | None, dry_run: bool, slug: str | None, as_json: bool
) -> None:
    """Write down the public holidays of a COUNTRY (ISO code, such as CN, GB, DE) in these years as days off.

    They are days off like those that administrators write: seen by all, and to be archived where one is worked. Days of a
    weekend that are worked to make up for one are written down as such. The same command again adds only what is missing.
    """
    from server.indicators.holidays import public_holidays  # noqa: PLC0415 - a large library, for this alone

    with within(slug) as of:
        found = public_holidays(country, region, years, of["locale"])
        name = f"{country.upper()}-{region.upper()}" if region else country.upper()
        changes = [
            Change(
                "day_off",
                str(uuid5(NAMESPACE_OID, f"rounds:{of['id']}:holiday:{name}:{one.on}")),
                "create",
                {"on": one.on.isoformat(), "region": name, **one.told},
                id=str(
                    uuid5(NAMESPACE_OID, f"rounds:{of['id']}:add:holiday:{name}:{one.on}:{one.told['name']}")
                ),
            )
            for one in found
        ]
        receipts = [] if dry_run else write(system(of["id"]), client_of(of["id"], "import"), changes, now())
    if as_json:
        say_json({"done": not dry_run, "days": [{"on": str(one.on), **one.told} for one in found]})
        return
    for one in found:
        click.echo(f"{one.on}  {one.told['name']}")
    kept = sum(receipt["status"] in {"applied", "noop"} for receipt in receipts)
    click.echo(f"{len(found)} days." if dry_run else f"{kept} days written down.")
