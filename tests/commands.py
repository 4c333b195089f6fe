"""The command line in this process, on a database of the test's own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from server.cli import main
from tests.conftest import SECRET


class Commands:
    """`commands("team", "list")` runs `rounds team list` and returns its result; a wrong exit code fails the test."""

    def __init__(self, database_url: str, state_dir: Path) -> None:
        # What the machine that runs the tests has set must not reach the command.
        self.environment: dict[str, str | None] = {
            name: None for name in os.environ if name.startswith("ROUNDS_")
        }
        self.environment |= {
            "ROUNDS_DATABASE_URL": database_url,
            "ROUNDS_STATE": str(state_dir),
            "ROUNDS_SECRET": SECRET.decode(),
        }

    def __call__(self, *arguments: str | Path, typed: str | bytes | None = None, code: int = 0) -> Result:
        """Run a command; `code` is the exit code it must end with."""
        result = CliRunner().invoke(main, [str(each) for each in arguments], typed, self.environment)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def json(self, *arguments: str | Path, **options: Any) -> Any:
        """Run a command with --json and return what it answers."""
        return json.loads(self(*arguments, "--json", **options).stdout)

    def init(self, slug: str = "acme", **options: str) -> Any:
        """Make an organisation; its administrator is admin@acme.test with the password `correct horse`."""
        told = {
            "name": slug.title(),
            "slug": slug,
            "zone": "Europe/London",
            "week-start": "monday",
            "language": "en",
            "admin-name": "Ada",
            "admin-email": f"admin@{slug}.test",
            "password": "correct horse",
        } | options
        return self.json("init", *(word for name, value in told.items() for word in (f"--{name}", value)))
