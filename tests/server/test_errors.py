"""Whatever goes wrong is told in one shape, with a code and a request id, and nothing of the inside."""

import json
import logging
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from server.app import JsonLines, create_app
from server.config import BadSetting, Config, from_environment
from tests.conftest import SECRET
from tests.world import World


def is_problem(response: Any, status: int, code: str) -> bool:
    body = response.json
    return (
        response.status_code == status
        and response.content_type == "application/json"
        and body.keys() >= {"code", "detail", "fields", "request_id"}
        and body["code"] == code
        and isinstance(body["detail"], str)
        and isinstance(body["fields"], dict)
        and body["request_id"] == response.headers["X-Request-Id"]
    )


# --- one shape ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api/", "/api/visits/nothing", "/api/board/x", "/assets/no.js"]
)
def test_what_is_not_there_is_a_problem_too(shared_app: Any, path: str) -> None:
    assert is_problem(shared_app.test_client().get(path), 404, "NOT_FOUND")


def test_a_method_that_is_not_there_names_those_that_are(shared_world: World) -> None:
    for rule in shared_world.app.url_map.iter_rules():
        allowed = {
            method
            for other in shared_world.app.url_map.iter_rules()
            if other.rule == rule.rule
            for method in other.methods
        }
        path = rule.rule.replace("<uuid:visit>", shared_world.org).replace("<path:path>", "x")
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
            response = shared_world.app.test_client().open(path, method=method)
            if path.startswith("/api") and method == "GET":
                # the app's own pages take every GET; below /api there are none
                assert is_problem(response, 404, "NOT_FOUND") or is_problem(
                    response, 405, "METHOD_NOT_ALLOWED"
                )
                continue
            assert is_problem(response, 405, "METHOD_NOT_ALLOWED"), (path, method, response.text)
            named = {one.strip() for one in response.headers["Allow"].split(",")}
            assert named and named <= allowed | {"GET", "HEAD", "OPTIONS"}, (path, method)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(shared_world: World) -> None:
    response = shared_world.phone("rob").post(b" " * (6 * 1024 * 1024))
    assert is_problem(response, 413, "TOO_LARGE")
    response = shared_world.app.test_client().post(
        "/api/session", data=b" " * (6 * 1024 * 1024), content_type="application/json"
    )
    assert is_problem(response, 413, "TOO_LARGE")


def test_an_encoding_nobody_knows_is_named_as_such(shared_world: World) -> None:
    for encoding in ("br", "deflate", "zstd", "gzip, gzip"):
        response = shared_world.phone("rob").post(b"{}", Content_Encoding=encoding)
        assert is_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE"), encoding


