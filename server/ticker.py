"""The ticker: tells people what is due and delivers it to their devices. Its own process; its state is in the database.

APScheduler gives the beat and nothing else. Any number of tickers may run, on any machine that reaches the database, and
each may be killed at any moment: what is due is a row, taken by whoever comes first.
"""

from __future__ import annotations

import logging
import logging.config
import random
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.executors.pool import ThreadPoolExecutor as BeatPool
from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask
from sqlalchemy import select

from server.auth import config
from server.config import from_environment
from server.db import db, engine_options, is_busy, reading
from server.indicators.close import close_due
from server.people.model import Organisation
from server.push.deliver import LEASE, deliver
from server.push.send import Sender
from server.reminders.channels import MAIL, address_of, is_address, offered
from server.reminders.reach import reach
from server.reminders.tell import keep_beats, tell_due
from server.serve import LOGGING, end_with_parent

log = logging.getLogger("rounds")

BEAT_S = 1.0
DIGESTS_S = 600.0
CLOSINGS_S = 600.0
SENDERS = 16
"""Messages under way at once: push services answer in about a tenth of a second, so some hundred a second at most."""

OTHERS = 4
"""Mails and the like under way at once."""

ROUNDS_A_BEAT = 20
"""An organisation with more to tell than this goes on in the next beat, so that the others have their turn."""


def now() -> datetime:
    """The ticker's clock."""
    return datetime.now(UTC)


class Ticker:
    """Beats for the organisations of one database, until it is told to stop."""

    def __init__(
        self,
        app: Flask,
        *,
        clock: Callable[[], datetime] = now,
        lease: timedelta = LEASE,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._app = app
        self._clock = clock
        self._lease = lease
        self._share = share
        self._senders = threading.local()
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="push")
        self._others = ThreadPoolExecutor(OTHERS, thread_name_prefix="channel")
        with app.app_context():
            self._config = config()
        known = dict(self._config.channels)
        if self._config.mail:
            known[MAIL] = address_of({}, self._config.mail, "", MAIL, "somebody@example.org") or ""
        for name, address in known.items():
            if not is_address(address):  # a wrong one is said at the start, and not when somebody needs it
                log.error("the channel %s leads nowhere: Apprise does not know its address", name)

    def run(self, stop: threading.Event) -> None:
        """Beat until `stop` is set; what is under way is finished."""
        scheduler = BackgroundScheduler(executors={"default": BeatPool(4)}, timezone=UTC)
        calm: dict[str, Any] = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        scheduler.add_job(self.beat, "interval", seconds=BEAT_S, next_run_time=now(), **calm)
        scheduler.add_job(self.others, "interval", seconds=BEAT_S, next_run_time=now(), **calm)
        scheduler.add_job(self.digests, "interval", seconds=DIGESTS_S, next_run_time=now(), **calm)
        scheduler.add_job(self.closings, "interval", seconds=CLOSINGS_S, next_run_time=now(), **calm)
        scheduler.add_listener(_say_failure, EVENT_JOB_ERROR)
        scheduler.start()
        try:
            stop.wait()
        finally:
            scheduler.shutdown(wait=True)
            self.close()

    def beat(self) -> int:
        """Tell and deliver all that is due now; returns how much that was."""
        done = 0
        with self._app.app_context():
            for org_id in self._organisations():
                for work in (self._tell, self._deliver):
                    for _ in range(ROUNDS_A_BEAT):
                        some = self._careful(work, org_id)
                        done += some
                        if not some:
                            break
        return done

    def others(self) -> int:
        """Send what is due by other channels; beside the beat, because a mail server may take its time."""
        done = 0
        if self._config.mail or self._config.channels:
            with self._app.app_context():
                for org_id in self._organisations():
                    done += self._careful(self._reach, org_id)
        return done

    def digests(self) -> None:
        """See to it that everybody's next digests stand in the schedule."""
        with self._app.app_context():
            for org_id in self._organisations():
                self._careful(lambda org: keep_beats(org, self._clock()), org_id)

    def closings(self) -> None:
        """Close the periods that are to be closed, and look again at those that something came late for."""
        with self._app.app_context():
            for org_id in self._organisations():
                self._careful(lambda org: close_due(org, self._clock()), org_id)

    def close(self) -> None:
        """Let the senders go."""
        self._pool.shutdown(wait=True)
        self._others.shutdown(wait=True)

    def _organisations(self) -> list[str]:
        with reading() as connection:
            return list(connection.execute(select(Organisation.id).order_by(Organisation.id)).scalars())

    def _tell(self, org_id: str) -> int:
        return tell_due(org_id, self._clock(), offered=self._offered)

    def _offered(self, slug: str) -> list[str]:
        return offered(self._config.channels, self._config.mail, slug)

    def _reach(self, org_id: str) -> int:
        return reach(org_id, self._config, self._others, self._clock, self._share)

    def _deliver(self, org_id: str) -> int:
        return deliver(
            org_id,
            self._config.state_dir,
            self._sender,
            self._pool,
            self._clock,
            self._share,
            lease=self._lease,
        )

    def _careful(self, work: Callable[[str], int], org_id: str) -> int:
        """One organisation's trouble is not the others'; a busy database is asked again at the next beat."""
        try:
            return work(org_id)
        except Exception as error:
            if is_busy(error):
                log.info("the database is busy; the ticker comes back")
            else:
                log.error("the ticker failed for organisation %s", org_id, exc_info=error)
            return 0

    def _sender(self) -> Sender:
        if not hasattr(self._senders, "mine"):
            settings = self._config
            self._senders.mine = Sender(
                settings.push_subject, loopback=settings.push_loopback, via=settings.push_via
            )
        found: Sender = self._senders.mine
        return found


def _say_failure(event: Any) -> None:
    log.error("a beat of the ticker failed", exc_info=event.exception)


def main(*, accompanies: int | None = None) -> None:
    """Tick until SIGTERM or SIGINT. `accompanies`: end with this process, which started it, however that ends."""
    logging.config.dictConfig(LOGGING)
    if accompanies is not None:
        end_with_parent(accompanies)
    settings = from_environment()
    app = Flask("rounds")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url, SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings)
    )
    app.extensions["rounds"] = settings
    db.init_app(app)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    log.info("the ticker ticks")
    Ticker(app).run(stop)


if __name__ == "__main__":
    main(accompanies=int(sys.argv[2]) if sys.argv[1:2] == ["--accompany"] else None)
