"""The program itself: how it starts, serves, refuses and ends."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from server import lan
from tests.commands import Commands
from tests.conftest import SECRET
from tests.live import PROGRAM, LiveServer, free_port

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The settings of a program on a database that is not there yet."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROUNDS_")}
    return clean | {"ROUNDS_STATE": str(tmp_path / "state"), "ROUNDS_SECRET": SECRET.decode()}


def started(environment: dict[str, str], folder: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """`rounds serve` in a folder, and the line in which it says where it is."""
    process = subprocess.Popen(
        [PROGRAM, "serve", *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def ready(url: str, process: subprocess.Popen[str], context: ssl.SSLContext | None = None) -> None:
    """Waits until it answers; it listens before its workers are up, so the first question may simply wait."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=60, context=context) as answer:
                assert answer.read() == b"ready\n"
                return
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
    raise AssertionError(process.communicate()[1])


def test_a_killed_server_leaves_no_worker_on_its_port_and_starts_again_there(
    environment: dict[str, str], tmp_path: Path
):
    port = str(free_port())
    for _ in range(2):
        process, said = started(environment, tmp_path, "--port", port, "--workers", "2")
        assert said == f"Rounds is at http://127.0.0.1:{port}"
        ready(said.removeprefix("Rounds is at "), process)
        process.kill()  # the process alone, not its group
        process.communicate()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_from_any_folder_says_where_logs_json_and_ends_when_told(
    environment: dict[str, str], tmp_path: Path, sign: signal.Signals
):
    port = free_port()
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    process, said = started(environment, elsewhere, "--port", str(port), "--workers", "2")
    assert said == f"Rounds is at http://127.0.0.1:{port}"
    ready(f"http://127.0.0.1:{port}", process)
    process.send_signal(sign)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and out == ""
    lines = [json.loads(line) for line in errors.splitlines()]
    (asked,) = [line for line in lines if line["message"] == "request"]
    assert (asked["path"], asked["status"], asked["level"]) == ("/readyz", 200, "info")
    assert list(elsewhere.iterdir()) == []
    assert (tmp_path / "state" / "rounds.db").exists()


def test_bodies_that_crawl_break_off_or_have_no_end_hold_nobody_up_and_are_not_taken(
    environment: dict[str, str], tmp_path: Path
):
    port = free_port()
    process, _ = started(environment, tmp_path, "--port", str(port), "--workers", "1", "--no-ticker")
    ready(f"http://127.0.0.1:{port}", process)
    crawling = [_begun(port, "Content-Length: 40") for _ in range(40)]
    try:
        ready(f"http://127.0.0.1:{port}", process)
        crawling[0].sendall(b" " * 38 + b"}")  # and one that comes in whole after all is answered by the app
        assert _said(crawling[0]) == (422, "INVALID")
        crawling[1].shutdown(socket.SHUT_WR)
        assert _said(crawling[1]) == (400, "BAD_REQUEST")
        endless = _begun(port, "Transfer-Encoding: chunked", b"1\r\n{\r\n")
        assert _said(endless) == (411, "LENGTH_REQUIRED")
        large = _begun(port, "Content-Length: 99999999")
        assert _said(large) == (413, "TOO_LARGE")
        crawling += [endless, large]
    finally:
        for line in crawling:
            line.close()
        process.terminate()
        process.communicate()


def _begun(port: int, length: str, beginning: bytes = b"{") -> socket.socket:
    """A request whose body has begun."""
    line = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = f"POST /api/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
    line.sendall(head.encode() + beginning)
    return line


def _said(line: socket.socket) -> tuple[int, str]:
    """The status and the code of what is answered there."""
    answer = http.client.HTTPResponse(line)
    answer.begin()
    return answer.status, json.loads(answer.read())["code"]


