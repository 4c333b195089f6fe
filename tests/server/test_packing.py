"""Answers come gzipped to whoever takes gzip, and as they are to everybody else."""

import gzip
from pathlib import Path
from typing import Any

from server.app import create_app
from tests.world import World


def test_a_page_of_rows_comes_gzipped_and_says_the_same(world: World) -> None:
    for number in range(20):
        world.customer(f"Shop {number}")
    path = "/api/customers?limit=50"
    plain, packed = world.get("rob", path), world.get("rob", path, headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data and len(packed.data) * 3 < len(plain.data)
    assert "Accept-Encoding" in plain.headers["Vary"] and "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.data)


def test_a_small_answer_stays_as_it_is(world: World) -> None:
    answer = world.get("rob", "/api/customers?limit=1", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers


def test_the_apps_files_come_gzipped_and_keep_their_etag(config: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / "assets").mkdir()
    script = b"export const words = 'the same again and again';\n" * 100
    (tmp_path / "assets" / "app.js").write_bytes(script)
    (tmp_path / "icon.png").write_bytes(bytes(5000))
    (tmp_path / "index.html").write_bytes(b"<!doctype html>")
    client = create_app(replace(config, pwa_dir=tmp_path)).test_client()
    taken = {"Accept-Encoding": "gzip"}
    packed = client.get("/assets/app.js", headers=taken)
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.data) == script
    assert "immutable" in packed.headers["Cache-Control"]
    assert client.get("/assets/app.js").data == script
    assert (
        client.get("/assets/app.js", headers=taken | {"If-None-Match": packed.headers["ETag"]}).status_code
        == 304
    )
    assert "Content-Encoding" not in client.get("/icon.png", headers=taken).headers
