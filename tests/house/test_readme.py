"""What the README says is true of the code beside it."""

import re
from pathlib import Path

import click
import pytest

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
CONFIG = (REPOSITORY / "server" / "config.py").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_leads_to_a_file(page: Path):
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_setting_that_is_named_exists():
    named = set(re.findall(r"ROUNDS_[A-Z_]+", README))
    assert named
    assert named <= set(re.findall(r"ROUNDS_[A-Z_]+", CONFIG))


def test_every_make_target_that_is_named_exists():
    named = set(re.findall(r"(?:`|    )make ([a-z]+)\b", README))
    assert {"demo", "test", "help", "build"} <= named
    assert [target for target in named if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)] == []


def test_help_names_every_public_target():
    public = {"demo", "test", "lint", "types", "build", "speed"}
    assert public <= set(re.findall(r'@echo "make ([a-z]+)', MAKEFILE))


def test_every_command_that_is_named_exists():
    from server.cli import main

    assert isinstance(main, click.Group)
    context = click.Context(main)
    for line in re.findall(r"\brounds ([a-z][^\n`#]*)", README):
        words = line.split()
        command: click.Command | None = main
        while isinstance(command, click.Group) and words:
            command = command.get_command(context, words.pop(0).rstrip(".,:;"))
            assert command is not None, f"rounds {line}"
        options = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= options, f"rounds {line}"


def test_every_decision_has_a_number_of_its_own():
    pages = sorted((REPOSITORY / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        for heading in ("## Context", "## Choice", "## Cost"):
            assert heading in text, f"{page.name}: {heading}"
