"""The server of the journeys: production's own, on one port, through which an answer can be lost."""

import urllib.request

import pytest


def answer(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as response:
        return int(response.status)


def test_a_server_that_was_killed_starts_again_at_the_same_address(live_server):
    assert answer(f"{live_server.url}/readyz") == 200
    live_server.kill()
    with pytest.raises(OSError):
        answer(f"{live_server.url}/readyz")
    live_server.start()
    assert answer(f"{live_server.url}/readyz") == 200


def test_the_proxy_loses_an_answer_after_the_server_gave_it(live_server, proxied_server):
    assert answer(f"{proxied_server.url}/healthz") == 200
    proxied_server.set("lose_answers", lambda request: b"/readyz" in request)
    assert answer(f"{proxied_server.url}/healthz") == 200
    with pytest.raises(OSError):
        answer(f"{proxied_server.url}/readyz")
    assert proxied_server.answers_lost == 1
    proxied_server.set("pass")
    assert answer(f"{proxied_server.url}/readyz") == 200


@pytest.mark.parametrize("mode", ["refuse", "silence"])
def test_the_proxy_cuts_a_phone_off(proxied_server, mode):
    proxied_server.set(mode)
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{proxied_server.url}/healthz", timeout=1)
