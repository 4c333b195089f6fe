"""The WSGI app behind granian's RSGI: a request takes a thread when its body is in, and leaves it before its answer is out.

So nobody waits for a phone with a bad line: neither one that sends slowly, nor one that lost its signal on the way and
says no goodbye.
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from flask import Flask

log = logging.getLogger("rounds")

STILL_S = 60
"""How long a body may stand still."""

THREADS = 4
"""For everything but exchanges. Most of it waits for the database, or is of some moments."""

EXCHANGE = "/api/sync"
"""Has a thread of its own: several exchanges that share a processor would each take as long as all of them, and hold the
organisation's lock for as long; and none waits for a report or an import."""

PIECE = 256 * 1024
"""Bytes of an answer that go out at once."""


_NO_LENGTH = (
    [("content-type", "application/json"), ("connection", "close")],
    b'{"code": "LENGTH_REQUIRED", "detail": "Say how long the body is.", "fields": {}, "request_id": null}',
)


class Rsgi:
    """The app as granian calls it (https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md)."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._most: int = app.config["MAX_CONTENT_LENGTH"]
        self._exchanges = ThreadPoolExecutor(1, "exchange")
        self._others = ThreadPoolExecutor(THREADS, "request")

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        body = await self._body(scope, protocol)
        if body is None:
            protocol.response_bytes(int(HTTPStatus.LENGTH_REQUIRED), *_NO_LENGTH)
            return
        threads = self._exchanges if scope.path == EXCHANGE else self._others
        run = asyncio.get_running_loop().run_in_executor
        answer = _Answer(self._app)
        try:
            piece = await run(threads, answer.begin, environ_of(scope, body))
            if answer.ended:
                protocol.response_bytes(answer.status, answer.headers, piece)
                return
            out = protocol.response_stream(answer.status, answer.headers)
            while piece:
                await out.send_bytes(piece)
                piece = await run(threads, answer.next)
        finally:  # also of an answer whose reader is gone
            await run(threads, answer.close)

    async def _body(self, scope: Any, protocol: Any) -> io.BytesIO | None:
        """What came of it; nothing of one that the app will refuse as too large; None of one that says no length.

        Whatever is shorter than it said broke off, and the app will notice: half a file may look like a whole one, so
        only who goes on with halves takes it. Where no length is said nobody could notice.
        """
        said = scope.headers.get("content-length") or "0"
        length = int(said) if said.isdecimal() else 0
        body = io.BytesIO()
        if length > self._most:
            return body
        pieces = aiter(protocol)
        with suppress(StopAsyncIteration, TimeoutError):
            while body.tell() <= length:
                body.write(await asyncio.wait_for(anext(pieces), STILL_S))
        if body.tell() > length:
            return None
        body.seek(0)
        return body


class _Answer:
    """What the app answers, in pieces; made in the threads of a pool, one after another."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._parts: Iterator[bytes] = iter(())
        self._close: Any = None
        self.status = int(HTTPStatus.INTERNAL_SERVER_ERROR)
        self.headers: list[tuple[str, str]] = []
        self.ended = False

    def begin(self, environ: dict[str, Any]) -> bytes:
        """Run the app; returns the first piece, after which `status` and `headers` are known."""
        try:
            parts: Iterable[bytes] = self._app(environ, self._start)
            self._parts, self._close = iter(parts), getattr(parts, "close", None)
            return self.next()
        except Exception:
            log.exception("a request failed")
            self.ended = True
            return b""

    def next(self) -> bytes:
        """The next piece, empty at the end."""
        piece = bytearray()
        for part in self._parts:
            piece += part
            if len(piece) >= PIECE:
                return bytes(piece)
        self.ended = True
        return bytes(piece)

    def close(self) -> None:
        """Let the app free what it holds for this answer."""
        if self._close is not None:
            self._close()

    def _start(self, status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
        self.status = int(status.partition(" ")[0])
        self.headers = [(name.lower(), value) for name, value in headers]


def environ_of(scope: Any, body: io.BytesIO) -> dict[str, Any]:
    """The request as WSGI has it (PEP 3333): text of the wire is Latin-1.

    A header with an underscore in its name is left out: it would pass for the one with a hyphen that a proxy has written.
    """
    host, port = _address(scope.server)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "REMOTE_ADDR": _address(scope.client)[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope.authority:  # of HTTP/2, which has no Host
        environ["HTTP_HOST"] = scope.authority
    for name, value in scope.headers.items():
        if "_" in name:
            continue
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        between = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{between}{value}" if key in environ and key != "HTTP_HOST" else value
    return environ


def _address(text: str) -> tuple[str, str]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), port
