"""Signing in and out: one answer for every reason it fails, counted in the database, ended everywhere at once."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from argon2 import PasswordHasher
from sqlalchemy import insert, select, update

from server import auth
from server.db import reading, writing
from server.people import session
from server.people.model import ApiToken, Device, Invite, Login, Session, SignInAttempt
from tests.world import World

PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
HASHED = CHEAP.hash(PASSWORD)
UNKNOWN = session._UNKNOWN


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hashing at a price that a hundred sign-ins can pay."""
    monkeypatch.setattr(session, "_hasher", CHEAP)
    monkeypatch.setattr(session, "_UNKNOWN", CHEAP.hash("nobody"))


def test_an_unknown_account_costs_what_a_known_one_does() -> None:
    assert not PasswordHasher().check_needs_rehash(UNKNOWN)


@pytest.fixture
def world(shared_world: World) -> World:
    """A small organisation in which rob and mia have a password."""
    with shared_world.app.app_context(), writing() as connection:
        for who in ("rob", "mia"):
            mine = (Login.org_id == shared_world.org, Login.person_id == shared_world.ids[who])
            connection.execute(update(Login).where(*mine).values(password_hash=HASHED))
    return shared_world


@pytest.fixture
def few_attempts(shared_app: Any) -> Any:
    """Three failures are too many. Returns how long they count, in seconds."""
    settings = shared_app.extensions["rounds"]
    shared_app.extensions["rounds"] = replace(settings, sign_in_attempts=3, sign_in_window_s=600)
    yield 600
    shared_app.extensions["rounds"] = settings


def email(world: World, who: str) -> str:
    return f"{who}@{world.org[:8]}.test"


def credentials(world: World, who: str = "rob", **changes: Any) -> dict[str, Any]:
    slug = changes.pop("organisation", None)
    device = {"client": str(uuid4()), "name": "Rob's phone"}
    known = {"email": email(world, who), "password": PASSWORD, "device": device}
    return known | ({"organisation": slug} if slug else {}) | changes


def sign_in(client: Any, world: World, who: str = "rob", headers: Any = None, **changes: Any) -> Any:
    return client.post("/api/session", json=credentials(world, who, **changes), headers=headers)


def browser(world: World, address: str = "192.0.2.1") -> Any:
    client = world.app.test_client()
    client.environ_base["REMOTE_ADDR"] = address
    return client


def cookie_of(response: Any) -> tuple[str, set[str]]:
    """The session's secret and the cookie's attributes."""
    (header,) = response.headers.getlist("Set-Cookie")
    value, *attributes = header.split("; ")
    return value.removeprefix("rounds_session="), {one.split("=")[0].lower() for one in attributes} | {
        one.lower() for one in attributes
    }


# --- in ----------------------------------------------------------------------------------------------------------------


def test_signing_in_tells_who_one_is_and_opens_the_api(world: World) -> None:
    client = browser(world)
    response = sign_in(client, world)
    assert response.status_code == 200
    person, organisation = response.json["person"], response.json["organisation"]
    assert person == {
        "id": world.ids["rob"],
        "name": "Rob",
        "role": "rep",
        "team": world.ids["north"],
        "locale": "en",
        "time_zone": "Europe/London",
    }
    assert organisation.keys() == {"id", "slug", "name", "time_zone", "week_start", "locale"}
    me = client.get("/api/me")
    assert me.json["person"] == person and me.json["organisation"] == organisation
    assert [team["id"] for team in me.json["teams"]] == [world.ids["north"]]
    assert PASSWORD not in response.text


def test_the_cookie_is_kept_from_scripts_and_other_sites_and_from_plain_http_where_tls_is_in_use(
    world: World,
) -> None:
    secret, attributes = cookie_of(sign_in(browser(world), world))
    assert {"httponly", "samesite=lax", "path=/"} <= attributes and "secure" not in attributes
    assert "domain" not in attributes and "expires" in attributes
    over_tls = browser(world).post("https://localhost/api/session", json=credentials(world))
    assert "secure" in cookie_of(over_tls)[1]
    assert "Strict-Transport-Security" in over_tls.headers
    with world.app.app_context(), reading() as connection:
        stored = connection.execute(select(Session.digest).where(Session.org_id == world.org)).scalars().all()
    assert secret not in stored and auth.digest_of(secret) in stored


def test_a_setting_marks_the_cookie_for_tls_alone(world: World) -> None:
    settings = world.app.extensions["rounds"]
    world.app.extensions["rounds"] = replace(settings, secure_cookie=True)
    try:
        assert "secure" in cookie_of(sign_in(browser(world), world))[1]
    finally:
        world.app.extensions["rounds"] = settings


