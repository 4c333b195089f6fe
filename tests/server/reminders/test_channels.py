"""Where push reaches nobody, other channels do: after the silence that was set, once a notice, and no secret is told."""

import http.server
import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from typing import Any

import pytest

from server.config import BadSetting, from_environment
from server.push.model import Notice
from server.reminders import channels
from server.reminders.model import Outreach, OutreachAttempt
from server.reminders.reach import LEASE, MOST_TRIES, claim, reach
from server.ticker import Ticker
from tests.office import Office, london
from tests.world import World

SECRET = "sEcReT-token-of-a-channel"


class MailServer(socketserver.ThreadingTCPServer):
    """A small SMTP server (RFC 5321) of this machine; `refuses` answers 451 so many times before it takes a message."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        self.taken: list[tuple[list[str], Message]] = []
        self.refuses = 0
        super().__init__(("127.0.0.1", 0), _Smtp)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"mailto://127.0.0.1:{self.server_address[1]}?from=rounds@office.example&mode=insecure"


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        recipients: list[str] = []
        self._say("220 here")
        for line in iter(self.rfile.readline, b""):
            word = line[:4].upper()
            if word == b"RCPT":
                recipients.append(line.decode().partition("<")[2].partition(">")[0])
                self._say("250 ok")
            elif word == b"DATA":
                if server.refuses:
                    server.refuses -= 1
                    self._say("451 later")
                    continue
                self._say("354 go on")
                body = b"".join(iter(self.rfile.readline, b".\r\n"))
                server.taken.append((recipients, message_from_bytes(body)))
                self._say("250 taken")
            elif word == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class Hook(http.server.ThreadingHTTPServer):
    """A webhook; `status` is what it answers."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.status = 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.status == 200:
                    outer.heard.append(json.loads(body))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"json://{SECRET}:{SECRET}@127.0.0.1:{self.server_port}/{SECRET}"


@contextmanager
def closing(server: Any) -> Iterator[Any]:
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


class Reach(Office):
    """An office with a mail server and a webhook."""

    def __init__(self, world: World, mail: MailServer, hook: Hook, pool: ThreadPoolExecutor) -> None:
        super().__init__(world)
        self.mail, self.hook, self.pool = mail, hook, pool
        listed = {"bot": hook.address, "other-org/theirs": hook.address}
        self.config = replace(world.app.extensions["rounds"], mail=mail.address, channels=listed)
        world.app.extensions["rounds"] = self.config
        self.mail.taken.clear()
        self.hook.heard.clear()
        self.mail.refuses, self.hook.status = 0, 200

    def told(self, at: datetime | None = None) -> None:
        """Tell what is due, with the channels there are."""
        assert self.tell(at or london(14, 30), "mail", "bot") > 0

    def reach(self, at: datetime) -> int:
        with self.world.app.app_context():
            return reach(self.world.org, self.config, self.pool, lambda: at, lambda: 1.0)

    def states(self) -> list[str]:
        return sorted(row["state"] for row in self.rows(Outreach))


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with closing(MailServer()) as server:
        yield server


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with closing(Hook()) as server:
        yield server


@pytest.fixture
def office(shared_world: World, mail: MailServer, hook: Hook, pool: ThreadPoolExecutor) -> Iterator[Reach]:
    before = shared_world.app.extensions["rounds"]
    yield Reach(shared_world, mail, hook, pool)
    shared_world.app.extensions["rounds"] = before


def subject(message: Message) -> str:
    return str(make_header(decode_header(str(message["Subject"]))))


def test_a_notice_that_no_device_showed_for_an_hour_comes_as_mail_once(office: Reach) -> None:
    office.subscribe("rob")
    office.promise(subject="Send the quote, 报价")
    office.told()
    assert office.reach(london(15, 29)) == 0
    assert office.reach(london(15, 30)) == 1
    assert office.reach(london(16, 30)) == 0
    ((to, message),) = office.mail.taken
    assert to == [f"rob@{office.world.org[:8]}.test"]
    assert subject(message) == "Send the quote, 报价"
    assert office.states() == ["sent"]
    (attempt,) = office.rows(OutreachAttempt)
    assert (attempt["n"], attempt["outcome"]) == (1, "sent") and attempt["ended_at"] is not None


def test_a_subject_of_two_lines_is_a_mail_all_the_same_with_its_own_heads_alone(office: Reach) -> None:
    office.promise(subject="Send the quote\r\nBcc: everybody@office.example\n\nNow")
    office.told()
    assert office.reach(london(15, 30)) == 1
    ((to, message),) = office.mail.taken
    assert to == [f"rob@{office.world.org[:8]}.test"] and message["Bcc"] is None
    assert subject(message) == "Send the quote Bcc: everybody@office.example Now"


