"""What Chromium asks of its maker for push, on this machine: a stock browser subscribes and is reached without the internet.

Three parts of Google's cloud messaging as a browser meets them: check-in and registration (HTTP) and the connection that
messages come down (TLS, framed protocol buffers). Only the fields that Chromium reads are written. The messages
themselves stay sealed: what opens them is in the browser.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
import socket
import ssl
import struct
import threading
import urllib.parse
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests import sockets

# Tags of the connection's frames: https://chromium.googlesource.com/chromium/src/+/main/google_apis/gcm/base/mcs_util.h
HEARTBEAT, HEARTBEAT_ACK, LOGIN_ANSWER, RECEIPT, DATA = 0, 1, 3, 7, 8
RECEIVED = 10
"""The field of a login that names the messages which arrived."""
PREFERENCES = '{"profile": {"default_content_setting_values": {"notifications": 1}}}'
"""A profile in which the person said yes to notifications: push does not see a permission that the driver gives."""


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protocol buffer: a number as a varint, text and bytes with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _fixed64(number: int, value: int) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<Q", value)


def _frame(tag: int, body: bytes) -> bytes:
    return bytes([tag]) + _varint(len(body)) + body


class BrowserPush:
    """Serves until `close`. `switches` are what Chromium is started with, `base` takes messages as a push service does.

    `taken` counts the messages that were accepted. Each is kept until the browser has said that it has it: a
    connection may go down with what was written to it, as the first one of a browser that starts does.
    """

    def __init__(self, folder: Path) -> None:
        self.taken = 0
        self._tokens: dict[str, dict[str, str]] = {}
        self._kept: dict[str, bytes] = {}
        self._handed: set[str] = set()
        self._browser: ssl.SSLSocket | None = None
        self._lock = threading.RLock()
        self._http = sockets.serve(self._answer)
        certificate, self._pin = _certificate(folder)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def base(self) -> str:
        """The origin that messages are sent to, whatever a subscription's endpoint names."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def switches(self) -> tuple[str, ...]:
        """Lead Chromium here instead of to its maker."""
        return (
            f"--gcm-checkin-url={self.base}/checkin",
            f"--gcm-registration-url={self.base}/register",
            f"--gcm-mcs-endpoint=https://127.0.0.1:{self._listening.getsockname()[1]}",
            f"--ignore-certificate-errors-spki-list={self._pin}",
        )

    def close(self) -> None:
        """Stop serving."""
        self._listening.close()
        self._http.shutdown()
        self._http.server_close()

    # -- over HTTP -----------------------------------------------------------------------------------------------------

    def _answer(self, path: str, _: Message, body: bytes) -> sockets.Answer:
        if path.startswith("/checkin"):
            # stats_ok, android_id, security_token
            return (
                200,
                "application/x-protobuf",
                _field(1, 1) + _fixed64(7, 0x52_6F_75_6E) + _fixed64(8, 0x64_73),
            )
        if path.startswith("/register"):
            asked = dict(urllib.parse.parse_qsl(body.decode()))
            token = uuid.uuid4().hex
            if asked.get("delete") == "true":
                token = asked.get("X-subtype", token)
            else:
                self._tokens[token] = asked
            return 200, "text/plain", f"token={token}".encode()
        found = self._tokens.get(path.rpartition("/")[2])
        if found is None:
            return 410, "text/plain", b""
        self._post(found, body)
        return 201, "text/plain", b""

    # -- over the browser's connection ---------------------------------------------------------------------------------

    def _post(self, to: dict[str, str], sealed: bytes) -> None:
        """A data message: id, from, category, what it is for and how it is sealed, persistent id, raw data, answer now."""
        message = _field(2, uuid.uuid4().hex) + _field(3, to["sender"]) + _field(5, to["app"])
        for key, value in (("subtype", to["X-subtype"]), ("content-encoding", "aes128gcm")):
            message += _field(7, _field(1, key) + _field(2, value))
        name = uuid.uuid4().hex
        message += _field(9, name) + _field(21, sealed) + _field(24, 1)
        with self._lock:
            self.taken += 1
            self._kept[name] = _frame(DATA, message)
            self._hand_over()

    def _hand_over(self) -> None:
        for name, frame in self._kept.items():
            if self._browser is not None and name not in self._handed:
                try:
                    self._browser.sendall(frame)
                    self._handed.add(name)
                except OSError:
                    self._browser = None

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            connection = self._tls.wrap_socket(raw, server_side=True)
            version = sockets.read(connection, 1)
            frames = _frames(connection)
            _, login = next(frames)
            connection.sendall(
                version + _frame(LOGIN_ANSWER, _field(1, "rounds") + _field(5, 0) + _field(6, 1))
            )
            with self._lock:
                for name in _texts(login, RECEIVED):
                    self._kept.pop(name, None)
                self._browser, self._handed = connection, set()
                self._hand_over()
            for tag, _ in frames:
                if tag == HEARTBEAT:
                    connection.sendall(_frame(HEARTBEAT_ACK, b""))
                elif tag == RECEIPT:
                    with self._lock:
                        for name in self._handed:
                            self._kept.pop(name, None)


def _texts(message: bytes, field: int) -> Iterator[str]:
    """What a field of a protocol buffer says, as often as it stands there."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            value |= (message[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not message[at - 1] & 128:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 2:
            length = number()
            if key >> 3 == field:
                yield message[at : at + length].decode()
            at += length
        elif key & 7 == 0:
            number()
        else:
            at += 8 if key & 7 == 1 else 4


def _frames(connection: ssl.SSLSocket) -> Iterator[tuple[int, bytes]]:
    while True:
        tag = sockets.read(connection, 1)[0]
        length = shift = 0
        while True:
            byte = sockets.read(connection, 1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        yield tag, sockets.read(connection, length)


def _certificate(folder: Path) -> tuple[Path, str]:
    """A key and certificate for this machine in one file, and the pin by which Chromium accepts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "push.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return path, base64.b64encode(hashlib.sha256(public).digest()).decode()