def test_an_address_is_compared_without_case_and_blanks(world: World) -> None:
    response = sign_in(browser(world), world, email=f"  {email(world, 'rob').upper()} ")
    assert response.status_code == 200


def test_every_failure_answers_alike(world: World) -> None:
    other = World(world.app, f"other-{uuid4().hex[:8]}")
    with world.app.app_context(), writing() as connection:
        connection.execute(
            update(Login)
            .where(Login.org_id == other.org, Login.person_id == other.ids["sam"])
            .values(email=email(world, "rob"), password_hash=HASHED)
        )
    world.change("person", "mia", active=False)
    failures = {
        "a wrong password": {"organisation": world_slug(world), "password": "wrong"},
        "an unknown address": {"email": "nobody@nowhere.test"},
        "an account without a password": {"email": email(world, "ria")},
        "an account that was closed": {"email": email(world, "mia")},
        "an organisation that does not exist": {"organisation": "nowhere"},
        "somebody else's organisation": {"email": email(world, "ria"), "organisation": world_slug(other)},
        "an address known in two organisations, without one": {},
        "an empty password": {"organisation": world_slug(world), "password": ""},
    }
    answers = {}
    for reason, change in failures.items():
        response = sign_in(browser(world, "192.0.2.7"), world, **change)
        body = {name: value for name, value in response.json.items() if name != "request_id"}
        headers = sorted(
            name for name, _ in response.headers if name not in {"X-Request-Id", "Content-Length"}
        )
        answers[reason] = (response.status_code, json.dumps(body, sort_keys=True), tuple(headers))
    assert len(set(answers.values())) == 1, answers
    status, body, headers = next(iter(answers.values()))
    assert (status, json.loads(body)["code"]) == (401, "SIGN_IN_FAILED")
    assert "Set-Cookie" not in headers
    assert sign_in(browser(world), world, organisation=world_slug(world)).status_code == 200


def world_slug(world: World) -> str:
    return str(world.get("rob", "/api/me").json["organisation"]["slug"])


@pytest.mark.parametrize("field", ["email", "password", "device"])
def test_what_is_missing_is_named(world: World, field: str) -> None:
    asked = credentials(world)
    del asked[field]
    response = browser(world).post("/api/session", json=asked)
    assert (response.status_code, response.json["code"]) == (422, "INVALID")
    assert field in json.dumps(response.json["fields"])


@pytest.mark.parametrize("field", ["organisation", "email", "password"])
@pytest.mark.parametrize("value", ["a\0b", "\ud800", "x" * 5000, 7, {"a": 1}, None])
def test_what_no_database_takes_is_invalid_and_never_an_error_of_ours(
    world: World, field: str, value: Any
) -> None:
    response = browser(world).post("/api/session", json=credentials(world, **{field: value}))
    expected = (200, None) if (field, value) == ("organisation", None) else (422, "INVALID")
    assert (response.status_code, response.json.get("code")) == expected


# --- too many attempts -------------------------------------------------------------------------------------------------


def test_too_many_failures_close_an_account_for_a_while_and_not_the_others(
    world: World, few_attempts: int
) -> None:
    for _ in range(3):
        assert sign_in(browser(world, "192.0.2.10"), world, password="wrong").status_code == 401
    # from another address, with the right password, by another process: it is the database that counts
    response = sign_in(browser(world, "192.0.2.11"), world)
    assert (response.status_code, response.json["code"]) == (429, "TOO_MANY_ATTEMPTS")
    assert int(response.headers["Retry-After"]) > 0
    assert sign_in(browser(world, "192.0.2.10"), world, "mia").status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=few_attempts + 1)):
        assert sign_in(browser(world), world).status_code == 200


def test_an_account_that_does_not_exist_is_counted_just_the_same(world: World, few_attempts: int) -> None:
    unknown = f"{uuid4().hex}@nowhere.test"
    codes = [sign_in(browser(world, "192.0.2.12"), world, email=unknown).json["code"] for _ in range(4)]
    assert codes == ["SIGN_IN_FAILED"] * 3 + ["TOO_MANY_ATTEMPTS"]


def test_signing_in_takes_the_count_back(world: World, few_attempts: int) -> None:
    for _ in range(2):
        for _ in range(2):
            assert sign_in(browser(world, "192.0.2.13"), world, password="wrong").status_code == 401
        assert sign_in(browser(world, "192.0.2.13"), world).status_code == 200