@pytest.mark.parametrize("what", ["shown", "opened"])
def test_what_a_device_showed_goes_nowhere_else(office: Reach, what: str) -> None:
    device = office.subscribe("rob")
    office.promise()
    office.told()
    (notice,) = office.rows(Notice)
    said = {"notice": notice["id"], "endpoint": device.endpoint, "what": what}
    assert office.call("rob", "POST", "/api/push/reports", json=said).status_code == 204
    assert office.reach(london(15, 30)) == 0
    assert office.states() == ["reached"] and office.mail.taken == []


def test_what_was_read_in_the_inbox_or_done_meanwhile_is_not_sent_after(office: Reach) -> None:
    read, done, shelved = (office.promise(due_time=at) for at in ("15:00", "15:20", "15:26"))
    for minute in (30, 50, 56):
        office.told(london(14, minute))
    office.rob.pull()
    first = next(key for key, each in office.rob.held("notice").items() if each["about"][0]["id"] == read)
    ops = [{"field": "status", "op": "go", "old": "unread", "new": "read"}]
    office.rob.push(office.rob.mutation("notice", first, "update", ops, base=2**40))
    office.go(done, "done")
    office.rob.push(office.rob.mutation("follow_up", shelved, "archive", []))
    assert office.reach(london(16, 0)) == 0
    assert office.states() == ["reached", "settled", "settled"]


def test_the_silence_is_the_organisations_and_ones_own_before_it(office: Reach) -> None:
    office.world.create("setting", "silence", key="fallback_after_min", value=10)
    office.promise()
    office.told()
    assert office.reach(london(14, 40)) == 1
    office.wish("rob", silence_min=0)
    office.told(london(15, 0))
    assert office.reach(london(15, 0)) == 1
    assert office.call("rob", "GET", "/api/reminders/channels").json["silence_min"] == 10


def test_nothing_is_sent_in_quiet_hours(office: Reach) -> None:
    office.promise(due_time="21:15")
    office.told(london(20, 45))
    assert office.reach(london(23, 0)) == 0
    assert office.reach(london(7, 30, days=1)) == 1


def test_people_choose_channels_for_all_and_for_each_kind(office: Reach) -> None:
    office.wish("rob", channels=["bot"], kinds={"follow_up_overdue": {"channels": ["mail", "bot"]}})
    office.promise()
    office.told()
    assert office.reach(london(15, 30)) == 1
    (heard,) = office.hook.heard
    assert heard["title"] == "Rob: Send the quote" and office.mail.taken == []
    office.told(london(15, 31))
    assert office.reach(london(16, 31)) == 2
    assert len(office.mail.taken) == 1 and len(office.hook.heard) == 2
    office.wish("rob", channels=[], kinds={})
    office.promise(due_time="17:00")
    office.told(london(17, 0))
    assert office.reach(london(18, 30)) == 0


def test_a_discreet_person_is_written_to_discreetly(office: Reach) -> None:
    office.wish("rob", discreet=True, channels=["mail", "bot"])
    office.promise()
    office.told()
    assert office.reach(london(15, 30)) == 2
    ((_, message),) = office.mail.taken
    written = subject(message) + message.as_string() + json.dumps(office.hook.heard)
    assert "Send the" not in written and "Shop" not in written


def test_a_channel_that_fails_is_tried_again_and_given_up_in_the_end(office: Reach) -> None:
    office.mail.refuses = 2
    office.promise()
    office.told()
    at = london(15, 30)
    for _ in range(3):
        assert office.reach(at) == 1
        at += timedelta(hours=1)
    assert len(office.mail.taken) == 1
    assert [row["outcome"] for row in office.rows(OutreachAttempt)] == ["failed", "failed", "sent"]
    told = office.call("rob", "GET", "/api/reminders/channels").json["items"][0]
    assert told["sent_at"] > told["failed_at"]
    office.wish("rob", channels=["bot"])
    office.hook.status = 500
    office.promise(due_time="20:00")
    office.told(london(19, 30))
    at = london(20, 30)
    while office.reach(at):
        at += timedelta(minutes=61)
        if at > london(20, 59):  # the night is no hindrance to what fell due by day
            at = max(at, london(20, 59))
    assert office.states() == ["failed", "sent"]
    assert len(office.rows(OutreachAttempt)) == 3 + MOST_TRIES


def test_a_ticker_that_dies_in_the_middle_leaves_its_attempt_and_another_goes_on(office: Reach) -> None:
    office.promise()
    office.told()
    at = london(15, 30)
    with office.world.app.app_context():
        (lost,) = claim(office.world.org, office.config, at, LEASE)  # and here it is killed
    assert lost.attempt == 1
    assert office.reach(at) == 0, "somebody may still be at it"
    assert office.reach(at + LEASE) == 1
    assert [(row["n"], row["outcome"]) for row in office.rows(OutreachAttempt)] == [(1, None), (2, "sent")]


