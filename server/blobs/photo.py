"""What bytes are, told by decoding them, never by a name.

The address of a photo is the hash of its bytes, so the server changes none of them: what must not come in is refused
instead. The phone takes every note of the camera out before it takes the hash.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from PIL import Image, ImageOps

from server.blobs.rules import MOST_PIXELS, THUMB_SIDE

TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
"""What is taken: Pillow's name of a format -> how it is served."""

_GPS_IFD = 0x8825
# XMP is text inside the file; these are its words for a place.
_XMP_PLACE = re.compile(rb"exif:GPS|GPSLatitude|GPSLongitude")


class Unfit(ValueError):
    """Bytes that are no photo to be kept; `code` is stable: NOT_A_PHOTO, TOO_MANY_PIXELS, PHOTO_HAS_PLACE."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Photo:
    """What the bytes say of themselves: media type, width and height in pixels."""

    type: str
    width: int
    height: int


def look(data: bytes) -> Photo:
    """Decode a photo to its last pixel and say what it is; raises `Unfit`.

    A single picture in JPEG, PNG or WebP; its size is looked at before it is decoded. One that tells where it was
    taken is refused: a place is told by a tap on check-in, and by nothing else.
    """
    try:
        with Image.open(io.BytesIO(data), formats=tuple(TYPES)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Unfit("TOO_MANY_PIXELS")
            if getattr(image, "n_frames", 1) != 1:
                raise Unfit("NOT_A_PHOTO")
            found = Photo(TYPES[image.format or ""], image.width, image.height)
            has_place = bool(image.getexif().get_ifd(_GPS_IFD))
            image.load()
    except Unfit:
        raise
    except Exception as error:  # a decoder that is fed with anything may raise anything
        raise Unfit("NOT_A_PHOTO") from error
    if has_place or _XMP_PLACE.search(data):
        raise Unfit("PHOTO_HAS_PLACE")
    return found


def thumb(data: bytes) -> bytes:
    """A small JPEG of a photo that `look` has let in, upright, without any note."""
    with Image.open(io.BytesIO(data), formats=tuple(TYPES)) as image:
        image.draft("RGB", (THUMB_SIDE * 2, THUMB_SIDE * 2))
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    upright.thumbnail((THUMB_SIDE, THUMB_SIDE))
    flat = Image.new("RGB", upright.size, "white")
    flat.paste(upright, mask=upright.getchannel("A"))
    out = io.BytesIO()
    flat.save(out, "JPEG", quality=75, optimize=True)
    return out.getvalue()
