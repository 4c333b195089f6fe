"""A production server in its own process, on a port that stays the same while it is stopped and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("rounds")


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class LiveServer:
    """`rounds serve` on a migrated database.

    The origin of a page includes the port, so the port is kept for the object's life. `environment` adds to the
    server's ROUNDS_* settings.
    """

    def __init__(
        self, database_url: str, state_dir: Path, port: int | None = None, **environment: str
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = database_url
        self.state_dir = state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        self.log = state_dir / f"server-{self.port}.log"
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                # Another build of the pages may be tested; nothing else of this machine's settings.
                if name == "ROUNDS_PWA" or not name.startswith("ROUNDS_")
            },
            "ROUNDS_DATABASE_URL": database_url,
            "ROUNDS_STATE": str(state_dir),
            "ROUNDS_SECRET": "only-for-tests-" * 3,
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and returns when it is ready; raises RuntimeError with its log when it does not become so."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--no-ticker", "--host", "127.0.0.1", "--port", str(self.port)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server did not become ready:\n{self.log.read_text()}")
            time.sleep(0.05)

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        """Asks it to end, as a service manager would, and waits."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            self.process = None
            return
        if how == signal.SIGKILL:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(15)
        self.process = None

    def rounds(self, *arguments: str, typed: str = "") -> str:
        """Runs the command line on the same database and returns what it printed; raises when it fails."""
        done = subprocess.run(
            [PROGRAM, *arguments], env=self.environment, input=typed, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"rounds {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout
