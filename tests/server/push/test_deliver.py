"""What is owed to devices reaches each: at least once whoever dies, a repeat in silence, a refusal with patience."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from server.db import reading, writing
from server.push import keys
from server.push.deliver import LEASE, MOST_FAILURES, claim
from server.push.model import Attempt, Delivery, Subscription
from server.push.routes import digest
from server.ticker import Ticker
from tests.pushservice import PushService, Subscriber
from tests.world import World

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def service() -> Iterator[PushService]:
    running = PushService()
    yield running
    running.close()


class Clock:
    """A clock that stands until it is moved. Claims of messages want the real time, so it starts there."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, **span: float) -> None:
        self.time += timedelta(**span)


class TickerOfOne(Ticker):
    """Sees one organisation of the database that these tests share."""

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world.app, **options)
        self._only = world.org

    def _organisations(self) -> list[str]:
        return [self._only]


class Office:
    def __init__(self, world: World, service: PushService) -> None:
        self.world, self.service, self.clock = world, service, Clock()
        world.app.extensions["rounds"] = _open(world.app.extensions["rounds"])
        self.tickers: list[Ticker] = []

    def ticker(self) -> Ticker:
        self.tickers.append(TickerOfOne(self.world, clock=self.clock, share=lambda: 1.0))
        return self.tickers[-1]

    def device(self, who: str = "rob") -> Subscriber:
        device = self.service.subscribe()
        with self.world.app.app_context(), writing() as connection:
            connection.execute(
                insert(Subscription),
                [
                    {
                        "org_id": self.world.org,
                        "id": str(uuid4()),
                        "person_id": self.world.ids[who],
                        "device_id": None,
                        "endpoint": device.endpoint,
                        "endpoint_digest": digest(device.endpoint),
                        "p256dh": device.document["keys"]["p256dh"],
                        "auth": device.document["keys"]["auth"],
                        "key": keys.current(self.world.app.extensions["rounds"].state_dir).public,
                        "created_at": self.clock(),
                        "renewed_at": self.clock(),
                        "failures": 0,
                    }
                ],
            )
        return device

    def owe(self, lasts: timedelta = timedelta(hours=12)) -> str:
        """Owe a notice to each device there is."""
        notice = str(uuid4())
        with self.world.app.app_context(), writing() as connection:
            of_world = select(Subscription.id).where(Subscription.org_id == self.world.org)
            connection.execute(
                insert(Delivery),
                [
                    {
                        "org_id": self.world.org,
                        "notice_id": notice,
                        "subscription_id": device,
                        "payload": {"notice": notice, "tag": notice, "title": "Send the quote"},
                        "urgency": "high",
                        "due_at": self.clock(),
                        "ends_at": self.clock() + lasts,
                        "state": "waiting",
                        "attempts": 0,
                    }
                    for device in connection.execute(of_world).scalars()
                ],
            )
        return notice

    def rows(self, model: Any) -> list[dict[str, Any]]:
        with self.world.app.app_context(), reading() as connection:
            found = connection.execute(select(model.__table__).where(model.org_id == self.world.org))
            return [dict(row) for row in found.mappings()]

    def states(self) -> list[str]:
        return sorted(row["state"] for row in self.rows(Delivery))


def _open(config: Any) -> Any:
    from dataclasses import replace

    return replace(config, push_loopback=True)


@pytest.fixture
def office(shared_world: World, service: PushService) -> Iterator[Office]:
    made = Office(shared_world, service)
    yield made
    for ticker in made.tickers:
        ticker.close()


def test_each_device_gets_a_notice_once_and_the_database_knows_each_attempt(office: Office) -> None:
    phone, tablet = office.device(), office.device()
    notice = office.owe()
    ticker = office.ticker()
    assert ticker.beat() == 2
    assert ticker.beat() == 0
    for device in (phone, tablet):
        (message,) = device.messages
        assert message.document == {
            "notice": notice,
            "tag": notice,
            "title": "Send the quote",
            "silent": False,
        }
        assert message.headers["topic"] == notice.replace("-", "")
    assert office.states() == ["sent", "sent"]
    attempts = office.rows(Attempt)
    assert [(row["n"], row["outcome"], row["status"]) for row in attempts] == [(1, "sent", 201)] * 2
    assert all(row["sent_at"] is not None for row in office.rows(Subscription))


