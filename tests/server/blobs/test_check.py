"""What the command line tells of photos."""

from __future__ import annotations

from pathlib import Path

from server.app import create_app
from server.config import Config
from server.db import db
from tests.commands import Commands
from tests.conftest import SECRET
from tests.server.blobs.test_blobs import digest, picture, put, visit_with
from tests.world import World


def test_check_tells_which_photos_are_not_here_and_calls_that_no_difference(
    sqlite_url: str, tmp_path: Path
) -> None:
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, state_dir=tmp_path / "state"))
    world = World(app)
    here, lost, away = picture("here"), picture("lost"), picture("away")
    visit = visit_with(world, "rob", digest(here), digest(lost), digest(away))
    put(world, "rob", here)
    put(world, "rob", lost)
    (tmp_path / "state" / "blobs" / world.org / digest(lost)[:2] / digest(lost)).unlink()
    with app.app_context():
        db.engine.dispose()
    rounds = Commands(sqlite_url, tmp_path / "state")
    told = rounds.json("check")
    assert told["differences"] == []
    photos = {(one["visit"], one["photo"], one["lost"]) for one in told["photos_away"]}
    assert photos == {(visit, digest(lost), True), (visit, digest(away), False)}
    said = rounds("check").output
    assert "have not come in yet: 1." in said and "gone from the store: 1;" in said
