"""The wire of people: signing in, and who one is."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from server.fields import Text


class DeviceIn(Schema):
    """The browser profile that signs in; `client` is its outbox."""

    class Meta:
        unknown = EXCLUDE

    client = fields.UUID(required=True)
    name = Text(load_default="", validate=validate.Length(max=200))


class SignIn(Schema):
    """What is needed to sign in. `organisation` may be left out where there is one."""

    class Meta:
        unknown = EXCLUDE

    organisation = Text(load_default=None, allow_none=True, validate=validate.Length(max=100))
    email = Text(required=True, validate=validate.Length(max=320))
    password = Text(required=True, validate=validate.Length(max=1024))
    device = fields.Nested(DeviceIn, required=True)


class Accept(Schema):
    """The one-time secret of an invitation, and the password chosen."""

    class Meta:
        unknown = EXCLUDE

    invite = Text(required=True, validate=validate.Length(max=200))
    password = Text(required=True, validate=validate.Length(min=10, max=1024))
    device = fields.Nested(DeviceIn, required=True)


class Upload(Schema):
    """The one-time secret with which a closed account's phone uploads what it still holds."""

    class Meta:
        unknown = EXCLUDE

    invite = Text(required=True, validate=validate.Length(max=200))
    device = fields.Nested(DeviceIn, required=True)


class PersonOut(Schema):
    """Somebody who is signed in."""

    id = fields.String()
    name = fields.String()
    role = fields.String()
    team = fields.String(allow_none=True)
    locale = fields.String()
    time_zone = fields.String()


class OrganisationOut(Schema):
    """Their organisation; `week_start` 0 is Monday."""

    id = fields.String()
    slug = fields.String()
    name = fields.String()
    time_zone = fields.String()
    week_start = fields.Integer()
    locale = fields.String()


class TeamOut(Schema):
    """A team that one may ask about."""

    id = fields.String()
    name = fields.String()
    parent_id = fields.String(allow_none=True)


class SignedIn(Schema):
    """The answer to signing in; the session itself is the cookie."""

    person = fields.Nested(PersonOut)
    organisation = fields.Nested(OrganisationOut)


class Me(SignedIn):
    """Who one is, and the teams one leads (a rep: their own)."""

    teams = fields.List(fields.Nested(TeamOut))
    server_time = fields.String()
