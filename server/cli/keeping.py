"""Commands that keep the data: backup, restore, tidy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from server.cli.common import attended, database, json_option, now, plainly, say_json
from server.config import from_environment
from server.people.admin import Refused


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Overwrite FILE where there is one.")
@json_option
@plainly
def backup_command(file: Path, yes: bool, as_json: bool) -> None:
    """Copy the SQLite database to FILE while the server runs, and photos into FILE.photos beside it.

    The copy is one snapshot; its pages and its journal's chain are verified before FILE appears. Photos that lie in
    the state directory come along, those in an S3 bucket do not. Keep the secret of the state directory with it.
    PostgreSQL has pg_dump; see docs/running.md.
    """
    from server.backup import backup, database_file  # noqa: PLC0415 - few commands need it

    config = from_environment()
    database_file(config)
    if file.exists() and not yes:
        raise Refused(f"There is a {file} already. --yes overwrites it.")
    with database(config):
        made = backup(config, file)
    if as_json:
        say_json({"file": str(made.path), "entries": made.entries, "photos": made.photos})
        return
    told = ", ".join(f"{slug} {number:,}" for slug, number in made.entries.items()) or "no organisation"
    click.echo(f"Wrote {file}, verified. Journal entries: {told}. Photos: {made.photos:,}.")


@click.command("restore")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--in-place", is_flag=True, help="The database was put back by other means, such as pg_restore."
)
@click.option("--yes", is_flag=True, help="Replace the database that is there.")
@json_option
@plainly
def restore_command(file: Path | None, in_place: bool, yes: bool, as_json: bool) -> None:
    """Put FILE, made by `rounds backup`, in the place of the SQLite database. The server must be stopped.

    FILE is verified first: its pages, and the chain of its journal. The database that was there stays beside the new
    one. Phones notice by themselves, begin again and send what the copy does not hold.

    With --in-place, after PostgreSQL's pg_restore or a standby that took over: verify the journal and tell the phones.
    """
    from server.backup import database_file, put_back, restore  # noqa: PLC0415

    if (file is None) is not in_place:
        raise click.UsageError("Give FILE, or --in-place.")
    config = from_environment()
    if file is None:
        with database(config):
            entries = put_back()
        _say(as_json, "The journal is whole", dict(entries), None)
        return
    target = database_file(config)
    if target.exists() and not yes:
        question = f"Replace {target}? It stays beside the new one."
        if not attended() or not click.confirm(question, err=True):
            raise Refused(f"There is a database at {target}. --yes replaces it; it stays beside the new one.")
    made = restore(config, file, now())
    _say(as_json, f"{target} is what {file} holds", dict(made.entries), made.beside)


def _say(as_json: bool, what: str, entries: dict[str, int], beside: Path | None) -> None:
    if as_json:
        say_json({"entries": entries, "beside": str(beside) if beside else None})
        return
    told = ", ".join(f"{slug} {number:,}" for slug, number in entries.items()) or "no organisation"
    click.echo(f"{what}, verified. Journal entries: {told}.")
    if beside:
        click.echo(f"What was there is {beside.name} beside it.")
    click.echo(
        "Phones notice at their next exchange and send what is missing. `rounds check` compares all tables."
    )


@click.command("tidy")
@json_option
@plainly
def tidy_command(as_json: bool) -> None:
    """Throw away what nobody will ask for again; once a day is enough, and it may run beside the server.

    Notes of what left somebody's sight, after 180 days: a phone that was away longer reads everything again. Sessions
    that ended, links that ran out, uploads of photos that stopped half way a week ago; what is known of reminders told, and
    of the messages that carried them, 30 days ago. Visits, their history, inboxes and the journal are never thrown away.
    """
    from server.blobs.store import store_of  # noqa: PLC0415
    from server.tidy import tidy  # noqa: PLC0415

    with database() as config:
        done = tidy(now(), store_of(config))
    if as_json:
        say_json(asdict(done))
        return
    click.echo(
        f"Thrown away: {done.tombstones:,} tombstones, {done.sessions:,} sessions, {done.links:,} links, "
        f"{done.uploads:,} half uploads, {done.reminders:,} reminders told."
    )