def test_an_address_that_tries_many_accounts_is_closed_too(world: World, few_attempts: int) -> None:
    now, address = datetime.now(UTC), f"address:198.51.100.{uuid4().int % 250}"
    with world.app.app_context(), writing() as connection:
        tries = [{"subject": address, "at": now}] * (3 * session.MOST_TRIES_OF_AN_ADDRESS)
        connection.execute(insert(SignInAttempt), tries)
    response = sign_in(browser(world, address.removeprefix("address:")), world)
    assert (response.status_code, response.json["code"]) == (429, "TOO_MANY_ATTEMPTS")
    assert sign_in(browser(world, "203.0.113.9"), world).status_code == 200
    # nobody gets another address by claiming one
    claimed = sign_in(
        browser(world, address.removeprefix("address:")), world, headers={"X-Forwarded-For": "203.0.113.10"}
    )
    assert claimed.status_code == 429


# --- cookie and token --------------------------------------------------------------------------------------------------


def test_a_token_does_everywhere_what_the_cookie_does(world: World) -> None:
    world.customer("Shop")
    client = browser(world)
    sign_in(client, world, "mia")
    token = {"Authorization": f"Bearer {world.tokens['mia']}"}
    for path in ("/api/me", "/api/board", "/api/visits", "/api/customers"):
        by_cookie, by_token = client.get(path), world.app.test_client().get(path, headers=token)
        timeless = [
            {name: value for name, value in one.json.items() if name not in {"server_time", "generated_at"}}
            for one in (by_cookie, by_token)
        ]
        assert by_cookie.status_code == by_token.status_code == 200 and timeless[0] == timeless[1], path
    mia = world.phone("mia")
    visit = mia.check_in(world.ids["Shop"])
    assert client.post("/api/sync", json=mia.envelope(visit)).json["receipts"][0]["status"] == "applied"
    assert mia.push(visit)[0]["status"] == "applied"


def test_a_bad_token_is_not_saved_by_a_good_cookie(world: World) -> None:
    client = browser(world)
    sign_in(client, world)
    for header in ("Bearer nothing", "Bearer", "Basic cm9iOng=", "bearer  "):
        assert client.get("/api/me", headers={"Authorization": header}).status_code == 401, header


def test_a_revoked_token_is_none(world: World) -> None:
    with world.app.app_context(), writing() as connection:
        mine = (ApiToken.org_id == world.org, ApiToken.person_id == world.ids["ria"])
        connection.execute(update(ApiToken).where(*mine).values(revoked_at=datetime.now(UTC)))
    assert world.get("ria", "/api/me").status_code == 401
    assert world.phone("ria").send().status_code == 401


# --- other sites -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.test"},
        {"Origin": "null"},
        {"Origin": "http://localhost.elsewhere.test"},
        {"Origin": "http://localhost:81"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_writes_nothing_with_somebodys_cookie(world: World, headers: dict[str, str]) -> None:
    client, rob = browser(world), world.phone("rob")
    sign_in(client, world)
    visit = rob.check_in(world.customer("Shop"))
    for method, path, body in (
        ("POST", "/api/sync", rob.envelope(visit)),
        ("DELETE", "/api/session", None),
        ("POST", "/api/session", credentials(world, "mia")),
        (
            "POST",
            "/api/session/invite",
            {"invite": "x", "password": PASSWORD, "device": {"client": str(uuid4())}},
        ),
    ):
        response = client.open(path, method=method, json=body, headers=headers)
        assert (response.status_code, response.json["code"]) == (403, "BAD_ORIGIN"), path
        assert "Set-Cookie" not in response.headers
    assert client.get("/api/me", headers=headers).json["person"]["name"] == "Rob"
    assert world.get("rob", "/api/visits").json["items"] == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
)
def test_ones_own_site_writes(world: World, headers: dict[str, str]) -> None:
    client, rob = browser(world), world.phone("rob")
    sign_in(client, world, headers=headers)
    response = client.post("/api/sync", json=rob.envelope(rob.create("customer", name="X")), headers=headers)
    assert response.json["receipts"][0]["status"] == "applied"


def test_an_origin_of_the_settings_may_write(world: World) -> None:
    settings = world.app.extensions["rounds"]
    world.app.extensions["rounds"] = replace(settings, origins=frozenset({"https://app.example"}))
    try:
        client, rob = browser(world), world.phone("rob")
        sign_in(client, world)
        for origin, status in (("https://app.example", 200), ("http://app.example", 403)):
            response = client.post("/api/sync", json=rob.envelope(), headers={"Origin": origin})
            assert response.status_code == status, origin
    finally:
        world.app.extensions["rounds"] = settings


def test_a_token_needs_no_origin(world: World) -> None:
    rob = world.phone("rob")
    body = json.dumps(rob.envelope(rob.create("customer", name="X"))).encode()
    assert rob.post(body, Origin="https://elsewhere.test").status_code == 200


# --- out ---------------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_on_the_server(world: World) -> None:
    client = browser(world)
    secret, _ = cookie_of(sign_in(client, world))
    other = browser(world)
    sign_in(other, world)
    response = client.delete("/api/session")
    assert response.status_code == 204 and not response.data
    assert "rounds_session=;" in response.headers["Set-Cookie"]
    thief = browser(world)
    thief.set_cookie("rounds_session", secret)
    assert thief.get("/api/me").status_code == 401
    assert client.get("/api/me").status_code == 401
    assert other.get("/api/me").status_code == 200


def test_a_revoked_device_is_signed_out(world: World) -> None:
    client = browser(world)
    sign_in(client, world)
    with world.app.app_context(), writing() as connection:
        connection.execute(
            update(Device).where(Device.org_id == world.org).values(revoked_at=datetime.now(UTC))
        )
    assert client.get("/api/me").json["code"] == "SIGN_IN_REQUIRED"


def test_a_session_ends_after_its_days(world: World) -> None:
    client = browser(world)
    sign_in(client, world)
    days = world.app.extensions["rounds"].session_days
    with time_machine.travel(datetime.now(UTC) + timedelta(days=days, seconds=-60)):
        client.set_cookie("rounds_session", client.get_cookie("rounds_session").value)
        assert client.get("/api/me").status_code == 200
    secret = client.get_cookie("rounds_session").value
    with time_machine.travel(datetime.now(UTC) + timedelta(days=days, seconds=60)):
        client.set_cookie("rounds_session", secret)
        assert client.get("/api/me").status_code == 401


def test_a_closed_account_uploads_and_signs_out_and_nothing_else(world: World) -> None:
    shop = world.customer("Shop")
    client, rob = browser(world), world.phone("rob")
    sign_in(client, world)
    world.change("person", "rob", active=False)
    for path in ("/api/me", "/api/visits", "/api/customers"):
        answer = client.get(path)
        assert answer.status_code == 401 and answer.json["reason"] == "deactivated"
    sent = client.post("/api/sync", json=rob.envelope(rob.check_in(shop), pull={"token": None}))
    assert sent.json["receipts"][0]["status"] == "applied" and sent.json["pull"] is None
    assert client.delete("/api/session").status_code == 204
    assert sign_in(client, world).json["code"] == "SIGN_IN_FAILED"


# --- invitations -------------------------------------------------------------------------------------------------------


def invite(world: World, who: str, days: int = 7) -> str:
    secret = auth.new_secret(world.org)
    with world.app.app_context(), writing() as connection:
        connection.execute(
            insert(Invite),
            [
                {
                    "org_id": world.org,
                    "digest": auth.digest_of(secret),
                    "person_id": world.ids[who],
                    "expires_at": datetime.now(UTC) + timedelta(days=days),
                    "used_at": None,
                    "uploads": False,
                }
            ],
        )
    return secret


def accept(world: World, secret: str, password: str = "a password of ria's") -> Any:
    asked = {"invite": secret, "password": password, "device": {"client": str(uuid4())}}
    return browser(world).post("/api/session/invite", json=asked)


def test_an_invitation_works_once(world: World) -> None:
    secret = invite(world, "ria")
    first, second = accept(world, secret), accept(world, secret, "another password")
    assert first.status_code == 200 and first.json["person"]["id"] == world.ids["ria"]
    assert {"httponly", "samesite=lax"} <= cookie_of(first)[1]
    assert (second.status_code, second.json["code"]) == (401, "SIGN_IN_FAILED")
    assert sign_in(browser(world), world, "ria", password="a password of ria's").status_code == 200
    assert sign_in(browser(world), world, "ria", password="another password").status_code == 401


def test_an_invitation_that_cannot_be_taken_changes_nothing(world: World) -> None:
    late, closed, short = invite(world, "ria", days=-1), invite(world, "sam"), invite(world, "ria")
    world.change("person", "sam", active=False)
    other = World(world.app, f"other-{uuid4().hex[:8]}")
    moved = f"{other.tokens['sam'].partition('.')[0]}.{invite(world, 'ria').partition('.')[2]}"
    answers = {accept(world, secret).get_data() for secret in (late, closed, moved, "x", "é.\x7f")}
    assert len({json.dumps({**json.loads(one), "request_id": None}) for one in answers}) == 1
    assert accept(world, short, "short").status_code == 422
    assert accept(world, short, "long enough now").status_code == 200
    world.change("person", "sam", active=True)
    assert accept(world, closed).status_code == 200


def test_a_password_is_stored_as_argon2id_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    hashed = session.hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$") and PASSWORD not in hashed
    assert hashed != session.hash_password(PASSWORD)
