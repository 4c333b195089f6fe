"""The page of everything there is names all that the code has, and nothing else."""

import re
from pathlib import Path
from typing import Any

import click

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "reference.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


def first_cells(title: str) -> set[str]:
    """What stands between backquotes in the first column of a table."""
    rows = re.findall(r"^\| (`[^|]+`) \|", SECTIONS[title], re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_each_setting_of_the_server_is_told_of():
    read = re.findall(r"ROUNDS_[A-Z0-9_]+[A-Z0-9]", (REPOSITORY / "server" / "config.py").read_text())
    assert first_cells("Settings of the server") == set(read)


def test_each_setting_of_an_organisation_is_told_of():
    from server.exchange.follow import RULE_SETTINGS
    from server.exchange.work import SHARING
    from server.indicators.close import AFTER, HONOURS
    from server.indicators.reckon import WORKING_DAYS
    from server.indicators.scores import LEADERBOARD
    from server.people.defaults import SETTINGS
    from server.reminders.reach import SETTING
    from server.reminders.schedule import LIMIT

    told = first_cells("Settings of an organisation")
    read = {*RULE_SETTINGS, SHARING, AFTER, HONOURS, WORKING_DAYS, LEADERBOARD, SETTING, LIMIT}
    assert told == read | SETTINGS.keys()
    for key, value in SETTINGS.items():
        written = (
            str(value).lower()
            if isinstance(value, bool)
            else f"{value:,}"
            if type(value) is int
            else str(value)
        )
        assert re.search(rf"^\| `{key}` \|.*\| `?{re.escape(written)}`? \|$", PAGE, re.M), key


def test_each_command_is_told_of():
    from server.cli import main

    found = set()

    def walk(command: click.Command | None, path: str) -> None:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                walk(command.get_command(context, name), f"{path} {name}")
        else:
            found.add(path)

    walk(main, "rounds")
    assert first_cells("Commands") == found


def test_each_route_is_told_of_with_whom_it_is_for(sqlite_url: str):
    from server.app import create_app
    from server.config import Config

    app = create_app(Config(database_url=sqlite_url, secret=b"x" * 32))

    def path(rule: str) -> str:
        return re.sub(r"<(?:[a-z]+:)?([a-z0-9_]+)>", r"{\1}", rule)

    def whom(view: Any) -> str:
        roles = view.allowed_roles
        return "anybody" if roles is None else "everybody" if len(roles) == 4 else ", ".join(sorted(roles))

    found = {
        (f"{method} {path(rule.rule)}", whom(app.view_functions[rule.endpoint]))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule != "/"
    }
    told = re.findall(r"^\| `([A-Z]+ [^`]+)` \| ([a-z, ]+) \|", SECTIONS["Routes"], re.M)
    assert set(told) == found


def test_each_kind_is_told_of():
    from server.exchange.kinds import READABLE

    assert first_cells("Kinds") == READABLE.keys()