def test_a_taken_port_is_said_in_a_line(tmp_path: Path):
    rounds = Commands(f"sqlite:///{tmp_path / 'rounds.db'}", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = rounds("serve", "--port", str(taken.getsockname()[1]), code=1).output
    assert "cannot listen" in said and "--port" in said and len(said.splitlines()) == 1
    assert not (tmp_path / "rounds.db").exists()
    assert "cannot listen" in rounds("serve", "--host", "no.such.host.invalid", code=1).output


def test_a_certificate_without_its_key_is_refused(tmp_path: Path):
    rounds = Commands(f"sqlite:///{tmp_path / 'rounds.db'}", tmp_path)
    made = lan.papers(tmp_path / "a", [], datetime.now(UTC))
    other = lan.papers(tmp_path / "b", [], datetime.now(UTC))
    assert "belong together" in rounds("serve", "--tls-cert", made.certificate, code=2).output
    said = rounds("serve", "--tls-cert", made.certificate, "--tls-key", other.key, code=1).output
    assert "certificate and its key" in said
    said = rounds("serve", "--tls-cert", made.key, "--tls-key", made.key, code=1).output
    assert "certificate and its key" in said


def test_over_tls_the_cookie_is_secure_and_plain_http_gets_nothing(
    environment: dict[str, str], tmp_path: Path
):
    made = lan.papers(tmp_path / "lan", [], datetime.now(UTC))
    port = free_port()
    Commands(f"sqlite:///{tmp_path / 'state' / 'rounds.db'}", tmp_path / "state").init()
    process, said = started(
        environment, tmp_path, "--port", str(port), "--workers", "1",
        "--tls-cert", str(made.certificate), "--tls-key", str(made.key),
    )  # fmt: skip
    try:
        assert said == f"Rounds is at https://127.0.0.1:{port}"
        trusting = ssl.create_default_context(cafile=str(made.authority))
        ready(said.rpartition(" ")[2], process, trusting)
        device = {"client": "6f9619ff-8b86-4011-b42d-00c04fc964ff", "name": ""}
        asked = {"email": "admin@acme.test", "password": "correct horse", "device": device}
        request = urllib.request.Request(
            f"https://127.0.0.1:{port}/api/session",
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, context=trusting) as answer:
            assert "; Secure" in answer.headers["Set-Cookie"]
            assert answer.headers["Strict-Transport-Security"]
        with pytest.raises((OSError, http.client.HTTPException)):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60)
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", context=ssl.create_default_context())
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_a_proxy_is_believed_only_when_told(sqlite_url: str, tmp_path: Path):
    Commands(sqlite_url, tmp_path / "state").init()
    device = {"client": "6f9619ff-8b86-4011-b42d-00c04fc964ff", "name": ""}
    asked = json.dumps({"email": "admin@acme.test", "password": "correct horse", "device": device}).encode()

    def cookie(proxies: str) -> str:
        server = LiveServer(sqlite_url, tmp_path / f"state{proxies}", ROUNDS_TRUSTED_PROXIES=proxies)
        server.start()
        try:
            headers = {"Content-Type": "application/json", "X-Forwarded-Proto": "https"}
            with urllib.request.urlopen(
                urllib.request.Request(f"{server.url}/api/session", asked, headers)
            ) as answer:
                return str(answer.headers["Set-Cookie"])
        finally:
            server.stop()

    assert "; Secure" not in cookie("0")
    assert "; Secure" in cookie("1")


# -- the authority of the local network ----------------------------------------------------------------------------------


def test_the_authority_is_kept_and_the_certificate_follows_the_addresses(tmp_path: Path):
    home, cafe = IPv4Address("192.168.1.20"), IPv4Address("10.0.0.7")
    made = lan.papers(tmp_path, [home], NOW)
    authority, certificate, key = (path.read_bytes() for path in (made.authority, made.certificate, made.key))
    assert lan.papers(tmp_path, [home], NOW + timedelta(days=300)) == made
    assert (made.authority.read_bytes(), made.certificate.read_bytes()) == (authority, certificate)
    lan.papers(tmp_path, [cafe], NOW)
    assert made.authority.read_bytes() == authority
    assert made.certificate.read_bytes() != certificate and made.key.read_bytes() != key
    told = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = told.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert cafe in names.get_values_for_type(x509.IPAddress)
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert (told.not_valid_after_utc - told.not_valid_before_utc).days <= 398
    fresh = made.certificate.read_bytes()
    lan.papers(tmp_path, [cafe], NOW + timedelta(days=370))
    assert made.certificate.read_bytes() != fresh


