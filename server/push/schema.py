"""The wire of push: subscriptions, what devices report, and how they are."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from server.fields import Text


class KeyOut(Schema):
    """The server key a subscription is made with, as `applicationServerKey` takes it."""

    key = fields.String()


class Keys(Schema):
    """What the browser made for this subscription."""

    class Meta:
        unknown = EXCLUDE

    p256dh = Text(required=True, validate=validate.Length(20, 200))
    auth = Text(required=True, validate=validate.Length(10, 100))


class SubscriptionIn(Schema):
    """A `PushSubscription`, and the server key it was made with. `instead` is the endpoint that it replaces."""

    class Meta:
        unknown = EXCLUDE

    endpoint = Text(required=True, validate=validate.Length(10, 2048))
    keys = fields.Nested(Keys, required=True)
    key = Text(required=True, validate=validate.Length(80, 100))
    instead = Text(load_default=None, allow_none=True, validate=validate.Length(max=2048))


class EndpointIn(Schema):
    """Which subscription."""

    class Meta:
        unknown = EXCLUDE

    endpoint = Text(required=True, validate=validate.Length(10, 2048))


class ReportIn(Schema):
    """What a device did with a notice."""

    class Meta:
        unknown = EXCLUDE

    notice = fields.UUID(required=True)
    endpoint = Text(required=True, validate=validate.Length(10, 2048))
    what = Text(required=True, validate=validate.OneOf(["shown", "opened"]))


class DeviceOut(Schema):
    """One device that takes push messages, and how it is."""

    id = fields.String()
    device = fields.String(allow_none=True)
    person = fields.Dict()
    created_at = fields.String()
    sent_at = fields.String(allow_none=True)
    shown_at = fields.String(allow_none=True)
    opened_at = fields.String(allow_none=True)
    failures = fields.Integer()
    ended_at = fields.String(allow_none=True)
    ended_why = fields.String(allow_none=True)
    this = fields.Boolean()


class DevicesOut(Schema):
    """Devices, the newest first."""

    items = fields.List(fields.Nested(DeviceOut))
