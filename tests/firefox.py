"""A real Firefox, driven by its own remote protocol, and what it asks of its maker for push, on this machine.

Marionette (https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html) is JSON over a socket, so no driver is
needed. Autopush (https://mozilla-push-service.readthedocs.io/en/latest/design/) is JSON over a WebSocket (RFC 6455) to the
browser, and HTTP to who sends.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import uuid
from email.message import Message
from pathlib import Path
from typing import Any

from tests import sockets

NAMES = ("firefox-esr", "firefox")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def program() -> str | None:
    """The path of a Firefox: the one named by FIREFOX, or the first one on PATH."""
    return os.environ.get("FIREFOX") or next(filter(None, map(shutil.which, NAMES)), None)


class Autopush:
    """The push service of Firefox until `close`; one for a browser that is away waits until it has answered for it.

    `taken` counts the messages that were accepted, `shown` those of which the browser said that its worker has shown them.
    """

    def __init__(self) -> None:
        self.taken = self.shown = 0
        self._channels: set[str] = set()
        self._kept: dict[str, dict[str, Any]] = {}
        self._browser: socket.socket | None = None
        self._lock = threading.RLock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._http = sockets.serve(self._post)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """Where the browser connects."""
        return f"ws://127.0.0.1:{self._listening.getsockname()[1]}/"

    @property
    def base(self) -> str:
        """The origin that messages are sent to."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._listening.close()
        self._http.shutdown()
        self._http.server_close()

    def _post(self, path: str, headers: Message, sealed: bytes) -> sockets.Answer:
        channel = path.rpartition("/")[2]
        known = self._take(channel, sealed, headers["Content-Encoding"], headers["TTL"])
        return (201 if known else 410), "text/plain", b""

    def _take(self, channel: str, sealed: bytes, encoding: str, ttl: str) -> bool:
        if channel not in self._channels:
            return False
        message = {
            "messageType": "notification",
            "channelID": channel,
            "version": uuid.uuid4().hex,
            "ttl": int(ttl),
            "data": base64.urlsafe_b64encode(sealed).rstrip(b"=").decode(),
            "headers": {"encoding": encoding},
        }
        with self._lock:
            self.taken += 1
            self._kept[message["version"]] = message
            self._say(message)
        return True

    def _say(self, message: dict[str, Any]) -> None:
        raw = json.dumps(message).encode()
        length = bytes([len(raw)]) if len(raw) < 126 else b"\x7e" + struct.pack(">H", len(raw))
        with self._lock, contextlib.suppress(OSError):
            if self._browser is not None:
                self._browser.sendall(bytes([0x80 | TEXT]) + length + raw)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), connection:
            _shake_hands(connection)
            with self._lock:
                self._browser = connection
            try:
                while True:
                    kind, said = _frame(connection)
                    if kind == CLOSE:
                        return
                    if kind == PING:
                        connection.sendall(bytes([0x80 | PONG, len(said)]) + said)
                    elif kind == TEXT:
                        self._hear(json.loads(said))
            finally:
                with self._lock:
                    if self._browser is connection:
                        self._browser = None

    def _hear(self, said: dict[str, Any]) -> None:
        match said.get("messageType"):
            case "hello":
                known = {"uaid": said.get("uaid") or uuid.uuid4().hex, "use_webpush": True, "broadcasts": {}}
                self._say({"messageType": "hello", "status": 200} | known)
                with self._lock:
                    for message in self._kept.values():
                        self._say(message)
            case "register":
                self._channels.add(said["channelID"])
                endpoint = f"{self.base}/wpush/v2/{said['channelID']}"
                self._say(said | {"status": 200, "pushEndpoint": endpoint})
            case "unregister":
                self._channels.discard(said["channelID"])
                self._say(said | {"status": 200})
            case "ack":
                with self._lock:
                    for update in said["updates"]:
                        self._kept.pop(update["version"], None)
                        self.shown += update.get("code") == 100
            case "ping" | None:
                self._say({})


