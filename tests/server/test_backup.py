"""Backup, restore and tidying from the command line: what they refuse, what they leave, what is in a copy."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from server.app import create_app
from server.config import Config
from server.db import db, reading
from server.exchange.check import check
from server.people.model import Head
from tests.commands import Commands
from tests.conftest import SECRET
from tests.world import World


@pytest.fixture
def rounds(sqlite_url: str, tmp_path: Path) -> Commands:
    """The command line on an SQLite database with an organisation in it."""
    commands = Commands(sqlite_url, tmp_path / "state")
    commands.init()
    return commands


@pytest.fixture
def database(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("select name from person order by name")]


def add(rounds: Commands, name: str) -> None:
    rounds("person", "add", "--name", name, "--email", f"{name.lower()}@acme.test", "--role", "rep")


def beside(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir() if each.name.startswith(path.name))


def test_a_backup_is_one_file_that_holds_all_and_a_restore_brings_it_back(
    rounds: Commands, database: Path, tmp_path: Path
) -> None:
    add(rounds, "Bo")
    copy = tmp_path / "copies" / "night.db"
    copy.parent.mkdir()
    assert "verified" in rounds("backup", copy).output
    assert [each.name for each in copy.parent.iterdir()] == ["night.db"] and copy.stat().st_mode & 0o077 == 0
    add(rounds, "Cy")
    told = rounds("restore", copy, "--yes").output
    assert names(database) == ["Ada", "Bo"]
    (kept,) = [name for name in beside(database) if "replaced" in name]
    assert kept in told and names(database.with_name(kept)) == ["Ada", "Bo", "Cy"]
    assert rounds("check").exit_code == 0
    add(rounds, "Di")
    assert names(database) == ["Ada", "Bo", "Di"]


def test_neither_a_copy_nor_a_database_is_overwritten_unasked(
    rounds: Commands, database: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    rounds("backup", copy)
    before, now = copy.read_bytes(), database.read_bytes()
    assert "--yes" in rounds("backup", copy, code=1).output and copy.read_bytes() == before
    assert "--yes" in rounds("restore", copy, code=1).output and database.read_bytes() == now
    rounds("backup", copy, "--yes")
    assert beside(copy) == ["copy.db"]


def damaged(copy: Path, how: str) -> None:
    if how == "page":
        with open(copy, "r+b") as file:
            file.seek(copy.stat().st_size // 2)
            file.write(b"\xff" * 4096)
        return
    if how == "text":
        copy.write_text("no database")
        return
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute(how)
        connection.commit()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("page", ""),
        ("text", "no database"),
        ("update journal set status = 'noop' where n = 3", "broken at entry 3"),
        ("update journal set payload = cast('{}' as blob) where n = 2", "broken at entry 2"),
        ("delete from journal where n = (select max(n) from journal)", "ends at entry"),
        ("delete from journal where n = 4", "broken at entry 5"),
        ("update alembic_version set version_num = 'later'", "newer release"),
        ("drop table journal", "no database of Rounds"),
        ("update person set team_id = 'nowhere'", "refers to one"),
    ],
)
def test_a_copy_that_is_not_whole_is_refused_and_nothing_is_touched(
    rounds: Commands, database: Path, tmp_path: Path, how: str, said: str
) -> None:
    copy = tmp_path / "copy.db"
    rounds("backup", copy)
    damaged(copy, how)
    before = names(database)
    assert said in rounds("restore", copy, "--yes", code=1).output
    assert names(database) == before and beside(database) == [database.name]


def test_a_raw_copy_of_a_database_in_use_is_no_backup(
    rounds: Commands, database: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "raw.db"
    shutil.copyfile(database, copy)
    copy.with_name("raw.db-wal").write_bytes(b"pages that are not in the file")
    assert "in use" in rounds("restore", copy, "--yes", code=1).output


def test_a_database_that_somebody_has_open_is_not_replaced(
    rounds: Commands, database: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    rounds("backup", copy)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("select * from head").fetchall()
        assert "Stop the server" in rounds("restore", copy, "--yes", code=1).output
    assert "replaced" not in str(beside(database))
    rounds("restore", copy, "--yes")


def test_photos_are_copied_once_and_come_back(rounds: Commands, tmp_path: Path) -> None:
    photos = tmp_path / "state" / "blobs"
    (photos / "ab").mkdir(parents=True)
    (photos / "ab" / "abcd").write_bytes(b"a picture")
    (photos / "ab" / "half.part").write_bytes(b"half a pic")
    copy = tmp_path / "copy.db"
    assert rounds.json("backup", copy)["photos"] == 1
    kept = tmp_path / "copy.db.photos" / "ab"
    assert [each.name for each in kept.iterdir()] == ["abcd"]
    (photos / "ab" / "abcd").unlink()
    rounds("restore", copy, "--yes")
    assert (photos / "ab" / "abcd").read_bytes() == b"a picture"


def test_postgresql_is_left_to_its_own_tools(postgres_url: str, tmp_path: Path) -> None:
    rounds = Commands(postgres_url, tmp_path / "state")
    rounds.init()
    copy = tmp_path / "copy.db"
    copy.touch()
    for told in (("backup", copy, "--yes"), ("restore", copy, "--yes")):
        assert "pg_dump" in rounds(*told, code=1).output


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    app = create_app(Config(database_url=database_url, secret=SECRET, state_dir=tmp_path / "state"))
    world = World(app)
    yield world
    with app.app_context():
        db.engine.dispose()


def head(world: World) -> Any:
    with world.app.app_context(), reading() as connection:
        return connection.execute(select(Head.version).where(Head.org_id == world.org)).scalar_one()


def test_a_database_put_back_by_other_means_is_verified_and_its_head_jumps(
    world: World, database_url: str, tmp_path: Path
) -> None:
    rounds, before = Commands(database_url, tmp_path / "state"), head(world)
    assert "verified" in rounds("restore", "--in-place").output
    assert head(world) == before + 1_000_000
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []
