"""The wire of calendar feeds."""

from __future__ import annotations

from marshmallow import Schema, fields


class FeedOut(Schema):
    """Whether there is a feed, since when, and when it was last read (to the hour). Its address was told when made."""

    active = fields.Boolean()
    created_at = fields.String(allow_none=True)
    read_at = fields.String(allow_none=True)


class MadeOut(Schema):
    """The address of a new feed. Whoever has it reads the calendar: it is a secret, and not told again."""

    url = fields.String()
    created_at = fields.String()
