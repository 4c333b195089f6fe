"""Commands about data: import, export, check."""

from __future__ import annotations

import click


@click.group("import")
def import_command() -> None:
    """Bring data in."""


@click.group("export")
def export_command() -> None:
    """Take data out."""


@click.command("check")
def check_command() -> None:
    """Replay the journal and compare it with the tables."""