def test_keys_are_for_their_owner_alone_and_the_authority_vouches_for_private_addresses_alone(tmp_path: Path):
    made = lan.papers(tmp_path, [IPv4Address("192.168.1.20")], NOW)
    for path in tmp_path.glob("*-key.pem"):
        assert path.stat().st_mode & 0o077 == 0
    authority = x509.load_pem_x509_certificate(made.authority.read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    allowed = constraints.value.permitted_subtrees or []
    assert constraints.critical
    assert {str(each.value) for each in allowed} == {*lan.PRIVATE, "localhost", "local"}
    basic = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (basic.ca, basic.path_length) == (True, 0)


def test_a_damaged_authority_is_made_anew(tmp_path: Path):
    made = lan.papers(tmp_path, [], NOW)
    made.authority.write_bytes(b"-----BEGIN CERTIFICATE-----\nnonsense\n")
    (tmp_path / "authority-key.pem").write_bytes(b"")
    made.certificate.write_bytes(b"")
    lan.papers(tmp_path, [], NOW)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)


def test_a_phone_finds_the_certificate_and_the_way_on_over_plain_http(tmp_path: Path):
    made = lan.papers(tmp_path, [], NOW)
    page = lan.offer(made, "127.0.0.1", 0, "https://192.168.1.20:8080")
    url = f"http://127.0.0.1:{page.server_port}"
    try:
        with urllib.request.urlopen(f"{url}/") as answer:
            text = answer.read().decode()
        assert 'href="https://192.168.1.20:8080"' in text and 'href="/rounds.crt"' in text
        with urllib.request.urlopen(f"{url}/rounds.crt") as answer:
            assert answer.headers["Content-Type"] == "application/x-x509-ca-cert"
            assert answer.read() == made.authority.read_bytes()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}/authority-key.pem")
    finally:
        page.shutdown()
        page.server_close()


# -- demo ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The demo's command, which comes back when it would begin to serve; `demo.served` says how it would."""
    from server.cli import run

    rounds = Commands(f"sqlite:///{tmp_path / 'demo.db'}", tmp_path / "state")
    served: list[Any] = []
    monkeypatch.setattr(run, "run", served.append)
    monkeypatch.setattr("server.demo.run.DAYS", 2)  # what sixty days hold is asked where they are made
    rounds.served = served  # type: ignore[attr-defined]
    return rounds


def test_the_demo_stays_out_of_a_database_in_which_somebody_works(demo: Any):
    demo.init()
    said = demo("demo", code=1).output
    assert "acme, which is no demo" in said and "ROUNDS_STATE" in said
    assert demo.served == []


def test_the_demo_needs_its_port_before_it_makes_anything(demo: Any, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "cannot listen" in demo("demo", "--port", str(taken.getsockname()[1]), code=1).output
    assert not (tmp_path / "demo.db").exists()


@pytest.mark.slow
def test_the_demo_prints_an_address_and_three_sign_ins_and_keeps_them(demo: Any, tmp_path: Path):
    port = free_port()
    said = demo("demo", "--port", str(port)).stdout
    first, *sign_ins = said.splitlines()
    assert first == f"Rounds is at http://127.0.0.1:{port}"
    assert [line.split()[0] for line in sign_ins] == ["rep", "manager", "administrator"]
    assert demo("demo", "--port", str(port)).stdout == said
    assert [serving.port for serving in demo.served] == [port, port]
    server = LiveServer(f"sqlite:///{tmp_path / 'demo.db'}", tmp_path / "state", port)
    server.start()
    try:
        for line in sign_ins:
            role, email, password = line.split()
            device = {"client": "6f9619ff-8b86-4011-b42d-00c04fc964ff", "name": ""}
            asked = json.dumps({"email": email, "password": password, "device": device}).encode()
            request = urllib.request.Request(
                f"{server.url}/api/session", asked, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request) as answer:
                assert json.load(answer)["person"]["role"] == role
    finally:
        server.stop()
