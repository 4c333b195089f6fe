"""Reach people by other channels where push did not: once a notice, after a silence that they or their organisation set.

As with push (`server.push.deliver`): rows are claimed under a lease, the attempt is recorded before it is made, its outcome
after. A channel cannot replace what it said, so a process that dies between the two may be heard twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, exists, or_, select, update

from server.config import Config
from server.db import add, writing
from server.exchange.door import Change
from server.followups.model import FollowUp
from server.people.model import Login, Organisation, Person, Setting
from server.push.compose import compose
from server.push.model import Delivery, Notice
from server.push.queue import any_due, first_due, is_due, take, write_down
from server.push.rules import wait_before
from server.reminders import channels, rules
from server.reminders.model import Outreach, OutreachAttempt, Wish
from server.reminders.rules import Wishes
from server.visits.model import Visit
from server.visits.rules import zone_of

SETTING = "fallback_after_min"
"""The setting of an organisation that says after how many minutes without a device other channels take over."""

LEASE = timedelta(seconds=120)
"""Longer than a mail server may take."""

LASTS = timedelta(hours=24)
KEY = ("notice_id", "channel")
MOST_AT_ONCE = 20
MOST_TRIES = 6

SAYS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(
        ("follow_up_due", "follow_up_overdue", "follow_up_assigned", "escalation"), (FollowUp, "open")
    ),
    "plan_not_started": (Visit, "planned"),
    "visit_open": (Visit, "open"),
}
"""Kind of reminder -> the table of what it is about, and the state in which it still says something."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a notice is for, as far as it matters here: how they wish it, and the kinds it is made of."""

    wishes: Wishes
    zone: Any
    rules: tuple[str, ...]


def owe(
    connection: Connection,
    org_id: str,
    notices: Mapping[str, tuple[Change, Reader]],
    offered: Sequence[str],
    now: datetime,
) -> None:
    """Owe these notices (by their reader) to the channels that each reader chose, after the silence they set."""
    rows: list[dict[str, Any]] = []
    usual: timedelta | None = None
    for person, (notice, reader) in notices.items():
        chosen: dict[str, None] = {}
        for rule in reader.rules:
            own = reader.wishes.channels_of(rule)
            chosen |= dict.fromkeys((channels.MAIL,) if own is None else own)
        for channel in chosen:
            if channel not in offered:
                continue
            usual = usual if usual is not None else silence_of(connection, org_id)
            own_silence = reader.wishes.silence_min
            silence = usual if own_silence is None else timedelta(minutes=own_silence)
            due = rules.disturb_at(now + silence, reader.wishes, reader.zone, reader.rules[0])
            rows.append(
                {
                    "org_id": org_id,
                    "notice_id": notice.entity,
                    "channel": channel,
                    "person_id": person,
                    "due_at": due,
                    "ends_at": due + LASTS,
                    "state": "waiting",
                    "attempts": 0,
                }
            )
    add(Outreach, connection, rows)