def test_people_choose_among_names_alone_and_none_of_another_organisation(office: Reach) -> None:
    told = office.call("rob", "GET", "/api/reminders/channels").json
    assert [each["name"] for each in told["items"]] == ["mail", "bot"]
    assert told["items"][0]["to"] == f"rob@{office.world.org[:8]}.test"
    assert SECRET not in json.dumps(told)
    for wrong in ("theirs", "other-org/theirs", "json://127.0.0.1/x", "mailto://x@y.example"):
        for wishes in ({"channels": [wrong]}, {"kinds": {"comment": {"channels": [wrong]}}}):
            said = office.call("rob", "PUT", "/api/reminders/wishes", json=wishes)
            assert (said.status_code, said.json["code"]) == (422, "INVALID")
    for wishes in ({"kinds": {"nonsense": {}}}, {"kinds": {"comment": {"lead_min": 5}}}, {"silence_min": -1}):
        assert office.call("rob", "PUT", "/api/reminders/wishes", json=wishes).status_code == 422


def test_a_channel_that_is_no_more_ends_what_waits_for_it(office: Reach) -> None:
    office.wish("rob", channels=["bot"])
    office.promise()
    office.told()
    office.config = replace(office.config, channels={})
    assert office.reach(london(15, 30)) == 1
    assert office.states() == ["closed"] and office.hook.heard == []


def test_mail_goes_to_one_address_whatever_the_servers_own_address_names() -> None:
    mail = "mailtos://u:p@mail.example/boss@x.example?to=all@x.example&from=r@x.example"
    found = channels.address_of({}, mail, "acme", "mail", "a+b@x.example")
    assert found == "mailtos://u:p@mail.example?from=r%40x.example&to=a%2Bb@x.example"
    assert channels.address_of({}, "mailtos://u:p@mail.example", "acme", "mail", None) is None


@pytest.mark.parametrize(
    "address", [f"json://127.0.0.1:1/{SECRET}", f"nonsense://{SECRET}", f"slack://{SECRET}"]
)
def test_no_failure_tells_where_a_channel_leads(
    address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert channels.send(address, "Title", "Body") is False
    said = capfd.readouterr()
    assert SECRET not in caplog.text + said.out + said.err


@pytest.mark.parametrize(
    "given",
    [
        {"ROUNDS_CHANNELS": f"bot={SECRET}"},
        {"ROUNDS_CHANNELS": f"json://{SECRET}"},
        {"ROUNDS_CHANNELS": f"mail=json://{SECRET}"},
        {"ROUNDS_CHANNELS": f"Bad Name=json://{SECRET}"},
        {"ROUNDS_CHANNELS": f"a=json://x/{SECRET} a=json://y"},
        {"ROUNDS_MAIL": f"smtp://{SECRET}"},
    ],
)
def test_a_wrong_setting_is_named_without_what_it_held(given: dict[str, str]) -> None:
    with pytest.raises(BadSetting) as wrong:
        from_environment({"ROUNDS_SECRET": "x" * 32} | given)
    assert str(wrong.value).startswith(next(iter(given))) and SECRET not in str(wrong.value)


def test_settings_are_read_and_told_to_nobody_who_prints_them() -> None:
    given = {
        "ROUNDS_CHANNELS": f"bot=json://x/{SECRET}\nacme/team=dingtalk://{SECRET}/1",
        "ROUNDS_SECRET": "x" * 32,
    }
    config = from_environment(given | {"ROUNDS_MAIL": f"mailtos://u:{SECRET}@mail.example"})
    assert channels.offered(config.channels, config.mail, "acme") == ["mail", "bot", "team"]
    assert channels.offered(config.channels, config.mail, "other") == ["mail", "bot"]
    assert SECRET not in repr(config)


def test_a_ticker_does_it_by_itself_and_says_at_its_start_which_channel_leads_nowhere(
    office: Reach, caplog: pytest.LogCaptureFixture
) -> None:
    office.config = replace(office.config, channels=dict(office.config.channels) | {"lost": f"json:{SECRET}"})
    office.world.app.extensions["rounds"] = office.config
    moment = [london(14, 30)]
    ticker = Ticker(office.world.app, clock=lambda: moment[0], share=lambda: 1.0)
    try:
        assert "lost" in caplog.text and SECRET not in caplog.text
        office.promise()
        ticker.beat()
        moment[0] = london(15, 30)
        while ticker.others():  # other organisations of this database have theirs, too
            pass
        assert office.states() == ["sent"]
    finally:
        ticker.close()
