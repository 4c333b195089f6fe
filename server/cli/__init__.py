"""The command line `rounds`: it asks, calls the verb of a room, and says what became of it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

SETTINGS = """\b
Settings (environment variables):
  ROUNDS_STATE            where database, secret and keys live (var)
  ROUNDS_DATABASE_URL     sqlite:///path or postgresql://user@host/name
  ROUNDS_SECRET           signs tokens, 32 bytes or more (made once, kept in the state directory)
  ROUNDS_ORIGINS          further addresses that browsers may write from, by commas
  ROUNDS_TRUSTED_PROXIES  how many reverse proxies are believed (0)
  ROUNDS_SECURE_COOKIE    1: the session cookie travels over TLS only (0)
  ROUNDS_PUSH_SUBJECT     whom push services may write to: mailto:… or https:…
  ROUNDS_MAIL             mail server for notices that push does not bring: mailtos://user:password@host?from=…
  ROUNDS_CHANNELS         further channels for them: name=address, as Apprise writes addresses, by blanks
  ROUNDS_S3_BUCKET        keep photos in this S3-compatible bucket (else in the state directory); with
                          ROUNDS_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY, and _REGION, _PREFIX where needed
"""

COMMANDS = {
    "init": "people",
    "serve": "run",
    "person": "people",
    "team": "people",
    "token": "people",
    "device": "people",
    "customers": "territory",
    "import": "data",
    "export": "data",
    "check": "data",
    "replan": "data",
    "backup": "keeping",
    "restore": "keeping",
    "scheme": "goals",
    "values": "goals",
    "targets": "goals",
    "holidays": "goals",
    "score": "scoring",
    "tidy": "keeping",
    "ticker": "reminding",
    "push": "reminding",
    "demo": "run",
}
"""Command -> the module that has it, in the order in which one needs them."""


class Rounds(click.Group):
    """All commands, each loaded when it is asked for; what may go wrong everywhere is said in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command by its name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(
            import_module(f"{__name__}.{COMMANDS[cmd_name]}"), f"{cmd_name}_command"
        )
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command: exit code 0 done, 1 could not be done, 2 not understood."""
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - `rounds --help` needs no database

        from server.config import BadSetting  # noqa: PLC0415

        try:
            return super().invoke(ctx)
        except BadSetting as error:
            raise click.ClickException(str(error)) from error
        except DBAPIError as error:
            raise click.ClickException(f"the database says: {str(error.orig).strip()}") from error


@click.group(cls=Rounds, epilog=SETTINGS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rounds", prog_name="rounds")
def main() -> None:
    """Rounds: field visits, logged with or without signal. Each command explains itself with --help."""