def _shake_hands(connection: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sockets.read(connection, 1)
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
    known = {name.lower(): value for name, value in fields.items()}
    proof = base64.b64encode(hashlib.sha1((known["sec-websocket-key"] + WEBSOCKET).encode()).digest())
    answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    answer += f"Sec-WebSocket-Accept: {proof.decode()}\r\n"
    if "sec-websocket-protocol" in known:
        answer += f"Sec-WebSocket-Protocol: {known['sec-websocket-protocol']}\r\n"
    connection.sendall(f"{answer}\r\n".encode())


def _frame(connection: socket.socket) -> tuple[int, bytes]:
    """The next frame; what a browser sends is short, whole and masked."""
    kind, length = sockets.read(connection, 2)
    length &= 127
    if length == 126:
        (length,) = struct.unpack(">H", sockets.read(connection, 2))
    elif length == 127:
        (length,) = struct.unpack(">Q", sockets.read(connection, 8))
    mask = sockets.read(connection, 4)
    masked = sockets.read(connection, length)
    return kind & 15, bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked))


class Firefox:
    """One Firefox on one profile folder, which lasts; started at once."""

    def __init__(self, profile: Path, push: Autopush, *, time_zone: str = "UTC") -> None:
        self.profile = profile
        profile.mkdir(parents=True, exist_ok=True)
        settings = {
            "dom.push.serverURL": push.address,
            "dom.push.testing.allowInsecureServerURL": True,
            "dom.push.connection.enabled": True,
            "permissions.default.desktop-notification": 1,
            # A notice is a window of the browser's own: a machine without a desktop has nothing else.
            "alerts.useSystemBackend": False,
            "marionette.port": 0,
            "browser.shell.checkDefaultBrowser": False,
            "browser.startup.page": 0,
            "browser.startup.homepage_override.mstone": "ignore",
            "datareporting.policy.dataSubmissionEnabled": False,
            "toolkit.telemetry.reportingpolicy.firstRun": False,
            "app.normandy.enabled": False,
            "extensions.update.enabled": False,
            "browser.safebrowsing.malware.enabled": False,
            "browser.safebrowsing.phishing.enabled": False,
            "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False,
            "services.settings.server": "data:,",
        }
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in settings.items())
        (profile / "user.js").write_text("\n".join(lines))
        port = profile / "MarionetteActivePort"
        port.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                program() or "firefox",
                "-headless",
                "-marionette",
                "-remote-allow-system-access",
                "-no-remote",
                "-profile",
                str(profile),
            ],
            env={**os.environ, "TZ": time_zone, "HOME": str(profile), "MOZ_DISABLE_AUTO_SAFE_MODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 90
        while not (port.exists() and port.read_text().strip()):
            assert self._process.poll() is None and time.monotonic() < deadline, "Firefox did not start"
            time.sleep(0.05)
        self._socket = socket.create_connection(("127.0.0.1", int(port.read_text())), timeout=120)
        self._number = 0
        self._hear()
        self.ask("WebDriver:NewSession", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})

    def ask(self, command: str, **parameters: Any) -> Any:
        """One command; raises RuntimeError with what the browser says of it."""
        self._number += 1
        raw = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(str(len(raw)).encode() + b":" + raw)
        _, _, fault, answer = self._hear()
        if fault:
            raise RuntimeError(f"{command}: {fault['message']}")
        return answer.get("value", answer) if isinstance(answer, dict) else answer

    def _hear(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += sockets.read(self._socket, 1)
        return json.loads(sockets.read(self._socket, int(length[:-1])))

    def go(self, url: str) -> None:
        """Opens a page."""
        self.ask("WebDriver:Navigate", url=url)

    def run(self, script: str) -> Any:
        """What a script of the page returns."""
        return self.ask("WebDriver:ExecuteScript", script=script, args=[])

    def run_in_browser(self, script: str) -> Any:
        """What a script returns that has the browser's own rights."""
        self.ask("Marionette:SetContext", value="chrome")
        try:
            return self.run(script)
        finally:
            self.ask("Marionette:SetContext", value="content")

    def type(self, selector: str, text: str) -> None:
        """Types into a field."""
        self.ask("WebDriver:ElementSendKeys", id=self._find(selector), text=text)

    def click(self, selector: str) -> None:
        """Clicks."""
        self.ask("WebDriver:ElementClick", id=self._find(selector))

    def _find(self, selector: str) -> str:
        found: str = self.ask("WebDriver:FindElement", using="xpath", value=selector)[ELEMENT]
        return found

    def addresses(self) -> list[str]:
        """Of all its pages."""
        found: list[str] = self.run_in_browser("return gBrowser.browsers.map((one) => one.currentURI.spec);")
        return found

    def close(self) -> None:
        """Ends it in an orderly way."""
        with contextlib.suppress(Exception):
            self.ask("Marionette:Quit", flags=["eForceQuit"])
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._socket.close()
