"""Where the bytes of photos lie: whole ones on the disk or in an S3 bucket, half ones always on this machine's disk.

A half upload belongs to one person, so that nobody's bytes come between another's. Writers of the same one meet at a
lock for each piece, not for a whole upload: one whose connection died holds up nobody.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, select

from server.blobs import photo
from server.blobs.model import Blob, BlobHolder
from server.blobs.rules import key_of
from server.config import Config
from server.db import upsert, writing
from server.visits.model import VisitPhoto

HALVES_LIVE = timedelta(days=7)
"""How long an upload may rest half done; after that it begins anew."""


class Misplaced(Exception):
    """A piece that does not begin where the upload stands; `offset` is where it does, in bytes."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class WrongHash(Exception):
    """All bytes are here and they are not those that were announced; the upload begins anew."""


class Unavailable(Exception):
    """The shelf cannot be reached at the moment."""


class Shelf(Protocol):
    """Where whole photos lie, each under its key; one that is there never changes."""

    def put(self, key: str, path: Path) -> None:
        """Keep a file, which may be moved away; it survives a power cut once this returns."""

    def read(self, key: str) -> bytes | None:
        """The bytes under a key, or None."""

    def has(self, key: str) -> bool:
        """Whether there is something under a key."""


class Disk:
    """A folder of files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, path: Path) -> None:
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        _to_disk(path)
        path.replace(target)
        _to_disk(target.parent)

    def read(self, key: str) -> bytes | None:
        try:
            return (self.root / key).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, key: str) -> bool:
        return (self.root / key).is_file()


class Store:
    """The photos of all organisations: `halves` and thumbnails in a folder of this machine, whole ones on a shelf."""

    def __init__(self, state_dir: Path, shelf: Shelf | None = None) -> None:
        self.folder = state_dir / "blobs"
        self.thumbs = state_dir / "thumbs"
        self.shelf: Shelf = shelf or Disk(self.folder)

    # -- half uploads --------------------------------------------------------------------------------------------------

    def _half(self, org_id: str, sha256: str, person_id: str) -> Path:
        # The backup leaves out what ends thus.
        return self.folder / f"{key_of(org_id, sha256)}.{person_id}.part"

    def offset(self, org_id: str, sha256: str, person_id: str) -> int:
        """How many bytes of a person's upload are here."""
        try:
            return self._half(org_id, sha256, person_id).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, org_id: str, sha256: str, person_id: str, offset: int, piece: bytes) -> int:
        """Add a piece that begins at `offset`; returns where the next one begins. Raises `Misplaced`."""
        with _locked(self._half(org_id, sha256, person_id)) as handle:
            there = os.fstat(handle).st_size
            if there != offset:
                raise Misplaced(there)
            written = 0
            while written < len(piece):
                written += os.write(handle, piece[written:])
            return there + written

    def finish(self, org_id: str, sha256: str, person_id: str, total: int, now: datetime) -> None:
        """Verify an upload of which all is here, keep it and note who brought it.

        Raises `Misplaced` where it is not all here, `WrongHash` and `photo.Unfit`; after the last two nothing is left.
        The file comes before its row: a crash in between leaves a file that the next upload, or reader, gives its row.
        """
        path = self._half(org_id, sha256, person_id)
        with _locked(path) as handle:
            if os.fstat(handle).st_size != total:
                raise Misplaced(os.fstat(handle).st_size)
            data = path.read_bytes()
            try:
                if hashlib.sha256(data).hexdigest() != sha256:
                    raise WrongHash
                found = photo.look(data)
            except (WrongHash, photo.Unfit):
                path.unlink()
                raise
            self.shelf.put(key_of(org_id, sha256), path)
            note(org_id, sha256, len(data), found, now, person_id)
            with suppress(FileNotFoundError):
                path.unlink()

    def collect(self, now: datetime) -> int:
        """Throw half uploads away that nobody went on with for a week; returns how many."""
        gone = 0
        for path in self.folder.glob("*/*/*.part"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < (now - HALVES_LIVE).timestamp():
                    path.unlink()
                    gone += 1
        return gone

    # -- whole ones ----------------------------------------------------------------------------------------------------

    def has(self, org_id: str, sha256: str) -> bool:
        """Whether the bytes are here."""
        return self.shelf.has(key_of(org_id, sha256))

    def read(self, org_id: str, sha256: str) -> bytes | None:
        """All bytes of a photo, or None."""
        return self.shelf.read(key_of(org_id, sha256))

    def thumb(self, org_id: str, sha256: str) -> bytes | None:
        """A small JPEG of a photo, made when it is first asked for; None without the photo."""
        path = self.thumbs / f"{key_of(org_id, sha256)}.jpg"
        with suppress(FileNotFoundError):
            return path.read_bytes()
        data = self.read(org_id, sha256)
        if data is None:
            return None
        made = photo.thumb(data)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_bytes(made)
        part.replace(path)
        return made


def store_of(config: Config) -> Store:
    """The store of these settings."""
    if config.s3 is None:
        return Store(config.state_dir)
    from server.blobs.bucket import Bucket  # noqa: PLC0415 - only where a bucket is set

    return Store(config.state_dir, Bucket(config.s3))


def note(
    org_id: str, sha256: str, size: int, found: photo.Photo, now: datetime, person_id: str | None
) -> None:
    """Write down that a photo is stored whole, and who brought it; once more changes nothing."""
    blob = {
        "org_id": org_id,
        "sha256": sha256,
        "bytes": size,
        "type": found.type,
        "width": found.width,
        "height": found.height,
        "stored_at": now,
    }
    with writing() as connection:
        if row(connection, org_id, sha256) is None:
            upsert(Blob, connection, [blob])
        if person_id is not None:
            upsert(BlobHolder, connection, [{"org_id": org_id, "sha256": sha256, "person_id": person_id}])


def row(connection: Connection, org_id: str, sha256: str) -> Mapping[Any, Any] | None:
    """What is known of a stored photo, or None."""
    return (
        connection.execute(select(Blob.__table__).where(Blob.org_id == org_id, Blob.sha256 == sha256))
        .mappings()
        .first()
    )


@dataclass(frozen=True, slots=True)
class Missing:
    """A photo that a visit names and that is not here: still on a phone, or (`lost`) it was stored once."""

    visit_id: str
    sha256: str
    lost: bool


def missing(connection: Connection, org_id: str, store: Store) -> list[Missing]:
    """The photos of an organisation that visits name and whose bytes are not here."""
    named = connection.execute(
        select(VisitPhoto.visit_id, VisitPhoto.sha256, Blob.bytes)
        .outerjoin(Blob, (Blob.org_id == VisitPhoto.org_id) & (Blob.sha256 == VisitPhoto.sha256))
        .where(VisitPhoto.org_id == org_id)
        .order_by(VisitPhoto.visit_id, VisitPhoto.sha256)
    )
    return [
        Missing(visit, sha256, lost=size is not None)
        for visit, sha256, size in named
        if not store.has(org_id, sha256)
    ]


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A file to append to, made where it is missing, with nobody else at it as long as the block lasts."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Whoever had it before may have moved it away: that is no place to write to any more.
            with suppress(FileNotFoundError):
                if os.stat(path).st_ino == os.fstat(handle).st_ino:
                    yield handle
                    return
        finally:
            os.close(handle)


def _to_disk(path: Path) -> None:
    """Let a file, or a folder's list of files, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
