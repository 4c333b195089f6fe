"""What stands between granian and the app: the request as the app reads it, and the end of an answer nobody reads on."""

import asyncio
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response, request

from server.rsgi import PIECE, Rsgi, environ_of


def scope(*headers: tuple[str, str], **other: Any) -> Any:
    """A request as granian describes it."""
    about = {
        "method": "GET",
        "path": "/caf\u00e9",
        "query_string": "a=1",
        "http_version": "1.1",
        "server": "[::1]:8080",
        "client": "[2001:db8::1]:4711",
        "scheme": "https",
        "authority": None,
    }
    return SimpleNamespace(**about | other, headers=Headers(headers))


class Headers:
    """The part of granian's headers that is asked for."""

    def __init__(self, known: tuple[tuple[str, str], ...]) -> None:
        self._known = known

    def items(self) -> tuple[tuple[str, str], ...]:
        return self._known

    def get(self, name: str) -> str | None:
        return dict(self._known).get(name)


def test_a_request_reads_as_it_was_sent() -> None:
    environ = environ_of(
        scope(("cookie", "a=1"), ("cookie", "b=2"), ("x-a", "1"), ("x-a", "2")), io.BytesIO()
    )
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/caf\u00e9"
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"]) == ("2001:db8::1", "::1")
    assert (environ["HTTP_COOKIE"], environ["HTTP_X_A"]) == ("a=1; b=2", "1,2")


def test_a_header_with_an_underscore_does_not_pass_for_what_a_proxy_wrote() -> None:
    forged = (("x_forwarded_for", "10.0.0.1"), ("content_length", "5"), ("x-forwarded-for", "192.0.2.7"))
    environ = environ_of(scope(*forged), io.BytesIO())
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.7" and "CONTENT_LENGTH" not in environ


class Gone:
    """A reader who goes after the first piece of a long answer."""

    def __aiter__(self) -> "Gone":
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration

    def response_stream(self, _status: int, _headers: Any) -> "Gone":
        return self

    async def send_bytes(self, _piece: bytes) -> None:
        raise ConnectionError


def test_what_an_answer_holds_is_freed_when_its_reader_is_gone() -> None:
    app, ended = Flask("long"), []
    app.config["MAX_CONTENT_LENGTH"] = 10

    @app.route("/<path:_any>")
    def long(_any: str) -> Response:
        assert request.args["a"] == "1"

        def pieces() -> Iterator[bytes]:
            try:
                while True:
                    yield b"x" * PIECE
            finally:
                ended.append(True)

        return Response(pieces())

    # A thread of its own: a browser that is driven has its loop in this one.
    with ThreadPoolExecutor(1) as thread, pytest.raises(ConnectionError):
        thread.submit(asyncio.run, Rsgi(app).__rsgi__(scope(("host", "here")), Gone())).result()
    assert ended == [True]
