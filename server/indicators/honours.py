"""Honours as they were announced."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from server.indicators.closing_model import Closing
from server.indicators.compare import HONOURS
from server.indicators.periods import Period
from server.indicators.reckon import Book
from server.people.model import Person
from server.reminders.model import Reminder


def announced(book: Book, period: Period) -> list[dict[str, Any]]:
    """Who was announced with which honour of a period: [{honour, people: [{id, name}]}], in the order of `HONOURS`.

    An announcement is remembered as what its owner was told of themselves. Names, as everybody was told, and no figures;
    nothing where the organisation has no honours (setting `honours` false).
    """
    if book.settings.get("honours") is False:
        return []
    rows = book.connection.execute(
        select(Reminder.rule, Person.id, Person.name)
        .join(
            Closing,
            (Closing.org_id == Reminder.org_id)
            & (Closing.id == Reminder.about_id)
            & (Closing.person_id == Reminder.person_id),
        )
        .join(Person, (Person.org_id == Closing.org_id) & (Person.id == Closing.person_id))
        .where(
            Closing.org_id == book.org_id,
            Closing.period == period.kind,
            Closing.starts_on == period.starts_on.isoformat(),
            Reminder.rule.in_(HONOURS),
        )
        .order_by(Person.name, Person.id)
    )
    of: dict[str, list[dict[str, str]]] = {}
    for honour, identity, name in rows:
        of.setdefault(honour, []).append({"id": identity, "name": name})
    return [{"honour": honour, "people": of[honour]} for honour in HONOURS if honour in of]
