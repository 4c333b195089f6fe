"""A small S3 service for tests: one bucket in memory, every request's signature verified as AWS's Signature Version 4 says.

Written from the published algorithm, not with the client's own code, so that the two must agree. It knows what a store of
whole objects needs: PUT, GET, HEAD of an object. Errors are XML with the codes that the real one gives.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit


class Bucket:
    """Listens on a free port as long as it is open. `objects` holds what was put; `refused` counts bad signatures."""

    def __init__(self, name: str, access_key: str, secret_key: str, region: str = "us-east-1") -> None:
        self.name = name
        self.objects: dict[str, bytes] = {}
        self.refused = 0
        self.trouble = 0
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Last-Modified", "Sat, 21 Nov 2026 09:00:00 GMT")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def _error(self, status: int, code: str) -> None:
                body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
                self._answer(status, body.encode(), Content_Type="application/xml")

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not signed(
                    self.command, self.path, dict(self.headers), body, access_key, secret_key, region
                ):
                    bucket.refused += 1
                    return self._error(403, "SignatureDoesNotMatch")
                if bucket.trouble:
                    bucket.trouble -= 1
                    return self._error(503, "SlowDown")
                _, name, key = unquote(urlsplit(self.path).path).split("/", 2)
                if name != bucket.name:
                    return self._error(404, "NoSuchBucket")
                tag = f'"{hashlib.md5(bucket.objects.get(key, body)).hexdigest()}"'
                if self.command == "PUT":
                    bucket.objects[key] = body
                    return self._answer(200, ETag=tag)
                if key not in bucket.objects:
                    return self._error(404, "NoSuchKey")
                return self._answer(200, bucket.objects[key], ETag=tag)

            do_GET = do_PUT = do_HEAD = _do

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the service."""
        self._server.shutdown()
        self._server.server_close()


def signed(
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    access_key: str,
    secret_key: str,
    region: str,
) -> bool:
    """Whether a request carries the signature of these keys over itself and over this very body."""
    known = {name.lower(): value.strip() for name, value in headers.items()}
    scheme, _, rest = known.get("authorization", "").partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    credential = parts.get("Credential", "").split("/")
    if scheme != "AWS4-HMAC-SHA256" or credential[:1] + credential[2:] != [
        access_key,
        region,
        "s3",
        "aws4_request",
    ]:
        return False
    if known.get("x-amz-content-sha256") != hashlib.sha256(body).hexdigest():
        return False
    address = urlsplit(path)
    query = sorted((quote(k, "-_.~"), quote(v, "-_.~")) for k, v in parse_qsl(address.query, True))
    names = parts["SignedHeaders"].split(";")
    if not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(names):
        return False
    canonical = "\n".join(
        [
            method,
            address.path,
            "&".join(f"{k}={v}" for k, v in query),
            *(f"{name}:{' '.join(known[name].split())}" for name in names),
            "",
            parts["SignedHeaders"],
            known["x-amz-content-sha256"],
        ]
    )
    day = known["x-amz-date"][:8]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    wanted = f"AWS4-HMAC-SHA256\n{known['x-amz-date']}\n{day}/{region}/s3/aws4_request\n{digest}"
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(hmac.new(key, wanted.encode(), hashlib.sha256).hexdigest(), parts["Signature"])
