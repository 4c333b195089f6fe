"""HTTP of push: subscribe a device, hear what it showed, see how it is, send it a test."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

from flask_smorest import Blueprint
from sqlalchemy import Connection, and_, insert, select, update

from server import auth
from server.auth import Principal, for_roles
from server.db import reading, writing
from server.errors import Problem
from server.people.model import Device, Person
from server.push import keys, rules
from server.push.compose import compose
from server.push.deliver import reachable
from server.push.model import Delivery, Subscription
from server.push.schema import DevicesOut, EndpointIn, KeyOut, ReportIn, SubscriptionIn
from sync.mutation import instant_text

blueprint = Blueprint(
    "push", __name__, url_prefix="/api/push", description="Reaching a device nobody looks at"
)

MOST_DEVICES = 20
TEST_LASTS = timedelta(minutes=5)


def digest(endpoint: str) -> str:
    """What endpoints are compared by: an index does not take their length."""
    return hashlib.sha256(endpoint.encode()).hexdigest()


@blueprint.route("/key", methods=["GET"])
@blueprint.response(200, KeyOut)
@for_roles()
def key(principal: Principal) -> dict[str, str]:
    """The key that a new subscription is made with. A device whose own was made with another renews itself."""
    return {"key": keys.current(auth.config().state_dir).public}


@blueprint.route("/subscriptions", methods=["POST"])
@for_roles()
@blueprint.arguments(SubscriptionIn)
@blueprint.response(204)
@blueprint.alt_response(
    422, description="INVALID: the endpoint is none that messages may go to, or the key is not ours"
)
def subscribe(principal: Principal, asked: dict[str, Any]) -> None:
    """Reach this device from now on; said again at each start, so a subscription that changed is renewed."""
    config, now = auth.config(), auth.now()
    fault = rules.fault_of_endpoint(asked["endpoint"], loopback=config.push_loopback)
    if fault:
        raise Problem(422, "INVALID", fault, {"endpoint": [fault]})
    if keys.of(config.state_dir, asked["key"]) is None:
        raise Problem(
            422, "INVALID", "The subscription was made with a key of another server.", {"key": ["unknown"]}
        )
    row = {
        "person_id": principal.person_id,
        "device_id": principal.device_id,
        "p256dh": asked["keys"]["p256dh"],
        "auth": asked["keys"]["auth"],
        "key": asked["key"],
        "renewed_at": now,
        "failures": 0,
        "rest_until": None,
        "ended_at": None,
        "ended_why": None,
    }
    with writing() as connection:
        same = and_(
            Subscription.org_id == principal.org_id,
            Subscription.endpoint_digest == digest(asked["endpoint"]),
        )
        known = connection.execute(select(Subscription.id, Subscription.person_id).where(same)).first()
        identity = known.id if known else str(uuid4())
        if known is None:
            made = {
                "org_id": principal.org_id,
                "id": identity,
                "endpoint": asked["endpoint"],
                "endpoint_digest": digest(asked["endpoint"]),
                "created_at": now,
            }
            connection.execute(insert(Subscription), [made | row])
        else:
            connection.execute(update(Subscription).where(same).values(**row))
            if known.person_id != principal.person_id:
                _owe_no_more(connection, principal.org_id, known.id)
        if asked["instead"] and asked["instead"] != asked["endpoint"]:
            for old in _end(connection, principal, asked["instead"], now, "replaced"):
                _hand_on(connection, principal.org_id, old, identity)
        _keep_newest(connection, principal, now)


@blueprint.route("/subscriptions/end", methods=["POST"])
@for_roles(uploads=True)
@blueprint.arguments(EndpointIn)
@blueprint.response(204)
def unsubscribe(principal: Principal, asked: dict[str, Any]) -> None:
    """Leave this device alone from now on, as when somebody signs out on it."""
    with writing() as connection:
        _end(connection, principal, asked["endpoint"], auth.now(), "asked")


def _end(connection: Connection, principal: Principal, endpoint: str, now: datetime, why: str) -> list[str]:
    """Give one's subscription of this endpoint up; returns its id, if there was one."""
    ended = connection.execute(
        update(Subscription)
        .where(
            Subscription.org_id == principal.org_id,
            Subscription.person_id == principal.person_id,
            Subscription.endpoint_digest == digest(endpoint),
            Subscription.ended_at.is_(None),
        )
        .values(ended_at=now, ended_why=why)
        .returning(Subscription.id)
    )
    return list(ended.scalars())


def _waits(org_id: str, subscription: str) -> Any:
    return and_(
        Delivery.org_id == org_id, Delivery.subscription_id == subscription, Delivery.state == "waiting"
    )


def _owe_no_more(connection: Connection, org_id: str, subscription: str) -> None:
    """Another person has the device now: what it was owed was not for them."""
    connection.execute(update(Delivery).where(_waits(org_id, subscription)).values(state="gone"))


