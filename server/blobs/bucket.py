"""Photos in a bucket of an S3-compatible service."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from server.blobs.store import Unavailable
from server.config import S3, BadSetting

try:
    from minio import Minio
    from minio.error import MinioException, S3Error
except ModuleNotFoundError as error:
    raise BadSetting("ROUNDS_S3_BUCKET: the client is missing; install rounds[s3]") from error

log = logging.getLogger("rounds")

ABSENT = frozenset({"NoSuchKey", "NoSuchObject"})
PATIENCE_S = 10.0


class Bucket:
    """A shelf (see `server.blobs.store`) in a bucket; each object is written in one request, so it is whole or not there."""

    def __init__(self, s3: S3) -> None:
        address = urlsplit(s3.endpoint)
        self.bucket = s3.bucket
        self.prefix = f"{s3.prefix}/" if s3.prefix else ""
        self.client = Minio(
            address.netloc,
            access_key=s3.access_key,
            secret_key=s3.secret_key,
            region=s3.region,
            secure=address.scheme == "https",
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=PATIENCE_S, read=PATIENCE_S),
                retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
            ),
        )

    def put(self, key: str, path: Path) -> None:
        """Send a file; once this returns it is in the bucket."""
        with _reached():
            self.client.fput_object(self.bucket, self.prefix + key, str(path))

    def read(self, key: str) -> bytes | None:
        """The bytes under a key, or None."""
        with _reached():
            try:
                answer = self.client.get_object(self.bucket, self.prefix + key)
            except S3Error as error:
                if error.code in ABSENT:
                    return None
                raise
            try:
                return answer.read()
            finally:
                answer.close()
                answer.release_conn()

    def has(self, key: str) -> bool:
        """Whether there is an object under a key."""
        with _reached():
            try:
                self.client.stat_object(self.bucket, self.prefix + key)
            except S3Error as error:
                if error.code in ABSENT:
                    return False
                raise
        return True


@contextmanager
def _reached() -> Iterator[None]:
    """Whatever keeps a bucket from doing its work is `Unavailable`, and in the log."""
    try:
        yield
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        log.error("the bucket does not answer as it should", exc_info=error)
        raise Unavailable from error
