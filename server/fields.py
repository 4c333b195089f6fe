"""Fields of requests that every room uses."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields

from sync.policy import well_formed


class Text(fields.String):
    """Text that every database takes: no NUL, no half of a surrogate pair."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not well_formed(text):
            raise ValidationError("Not well-formed text.")
        return text
