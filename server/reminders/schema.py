"""The wire of reminders: how a person wants to be told."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from server.fields import Text

_CLOCK = validate.Regexp(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")


class WishesSchema(Schema):
    """Times are `HH:MM` on the wall of the person's zone; `off` the kinds of reminders they go without."""

    lead_min = fields.Integer(validate=validate.Range(0, 40_320))
    quiet_from = Text(validate=_CLOCK)
    quiet_to = Text(validate=_CLOCK)
    all_day_at = Text(validate=_CLOCK)
    morning_at = Text(validate=_CLOCK)
    day_end_at = Text(validate=_CLOCK)
    off = fields.List(Text(validate=validate.Length(max=64)), validate=validate.Length(max=32))
    discreet = fields.Boolean()
