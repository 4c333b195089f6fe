"""Commands about data: import, export, check."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from server.cli.common import (
    database,
    json_option,
    now,
    organisation_option,
    plainly,
    say_json,
    within,
)
from server.config import from_environment
from server.customers import exporting, importing, table
from server.db import reading
from server.people.admin import Refused, team_of
from server.people.grant import parents_of
from server.people.rules import below
from server.visits import exporting as visits_exporting

MOST_SHOWN = 20
DAY = click.DateTime(["%Y-%m-%d"])


# -- import ------------------------------------------------------------------------------------------------------------


@click.group("import")
def import_command() -> None:
    """Bring data in: customers."""


@import_command.command("customers")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--map",
    "told",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Which column holds which field; many times. FIELD= leaves a field out. Obvious headers need no word.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--team", help="Team of customers whose row names none.")
@click.option("--owner-email", help="Owner of customers whose row names none.")
@click.option("--empty-clears", is_flag=True, help="An empty cell empties the field; else it says nothing.")
@click.option("--encoding", help="Encoding of the file; UTF-8 where nothing is said.")
@click.option("--delimiter", help="Sign between columns: , ; | or tab. Found out where nothing is said.")
@click.option("--all-errors", is_flag=True, help=f"Show every error, not only the first {MOST_SHOWN}.")
@organisation_option
@json_option
@plainly
def import_customers(
    file: Path,
    told: Sequence[str],
    dry_run: bool,
    yes: bool,
    team: str | None,
    owner_email: str | None,
    empty_clears: bool,
    encoding: str | None,
    delimiter: str | None,
    all_errors: bool,
    slug: str | None,
    as_json: bool,
) -> None:
    """Import customers from a CSV file with a header (- reads standard input).

    First shows what would happen, then asks. A customer is known again by its external code, so the same file again
    changes nothing and a changed row changes only what differs; what people wrote meanwhile stays. Without a code
    column (say --map code=ID if another column identifies a customer) the whole row serves: a row that changed
    is then a new customer.

    \b
    Fields: code name address lat lon radius_m owner_email team grade lifecycle phone contact tags note
    Joined into the address: street housenumber postcode city

    Rows with an error are left out and named with line, column and reason; all others are imported. Coordinates that
    make no sense are named too, and that customer comes in without a place. Exit code 1 if a row was left out.
    """
    mapping = dict(_pair(each) for each in told)
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    with within(slug) as of:
        sheet = table.open_sheet(
            data, encoding, _sign(delimiter), "gb18030" if of["locale"] == "zh-Hans" else "cp1252"
        )
        where = table.columns(sheet.header, mapping)
        entries = table.entries(sheet, where, clear=empty_clears)
        standing = importing.Standing(owner_email, team)
        with reading() as connection:
            plan = importing.plan(connection, of["id"], entries, standing)
        if not as_json:
            _say_plan(sheet, where, plan, all_errors)
        if dry_run or (not plan.steps and not as_json):
            _end_import(plan, None, as_json)
            return
        if not yes:
            _confirm(err=as_json)
        _end_import(plan, _carry_out(of["id"], plan, quiet=as_json), as_json)


def _pair(told: str) -> tuple[str, str]:
    name, equals, column = told.partition("=")
    if not equals:
        raise click.BadParameter(f"{told!r} is no FIELD=COLUMN.", param_hint="--map")
    return name.strip(), column.strip()


def _sign(delimiter: str | None) -> str | None:
    sign = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(delimiter or "", delimiter)
    if sign is not None and len(sign) != 1:
        raise click.BadParameter("one sign, or tab", param_hint="--delimiter")
    return sign


def _confirm(*, err: bool) -> None:
    """Go on only if somebody says so; where nobody answers, nothing is done and that is said."""
    try:
        click.confirm("Import this?", abort=True, err=err)
    except click.Abort:
        raise Refused("Nothing was imported. (--yes imports without asking, --dry-run only looks.)") from None


def _say_plan(sheet: table.Sheet, where: dict[str, int], plan: importing.Plan, all_errors: bool) -> None:
    for said in sheet.said:
        click.echo(said)
    used = set(where.values())
    click.echo("Columns: " + ", ".join(f"{name} = {sheet.header[at]}" for name, at in where.items()))
    unused = [name for at, name in enumerate(sheet.header) if at not in used and name]
    if unused:
        click.echo("Not used: " + ", ".join(unused))
    if "code" not in where and "rounds_id" not in where:
        click.echo(
            "No column holds a code: each row is known again by all it says. (--map code=COLUMN says otherwise.)"
        )
    _say_troubles(plan.warnings, "Taken without a place", all_errors)
    _say_troubles(plan.failed, "Left out", all_errors)
    click.echo(
        f"{len(sheet.rows)} rows: {plan.created} to create, {plan.updated} to update, "
        f"{plan.unchanged} unchanged, {plan.failed_rows} left out."
    )
    if plan.placeless:
        click.echo(
            f"{plan.placeless} of those to create have no place; their visits cannot be verified by position."
        )


def _say_troubles(troubles: Sequence[table.Trouble], heading: str, all_of_them: bool) -> None:
    if not troubles:
        return
    click.echo(f"{heading}:")
    shown = troubles if all_of_them else troubles[:MOST_SHOWN]
    for trouble in shown:
        click.echo(f"  {trouble}")
    if len(troubles) > len(shown):
        click.echo(f"  and {len(troubles) - len(shown)} more; --all-errors shows them.")


def _carry_out(org_id: str, plan: importing.Plan, *, quiet: bool) -> importing.Report:
    from tqdm import tqdm  # noqa: PLC0415 - only where something takes time

    silent = quiet or not sys.stderr.isatty()
    done = 0
    with tqdm(total=len(plan.steps), unit=" rows", disable=silent, leave=False, file=sys.stderr) as bar:

        def tell(rows: int) -> None:
            nonlocal done
            done += rows
            bar.update(rows)

        try:
            return importing.carry_out(org_id, plan.steps, now(), tell)
        except KeyboardInterrupt:
            bar.close()
            raise Refused(
                f"Stopped. {done} of {len(plan.steps)} rows are in, wholly; the same command does the rest."
            ) from None


def _end_import(plan: importing.Plan, report: importing.Report | None, as_json: bool) -> None:
    if as_json:
        done = report or importing.Report(plan.created, plan.updated, 0)
        say_json(
            {
                "done": report is not None,
                "created": done.created,
                "updated": done.updated,
                "unchanged": plan.unchanged + done.unchanged,
                "failed": plan.failed_rows + len(done.failed),
                "errors": [_json(trouble) for trouble in (*plan.failed, *done.failed)],
                "warnings": [_json(trouble) for trouble in (*plan.warnings, *done.merged)],
            }
        )
    elif report is not None:
        for trouble in (*report.merged, *report.failed):
            click.echo(f"  {trouble}")
        click.echo(
            f"Done: {report.created} created, {report.updated} updated, {plan.unchanged + report.unchanged} unchanged, "
            f"{plan.failed_rows + len(report.failed)} failed."
        )
    if plan.failed_rows or (report and report.failed):
        sys.exit(1)


def _json(trouble: table.Trouble) -> dict[str, Any]:
    return {"line": trouble.line, "column": trouble.column, "why": trouble.why}


# -- export ------------------------------------------------------------------------------------------------------------


@click.group("export")
def export_command() -> None:
    """Take data out as CSV: visits, customers."""


out_option = click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="File to write; else standard output.",
)
team_option = click.option("--team", help="Only this team and those below it, by name or id.")


@export_command.command("customers")
@team_option
@click.option("--archived", is_flag=True, help="Archived ones too.")
@out_option
@organisation_option
@plainly
def export_customers(team: str | None, archived: bool, out: Path | None, slug: str | None) -> None:
    """Export customers as CSV (UTF-8), in the columns that `rounds import customers` understands.

    Texts that begin like a formula (= + - @) get an apostrophe before them; the import takes it away again.
    """
    with within(slug) as of, reading() as connection:
        teams = _teams(connection, of["id"], team)
        _write(exporting.customers(connection, of["id"], teams, archived=archived), out)


@export_command.command("visits")
@click.option("--from", "since", type=DAY, help="First day, YYYY-MM-DD.")
@click.option("--to", "until", type=DAY, help="Last day, YYYY-MM-DD.")
@team_option
@out_option
@organisation_option
@plainly
def export_visits(
    since: datetime | None, until: datetime | None, team: str | None, out: Path | None, slug: str | None
) -> None:
    """Export visits as CSV (UTF-8): times, place, trust and validity with their reasons, outcome and minutes."""
    if since and until and since > until:
        raise click.UsageError("--from is after --to.")
    with within(slug) as of, reading() as connection:
        teams = _teams(connection, of["id"], team)
        _write(visits_exporting.visits(connection, of["id"], _day(since), _day(until), teams), out)


def _day(given: datetime | None) -> date | None:
    return given.date() if given else None


def _teams(connection: Any, org_id: str, team: str | None) -> frozenset[str] | None:
    return below(parents_of(connection, org_id), team_of(connection, org_id, team)) if team else None


def _write(lines: Iterable[str], out: Path | None) -> None:
    """Write lines to a file, which appears when it is whole, or to standard output."""
    if out is None:
        stream = sys.stdout.buffer
        with suppress(BrokenPipeError):
            for line in lines:
                stream.write(line.encode())
            stream.flush()
        return
    part = out.with_name(f"{out.name}.part")
    try:
        number = -1
        with open(part, "w", encoding="utf-8", newline="") as file:
            for line in lines:
                file.write(line)
                number += 1
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"Wrote {number} rows to {out}.", err=True)


# -- check -------------------------------------------------------------------------------------------------------------


@click.command("check")
@organisation_option
@json_option
@plainly
def check_command(slug: str | None, as_json: bool) -> None:
    """Verify the journal's chain, replay it and compare it with the tables. Exit code 1 if they differ.

    Also tells which photos visits name whose bytes are not here: most are still on a phone, so that is no difference.
    """
    from server.blobs.store import missing, store_of  # noqa: PLC0415
    from server.exchange.check import check  # noqa: PLC0415 - it brings a database of its own

    with within(slug) as of, reading() as connection:
        differences = check(connection, of["id"])
        away = missing(connection, of["id"], store_of(from_environment()))
    if as_json:
        photos = [{"visit": one.visit_id, "photo": one.sha256, "lost": one.lost} for one in away]
        said = [str(each) for each in differences]
        say_json({"organisation": of["slug"], "differences": said, "photos_away": photos})
    else:
        lost = sum(one.lost for one in away)
        if len(away) > lost:
            click.echo(f"Photos that visits name and that have not come in yet: {len(away) - lost:,}.")
        if lost:
            click.echo(f"Photos that were stored and are gone from the store: {lost:,}; --json names them.")
        for each in differences[:MOST_SHOWN]:
            click.echo(str(each))
        if len(differences) > MOST_SHOWN:
            click.echo(f"and {len(differences) - MOST_SHOWN} more; --json shows them.")
        click.echo(
            f"{of['slug']}: the journal and the tables agree."
            if not differences
            else f"{of['slug']}: {len(differences)} differences between journal and tables."
        )
    if differences:
        sys.exit(1)


# -- replan ------------------------------------------------------------------------------------------------------------


@click.command("replan")
@json_option
@plainly
def replan_command(as_json: bool) -> None:
    """After an upgrade, try again what an older release did not understand. `rounds serve` does it at its start."""
    from server.exchange.replan import replan  # noqa: PLC0415 - it brings the whole exchange

    with database():
        settled = replan(now())
    if as_json:
        say_json(settled)
    else:
        for slug, count in settled.items():
            click.echo(f"{slug}: settled {count}.")
        click.echo("Nothing else waits for this release." if settled else "Nothing waits for this release.")
