"""Commands about reminders: the ticker, and the server's keys for push."""

from __future__ import annotations

import click
from sqlalchemy import select

from server.cli.common import database, plainly
from server.db import reading
from server.push import keys
from server.push.model import Subscription


@click.command("ticker")
def ticker_command() -> None:
    """Tell people what is due and reach their devices, until SIGTERM or Ctrl-C.

    `rounds serve` starts one beside it. Any number may run, on any machine that reaches the database and has the same state
    directory (the keys for push are there); each may be killed at any moment.
    """
    from server.ticker import main  # noqa: PLC0415 - `rounds --help` needs none of it

    with database():
        pass  # is there one, and is it up to date?
    main()


@click.group("push")
def push_command() -> None:
    """Reach devices: the server's own keys."""


@push_command.command("rotate")
@plainly
def rotate() -> None:
    """Make a new key for push messages.

    Devices renew themselves with it at their next start; until then the older keys go on serving them.
    """
    with database() as config:
        made = keys.rotate(config.state_dir)
        click.echo(f"New devices subscribe with {made.public} from now on.")


@push_command.command("tidy")
@plainly
def tidy() -> None:
    """Forget the older keys that no device needs any more."""
    with database() as config:
        with reading() as connection:
            used = select(Subscription.key).where(Subscription.ended_at.is_(None)).distinct()
            in_use = frozenset(connection.execute(used).scalars())
        gone = keys.forget(config.state_dir, in_use)
        click.echo(f"{len(gone)} of the older keys are forgotten, {len(in_use)} in use.")
