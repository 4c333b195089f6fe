"""A photo taken without signal: kept through a killed browser, sent through a cut, seen by the manager."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import select

from server.db import reading
from server.visits.model import VisitPhoto
from tests.journeys.conftest import let_in, sign_in
from tests.world import World


def photograph(path: Path) -> Path:
    """What a phone's camera leaves behind: large, on its side, with its place and its maker in it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "A maker of cameras"
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 30.0, 0.0), 3: "W", 4: (0.0, 7.0, 0.0)})
    grain = Image.effect_noise((1000, 750), 60).convert("RGB").resize((2400, 1800))
    grain.paste("red", (0, 0, 2400, 300))  # the upper edge as it lies in the file
    grain.save(path, "JPEG", quality=92, exif=exif)
    return path


def test_a_photo_chosen_without_a_server_survives_a_killed_browser_and_a_cut_and_reaches_the_manager(
    beat: World, live_server: Any, proxied_server: Any, open_browser: Callable[..., Any], tmp_path: Path
) -> None:
    lead = let_in(beat, "mia")
    url = proxied_server.url
    rob = open_browser("rob")
    sign_in(rob.page, f"{url}/", "rob@acme.test")
    rob.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    rob.page.goto(f"{url}/customers")
    expect(rob.page.get_by_text("Fennimore’s").first).to_be_visible()
    rob.close()

    live_server.stop()
    rob = open_browser("rob")
    rob.page.goto(f"{url}/customers")
    rob.page.get_by_role("link", name="Fennimore’s").first.click()
    rob.page.get_by_role("button", name="Check in").first.click()
    expect(rob.page.get_by_role("button", name="Check out")).to_be_visible()
    with rob.page.expect_file_chooser() as chooser:
        rob.page.get_by_role("button", name="Choose photo").click()
    chooser.value.set_files(photograph(tmp_path / "camera.jpg"))
    expect(rob.page.get_by_role("button", name="Photo 1 of 1")).to_be_visible()
    visit = rob.page.url
    rob.kill()

    rob = open_browser("rob")
    rob.page.goto(visit)
    thumb = rob.page.get_by_role("button", name="Photo 1 of 1")
    expect(thumb).to_have_accessible_description("On this phone")
    thumb.click()
    large = rob.page.get_by_role("dialog").get_by_role("img")
    expect(large).to_be_visible()  # from the phone's own bytes
    rob.page.get_by_role("dialog").get_by_role("button", name="Close").click()

    # The server is back; the answers to the photo's pieces are cut off, those to the visit's changes are not.
    proxied_server.set("lose_answers", losing=lambda request: request.startswith(b"PUT /api/blobs"))
    live_server.start()
    rob.page.reload()
    while proxied_server.answers_lost == 0:
        rob.page.wait_for_timeout(50)
    expect(thumb).to_have_accessible_description("On this phone")
    proxied_server.set("pass")
    rob.page.reload()
    expect(thumb).to_have_accessible_description("Sent", timeout=30_000)

    with beat.app.app_context(), reading() as connection:
        (name,) = connection.execute(select(VisitPhoto.sha256).where(VisitPhoto.org_id == beat.org)).scalars()
    told = beat.get("mia", f"/api/blobs/{name}")
    assert told.status_code == 200, told.data
    stored = told.data
    assert hashlib.sha256(stored).hexdigest() == name
    with Image.open(io.BytesIO(stored)) as photo:
        assert photo.size == (1200, 1600)  # upright, its long edge shrunk
        assert len(photo.getexif()) == 0
        red = photo.getpixel((1190, 800))  # the file's upper edge is the right one, seen upright
        assert red[0] > 200 and red[1] < 80
    assert b"maker" not in stored

    manager = open_browser("mia", phone=False)
    sign_in(manager.page, f"{url}/", lead)
    manager.page.goto(visit)
    seen = manager.page.get_by_role("button", name="Photo 1 of 1")
    expect(seen.locator("img")).to_be_visible()
    seen.click()
    shown = manager.page.get_by_role("dialog").get_by_role("img")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => image.naturalHeight)") == 1600
