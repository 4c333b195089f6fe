"""Commands about people."""

import click

COMMANDS: list[click.Command] = []
