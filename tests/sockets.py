"""What the small servers of the tests share: reading so many bytes, and answering HTTP beside the test."""

import http.server
import socket
import threading
from collections.abc import Callable
from email.message import Message
from typing import Any

Answer = tuple[int, str, bytes]
"""Status, content type, body."""


def read(connection: socket.socket, length: int) -> bytes:
    """So many bytes; EOFError where the other end closes before."""
    out = b""
    while len(out) < length:
        more = connection.recv(length - len(out))
        if not more:
            raise EOFError
        out += more
    return out


def serve(answer: Callable[[str, Message, bytes], Answer]) -> http.server.ThreadingHTTPServer:
    """A server of this machine that answers each request, by path, headers and body, until it is shut down."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, kind, said = answer(self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
