"""What commands share: the database behind a command, the organisation meant, one way to answer and to fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

import click
import orjson
from flask import Flask

from server.config import Config, from_environment
from server.db import db, engine_options, migrate, reading
from server.people.admin import Refused, organisation

organisation_option = click.option(
    "--organisation", "slug", metavar="SLUG", help="Which organisation; may be left out where there is one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for scripts.")


def now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


@contextmanager
def database(config: Config | None = None, *, make: bool = False) -> Iterator[Config]:
    """The database of the settings, open for a command; `make` brings it up to date, or into being, first."""
    config = config or from_environment()
    if make:
        migrate(config)
    else:
        _must_exist(config)
    app = Flask("rounds")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=config.database_url, SQLALCHEMY_ENGINE_OPTIONS=engine_options(config)
    )
    app.extensions["rounds"] = config
    db.init_app(app)
    with app.app_context():
        try:
            if not make:
                _must_have_tables()
            yield config
        finally:
            db.engine.dispose()


def _must_exist(config: Config) -> None:
    path = config.database_url.removeprefix("sqlite:///")
    if path != config.database_url and not Path(path).exists():
        raise click.ClickException(
            f"There is no database at {path} yet. Make one with `rounds init`, "
            "or say where it is with ROUNDS_STATE or ROUNDS_DATABASE_URL."
        )


def _must_have_tables() -> None:
    from sqlalchemy import inspect  # noqa: PLC0415 - its own small world

    with reading() as connection:
        if not inspect(connection).has_table("organisation"):
            raise click.ClickException("The database has no tables yet. Make them with `rounds init`.")


@contextmanager
def within(slug: str | None) -> Iterator[dict[str, Any]]:
    """The organisation that a command is about (its row), with the database open."""
    with database():
        with reading() as connection:
            found = organisation(connection, slug)
        yield found


def plainly(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say what a verb refuses in one line, and end with exit code 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except Refused as error:
            raise click.ClickException(str(error)) from error

    return run


def say_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as they need, Chinese counted as two."""
    widths = [max((width(row[at]) for row in rows), default=0) for at in range(len(rows[0]))] if rows else []
    for row in rows:
        line = "  ".join(cell + " " * (most - width(cell)) for cell, most in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def qr(text: str) -> None:
    """Print a QR code, where the output can show one."""
    import segno  # noqa: PLC0415 - few commands draw

    try:
        "█▀▄".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return
    segno.make(text, error="m").terminal(out=sys.stdout, compact=True, border=2)


def attended() -> bool:
    """Whether somebody sits at this command and can be asked."""
    return sys.stdin.isatty()
