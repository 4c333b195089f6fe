"""The server's own keys for Web Push (VAPID, RFC 8292): made once, kept with its secret, replaced without losing anybody.

Each key is a file `vapid/<public key>.pem` in the state directory; `vapid/current` names the one that new
subscriptions are made with. A subscription stays with the key it was made with, so older keys are kept until the last
device has renewed itself, which it does at its next start.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from py_vapid import Vapid02

FOLDER = "vapid"
CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Key:
    """One key pair. `public` is the uncompressed point in unpadded URL-safe base64, as browsers take it."""

    public: str
    vapid: Vapid02


def current(state_dir: Path) -> Key:
    """The key that new subscriptions are made with; made and kept on first use, by whichever process is first."""
    folder = state_dir / FOLDER
    named = folder / CURRENT
    try:
        return _read(folder, named.read_text().strip())
    except FileNotFoundError:
        pass
    made = _make(folder)
    try:
        with open(os.open(named, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made.public)
    except FileExistsError:  # another process was first: its key is the one
        (folder / f"{made.public}.pem").unlink()
        return _read(folder, named.read_text().strip())
    return made


def of(state_dir: Path, public: str) -> Key | None:
    """The key that a subscription was made with; None where it is not, or no longer, one of this server's."""
    if "/" in public or "\\" in public or "." in public:
        return None
    try:
        return _read(state_dir / FOLDER, public)
    except FileNotFoundError:
        return None


def rotate(state_dir: Path) -> Key:
    """A new key for new subscriptions; the older ones go on serving those that were made with them."""
    folder = state_dir / FOLDER
    made = _make(folder)
    beside = folder / f"{CURRENT}.new"
    beside.write_text(made.public)
    beside.replace(folder / CURRENT)
    return made


def forget(state_dir: Path, in_use: frozenset[str]) -> list[str]:
    """Remove the keys that no subscription needs any more, but never the current one; returns what was removed."""
    folder = state_dir / FOLDER
    keep = in_use | {current(state_dir).public}
    removed = []
    for path in sorted(folder.glob("*.pem")):
        if path.stem not in keep:
            path.unlink()
            removed.append(path.stem)
    return removed


def _make(folder: Path) -> Key:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    vapid = Vapid02()
    vapid.generate_keys()
    public = _public(vapid)
    with open(os.open(folder / f"{public}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(vapid.private_pem())
        file.flush()
        os.fsync(file.fileno())
    return Key(public, vapid)


def _read(folder: Path, public: str) -> Key:
    vapid = Vapid02.from_pem((folder / f"{public}.pem").read_bytes())
    return Key(_public(vapid), vapid)


def _public(vapid: Vapid02) -> str:
    raw = vapid.public_key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
