"""A TCP proxy that misbehaves on request: the network between a phone and its server."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from typing import Literal

Mode = Literal["pass", "refuse", "silence", "lose_answers"]
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time left: closing sends RST


class Proxy:
    """Listens on a port of its own that stays open whatever happens to the server behind it.

    Modes: `pass`; `refuse` (a reset for every connection); `silence` (taken, never answered); `lose_answers`
    (the server gets the request and does its work, the answer is replaced by a reset). `answers_lost` counts those lost
    so far.
    """

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.mode: Mode = "pass"
        self.answers_lost = 0
        self._losing: Callable[[bytes], bool] = lambda request: True
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def set(self, mode: Mode, losing: Callable[[bytes], bool] | None = None, cut: bool = True) -> None:
        """Changes the mode; `cut` ends what is connected now.

        With `lose_answers`, `losing` says by a connection's latest request bytes whether its answer is to be lost.
        """

        async def change() -> None:
            self.mode = mode
            self._losing = losing or (lambda request: True)
            if cut:
                for writer in list(self._open):
                    writer.transport.abort()

        self._do(change())

    def close(self) -> None:
        """Ends the proxy and all that is connected through it."""

        async def end() -> None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        upstream: asyncio.StreamWriter | None = None
        latest = bytearray()

        async def requests(to: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                if data.split(b" ", 1)[0] in {b"GET", b"POST", b"PUT", b"DELETE", b"HEAD"}:
                    latest.clear()
                latest.extend(data)
                to.write(data)
                await to.drain()
            if to.can_write_eof():
                to.write_eof()

        try:
            if self.mode == "refuse":
                self._reset(writer)
                return
            if self.mode == "silence":
                while await reader.read(65536):
                    pass
                return
            answers, upstream = await asyncio.open_connection("127.0.0.1", self.upstream_port)
            asking = asyncio.ensure_future(requests(upstream))
            try:
                while data := await answers.read(65536):
                    if self.mode == "lose_answers" and self._losing(bytes(latest)):
                        self.answers_lost += 1
                        self._reset(writer)
                        return
                    writer.write(data)
                    await writer.drain()
            finally:
                asking.cancel()
        except OSError:
            self._reset(writer)  # nobody listens upstream: to the phone the server is gone
        finally:
            self._open.discard(writer)
            for each in (writer, upstream):
                if each is not None:
                    each.close()
