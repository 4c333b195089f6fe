"""Run the app behind granian: processes, TLS, logs, and an end that lets running requests finish."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from granian import Granian
from granian.constants import Interfaces, SSLProtocols
from granian.log import LogLevels

from server.config import Config, from_environment
from server.db import is_busy, migrate

log = logging.getLogger("rounds")

MOST_WORKERS = 4
"""More processes than this only queue for the organisation's lock, unless somebody knows better."""

GRACE_S = 10
"""How long a running request may take to finish once the server was told to stop."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Where to listen and how. `workers` None is one a core, `trusted_proxies` None what the environment says."""

    host: str
    port: int
    workers: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: int | None = None
    ticker: bool = True

    @property
    def url(self) -> str:
        """The address to type into a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(
            self.host, f"[{self.host}]" if ":" in self.host else self.host
        )
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"


def serve(serving: Serving) -> None:
    """Serve until SIGTERM or SIGINT; raises click.ClickException for what cannot be listened on or read."""
    config = ready(serving)
    migrate(config)
    look_again(config)
    click.echo(f"Rounds is at {serving.url}")
    run(serving)


def look_again(config: Config) -> None:
    """Try what an older release parked because it did not understand it; a busy database is no reason not to serve."""
    from server.cli.common import database, now  # noqa: PLC0415 - loads all rooms
    from server.exchange.replan import replan  # noqa: PLC0415

    with database(config):
        try:
            for slug, settled in replan(now()).items():
                click.echo(f"{slug}: settled {settled} that waited for this release.")
        except Exception as error:
            if not is_busy(error):
                raise
            log.warning("the database is busy: what waited for this release waits for `rounds replan`")


def ready(serving: Serving) -> Config:
    """Look whether it can be served thus, before anything is done; returns the settings.

    The workers read the settings from the environment, so what was said on the command line is put there.
    """
    if serving.trusted_proxies is not None:
        os.environ["ROUNDS_TRUSTED_PROXIES"] = str(serving.trusted_proxies)
    config = from_environment()
    os.environ["ROUNDS_STATE"] = str(config.state_dir)
    os.environ["ROUNDS_DATABASE_URL"] = config.database_url
    _check_tls(serving)
    check_port(serving.host, serving.port)
    return config


def run(serving: Serving) -> None:
    """Serve a migrated database until SIGTERM or SIGINT."""
    import server.app  # noqa: PLC0415 - once here, before the workers are forked, instead of in each of them

    if not (from_environment().pwa_dir / "index.html").exists():
        server.app.log_as_json()
        log.warning("the pages are not built: only the API is served; `make build` builds them")
    sys.stdout.flush()  # or each worker would print it again
    beside = Beside() if serving.ticker else None
    try:
        _granian(serving).serve()
    finally:
        if beside is not None:
            beside.end()


class Beside:
    """A ticker beside the workers, started again whenever it ends before they do."""

    def __init__(self) -> None:
        self._ending = threading.Event()
        self._process = self._start()
        self._watch = threading.Thread(target=self._again, daemon=True)
        self._watch.start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "server.ticker", "--accompany", str(os.getpid())])

    def _again(self) -> None:
        while True:
            self._process.wait()
            if self._ending.wait(1.0):
                return
            log.warning("the ticker ended; another is started")
            self._process = self._start()

    def end(self) -> None:
        """End it, and let what is under way finish."""
        self._ending.set()
        self._process.terminate()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _granian(serving: Serving) -> Any:
    """The granian server of these settings, not yet started."""
    return Granian(
        "server.serve:worker",
        factory=True,
        address=serving.host,
        port=serving.port,
        interface=Interfaces.RSGI,
        workers=serving.workers or min(os.cpu_count() or 1, MOST_WORKERS),
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE_S,
        ssl_cert=serving.tls_cert,
        ssl_key=serving.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,  # phones of 2018 and before know no 1.3
        websockets=False,
        log_level=LogLevels.warning,
        log_dictconfig=LOGGING,
    )


def worker() -> Any:
    """The app of one worker process, which ends with the process that started it, however that ends.

    Otherwise a killed server would leave workers behind that hold its port and answer from it.
    """
    from server.app import create_app  # noqa: PLC0415 - the workers' own
    from server.rsgi import Rsgi  # noqa: PLC0415

    end_with_parent()
    app = Rsgi(create_app())
    # What is there now stays: without this Python looks through all of it each time it looks for garbage.
    gc.collect()
    gc.freeze()
    return app


def end_with_parent(parent: int | None = None) -> None:
    """Let this process end with the one that started it, however that ends.

    `parent` is its id, for one that takes long to come here: what started it may have ended before.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent is not None and os.getppid() != parent:
            os._exit(1)
    else:
        parent = os.getppid()
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


_PR_SET_PDEATHSIG = 1


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "server.app.JsonLines"}},
    "handlers": {
        "json": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
    },
    "root": {"handlers": ["json"], "level": "INFO"},
    "loggers": {
        "_granian": {"handlers": ["json"], "level": "WARNING", "propagate": False},
        # Each beat, twice, and each that waits for the one before it; what fails the ticker says itself.
        "apscheduler": {"level": "CRITICAL"},
    },
}
"""Every process of the server logs JSON lines to standard error."""


def _check_tls(serving: Serving) -> None:
    if serving.tls_cert is None or serving.tls_key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            serving.tls_cert, serving.tls_key, password=b""
        )
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        raise click.ClickException(
            f"{serving.tls_cert.name} and {serving.tls_key.name} are no certificate and its key ({reason}). "
            "Both must be PEM, the key without a passphrase."
        ) from error


def check_port(host: str, port: int) -> None:
    """Ask for the port before anything is started, so that a taken one is said in one line."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, number) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host} port {port}: {error.strerror}. Choose another with --port or --host."
        ) from error