def _hand_on(connection: Connection, org_id: str, old: str, new: str) -> None:
    """What a device is still owed it is owed at its new address."""
    there = select(Delivery.notice_id).where(Delivery.org_id == org_id, Delivery.subscription_id == new)
    connection.execute(
        update(Delivery)
        .where(_waits(org_id, old), Delivery.notice_id.not_in(there))
        .values(subscription_id=new, leased_until=None)
        .execution_options(synchronize_session=False)
    )


def _keep_newest(connection: Connection, principal: Principal, now: datetime) -> None:
    """Nobody has more devices than this: the longest unheard of is given up."""
    mine = (
        Subscription.org_id == principal.org_id,
        Subscription.person_id == principal.person_id,
        Subscription.ended_at.is_(None),
    )
    newest = select(Subscription.id).where(*mine).order_by(Subscription.renewed_at.desc(), Subscription.id)
    too_many = list(connection.execute(newest.offset(MOST_DEVICES)).scalars())
    if too_many:
        connection.execute(
            update(Subscription)
            .where(Subscription.org_id == principal.org_id, Subscription.id.in_(too_many))
            .values(ended_at=now, ended_why="too many")
        )


@blueprint.route("/reports", methods=["POST"])
@for_roles()
@blueprint.arguments(ReportIn)
@blueprint.response(204)
def report(principal: Principal, asked: dict[str, Any]) -> None:
    """A device showed a notice, or somebody opened one: from this its health is known."""
    column = f"{asked['what']}_at"
    now = auth.now()
    with writing() as connection:
        found = connection.execute(
            update(Subscription)
            .where(
                Subscription.org_id == principal.org_id,
                Subscription.person_id == principal.person_id,
                Subscription.endpoint_digest == digest(asked["endpoint"]),
            )
            .values({column: now})
            .returning(Subscription.id)
        ).scalar_one_or_none()
        if found is not None:
            connection.execute(
                update(Delivery)
                .where(
                    Delivery.org_id == principal.org_id,
                    Delivery.notice_id == str(asked["notice"]),
                    Delivery.subscription_id == found,
                )
                .values({column: now})
            )


@blueprint.route("/devices", methods=["GET"])
@blueprint.response(200, DevicesOut)
@for_roles()
def devices(principal: Principal) -> dict[str, Any]:
    """How one's own devices are; an administrator sees those of the whole organisation."""
    statement = (
        select(Subscription.__table__, Person.name.label("person_name"), Device.name.label("device_name"))
        .join(Person, (Person.org_id == Subscription.org_id) & (Person.id == Subscription.person_id))
        .outerjoin(Device, (Device.org_id == Subscription.org_id) & (Device.id == Subscription.device_id))
        .where(Subscription.org_id == principal.org_id)
        .order_by(Subscription.renewed_at.desc(), Subscription.id)
        .limit(500)
    )
    if principal.role != "administrator":
        statement = statement.where(Subscription.person_id == principal.person_id)
    with reading() as connection:
        rows = connection.execute(statement).mappings().all()
    return {
        "items": [
            {
                "id": row["id"],
                "device": row["device_name"],
                "person": {"id": row["person_id"], "name": row["person_name"]},
                "failures": row["failures"],
                "ended_why": row["ended_why"],
                "this": row["device_id"] is not None and row["device_id"] == principal.device_id,
                **{
                    name: instant_text(row[name]) if row[name] else None
                    for name in ("created_at", "sent_at", "shown_at", "opened_at", "ended_at")
                },
            }
            for row in rows
        ]
    }


@blueprint.route("/test", methods=["POST"])
@blueprint.response(200, description='{"devices": n}: to so many devices a test was owed')
@for_roles()
def test(principal: Principal) -> dict[str, int]:
    """Send me a test, on each of my devices, quiet hours or not."""
    now = auth.now()
    notice = str(uuid5(NAMESPACE_OID, f"test {principal.org_id} {principal.person_id} {instant_text(now)}"))
    title, body = compose("test", {}, principal.locale, UTC)
    payload = {"notice": notice, "tag": "test", "title": title, "body": body, "rule": "test", "about": None}
    with writing() as connection:
        found = list(
            connection.execute(
                select(Subscription.id).where(
                    reachable(principal.org_id), Subscription.person_id == principal.person_id
                )
            ).scalars()
        )
        if found:
            connection.execute(
                insert(Delivery),
                [
                    {
                        "org_id": principal.org_id,
                        "notice_id": notice,
                        "subscription_id": device,
                        "payload": payload | {"at": instant_text(now)},
                        "urgency": "high",
                        "due_at": now,
                        "ends_at": now + TEST_LASTS,
                        "state": "waiting",
                        "attempts": 0,
                    }
                    for device in found
                ],
            )
    return {"devices": len(found)}
