"""One message on the wire: signed, sealed for one device, never sent inside, and judged by what the push service says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.push import keys
from server.push.send import Sender, Sent
from tests.pushservice import PushService, Subscriber

NOW = datetime.now(UTC)
TTL = timedelta(hours=4)


@pytest.fixture(scope="module")
def service() -> Iterator[PushService]:
    running = PushService()
    yield running
    running.close()


@pytest.fixture(scope="module")
def key(tmp_path_factory: Any) -> keys.Key:
    return keys.current(tmp_path_factory.mktemp("state"))


@pytest.fixture
def device(service: PushService) -> Subscriber:
    return service.subscribe()


def send(device: Subscriber, key: keys.Key, text: str = '{"a":1}', **more: Any) -> Sent:
    sender = Sender("mailto:admin@example.com", loopback=True)
    try:
        return sender.send(device.document, key, text, now=NOW, ttl=TTL, **more)
    finally:
        sender.close()


def test_a_message_is_signed_with_fresh_claims_and_opens_on_its_device_alone(
    device: Subscriber, key: keys.Key, service: PushService
) -> None:
    said = send(device, key, '{"title":"Angebot an 李"}', urgency="high", topic="a" * 32)
    assert said == Sent("sent", 201)
    (message,) = device.messages
    assert message.document == {"title": "Angebot an 李"}
    assert message.headers["ttl"] == "14400"
    assert message.headers["urgency"] == "high"
    assert message.headers["topic"] == "a" * 32
    assert message.claims["key"] == key.public
    assert message.claims["sub"] == "mailto:admin@example.com"
    assert message.claims["exp"] == int((NOW + timedelta(hours=1)).timestamp())
    assert not service.faults


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "wait"),
    [
        (200, {}, "sent", None),
        (202, {}, "sent", None),
        (301, {"Location": "http://127.0.0.1:1/"}, "refused", None),
        (400, {}, "refused", None),
        (401, {}, "gone", None),
        (403, {}, "gone", None),
        (404, {}, "gone", None),
        (410, {}, "gone", None),
        (413, {}, "refused", None),
        (429, {"Retry-After": "120"}, "later", timedelta(seconds=120)),
        (429, {}, "later", None),
        (500, {}, "later", None),
        (502, {"Retry-After": "nonsense"}, "later", None),
        (503, {"Retry-After": "999999"}, "later", timedelta(hours=6)),
    ],
)
def test_each_answer_of_a_push_service_has_its_meaning(
    device: Subscriber,
    key: keys.Key,
    status: int,
    headers: dict[str, str],
    outcome: str,
    wait: timedelta | None,
) -> None:
    device.answers.append((status, headers))
    said = send(device, key)
    assert (said.outcome, said.status, said.wait) == (outcome, status, wait)
    assert device.attempts == 1


def test_a_push_service_that_is_down_is_tried_again_later(key: keys.Key) -> None:
    running = PushService()
    device = running.subscribe()
    running.close()
    assert send(device, key).outcome == "later"


def test_keys_that_are_none_end_the_subscription(device: Subscriber, key: keys.Key) -> None:
    document = device.document
    document["keys"]["p256dh"] = "bm90IGEga2V5"
    sender = Sender("mailto:a@b.c", loopback=True)
    assert sender.send(document, key, "x", now=NOW, ttl=TTL).outcome == "gone"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.com/x",
        "https://127.0.0.1/x",
        "https://10.1.2.3/x",
        "https://192.168.0.9/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[fd00::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://0.0.0.0/x",
        "https://224.0.0.1/x",
        "https://localhost/x",
        "https://intranet/x",
        "https://printer.local/x",
        "https://push.example.com:8443/x",
        "https://user:secret@push.example.com/x",
        "ftp://push.example.com/x",
        "https:///x",
        "https://push.example.com:99999/x",
        "https://push.example.com/" + "x" * 2048,
        "https://push.example.com/ü",
    ],
)
def test_no_message_goes_inside_or_anywhere_but_https(key: keys.Key, endpoint: str) -> None:
    sender = Sender("mailto:a@b.c")
    document = PushServiceless.document | {"endpoint": endpoint}
    said = sender.send(document, key, "x", now=NOW, ttl=TTL)
    assert said.outcome == "gone" and said.status is None and said.detail


class PushServiceless:
    """A device whose push service is nowhere."""

    document = Subscriber("https://push.example.com").document


def test_a_public_name_that_stands_for_an_address_inside_is_not_spoken_to(
    key: keys.Key, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    device = service.subscribe()
    port = int(service.base.rpartition(":")[2])
    real = socket.getaddrinfo

    def lie(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "push.example.com":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lie)
    document = device.document | {"endpoint": f"https://push.example.com/push/{device.id}"}
    said = Sender("mailto:a@b.c").send(document, key, "x", now=NOW, ttl=TTL)
    assert said.outcome == "gone" and "127.0.0.1" in said.detail
    assert device.attempts == 0


def test_the_first_key_is_made_once_and_a_new_one_leaves_the_old_in_service(tmp_path: Path) -> None:
    first = keys.current(tmp_path)
    assert keys.current(tmp_path).public == first.public
    second = keys.rotate(tmp_path)
    assert second.public != first.public
    assert keys.current(tmp_path).public == second.public
    old = keys.of(tmp_path, first.public)
    assert old is not None and old.public == first.public
    assert keys.of(tmp_path, "../secret") is None
    assert keys.forget(tmp_path, frozenset()) == [first.public]
    assert keys.of(tmp_path, first.public) is None
    assert all((path.stat().st_mode & 0o077) == 0 for path in (tmp_path / "vapid").glob("*.pem"))
