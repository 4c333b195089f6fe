"""The wire of reminders: how a person wants to be told."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from server.fields import Text

_CLOCK = validate.Regexp(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")


def _channels() -> fields.List:
    name = Text(validate=validate.Length(max=32))
    return fields.List(name, validate=validate.Length(max=16), allow_none=True)


class OfKindSchema(Schema):
    """What is otherwise for one kind of reminder; null or left out: as for all.

    `lead_min`: of `follow_up_due` minutes before it, of `plan_not_started` minutes after the planned time; others have none.
    """

    lead_min = fields.Integer(validate=validate.Range(0, 40_320), allow_none=True)
    quiet_from = Text(validate=_CLOCK, allow_none=True)
    quiet_to = Text(validate=_CLOCK, allow_none=True)
    channels = _channels()


class WishesSchema(Schema):
    """Times are `HH:MM` on the wall of the person's zone; `off` the kinds of reminders they go without.

    `channels`: names from `GET /api/reminders/channels` that a notice goes to when no device showed it for `silence_min`
    minutes (null: mail where there is any; as the organisation set it). `kinds`: kind of reminder -> what is otherwise for
    it; sent, it replaces all that was said of kinds before.
    """

    lead_min = fields.Integer(validate=validate.Range(0, 40_320))
    quiet_from = Text(validate=_CLOCK)
    quiet_to = Text(validate=_CLOCK)
    all_day_at = Text(validate=_CLOCK)
    morning_at = Text(validate=_CLOCK)
    day_end_at = Text(validate=_CLOCK)
    off = fields.List(Text(validate=validate.Length(max=64)), validate=validate.Length(max=32))
    discreet = fields.Boolean()
    channels = _channels()
    silence_min = fields.Integer(validate=validate.Range(0, 10_080), allow_none=True)
    kinds = fields.Dict(
        keys=Text(validate=validate.Length(max=64)),
        values=fields.Nested(OfKindSchema),
        validate=validate.Length(max=32),
    )


class ChannelSchema(Schema):
    """A channel that one may choose. `to`: one's own address, of mail; when it last worked, and when it last did not."""

    name = fields.String()
    to = fields.String(allow_none=True)
    sent_at = fields.String(allow_none=True)
    failed_at = fields.String(allow_none=True)


class ChannelsSchema(Schema):
    """Channels, and after how many minutes without a device they take over unless one sets it otherwise."""

    items = fields.List(fields.Nested(ChannelSchema))
    silence_min = fields.Integer()
