"""Photos by their hash: taken in pieces, verified, never shown to anybody who may not see what names them."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from sqlalchemy import delete, select

from server.blobs.model import Blob, BlobHolder
from server.blobs.rules import DEFAULT_BYTES
from server.blobs.store import missing, store_of
from server.db import reading, writing
from server.exchange.check import check
from server.visits.model import VisitPhoto
from tests.world import World, ago


@pytest.fixture
def world(shared_world: World) -> World:
    """Apart from other tests by its organisation."""
    return shared_world


def picture(
    seed: str = "shelf", size: tuple[int, int] = (200, 120), format: str = "JPEG", **options: Any
) -> bytes:
    """A photo with grain of its own, so that no two are alike."""
    grain = hashlib.shake_128(seed.encode()).digest(size[0] * size[1] * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", size, grain).save(out, format, **options)
    return out.getvalue()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ask(
    world: World, who: str, method: str, sha: str, data: bytes = b"", rest: str = "", **headers: str
) -> Any:
    """A request for a blob as somebody; header names with underscores for hyphens."""
    known = {"Authorization": f"Bearer {world.tokens[who]}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return world.app.test_client().open(f"/api/blobs/{sha}{rest}", method=method, data=data, headers=known)


def put(world: World, who: str, data: bytes, **headers: str) -> Any:
    return ask(world, who, "PUT", digest(data), data, **headers)


def offset(answer: Any) -> int:
    return int(answer.headers["Upload-Offset"])


def visit_with(world: World, who: str, *photos: str, customer: str | None = None) -> str:
    """A visit of somebody that is over, photos added after its end."""
    if customer is None:
        customer = world.ids.get("shop") or world.customer("shop")
    phone = world.phone(who)
    visit = phone.check_in(customer, ago(hours=1))
    names = [{"field": "photos", "op": "add", "values": [*photos]}]
    over = phone.check_out(visit["entity"])
    receipts = phone.push(visit, over, phone.mutation("visit", visit["entity"], "update", names))
    assert [receipt["status"] for receipt in receipts] == ["applied"] * 3, receipts
    return str(visit["entity"])


def take_away(world: World, visit: str, photo: str) -> None:
    phone = world.phone("rob")
    remove = [{"field": "photos", "op": "remove", "values": [photo]}]
    base = world.get("rob", f"/api/visits/{visit}").json["version"]
    (receipt,) = phone.push(phone.mutation("visit", visit, "update", remove, base=base))
    assert receipt["status"] == "applied"


# -- coming in ----------------------------------------------------------------------------------------------------------


def test_a_photo_put_whole_is_stored_and_its_sender_is_told_so(world: World) -> None:
    data = picture()
    before = ask(world, "rob", "HEAD", digest(data))
    assert (before.status_code, offset(before), before.headers["Upload-Complete"]) == (200, 0, "?0")
    answer = put(world, "rob", data)
    assert (answer.status_code, answer.json) == (200, {"status": "stored"})
    after = ask(world, "rob", "HEAD", digest(data))
    assert (offset(after), after.headers["Upload-Complete"]) == (len(data), "?1")
    assert put(world, "rob", data).json == {"status": "stored"}
    with world.app.app_context(), reading() as connection:
        (row,) = connection.execute(select(Blob.__table__).where(Blob.org_id == world.org)).mappings()
    assert (row["bytes"], row["type"], row["width"], row["height"]) == (len(data), "image/jpeg", 200, 120)


def test_an_upload_goes_on_where_it_was_left_and_nowhere_else(world: World) -> None:
    data = picture()
    sha, length = digest(data), str(len(data))
    first = ask(world, "rob", "PUT", sha, data[:1000], Upload_Length=length)
    assert (first.status_code, first.json) == (200, {"status": "partial", "offset": 1000})
    assert offset(ask(world, "rob", "HEAD", sha)) == 1000
    for wrong in ("0", "999", "1001"):
        answer = ask(world, "rob", "PUT", sha, data[int(wrong) :], Upload_Offset=wrong)
        assert (answer.status_code, answer.json["code"], answer.json["offset"]) == (
            409,
            "UPLOAD_OFFSET",
            1000,
        )
        assert offset(answer) == 1000
    last = ask(world, "rob", "PUT", sha, data[1000:], Upload_Offset="1000")
    assert last.json == {"status": "stored"}


def test_bytes_of_another_hash_are_never_stored_and_the_upload_begins_anew(world: World) -> None:
    data = picture()
    spoilt = data[:500] + bytes([data[500] ^ 1]) + data[501:]
    answer = ask(world, "rob", "PUT", digest(data), spoilt)
    assert (answer.status_code, answer.json["code"]) == (422, "HASH_MISMATCH")
    assert offset(ask(world, "rob", "HEAD", digest(data))) == 0
    assert put(world, "rob", data).json == {"status": "stored"}


def with_a_place() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 30.0, 0.0)})
    return picture(exif=exif.tobytes())


def test_what_is_no_photo_to_be_kept_is_refused_by_its_content(world: World) -> None:
    refused = {
        b"<html><script>alert(1)</script></html>": (415, "NOT_A_PHOTO"),
        b"\xff\xd8\xff" + b"not what it seems" * 20: (415, "NOT_A_PHOTO"),
        picture()[:-600]: (415, "NOT_A_PHOTO"),
        picture(format="GIF"): (415, "NOT_A_PHOTO"),
        b"RIFF\x10\x00\x00\x00WAVEfmt something": (415, "NOT_A_PHOTO"),
        with_a_place(): (422, "PHOTO_HAS_PLACE"),
        picture(xmp=b'<x:xmpmeta exif:GPSLatitude="51,30N"/>'): (422, "PHOTO_HAS_PLACE"),
    }
    for data, told in refused.items():
        answer = ask(world, "rob", "PUT", digest(data), data, Content_Type="image/jpeg")
        assert (answer.status_code, answer.json["code"]) == told, data[:40]
        assert offset(ask(world, "rob", "HEAD", digest(data))) == 0


def test_a_small_file_that_would_decode_to_a_giant_is_refused(world: World) -> None:
    out = io.BytesIO()
    Image.new("1", (9000, 9000)).save(out, "PNG")
    assert len(out.getvalue()) < 50_000
    answer = put(world, "rob", out.getvalue())
    assert (answer.status_code, answer.json["code"]) == (422, "TOO_MANY_PIXELS")


def test_three_formats_are_taken_whatever_they_are_called(world: World) -> None:
    for format in ("JPEG", "PNG", "WEBP"):
        data = picture(format=format)
        assert put(world, "rob", data, Content_Type="application/octet-stream").json == {"status": "stored"}


def test_the_largest_photo_is_what_the_organisation_says(world: World) -> None:
    data = picture()
    announced = ask(world, "rob", "PUT", digest(data), b"\xff\xd8\xff", Upload_Length=str(DEFAULT_BYTES + 1))
    assert (announced.status_code, announced.json["code"]) == (413, "TOO_LARGE")
    world.create("setting", "most", key="photo_max_bytes", value=len(data) - 1)
    answer = put(world, "rob", data)
    assert (answer.status_code, answer.json["most"]) == (413, len(data) - 1)
    assert offset(ask(world, "rob", "HEAD", digest(data))) == 0


def test_headers_that_make_no_sense_are_refused(world: World) -> None:
    for name, value in (
        ("Upload_Offset", "-1"),
        ("Upload_Offset", "1e3"),
        ("Upload_Length", "0"),
        ("Upload_Length", "²"),
        ("Upload_Length", "3"),
    ):
        answer = put(world, "rob", picture(), **{name: value})
        assert (answer.status_code, answer.json["code"]) == (422, "INVALID"), (name, value)


def test_a_closed_account_may_still_bring_its_photos_in_and_see_none(world: World) -> None:
    data = picture()
    visit_with(world, "rob", digest(data))
    world.change("person", "rob", active=False)
    assert put(world, "rob", data).json == {"status": "stored"}
    assert ask(world, "rob", "HEAD", digest(data)).headers["Upload-Complete"] == "?1"
    refused = ask(world, "rob", "GET", digest(data))
    assert (refused.status_code, refused.json["code"]) == (401, "SIGN_IN_REQUIRED")
    assert ask(world, "mia", "GET", digest(data)).data == data


# -- at the same time -----------------------------------------------------------------------------------------------------


def test_many_hands_that_send_the_same_photo_at_once_store_it_once(world: World) -> None:
    data = picture()
    sha, length = digest(data), str(len(data))

    def send() -> None:
        while True:
            at = offset(ask(world, "rob", "HEAD", sha))
            if at >= len(data):
                return
            ask(world, "rob", "PUT", sha, data[at : at + 4000], Upload_Offset=str(at), Upload_Length=length)

    hands = [threading.Thread(target=send) for _ in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    visit_with(world, "rob", sha)
    assert ask(world, "rob", "GET", sha).data == data
    with world.app.app_context(), reading() as connection:
        rows = connection.execute(select(Blob.sha256).where(Blob.org_id == world.org)).all()
        assert len(rows) == 1


def test_one_persons_half_upload_is_nobody_elses(world: World) -> None:
    data = picture()
    ask(world, "ria", "PUT", digest(data), b"\xff\xd8\xffspoilt", Upload_Length=str(len(data)))
    assert offset(ask(world, "rob", "HEAD", digest(data))) == 0
    assert put(world, "rob", data).json == {"status": "stored"}


# -- crashes --------------------------------------------------------------------------------------------------------------


def test_a_file_whose_row_a_crash_prevented_is_read_and_sent_again_alike(world: World) -> None:
    data = picture()
    visit_with(world, "rob", digest(data))
    put(world, "rob", data)

    def forget() -> None:
        with world.app.app_context(), writing() as connection:
            connection.execute(delete(BlobHolder).where(BlobHolder.org_id == world.org))
            connection.execute(delete(Blob).where(Blob.org_id == world.org))

    forget()
    assert ask(world, "mia", "GET", digest(data)).data == data
    assert ask(world, "rob", "HEAD", digest(data)).headers["Upload-Complete"] == "?1"
    forget()
    assert offset(ask(world, "rob", "HEAD", digest(data))) == 0
    assert put(world, "rob", data).json == {"status": "stored"}
    assert ask(world, "rob", "HEAD", digest(data)).headers["Upload-Complete"] == "?1"


def test_a_row_whose_file_was_lost_says_so_and_takes_the_photo_again(world: World) -> None:
    data = picture()
    visit = visit_with(world, "rob", digest(data))
    put(world, "rob", data)
    with world.app.app_context():
        store = store_of(world.app.extensions["rounds"])
        (store.folder / world.org / digest(data)[:2] / digest(data)).unlink()
        with reading() as connection:
            (found,) = missing(connection, world.org, store)
        assert (found.visit_id, found.sha256, found.lost) == (visit, digest(data), True)
    assert offset(ask(world, "rob", "HEAD", digest(data))) == 0
    assert ask(world, "mia", "GET", digest(data)).json["code"] == "NOT_STORED"
    assert put(world, "rob", data).json == {"status": "stored"}
    assert ask(world, "mia", "GET", digest(data)).data == data


def test_half_uploads_are_thrown_away_after_a_week_and_no_sooner(world: World) -> None:
    old, young, whole = picture("old"), picture("young"), picture("whole")
    for data in (old, young):
        ask(world, "rob", "PUT", digest(data), data[:900], Upload_Length=str(len(data)))
    put(world, "rob", whole)
    with world.app.app_context():
        store = store_of(world.app.extensions["rounds"])
        for path in store.folder.rglob(f"{digest(old)}*"):
            stamp = (datetime.now(UTC) - timedelta(days=8)).timestamp()
            os.utime(path, (stamp, stamp))
        assert store.collect(datetime.now(UTC)) == 1
    assert offset(ask(world, "rob", "HEAD", digest(old))) == 0
    assert offset(ask(world, "rob", "HEAD", digest(young))) == 900
    assert offset(ask(world, "rob", "HEAD", digest(whole))) == len(whole)


# -- who sees it ----------------------------------------------------------------------------------------------------------


def test_a_photo_is_seen_by_who_may_see_a_visit_that_names_it_and_by_nobody_else(world: World) -> None:
    data = picture()
    world.person("fin", "finance", "north")
    put(world, "rob", data)
    for who in ("rob", "mia", "admin"):  # nobody named it yet: not even its sender reads it here
        assert ask(world, who, "GET", digest(data)).status_code == 404
    visit_with(world, "rob", digest(data))
    for who in ("rob", "mia", "boss", "admin"):
        assert ask(world, who, "GET", digest(data)).data == data, who
    unknown = ask(world, "sam", "GET", digest(picture("unknown")))
    for who in ("ria", "sam", "fin"):
        answer = ask(world, who, "GET", digest(data))
        assert (answer.status_code, answer.json["code"]) == (unknown.status_code, unknown.json["code"]), who
        # Nor is anybody told that it is there.
        assert ask(world, who, "HEAD", digest(data)).headers["Upload-Complete"] == "?0"


def test_a_visit_that_names_a_photo_no_more_shows_it_no_more(world: World) -> None:
    data = picture()
    visit = visit_with(world, "rob", digest(data))
    put(world, "rob", data)
    take_away(world, visit, digest(data))
    assert ask(world, "mia", "GET", digest(data)).status_code == 404


def test_the_same_photo_in_two_organisations_is_two_photos(world: World) -> None:
    other, data = World(world.app, f"other-{uuid4().hex[:12]}"), picture()
    visit_with(world, "rob", digest(data))
    visit_with(other, "rob", digest(data))
    put(world, "rob", data)
    assert ask(other, "rob", "HEAD", digest(data)).headers["Upload-Complete"] == "?0"
    assert ask(other, "rob", "GET", digest(data)).json["code"] == "NOT_STORED"
    put(other, "rob", data)
    with world.app.app_context(), writing() as connection:
        connection.execute(delete(BlobHolder).where(BlobHolder.org_id == world.org))
        connection.execute(delete(Blob).where(Blob.org_id == world.org))
    store = store_of(world.app.extensions["rounds"])
    (store.folder / world.org / digest(data)[:2] / digest(data)).unlink()
    assert ask(other, "mia", "GET", digest(data)).data == data


def test_a_photo_is_served_as_what_it_is_and_can_do_nothing(world: World) -> None:
    data = picture(format="PNG")
    visit_with(world, "rob", digest(data))
    put(world, "rob", data)
    answer = ask(world, "mia", "GET", digest(data))
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Disposition"].startswith('inline; filename="')
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert "Cookie" in answer.headers["Vary"]
    again = ask(world, "mia", "GET", digest(data), If_None_Match=answer.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")


def test_a_thumbnail_is_small_upright_and_without_notes(world: World) -> None:
    for mode in ("RGB", "RGBA", "P", "L", "CMYK"):
        its_thumbnail_is_small_upright_and_without_notes(world, mode)


def its_thumbnail_is_small_upright_and_without_notes(world: World, mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif[0x010F] = "A maker of cameras"
    out = io.BytesIO()
    Image.new(mode, (800, 400)).save(out, "JPEG" if mode in {"RGB", "L", "CMYK"} else "PNG", exif=exif)
    data = out.getvalue()
    visit_with(world, "rob", digest(data))
    put(world, "rob", data)
    answer = ask(world, "mia", "GET", digest(data), rest="?size=thumb")
    assert answer.headers["Content-Type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.data)) as small:
        assert small.size == (160, 320)
        assert len(small.getexif()) == 0


# -- the journal ----------------------------------------------------------------------------------------------------------


def test_the_replay_names_the_same_photos_and_check_tells_which_are_not_here(world: World) -> None:
    here, away, gone = (digest(picture(word)) for word in ("here", "away", "gone"))
    visit = visit_with(world, "rob", here, away, gone)
    take_away(world, visit, gone)
    put(world, "rob", picture("here"))
    with world.app.app_context(), reading() as connection:
        named = connection.execute(select(VisitPhoto.sha256).where(VisitPhoto.visit_id == visit)).scalars()
        assert set(named) == {here, away}
        assert check(connection, world.org) == []
        found = missing(connection, world.org, store_of(world.app.extensions["rounds"]))
    assert [(one.sha256, one.lost) for one in found] == [(away, False)]


def test_a_visit_can_name_nothing_but_hashes(world: World) -> None:
    phone = world.phone("rob")
    visit = phone.check_in(world.customer("shop"), ago(hours=1))
    values: list[Any] = ["g" * 64, "A" * 64, "a" * 63, "../../secret", 7]
    adds = [
        phone.mutation(
            "visit", visit["entity"], "update", [{"field": "photos", "op": "add", "values": [one]}]
        )
        for one in values
    ]
    told = [(one["status"], one["code"]) for one in phone.push(visit, *adds)]
    assert told == [("applied", None)] + [("parked", "INVALID")] * len(values)
