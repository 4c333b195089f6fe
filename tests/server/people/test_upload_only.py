"""Who may only upload: a revoked device, a closed account, a closed account's phone whose session is gone."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from server.db import reading, writing
from server.exchange.check import check
from server.people import admin
from server.people.model import Login
from server.people.session import hash_password
from tests.world import World, ago

PASSWORD = "correct horse battery"


def email_of(world: World, who: str) -> str:
    return f"{who}@{world.org[:8]}.test"


def signed_in(world: World, who: str) -> Any:
    """A browser of somebody, signed in by cookie."""
    with world.app.app_context(), writing() as connection:
        connection.execute(
            update(Login)
            .where(Login.org_id == world.org, Login.person_id == world.ids[who])
            .values(password_hash=hash_password(PASSWORD))
        )
    client = world.app.test_client()
    device = {"client": str(uuid4()), "name": "phone"}
    asked = {"email": email_of(world, who), "password": PASSWORD, "device": device}
    assert client.post("/api/session", json=asked).status_code == 200
    return client


def revoke_all(world: World) -> None:
    with world.app.app_context():
        for device in admin.devices(world.org):
            admin.revoke_device(world.org, device["id"], ago())


def rename(phone: Any, customer: str) -> dict[str, Any]:
    op = {"field": "contact", "op": "set", "old": None, "new": "Ms Hill"}
    made: dict[str, Any] = phone.mutation("customer", customer, "update", [op], base=2**40)
    return made


@pytest.mark.parametrize("why", ["revoked", "deactivated"])
def test_an_upload_only_phone_hands_in_its_evidence_for_review_its_edits_parked_and_reads_nothing(
    world: World, why: str
) -> None:
    shop = world.customer("Shop")
    browser, rob = signed_in(world, "rob"), world.phone("rob")
    began = rob.check_in(shop, ago(minutes=50))
    planned = rob.create("visit", customer_id=shop, status="planned", planned_date="2030-01-05")
    assert browser.post("/api/sync", json=rob.envelope(began, planned)).status_code == 200
    if why == "revoked":
        revoke_all(world)
    else:
        world.change("person", "rob", active=False)

    ended, edit = rob.check_out(began["entity"]), rename(rob, shop)
    moved = rob.mutation(
        "visit",
        planned["entity"],
        "update",
        [{"field": "planned_date", "op": "set", "old": "2030-01-05", "new": "2030-01-06"}],
    )
    new = rob.check_in(shop, ago(minutes=5))
    sent = browser.post(
        "/api/sync", json=rob.envelope(ended, edit, moved, new, pull={"token": None, "limit": 100})
    )
    assert sent.status_code == 200 and sent.json["upload_only"] == why and sent.json["pull"] is None
    assert [receipt["status"] for receipt in sent.json["receipts"]] == [
        "applied",
        "parked",
        "parked",
        "applied",
    ]
    for visit in (began, new):
        told = world.get("mia", f"/api/visits/{visit['entity']}").json["server"]
        assert told["trust"] == "review" and "AFTER_DEACTIVATION" in told["trust_reasons"]
    for path in ("/api/me", "/api/visits", "/api/customers", "/api/board"):
        answer = browser.get(path)
        assert (answer.status_code, answer.json["code"]) == (401, "SIGN_IN_REQUIRED")
        assert answer.json["reason"] == why
    mia = world.phone("mia")
    mia.pull()
    assert {row["entity"] for row in mia.held("parked").values()} == {shop, planned["entity"]}
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


@pytest.mark.parametrize("why", ["revoked", "deactivated"])
def test_an_administrator_who_may_only_upload_administers_nothing_any_more(world: World, why: str) -> None:
    scheme = {"name": "Spring", "valid_from": "2099-01-01"}
    world.create("scheme", "spring", **scheme, indicators=[{"code": "valid_visits", "weight": "1"}])
    world.create("setting", "share", key="share_team_customers", value=True)
    value = {"indicator": "orders", "on": "2031-03-01", "amount": "3", "source": "typed"}
    world.create("value", "orders", person_id=world.ids["rob"], status="confirmed", **value)
    browser, admin_ = signed_in(world, "admin"), world.phone("admin")
    if why == "revoked":
        revoke_all(world)
    else:
        world.change("person", "admin", active=False)

    def asks(kind: str, name: str, field: str, word: str, old: Any, new: Any) -> dict[str, Any]:
        op = {"field": field, "op": word, "old": old, "new": new}
        made: dict[str, Any] = admin_.mutation(kind, world.ids[name], "update", [op], base=2**40)
        return made

    wanted = [
        asks("person", "admin", "active", "set", False, True),
        asks("person", "rob", "role", "set", "rep", "administrator"),
        asks("setting", "share", "value", "set", True, False),
        asks("scheme", "spring", "status", "go", "proposed", "approved"),
        asks("value", "orders", "status", "go", "confirmed", "reviewed"),
        admin_.mutation("team", world.ids["south"], "archive", []),
    ]
    sent = browser.post("/api/sync", json=admin_.envelope(*wanted))
    assert sent.json["upload_only"] == why
    assert [receipt["code"] for receipt in sent.json["receipts"]] == ["SCOPE_LOST"] * len(wanted)
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def test_somebody_whose_device_was_revoked_signs_in_again_and_is_as_before(world: World) -> None:
    shop = world.customer("Shop")
    signed_in(world, "rob")
    revoke_all(world)
    again, rob = signed_in(world, "rob"), world.phone("rob")
    assert again.get("/api/me").status_code == 200
    sent = again.post("/api/sync", json=rob.envelope(rob.check_in(shop), pull={"token": None}))
    assert "upload_only" not in sent.json and sent.json["pull"]["rows"]


def test_signing_out_ends_uploads_too(world: World) -> None:
    browser, rob = signed_in(world, "rob"), world.phone("rob")
    cookie = browser.get_cookie("rounds_session")
    assert browser.delete("/api/session").status_code == 204
    browser.set_cookie("rounds_session", cookie.value)
    answer = browser.post("/api/sync", json=rob.envelope())
    assert answer.status_code == 401 and "reason" not in answer.json


def upload(world: World, secret: str) -> Any:
    client = world.app.test_client()
    asked = {"invite": secret, "device": {"client": str(uuid4()), "name": "phone"}}
    return client, client.post("/api/session/upload", json=asked)


def link(world: World, who: str, **options: Any) -> str:
    with world.app.app_context():
        return admin.invite(world.org, email_of(world, who), ago(), **options)


def test_a_closed_account_without_a_session_uploads_by_a_link_that_works_once(world: World) -> None:
    shop = world.customer("Shop")
    rob = world.phone("rob")
    world.change("person", "rob", active=False)
    secret = link(world, "rob", uploads=True)
    browser, entered = upload(world, secret)
    assert entered.status_code == 200 and entered.json["person"]["id"] == world.ids["rob"]
    sent = browser.post("/api/sync", json=rob.envelope(rob.check_in(shop), pull={"token": None}))
    assert sent.json["receipts"][0]["status"] == "applied"
    assert sent.json["upload_only"] == "deactivated" and sent.json["pull"] is None
    assert browser.get("/api/me").status_code == 401
    assert upload(world, secret)[1].json["code"] == "SIGN_IN_FAILED"


def test_an_upload_link_opens_no_open_account_and_an_invitation_uploads_nothing(world: World) -> None:
    with pytest.raises(admin.Refused, match="not deactivated"):
        link(world, "rob", uploads=True)
    invitation = link(world, "rob")
    assert upload(world, invitation)[1].status_code == 401
    world.change("person", "rob", active=False)
    uploading = link(world, "rob", uploads=True)
    asked = {"invite": uploading, "password": PASSWORD, "device": {"client": str(uuid4())}}
    assert world.app.test_client().post("/api/session/invite", json=asked).status_code == 401
    world.change("person", "rob", active=True)
    assert upload(world, link_of_before := uploading)[1].status_code == 401, link_of_before