def silence_of(connection: Connection, org_id: str) -> timedelta:
    """After which silence of all devices other channels take over in an organisation, unless somebody set their own."""
    found = connection.execute(
        select(Setting.value).where(
            Setting.org_id == org_id, Setting.key == SETTING, Setting.archived.is_(False)
        )
    ).scalar_one_or_none()
    if (
        isinstance(found, int | float)
        and not isinstance(found, bool)
        and 0 <= found <= rules.MOST_SILENCE_MIN
    ):
        return timedelta(minutes=found)
    return rules.SILENCE


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message in hand."""

    notice: str
    channel: str
    attempt: int
    address: str | None
    title: str
    body: str


def reach(
    org_id: str,
    config: Config,
    pool: Executor,
    clock: Callable[[], datetime],
    share: Callable[[], float],
    *,
    lease: timedelta = LEASE,
) -> int:
    """Send what is due by other channels in an organisation; returns how many were tried."""
    if not any_due(Outreach, org_id, clock()):
        return 0
    claimed = claim(org_id, config, clock(), lease)

    def attempt(each: Claimed) -> str:
        if each.address is None:
            return "closed"
        return "sent" if channels.send(each.address, each.title, each.body) else "failed"

    said = list(pool.map(attempt, claimed))
    record(org_id, list(zip(claimed, said, strict=True)), clock(), share)
    return len(claimed)


def claim(org_id: str, config: Config, now: datetime, lease: timedelta) -> list[Claimed]:
    """Take some due messages under a lease, each with its attempt on record. What a device showed meanwhile ends here."""
    with writing() as connection:
        mine = (Outreach.org_id == org_id, is_due(Outreach, now))
        shown = exists().where(
            Delivery.org_id == Outreach.org_id,
            Delivery.notice_id == Outreach.notice_id,
            or_(Delivery.shown_at.is_not(None), Delivery.opened_at.is_not(None)),
        )
        read = exists().where(
            Notice.org_id == Outreach.org_id, Notice.id == Outreach.notice_id, Notice.status == "read"
        )
        connection.execute(update(Outreach).where(*mine, or_(shown, read)).values(state="reached"))
        connection.execute(update(Outreach).where(*mine, Outreach.ends_at <= now).values(state="late"))
        places = first_due(connection, Outreach, KEY, org_id, now, MOST_AT_ONCE)
        over = _settled(connection, org_id, [notice for notice, _ in places])
        if over:
            stale = (Outreach.org_id == org_id, Outreach.notice_id.in_(over), Outreach.state == "waiting")
            connection.execute(update(Outreach).where(*stale).values(state="settled"))
        places = [place for place in places if place[0] not in over]
        if not places:
            return []
        taken = take(connection, Outreach, OutreachAttempt, KEY, org_id, places, now, lease)
        return _composed(connection, org_id, config, taken)


def _settled(connection: Connection, org_id: str, notices: list[str]) -> set[str]:
    """Those of these notices whose one thing is done, cancelled or gone: nothing is left to say."""
    if not notices:
        return set()
    found = connection.execute(
        select(Notice.id, Notice.about, Notice.rule).where(Notice.org_id == org_id, Notice.id.in_(notices))
    ).all()
    over: set[str] = set()
    for notice, about, rule in found:
        if rule in SAYS:
            model, state = SAYS[rule]
            status = select(model.status).where(
                model.org_id == org_id, model.id == about[0]["id"], model.archived.is_(False)
            )
            if connection.execute(status).scalar_one_or_none() != state:
                over.add(notice)
    return over


def _composed(
    connection: Connection, org_id: str, config: Config, taken: list[dict[str, Any]]
) -> list[Claimed]:
    slug = connection.execute(select(Organisation.slug).where(Organisation.id == org_id)).scalar_one()
    notices = connection.execute(
        select(
            Notice.id,
            Notice.rule,
            Notice.words,
            Person.id.label("person_id"),
            Person.name,
            Person.locale,
            Person.time_zone,
            Person.active,
            Login.email,
            Wish.document,
        )
        .join(Person, (Person.org_id == Notice.org_id) & (Person.id == Notice.person_id))
        .outerjoin(Login, (Login.org_id == Person.org_id) & (Login.person_id == Person.id))
        .outerjoin(Wish, (Wish.org_id == Person.org_id) & (Wish.person_id == Person.id))
        .where(Notice.org_id == org_id, Notice.id.in_({row["notice_id"] for row in taken}))
    ).mappings()
    known = {row["id"]: row for row in notices}
    claimed = []
    for row in taken:
        notice, channel = known.get(row["notice_id"]), row["channel"]
        if notice is None or not notice["active"]:
            claimed.append(Claimed(row["notice_id"], channel, row["attempts"], None, "", ""))
            continue
        discreet = rules.wishes_of(notice["document"]).discreet
        zone = zone_of(notice["time_zone"]) or UTC
        title, body = compose(notice["rule"], notice["words"], notice["locale"], zone, discreet=discreet)
        if channel != channels.MAIL:  # others may read along there: it says whom it is for
            title = f"{notice['name']}: {title}"
        address = channels.address_of(config.channels, config.mail, slug, channel, notice["email"])
        claimed.append(Claimed(row["notice_id"], channel, row["attempts"], address, title, body))
    return claimed


def record(
    org_id: str, told: Sequence[tuple[Claimed, str]], now: datetime, share: Callable[[], float]
) -> None:
    """Write down what became of these attempts."""
    with writing() as connection:
        for each, said in told:
            changes: dict[str, Any] = {"state": said}
            if said == "sent":
                changes["sent_at"] = now
            elif said == "failed" and each.attempt < MOST_TRIES:
                wait = wait_before(each.attempt + 1, None, share())
                changes = {"due_at": now + wait}
            key = {"org_id": org_id, "notice_id": each.notice, "channel": each.channel}
            told_of = {"ended_at": now, "outcome": said}
            write_down(connection, Outreach, OutreachAttempt, key, each.attempt, told_of, changes)
