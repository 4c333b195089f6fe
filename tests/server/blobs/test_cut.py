"""An upload through a real server, on a real connection that breaks in the middle of a body."""

from __future__ import annotations

import select
import socket
import struct
from typing import Any

from server.app import create_app
from server.config import Config
from server.db import db
from tests.conftest import SECRET
from tests.server.blobs.test_blobs import ask, digest, offset, picture
from tests.world import World


def test_what_arrived_before_a_connection_broke_is_kept_and_the_rest_follows(
    live_server: Any, sqlite_url: str
) -> None:
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, state_dir=live_server.state_dir))
    world = World(app)
    data = picture(size=(900, 600), quality=95)
    sha, at = digest(data), 0
    for share, reset in ((3, False), (2, True)):
        upto = len(data) // share
        while (there := offset(ask(world, "rob", "HEAD", sha))) == at:
            _begin(live_server.port, world.tokens["rob"], sha, at, data[at:upto], len(data) - at, reset=reset)
        assert at < there <= upto
        at = there
    rest = ask(world, "rob", "PUT", sha, data[at:], Upload_Offset=str(at))
    assert rest.json == {"status": "stored"}
    with app.app_context():
        db.engine.dispose()


def _begin(port: int, token: str, sha: str, at: int, piece: bytes, announced: int, *, reset: bool) -> None:
    """Sends a piece of what is announced, and breaks the connection off.

    A reset also takes what the server's machine had and the server had not yet read.
    """
    head = (
        f"PUT /api/blobs/{sha} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n"
        f"Upload-Offset: {at}\r\nContent-Length: {announced}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + piece)
        if reset:
            select.select([connection], [], [], 0.1)  # it answers nothing yet
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    select.select([], [], [], 0.1)
