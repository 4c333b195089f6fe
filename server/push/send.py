"""One message to one subscription, and what became of it. Nothing is remembered here; the caller records.

The payload is encrypted for the device alone (RFC 8291) and signed with the key the subscription was made with. The
connection goes to public addresses only, looked at after it is made and before anything is said on it, so that a name
that changes its mind between the check and the call gains nothing; redirects are not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from server.push import rules
from server.push.keys import Key
from server.push.rules import GONE, Urgency

PATIENCE_S = (5.0, 15.0)
"""To connect, and to be answered."""

CLAIMS_LAST = timedelta(hours=1)
"""Validity of the signed claims; RFC 8292 allows a day, clocks differ by less than this."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of an attempt.

    `sent`: the push service took it. `gone`: the subscription has ended, for ever. `later`: try again, not before `wait`
    where the service said so. `refused`: this message will never be taken. `status` is the HTTP answer, None without one.
    """

    outcome: Literal["sent", "gone", "later", "refused"]
    status: int | None = None
    wait: timedelta | None = None
    detail: str = ""


class NotPublic(Exception):
    """A push endpoint stands for an address inside. No OSError, which urllib3 would take for a failure of the network."""


class Sender:
    """Sends messages one after another over connections that are kept; one of them a thread.

    `subject` says whom a push service may write to (mailto: or https:). `loopback` opens this machine's own addresses,
    `via` sends everything to another origin, path kept: both for tests.
    """

    def __init__(self, subject: str, *, loopback: bool = False, via: str | None = None) -> None:
        self.subject = subject
        self.loopback = loopback
        self._session = _Session(via)
        adapter = _Careful(loopback=loopback)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(
        self,
        subscription: Mapping[str, Any],
        key: Key,
        payload: str,
        *,
        now: datetime,
        ttl: timedelta,
        urgency: Urgency = "normal",
        topic: str | None = None,
    ) -> Sent:
        """Send `payload` to `{"endpoint", "keys": {"p256dh", "auth"}}`.

        `ttl`: how long the push service keeps it for a device that is off; `topic` (32 characters of URL-safe base64):
        a later message of the same topic replaces one that still waits (RFC 8030, section 5.4).
        """
        endpoint = str(subscription["endpoint"])
        fault = rules.fault_of_endpoint(endpoint, loopback=self.loopback)
        if fault:
            return Sent("gone", detail=fault)
        parts = urlsplit(endpoint)
        claims: dict[str, str | int] = {
            "sub": self.subject,
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int((now + CLAIMS_LAST).timestamp()),
        }
        headers: dict[str, str | int | float] = {"Urgency": urgency}
        if topic:
            headers["Topic"] = topic
        # Loaded when first needed: it brings an asynchronous HTTP client along that every start would pay for.
        from pywebpush import WebPushException, webpush

        try:
            answer = webpush(
                subscription,
                payload,
                key.vapid,
                claims,
                ttl=max(0, int(ttl.total_seconds())),
                headers=headers,
                timeout=PATIENCE_S,
                requests_session=self._session,
            )
        except NotPublic as error:
            return Sent("gone", detail=str(error))
        except requests.exceptions.RequestException as error:
            return Sent("later", detail=type(error).__name__)
        except WebPushException as error:
            return _judged(error.response, now)
        except ValueError as error:  # keys of the subscription that are no keys
            return Sent("gone", detail=str(error))
        return Sent("sent", getattr(answer, "status_code", None))

    def close(self) -> None:
        """Let the connections go."""
        self._session.close()


def _judged(answer: Any, now: datetime) -> Sent:
    status = getattr(answer, "status_code", None)
    if answer is None or status is None:
        return Sent("gone", detail="The subscription's keys cannot be used.")
    wait = rules.asked_to_wait(answer.headers.get("Retry-After"), now)
    if status in GONE:
        return Sent("gone", status)
    if status == 429 or status >= 500 or status in {408, 425}:
        return Sent("later", status, wait)
    # Wrong signature or key: whoever renews the subscription mends it. Too large, malformed: nobody does.
    return Sent("gone" if status in {401, 403} else "refused", status)


class _Session(requests.Session):
    """No proxy and no netrc from the environment, no redirects, and in tests another origin."""

    def __init__(self, via: str | None) -> None:
        super().__init__()
        self.trust_env = False
        self._via = urlsplit(via) if via else None

    def post(self, url: str | bytes, data: Any = None, json: Any = None, **options: Any) -> requests.Response:
        if self._via is not None:
            parts = urlsplit(str(url))
            url = urlunsplit(parts._replace(scheme=self._via.scheme, netloc=self._via.netloc))
        return super().post(url, data=data, json=json, allow_redirects=False, **options)


def _look_at(connection: Any, *, loopback: bool) -> None:
    peer = connection.sock.getpeername()[0] if connection.sock else ""
    if not (rules.is_public(peer) or (loopback and peer in {"127.0.0.1", "::1"})):
        connection.close()
        raise NotPublic(f"The endpoint stands for {peer}, which is no public address.")


class _Careful(HTTPAdapter):
    """Makes connections that look whom they reached before they say a word."""

    def __init__(self, *, loopback: bool) -> None:
        self._loopback = loopback
        super().__init__(pool_connections=8, pool_maxsize=4, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        loopback = self._loopback

        class Plain(HTTPConnection):
            def _new_conn(self) -> Any:
                self.sock = super()._new_conn()
                _look_at(self, loopback=loopback)
                return self.sock

        class Secure(HTTPSConnection):
            def _new_conn(self) -> Any:
                self.sock = super()._new_conn()
                _look_at(self, loopback=loopback)
                return self.sock

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