def test_a_gzip_that_breaks_off_or_goes_wrong_inside_is_no_gzip(shared_world: World) -> None:
    import gzip

    whole = gzip.compress(json.dumps(shared_world.phone("rob").envelope()).encode() * 20)
    broken = whole[:20] + b"\xff" * 40 + whole[60:]
    for body in (whole[:-10], whole[:5], broken, b"\x1f\x8b", whole[:-4] + b"\0\0\0\0"):
        assert is_problem(
            shared_world.phone("rob").post(body, Content_Encoding="gzip"), 400, "BAD_ENCODING"
        ), body[:30]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/board?date=tomorrow", "date"),
        ("/api/board?team=north", "team"),
        ("/api/visits?status=lost", "status"),
        ("/api/visits?limit=0", "limit"),
        ("/api/visits?limit=501", "limit"),
        ("/api/visits?from=2026-02-30", "from"),
        ("/api/customers?near=51", "near"),
        ("/api/customers?near=nan,0", "near"),
        ("/api/customers?near=91,0", "near"),
        ("/api/customers?q=" + "x" * 201, "q"),
        ("/api/customers?q=%00", "q"),
        ("/api/customers?grade=D", "grade"),
    ],
)
def test_a_question_that_makes_no_sense_is_invalid_and_its_field_named(
    shared_world: World, path: str, field: str
) -> None:
    response = shared_world.get("mia", path)
    assert is_problem(response, 422, "INVALID"), response.text
    assert field in json.dumps(response.json["fields"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe"])
def test_a_body_that_is_no_json_is_a_problem_too(shared_app: Any, body: bytes) -> None:
    response = shared_app.test_client().post("/api/session", data=body, content_type="application/json")
    assert response.status_code in {400, 422}
    assert is_problem(response, response.status_code, response.json["code"])


def test_something_unexpected_shows_nothing_of_the_inside(
    shared_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("the secret inside")

    monkeypatch.setattr("server.people.routes.parents_of", breaks)
    with caplog.at_level(logging.ERROR):
        response = shared_world.get("rob", "/api/me")
    assert is_problem(response, 500, "INTERNAL")
    assert not any(word in response.text for word in ("secret", "Zero", "Traceback", ".py"))
    assert "the secret inside" in caplog.text


def test_a_log_line_is_json_and_carries_the_request_and_no_secret(
    shared_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="rounds"):
        response = shared_world.get("rob", "/api/me")
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    (line,) = [line for line in lines if line["message"] == "request"]
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert (line["path"], line["status"]) == ("/api/me", 200)
    assert shared_world.tokens["rob"] not in json.dumps(lines)


# --- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/api/me", "/api/docs", "/api/openapi.json", "/healthz", "/api/nothing"]
)
def test_every_answer_carries_the_headers_that_keep_a_browser_safe(shared_app: Any, path: str) -> None:
    headers = shared_app.test_client().get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'" and policy["script-src"] == "'self'"
    assert policy["object-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'" and policy["img-src"] == "'self' data: blob:"
    assert (
        "unsafe" not in headers["Content-Security-Policy"]
        and "http" not in headers["Content-Security-Policy"]
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "geolocation=(self)" in headers["Permissions-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Server" not in headers and "X-Powered-By" not in headers
    assert "Access-Control-Allow-Origin" not in headers


def test_no_cache_keeps_an_answer_of_the_api(shared_world: World) -> None:
    for path in ("/api/me", "/api/visits", "/api/customers"):
        assert shared_world.get("rob", path).headers["Cache-Control"] == "no-store", path
    assert "no-cache" in shared_world.get("mia", "/api/board").headers["Cache-Control"]


def test_request_ids_are_ones_own_and_each_another(shared_app: Any) -> None:
    client = shared_app.test_client()
    given = "x-forged-id"
    found = {
        client.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"] for _ in range(5)
    }
    assert len(found) == 5 and given not in found


# --- behind a proxy ----------------------------------------------------------------------------------------------------

FORWARDED = {
    "X-Forwarded-For": "203.0.113.5",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "rounds.example",
}


@pytest.mark.parametrize("proxies", [0, 1])
def test_forwarded_headers_are_believed_only_where_the_setting_says_so(
    sqlite_url: str, proxies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, trusted_proxies=proxies))
    seen: list[str] = []
    monkeypatch.setattr(
        "server.people.routes.session.sign_in",
        lambda config, asked, address, now: seen.append(address) or (_ for _ in ()).throw(KeyError()),
    )
    asked = {"email": "x", "password": "y", "device": {"client": "0" * 32}}
    response = app.test_client().post(
        "/api/session", json=asked, headers=FORWARDED | {"Origin": "https://rounds.example"}
    )
    if proxies:
        assert response.status_code == 500 and seen == ["203.0.113.5"]
        assert "Strict-Transport-Security" in response.headers
    else:
        assert is_problem(response, 403, "BAD_ORIGIN") and seen == []
        app.test_client().post("/api/session", json=asked, headers=FORWARDED)
        assert seen == ["127.0.0.1"]
        assert "Strict-Transport-Security" not in response.headers


def test_only_as_many_proxies_are_believed_as_there_are(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, trusted_proxies=1))
    seen: list[str] = []
    monkeypatch.setattr(
        "server.people.routes.session.sign_in",
        lambda config, asked, address, now: seen.append(address) or (_ for _ in ()).throw(KeyError()),
    )
    asked = {"email": "x", "password": "y", "device": {"client": "0" * 32}}
    headers = {"X-Forwarded-For": "192.0.2.66, 203.0.113.5"}
    app.test_client().post("/api/session", json=asked, headers=headers)
    assert seen == ["203.0.113.5"]


# --- health ------------------------------------------------------------------------------------------------------------


def test_a_server_with_its_database_is_ready(shared_app: Any) -> None:
    assert shared_app.test_client().get("/readyz").status_code == 200
    assert shared_app.test_client().get("/healthz").status_code == 200


def test_a_server_without_its_tables_is_alive_but_not_ready(tmp_path: Path) -> None:
    app = create_app(Config(database_url=f"sqlite:///{tmp_path / 'empty.db'}", secret=SECRET))
    response = app.test_client().get("/readyz")
    assert is_problem(response, 503, "BUSY") and response.headers["Retry-After"]
    assert app.test_client().get("/healthz").status_code == 200


def test_a_server_whose_database_is_gone_is_not_ready_and_says_busy(postgres: Any, tmp_path: Path) -> None:
    config = Config(database_url=postgres.url("no_such_database"), secret=SECRET, state_dir=tmp_path)
    client = create_app(config).test_client()
    response = client.get("/readyz")
    assert is_problem(response, 503, "BUSY") and response.headers["Retry-After"]
    assert "no_such_database" not in response.text and str(postgres.folder) not in response.text
    assert client.get("/healthz").status_code == 200
    token = {"Authorization": f"Bearer {'0' * 32}.x"}
    for path in ("/api/me", "/api/board"):
        response = client.get(path, headers=token)
        assert is_problem(response, 503, "BUSY") and response.headers["Retry-After"], path


def test_a_file_that_is_no_database_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "rounds.db"
    path.write_bytes(b"This is no database." * 500)
    app = create_app(Config(database_url=f"sqlite:///{path}", secret=SECRET))
    assert is_problem(app.test_client().get("/readyz"), 503, "BUSY")


def test_a_database_that_was_cut_off_and_came_back_is_used_again(postgres_url: str) -> None:
    import psycopg

    app = create_app(Config(database_url=postgres_url, secret=SECRET))
    assert app.test_client().get("/readyz").status_code == 200
    dsn = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert app.test_client().get("/readyz").status_code == 200
    from server.db import db

    with app.app_context():
        db.engine.dispose()


def test_metrics_can_be_read_by_their_reader(shared_world: World) -> None:
    shared_world.get("rob", "/api/me")
    shared_world.get("rob", "/api/nothing/" + shared_world.org)
    text = shared_world.app.test_client().get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    counted = {
        (sample.labels["endpoint"], sample.labels["status"]): sample.value
        for sample in families["rounds_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counted["people.me", "200"] >= 1
    # ids in addresses would make a new series each, and tell who was asked about
    assert shared_world.org not in text
    assert families["rounds_request_seconds"].type == "histogram"


# --- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROUNDS_SECRET", "short"),
        ("ROUNDS_DATABASE_URL", "mysql://x"),
        ("ROUNDS_DATABASE_URL", "rounds.db"),
        ("ROUNDS_TRUSTED_PROXIES", "many"),
        ("ROUNDS_TRUSTED_PROXIES", "-1"),
        ("ROUNDS_TRUSTED_PROXIES", "11"),
        ("ROUNDS_SECURE_COOKIE", "perhaps"),
        ("ROUNDS_SESSION_DAYS", "0"),
        ("ROUNDS_SESSION_DAYS", "1.5"),
        ("ROUNDS_SESSION_DAYS", ""),
        ("ROUNDS_SIGN_IN_ATTEMPTS", "0"),
        ("ROUNDS_LOCK_TIMEOUT_MS", "1"),
        ("ROUNDS_LOCK_TIMEOUT_MS", "²"),
    ],
)
def test_a_bad_setting_stops_the_start_and_is_named(tmp_path: Path, name: str, value: str) -> None:
    environment = {"ROUNDS_STATE": str(tmp_path), "ROUNDS_SECRET": "x" * 40} | {name: value}
    with pytest.raises(BadSetting, match=name):
        from_environment(environment)


def test_without_a_secret_one_is_made_once_and_kept_to_oneself(tmp_path: Path) -> None:
    environment = {"ROUNDS_STATE": str(tmp_path / "state")}
    first, second = from_environment(environment), from_environment(environment)
    assert first.secret == second.secret and len(first.secret) >= 32
    assert (tmp_path / "state" / "secret").stat().st_mode & 0o077 == 0
    assert first.secret.decode() not in repr(first)
    other = from_environment({"ROUNDS_STATE": str(tmp_path / "other")})
    assert other.secret != first.secret


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:///x.db", "sqlite:///x.db"),
    ],
)
def test_an_address_of_a_database_may_be_written_as_people_write_it(given: str, used: str) -> None:
    environment = {"ROUNDS_SECRET": "x" * 40, "ROUNDS_DATABASE_URL": given}
    assert from_environment(environment).database_url == used


def test_settings_do_not_change_once_they_are_read() -> None:
    config = Config(database_url="sqlite:///x.db", secret=SECRET)
    with pytest.raises(AttributeError):
        config.session_days = 1  # type: ignore[misc]
    assert replace(config, session_days=1).session_days == 1


def test_sqlite_keeps_what_it_acknowledged_through_a_power_cut(sqlite_url: str) -> None:
    app: Flask = create_app(Config(database_url=sqlite_url, secret=SECRET))
    from sqlalchemy import text

    from server.db import reading

    with app.app_context(), reading() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    plain = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()
