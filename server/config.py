"""Settings, read once into a frozen `Config`; a bad value stops the start and is named."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


class BadSetting(ValueError):
    """A setting that cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class S3:
    """A bucket of an S3-compatible service: its address (https://host[:port]), who one is there."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the server may be told from outside.

    `database_url` is an SQLAlchemy URL; `secret` signs pull tokens (32 bytes or more); `origins` are further
    origins a browser may write from (the request's own host always may); `trusted_proxies` is the number of reverse
    proxies whose X-Forwarded-* headers are believed; `secure_cookie` marks the session cookie for TLS only;
    `s3` is the bucket for photos (None: the state directory). `push_subject` is whom a push service may write to;
    `push_loopback` lets push messages go to this machine, `push_via` sends all to one origin: both are for trying out.
    `mail` is the Apprise address of the mail server that notices go out by where push reaches nobody, `channels` name ->
    Apprise address of what else people may choose; a name `slug/name` is one organisation's alone.
    """

    database_url: str
    secret: bytes = field(repr=False)
    state_dir: Path = Path("var")
    origins: frozenset[str] = frozenset()
    trusted_proxies: int = 0
    secure_cookie: bool = False
    session_days: int = 180
    sign_in_attempts: int = 10
    sign_in_window_s: int = 900
    lock_timeout_ms: int = 5000
    pwa_dir: Path = HERE.parent / "pwa" / "dist"
    push_subject: str = "mailto:rounds@localhost"
    push_loopback: bool = False
    push_via: str | None = None
    s3: S3 | None = None
    mail: str | None = field(default=None, repr=False)
    channels: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < 32:
            raise BadSetting("ROUNDS_SECRET: needs at least 32 bytes")
        if not self.database_url.startswith(("sqlite:///", "postgresql")):
            raise BadSetting("ROUNDS_DATABASE_URL: sqlite:///path or postgresql://… is wanted")


def from_environment(environ: Mapping[str, str] = os.environ) -> Config:
    """The `Config` of this process: ROUNDS_* variables over defaults; raises `BadSetting`.

    Without ROUNDS_SECRET a secret is made once and kept, readable by its owner alone, in the state directory.
    """
    state_dir = Path(environ.get("ROUNDS_STATE", "var")).resolve()
    url = environ.get("ROUNDS_DATABASE_URL") or f"sqlite:///{state_dir / 'rounds.db'}"
    if url.startswith("postgres://"):
        url = "postgresql" + url.removeprefix("postgres")
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg" + url.removeprefix("postgresql")
    return Config(
        database_url=url,
        secret=_secret(environ, state_dir),
        state_dir=state_dir,
        origins=frozenset(
            o.strip().rstrip("/") for o in environ.get("ROUNDS_ORIGINS", "").split(",") if o.strip()
        ),
        trusted_proxies=_number(environ, "ROUNDS_TRUSTED_PROXIES", 0, 0, 10),
        secure_cookie=_flag(environ, "ROUNDS_SECURE_COOKIE", False),
        session_days=_number(environ, "ROUNDS_SESSION_DAYS", 180, 1, 3650),
        sign_in_attempts=_number(environ, "ROUNDS_SIGN_IN_ATTEMPTS", 10, 1, 1000),
        lock_timeout_ms=_number(environ, "ROUNDS_LOCK_TIMEOUT_MS", 5000, 10, 60000),
        push_subject=_subject(environ),
        push_loopback=_flag(environ, "ROUNDS_PUSH_LOOPBACK", False),
        push_via=environ.get("ROUNDS_PUSH_VIA") or None,
        pwa_dir=Path(environ.get("ROUNDS_PWA", str(HERE.parent / "pwa" / "dist"))),
        s3=_s3(environ),
        mail=_mail(environ),
        channels=_channels(environ),
    )


def _secret(environ: Mapping[str, str], state_dir: Path) -> bytes:
    given = environ.get("ROUNDS_SECRET")
    if given:
        return given.encode()
    path = state_dir / "secret"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    state_dir.mkdir(parents=True, exist_ok=True)
    made = secrets.token_hex(32).encode()
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made)
    except FileExistsError:  # another worker was first
        return path.read_bytes()
    return made


def _subject(environ: Mapping[str, str]) -> str:
    given = environ.get("ROUNDS_PUSH_SUBJECT", "mailto:rounds@localhost")
    if not given.startswith(("mailto:", "https:")):
        raise BadSetting(f"ROUNDS_PUSH_SUBJECT: mailto:… or https:… is wanted, not {given!r}")
    return given


def _mail(environ: Mapping[str, str]) -> str | None:
    given = environ.get("ROUNDS_MAIL", "").strip()
    if given and not given.startswith(("mailto://", "mailtos://")):
        raise BadSetting(
            "ROUNDS_MAIL: mailto://… or mailtos://… is wanted"
        )  # what was given holds a password
    return given or None


def _channels(environ: Mapping[str, str]) -> dict[str, str]:
    """Name=address, one behind the other with blanks or lines between; no error tells an address, which is a secret."""
    found: dict[str, str] = {}
    for number, entry in enumerate(environ.get("ROUNDS_CHANNELS", "").split(), 1):
        name, equals, address = entry.partition("=")
        if not equals or not _CHANNEL(name) or not re.match(r"[a-z][a-z0-9+]*://.", address):
            raise BadSetting(f"ROUNDS_CHANNELS: name=scheme://… is wanted as number {number}")
        if name == "mail" or name.endswith("/mail"):
            raise BadSetting("ROUNDS_CHANNELS: mail is set by ROUNDS_MAIL")
        if name in found:
            raise BadSetting(f"ROUNDS_CHANNELS: {name} stands there twice")
        found[name] = address
    return found


_CHANNEL = re.compile(r"([a-z0-9-]+/)?[a-z0-9][a-z0-9-]{0,31}").fullmatch


def _s3(environ: Mapping[str, str]) -> S3 | None:
    bucket = environ.get("ROUNDS_S3_BUCKET")
    if not bucket:
        return None
    for name in ("ROUNDS_S3_ACCESS_KEY", "ROUNDS_S3_SECRET_KEY"):
        if not environ.get(name):
            raise BadSetting(f"{name}: is wanted where ROUNDS_S3_BUCKET is set")
    endpoint = environ.get("ROUNDS_S3_ENDPOINT", "https://s3.amazonaws.com").rstrip("/")
    if not endpoint.startswith(("https://", "http://")):
        raise BadSetting("ROUNDS_S3_ENDPOINT: https://host[:port] is wanted")
    return S3(
        endpoint,
        bucket,
        environ["ROUNDS_S3_ACCESS_KEY"],
        environ["ROUNDS_S3_SECRET_KEY"],
        environ.get("ROUNDS_S3_REGION", "us-east-1"),
        environ.get("ROUNDS_S3_PREFIX", "").strip("/"),
    )


def _number(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    given = environ.get(name, str(default))
    if not given.isdecimal() or not low <= int(given) <= high:
        raise BadSetting(f"{name}: a whole number from {low} to {high} is wanted, not {given!r}")
    return int(given)


def _flag(environ: Mapping[str, str], name: str, default: bool) -> bool:
    given = environ.get(name, "1" if default else "0").lower()
    if given not in {"0", "1", "true", "false", "yes", "no"}:
        raise BadSetting(f"{name}: 1 or 0 is wanted, not {given!r}")
    return given in {"1", "true", "yes"}
