"""A private PostgreSQL cluster in a temporary folder, reached through a socket there."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.machine import postgres_programs

# What is thrown away after the run need not survive a power failure.
FORGETFUL = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True)
class Cluster:
    folder: Path

    def url(self, database: str) -> str:
        """The address of a database as SQLAlchemy takes it."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def dsn(self, database: str) -> str:
        """The same for psycopg itself."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def _say(self, sentence: str) -> None:
        with psycopg.connect(
            f"host={self.folder} user=postgres dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(sentence)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """The URL of a database of one's own, a copy of `template`; it is dropped at the end."""
        name = f"t_{uuid.uuid4().hex}"
        self._say(f"create database {name} template {template}")
        try:
            yield self.url(name)
        finally:
            self._say(f"drop database {name} with (force)")

    def create(self, name: str) -> str:
        """Makes an empty database that stays for the cluster's life (a template for others) and returns its URL."""
        self._say(f"create database {name} template template0")
        return self.url(name)

    def copy(self, name: str, to: str) -> str:
        """Copies a database that nobody is connected to, and returns the URL of the copy."""
        self._say(f"create database {to} template {name}")
        return self.url(to)


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root, so root hands it to a user without rights."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("no user to run PostgreSQL as")


@contextlib.contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """Starts a cluster, forgetful unless `settings` say otherwise, and removes it at the end.

    Raises RuntimeError when PostgreSQL's programs are missing.
    """
    programs = postgres_programs()
    if programs is None:
        raise RuntimeError("PostgreSQL's programs were not found (see PG_BINDIR)")
    folder = Path(tempfile.mkdtemp(prefix="rounds-pg-"))  # kept short: a socket's path has at most 107 bytes
    data, log = folder / "data", folder / "log"
    run: dict[str, Any] = {
        "check": True,
        "cwd": folder,
        "env": {"PATH": f"{programs}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(folder)},
        "stdout": subprocess.DEVNULL,
        **_unprivileged(),
    }
    if "user" in run:
        os.chown(folder, run["user"], run["group"])
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "max_connections": "60",
        "shared_buffers": "64MB",
        **FORGETFUL,
        **settings,
    }
    started = False
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            **run,
        )
        given = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        try:
            subprocess.run([programs / "pg_ctl", "-D", data, "-l", log, "-w", "-o", given, "start"], **run)
        except subprocess.CalledProcessError as error:
            words = log.read_text() if log.exists() else "it left no log"
            raise RuntimeError(f"PostgreSQL did not start: {words}") from error
        started = True
        yield Cluster(folder)
    finally:
        if started:
            subprocess.run([programs / "pg_ctl", "-D", data, "-m", "fast", "-w", "stop"], **run)
        shutil.rmtree(folder, ignore_errors=True)
