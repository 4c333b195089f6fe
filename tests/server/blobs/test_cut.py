"""An upload through a real server, on a real connection that breaks in the middle of a body."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

from server.app import create_app
from server.config import Config
from server.db import db
from tests.conftest import SECRET
from tests.server.blobs.test_blobs import ask, digest, offset, picture
from tests.world import World


def test_what_arrived_before_a_connection_broke_is_kept_and_the_rest_follows(
    live_server: Any, sqlite_url: str, tmp_path: Any
) -> None:
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, state_dir=tmp_path / "state"))
    world = World(app)
    data = picture(size=(900, 600), quality=95)
    sha, at = digest(data), 0
    for share, reset in ((3, False), (2, True)):
        upto = len(data) // share
        head = (
            f"PUT /api/blobs/{sha} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {world.tokens['rob']}\r\n"
            f"Upload-Offset: {at}\r\nContent-Length: {len(data) - at}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", live_server.port)) as connection:
            connection.sendall(head.encode() + data[at:upto])
            deadline = time.monotonic() + 20
            while offset(ask(world, "rob", "HEAD", sha)) == at and time.monotonic() < deadline:
                time.sleep(0.02)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there = offset(ask(world, "rob", "HEAD", sha))
        assert at < there <= upto
        at = there
    rest = ask(world, "rob", "PUT", sha, data[at:], Upload_Offset=str(at))
    assert rest.json == {"status": "stored"}
    with app.app_context():
        db.engine.dispose()