def test_a_ticker_that_dies_with_a_message_under_way_is_followed_by_a_silent_repeat(office: Office) -> None:
    phone = office.device()
    notice = office.owe()
    with office.world.app.app_context():
        (lost,) = claim(office.world.org, office.clock(), 10, LEASE)  # and here it is killed
    assert not lost.unsure
    ticker = office.ticker()
    assert ticker.beat() == 0, "somebody may still be at it"
    office.clock.move(seconds=LEASE.total_seconds() + 1)
    assert ticker.beat() == 1
    (message,) = phone.messages
    assert message.document["silent"] is True and message.document["tag"] == notice
    assert [(row["n"], row["outcome"]) for row in office.rows(Attempt)] == [(1, None), (2, "sent")]


def test_a_refusal_is_met_with_patience_and_the_next_try_is_heard(office: Office) -> None:
    phone = office.device()
    office.owe()
    phone.answers = [(503, {}), (429, {"Retry-After": "300"})]
    ticker = office.ticker()
    assert ticker.beat() == 1
    assert ticker.beat() == 0
    office.clock.move(seconds=31)
    assert ticker.beat() == 1
    office.clock.move(seconds=299)
    assert ticker.beat() == 0, "the push service asked for five minutes"
    office.clock.move(seconds=2)
    assert ticker.beat() == 1
    (message,) = phone.messages
    assert message.document["silent"] is False, "nobody has heard it yet"
    assert [(row["outcome"], row["status"]) for row in office.rows(Attempt)] == [
        ("later", 503),
        ("later", 429),
        ("sent", 201),
    ]
    assert office.rows(Subscription)[0]["failures"] == 0


@pytest.mark.parametrize("status", [404, 410, 403])
def test_a_device_that_is_gone_is_left_alone(office: Office, status: int) -> None:
    phone = office.device()
    office.owe()
    office.owe()
    phone.always = status
    office.ticker().beat()
    assert set(office.states()) == {"gone"}
    (device,) = office.rows(Subscription)
    assert device["ended_at"] is not None and device["ended_why"] == str(status)


def test_a_push_service_that_is_down_for_days_ends_the_device_but_one_good_day_forgets_it(
    office: Office,
) -> None:
    phone = office.device()
    phone.always = 500
    ticker = office.ticker()
    for _ in range(MOST_FAILURES):
        office.owe(timedelta(days=30))
        ticker.beat()
        office.clock.move(hours=2)
    (device,) = office.rows(Subscription)
    assert device["ended_why"] == "unreachable"
    assert "waiting" not in office.states()


def test_a_notice_that_would_come_too_late_is_not_sent(office: Office) -> None:
    phone = office.device()
    office.owe(timedelta(hours=1))
    office.clock.move(hours=2)
    assert office.ticker().beat() == 0
    assert office.states() == ["late"] and phone.messages == []


def test_two_tickers_share_the_work_and_double_none_of_it(office: Office) -> None:
    import threading

    devices = [office.device() for _ in range(6)]
    for _ in range(5):
        office.owe()
    tickers = [office.ticker(), office.ticker()]

    def until_empty(beat: Callable[[], int]) -> None:
        while beat():
            pass

    threads = [threading.Thread(target=until_empty, args=(each.beat,)) for each in tickers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until_empty(tickers[0].beat)
    assert office.states() == ["sent"] * 30
    assert [len(device.messages) for device in devices] == [5] * 6


def test_a_device_made_with_a_key_that_was_forgotten_must_renew_itself(office: Office) -> None:
    office.device()
    office.owe()
    state = office.world.app.extensions["rounds"].state_dir
    keys.rotate(state)
    keys.forget(state, frozenset())
    office.ticker().beat()
    assert office.states() == ["gone"]
    assert office.rows(Subscription)[0]["ended_why"] == "key"


def test_what_a_device_reports_is_its_health(office: Office) -> None:
    phone = office.device()
    notice = office.owe()
    office.ticker().beat()
    headers = {"Authorization": f"Bearer {office.world.tokens['rob']}"}
    client = office.world.app.test_client()
    for what in ("shown", "opened"):
        said = {"notice": notice, "endpoint": phone.endpoint, "what": what}
        assert client.post("/api/push/reports", json=said, headers=headers).status_code == 204
    (device,) = client.get("/api/push/devices", headers=headers).json["items"]
    assert device["sent_at"] and device["shown_at"] and device["opened_at"]
    (row,) = office.rows(Delivery)
    assert row["shown_at"] and row["opened_at"]
