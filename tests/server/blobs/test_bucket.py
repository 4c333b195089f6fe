"""The same photos in a bucket instead of a folder, over the wire, signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.app import create_app
from server.blobs.store import missing, store_of
from server.config import S3, BadSetting, Config, from_environment
from server.db import db, reading
from tests.bucket import Bucket
from tests.conftest import SECRET
from tests.server.blobs.test_blobs import ask, digest, offset, picture, put, visit_with
from tests.world import World


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    found = Bucket("rounds", "an id", "a secret", "eu-west-9")
    yield found
    found.close()


def settings(url: str, state: Path, bucket: Bucket, **s3: str) -> Config:
    known = {"access_key": "an id", "secret_key": "a secret", "region": "eu-west-9", "prefix": "a/b"} | s3
    return Config(url, SECRET, state, s3=S3(bucket.url, bucket.name, **known))


def test_photos_live_in_a_bucket_where_one_is_set(bucket: Bucket, sqlite_url: str, tmp_path: Path) -> None:
    app = create_app(settings(sqlite_url, tmp_path / "state", bucket))
    world, data = World(app), picture()
    visit_with(world, "rob", digest(data))
    first = ask(world, "rob", "PUT", digest(data), data[:700], Upload_Length=str(len(data)))
    assert (first.json["offset"], bucket.objects) == (700, {})  # a half one is nobody's business yet
    rest = ask(world, "rob", "PUT", digest(data), data[700:], Upload_Offset="700")
    assert rest.json == {"status": "stored"}
    assert bucket.objects == {f"a/b/{world.org}/{digest(data)[:2]}/{digest(data)}": data}
    assert not [path for path in (tmp_path / "state" / "blobs").rglob("*") if path.is_file()]
    assert ask(world, "mia", "GET", digest(data)).data == data
    assert ask(world, "mia", "GET", digest(data), rest="?size=thumb").headers["Content-Type"] == "image/jpeg"
    bucket.trouble = 1  # one bad moment of the service is not the phone's business
    assert ask(world, "mia", "GET", digest(data)).data == data

    bucket.objects.clear()
    assert ask(world, "mia", "GET", digest(data)).json["code"] == "NOT_STORED"
    assert offset(ask(world, "rob", "HEAD", digest(data))) == 0
    with app.app_context(), reading() as connection:
        (found,) = missing(connection, world.org, store_of(app.extensions["rounds"]))
    assert found.lost
    assert put(world, "rob", data).json == {"status": "stored"}
    assert bucket.refused == 0
    with app.app_context():
        db.engine.dispose()


def test_a_bucket_that_does_not_take_the_photo_leaves_it_to_be_sent_again(
    bucket: Bucket, sqlite_url: str, tmp_path: Path
) -> None:
    config = settings(sqlite_url, tmp_path / "state", bucket)
    good = config.s3
    assert good is not None
    app = create_app(replace(config, s3=replace(good, secret_key="another")))
    world, data = World(app), picture()
    answer = put(world, "rob", data)
    assert (answer.status_code, answer.json["code"]) == (503, "BUSY")
    assert (bucket.refused > 0, bucket.objects) == (True, {})
    assert offset(ask(world, "rob", "HEAD", digest(data))) == len(data)
    app.extensions["rounds_blobs"] = store_of(config)
    last = ask(world, "rob", "PUT", digest(data), Upload_Offset=str(len(data)), Upload_Length=str(len(data)))
    assert last.json == {"status": "stored"}
    with app.app_context():
        db.engine.dispose()


def test_a_bucket_is_set_wholly_or_the_start_stops_and_names_what_is_missing(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "ROUNDS_STATE": str(tmp_path),
        "ROUNDS_S3_BUCKET": "b",
        "ROUNDS_S3_ACCESS_KEY": "k",
    }
    with pytest.raises(BadSetting, match="ROUNDS_S3_SECRET_KEY"):
        from_environment(told)
    told["ROUNDS_S3_SECRET_KEY"] = "s"
    with pytest.raises(BadSetting, match="ROUNDS_S3_ENDPOINT"):
        from_environment(told | {"ROUNDS_S3_ENDPOINT": "minio:9000"})
    s3 = from_environment(told).s3
    assert s3 == S3("https://s3.amazonaws.com", "b", "k", "s")
    assert "'s'" not in repr(s3)
