"""The desktop a browser shows its notices on, on this machine: what it shows is seen by a test, and can be clicked.

Chromium hands notices to the desktop by D-Bus and hears of clicks by it. This is a session bus with one service on it,
`org.freedesktop.Notifications`, as far as Chromium speaks to them: https://dbus.freedesktop.org/doc/dbus-specification.html,
https://specifications.freedesktop.org/notification-spec/latest/. A click that comes this way is a person's to the
browser, so a page may be opened by it; an event made up in the worker may not do that.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import sockets

CALL, ANSWER, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, FAULT, REPLY_TO, TO, FROM, SIGNATURE = range(1, 9)
BUS, NOTICES = "org.freedesktop.DBus", "org.freedesktop.Notifications"
OBJECT = "/org/freedesktop/Notifications"
FIXED = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}
ALIGN = {**{code: struct.calcsize(form) for code, form in FIXED.items()}, "g": 1, "v": 1, "(": 8, "{": 8}
SERVICE = ":1.1"
BY_CALL = 3
"""Why a notice closed, as the specification numbers it."""


@dataclass
class Shown:
    """A notice that stands on the desktop; `actions` are its buttons' words with the keys they are pressed by."""

    id: int
    title: str
    body: str
    actions: dict[str, str]


class Desktop:
    """A session bus that notices are shown on, until `close`. `address` is what a browser is started with."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "bus"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self._path))
        self._listening.listen()
        self._lock = threading.RLock()
        self._shown: dict[int, Shown] = {}
        self._connections: dict[int, socket.socket] = {}
        self._last = self._serial = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """What DBUS_SESSION_BUS_ADDRESS is to say."""
        return f"unix:path={self._path}"

    def close(self) -> None:
        """Stop serving."""
        self._listening.close()

    @property
    def shown(self) -> list[Shown]:
        """What stands there now, the oldest first."""
        with self._lock:
            return list(self._shown.values())

    def click(self, notice: Shown, word: str | None = None) -> None:
        """Press a notice, or the button of it that says `word`; it stays until the worker takes it away, as on a phone."""
        key = "default"
        if word is not None:
            key = next(key for key, said in notice.actions.items() if said == word)
        with self._lock:
            self._signal("ActionInvoked", "us", notice.id, key)

    # -- the service ----------------------------------------------------------------------------------------------------

    def _take_away(self, notice: int) -> None:
        if self._shown.pop(notice, None):
            self._signal("NotificationClosed", "uu", notice, BY_CALL)

    def _notify(self, said: list[Any]) -> int:
        _, replaces, _, title, body, actions, *_ = said
        with self._lock:
            number = replaces or self._last + 1
            self._last = max(self._last, number)
            self._shown.pop(number, None)
            words = dict(zip(actions[::2], actions[1::2], strict=True))
            self._shown[number] = Shown(number, title, body, words)
        return int(number)

    def _answer(self, to: str, member: str, said: list[Any]) -> tuple[str, tuple[Any, ...]] | None:
        """Signature and values of what is answered; None: there is no such thing here."""
        if to == NOTICES:
            match member:
                case "GetCapabilities":
                    return "as", (["actions", "body", "persistence"],)
                case "GetServerInformation":
                    return "ssss", ("Desktop", "Rounds", "1", "1.2")
                case "Notify":
                    return "u", (self._notify(said),)
                case "CloseNotification":
                    with self._lock:
                        self._take_away(said[0])
                    return "", ()
        if to == BUS:
            match member:
                case "AddMatch" | "RemoveMatch":
                    return "", ()
                case "NameHasOwner":
                    return "b", (said[0] == NOTICES,)
                case "GetNameOwner" if said[0] == NOTICES:
                    return "s", (SERVICE,)
                case "ListNames" | "ListActivatableNames":
                    return "as", ([BUS, NOTICES],)
                case "StartServiceByName" if said[0] == NOTICES:
                    return "u", (2,)
                case "RequestName" | "ReleaseName":
                    return "u", (1,)
        return None

    # -- the bus --------------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        number = 100
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=self._speak, args=(connection, number), daemon=True).start()

    def _speak(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, EOFError), connection:
            _agree(connection)
            with self._lock:
                self._connections[number] = connection
            try:
                while True:
                    self._hear(connection, number)
            finally:
                with self._lock:
                    del self._connections[number]

    def _hear(self, connection: socket.socket, number: int) -> None:
        kind, serial, fields, body = _message(connection)
        if kind != CALL:
            return
        to, member = fields.get(TO, ""), fields.get(MEMBER, "")
        found: tuple[str, tuple[Any, ...]] | None
        if member == "Hello":
            found = "s", (f":1.{number}",)
        else:
            found = self._answer(to, member, body)
        known = {
            REPLY_TO: ("u", serial),
            TO: ("s", f":1.{number}"),
            FROM: ("s", SERVICE if to == NOTICES else BUS),
        }
        with self._lock:
            if found is None:
                known[FAULT] = ("s", f"{BUS}.Error.ServiceUnknown")
                self._send(connection, ERROR, known, "s", f"{to} has no {member}")
            else:
                self._send(connection, ANSWER, known, found[0], *found[1])

    def _signal(self, name: str, signature: str, *values: Any) -> None:
        known = {PATH: ("o", OBJECT), INTERFACE: ("s", NOTICES), MEMBER: ("s", name), FROM: ("s", SERVICE)}
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                self._send(connection, SIGNAL, known, signature, *values)

    def _send(
        self,
        connection: socket.socket,
        kind: int,
        known: dict[int, tuple[str, Any]],
        signature: str,
        *values: Any,
    ) -> None:
        self._serial += 1
        if signature:
            known = known | {SIGNATURE: ("g", signature)}
        body = _Writer()
        for one, value in zip(_types(signature), values, strict=True):
            body.put(one, value)
        head = _Writer(struct.pack("<BBBBII", ord("l"), kind, 1, 1, len(body.out), self._serial))
        head.put("a(yv)", [(field, value) for field, value in known.items()])
        head.pad(8)
        connection.sendall(bytes(head.out + body.out))


def _agree(connection: socket.socket) -> None:
    """The text before the messages: whoever this is, is let in."""
    sockets.read(connection, 1)
    while True:
        line = b""
        while not line.endswith(b"\r\n"):
            line += sockets.read(connection, 1)
        word = line.split()[0] if line.split() else b""
        if word == b"BEGIN":
            return
        if word == b"AUTH":
            alone = len(line.split()) == 1
            connection.sendall(b"REJECTED EXTERNAL\r\n" if alone else b"OK " + b"0" * 32 + b"\r\n")
        else:
            connection.sendall(b"ERROR\r\n")


def _message(connection: socket.socket) -> tuple[int, int, dict[int, Any], list[Any]]:
    """The next message: what kind, its number, its fields, and what it says."""
    start = sockets.read(connection, 16)
    _, kind, _, _, length, serial, fields = struct.unpack("<BBBBIII", start)
    rest = sockets.read(connection, fields + -fields % 8 + length)
    reader = _Reader(start[12:] + rest, 12)
    known = dict(reader.get("a(yv)"))
    said = _Reader(rest[fields + -fields % 8 :])
    return kind, serial, known, [said.get(one) for one in _types(known.get(SIGNATURE, ""))]


def _types(signature: str) -> list[str]:
    """The single types that a signature is made of."""
    out, at = [], 0
    while at < len(signature):
        end = at
        while signature[end] == "a":
            end += 1
        if signature[end] in "({":
            depth = 0
            while True:
                depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(signature[end], 0)
                if depth == 0:
                    break
                end += 1
        out.append(signature[at : end + 1])
        at = end + 1
    return out


class _Reader:
    """Values out of bytes that begin `base` into a message."""

    def __init__(self, data: bytes, base: int = 0) -> None:
        self._data, self._at, self._base = data, 0, base

    def _pad(self, to: int) -> None:
        self._at += -(self._at + self._base) % to

    def _take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def get(self, one: str) -> Any:
        """The next value, of one type."""
        code = one[0]
        self._pad(ALIGN.get(code, 4))
        if code in FIXED:
            return struct.unpack(f"<{FIXED[code]}", self._take(ALIGN[code]))[0]
        if code in "so":
            length = self.get("u")
            return self._take(length + 1)[:-1].decode()
        if code == "g":
            return self._take(self._take(1)[0] + 1)[:-1].decode()
        if code == "v":
            return self.get(self.get("g"))
        if code == "a":
            length = self.get("u")
            self._pad(ALIGN.get(one[1], 4))
            end, out = self._at + length, []
            while self._at < end:
                out.append(self.get(one[1:]))
            return out
        return tuple(self.get(inner) for inner in _types(one[1:-1]))


class _Writer:
    """Bytes out of values."""

    def __init__(self, start: bytes = b"") -> None:
        self.out = bytearray(start)

    def pad(self, to: int) -> None:
        """Fill up to a multiple of so many bytes."""
        self.out += bytes(-len(self.out) % to)

    def put(self, one: str, value: Any) -> None:
        """One value, of one type; a variant is given as its type and its value."""
        code = one[0]
        self.pad(ALIGN.get(code, 4))
        if code in FIXED:
            self.out += struct.pack(f"<{FIXED[code]}", value)
        elif code in "so":
            raw = value.encode()
            self.out += struct.pack("<I", len(raw)) + raw + b"\0"
        elif code == "g":
            self.out += bytes([len(value)]) + value.encode() + b"\0"
        elif code == "v":
            self.put("g", value[0])
            self.put(*value)
        elif code == "a":
            at = len(self.out)
            self.out += bytes(4)
            self.pad(ALIGN.get(one[1], 4))
            begin = len(self.out)
            for each in value:
                self.put(one[1:], each)
            struct.pack_into("<I", self.out, at, len(self.out) - begin)
        else:
            for inner, each in zip(_types(one[1:-1]), value, strict=True):
                self.put(inner, each)
