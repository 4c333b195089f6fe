"""A push service of this machine's own: takes messages by RFC 8030, checks their signature, opens what was sealed.

It plays both what a browser's maker runs (the endpoint) and the browser (the keys), so a test sees what a device would.
"""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import http_ece
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def encoded(raw: bytes) -> str:
    """URL-safe base64 without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes of URL-safe base64, padded or not."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(slots=True)
class Message:
    """A message as the device reads it: its text, the headers (names in small letters) and signed claims it came with."""

    text: str
    headers: dict[str, str]
    claims: dict[str, Any]

    @property
    def document(self) -> Any:
        """The text as JSON."""
        return json.loads(self.text)


class Subscriber:
    """A device's subscription. `answers` are what the service says next (status, headers), then 201 again."""

    def __init__(self, base: str) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._auth = os.urandom(16)
        self.id = encoded(os.urandom(12))
        self.endpoint = f"{base}/push/{self.id}"
        self.origin = base
        self.messages: list[Message] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.always: int | None = None
        self.attempts = 0

    @property
    def document(self) -> dict[str, Any]:
        """What a browser's `PushSubscription` says of itself."""
        point = self._private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return {"endpoint": self.endpoint, "keys": {"p256dh": encoded(point), "auth": encoded(self._auth)}}

    def open(self, headers: Mapping[str, str], body: bytes) -> Message:
        """The message, once its signature holds; raises AssertionError or what the cipher says."""
        assert headers["Content-Encoding"] == "aes128gcm"
        assert int(headers["TTL"]) >= 0
        scheme, _, rest = headers["Authorization"].partition(" ")
        assert scheme.lower() == "vapid"
        told = dict(part.strip().split("=", 1) for part in rest.split(","))
        signed, _, signature = told["t"].rpartition(".")
        raw = decoded(signature)
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(told["k"]))
        two = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        key.verify(utils.encode_dss_signature(*two), signed.encode(), ec.ECDSA(hashes.SHA256()))
        head, _, content = signed.partition(".")
        assert json.loads(decoded(head))["alg"] == "ES256"
        claims = json.loads(decoded(content))
        assert claims["aud"] == self.origin, claims
        assert time.time() < claims["exp"] <= time.time() + 86_400, claims
        assert claims["sub"].startswith(("mailto:", "https:")), claims
        text = http_ece.decrypt(body, private_key=self._private, auth_secret=self._auth, version="aes128gcm")
        small = {name.lower(): value for name, value in headers.items()}
        return Message(text.decode(), small, claims | {"key": told["k"]})


@dataclass(slots=True)
class PushService:
    """Serves until `close`. `subscribe()` makes a device; unknown ones are answered 410."""

    delay_s: float = 0.0
    subscribers: dict[str, Subscriber] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    _server: http.server.ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers = outer.take(self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a sender that was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def base(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def subscribe(self) -> Subscriber:
        """A new device."""
        made = Subscriber(self.base)
        self.subscribers[made.id] = made
        return made

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        """Answer one message."""
        if self.delay_s:
            time.sleep(self.delay_s)
        subscriber = self.subscribers.get(path.rpartition("/")[2])
        if subscriber is None:
            return 410, {}
        subscriber.attempts += 1
        if subscriber.answers:
            return subscriber.answers.pop(0)
        if subscriber.always is not None:
            return subscriber.always, {}
        try:
            subscriber.messages.append(subscriber.open(headers, body))
        except Exception as error:
            self.faults.append(repr(error))
            return 400, {}
        return 201, {"Location": f"{self.base}/m/1"}

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
