"""A team at odds with itself, for journeys and pictures: everything that somebody has to decide, once each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.world import PLACE, Phone, World, ago, fix

SHOP = "Brannigan & Daughters Hardware"
CELLAR = "The Copper Kettle Tea Rooms"
WORDS = {
    "en": {
        "note": "Ring twice.",
        "rep_note": "Ring three times, the bell is weak.",
        "lead_note": "Ring the side door, the front is closed.",
        "minutes": "Tasted three of the autumn teas with the owner. She likes the smoked one but finds it too dear.",
        "said": "I checked in on the stairs, there is no signal below.",
        "why": "Forgot to check out, left at half past.",
        "lead": "Orchard Street Deli",
    },
    "zh": {
        "note": "请按两次门铃。",
        "rep_note": "请按三次门铃，铃声很轻。",
        "lead_note": "请走侧门，正门已关。",
        "minutes": "和店主一起品尝了三款秋茶。她喜欢烟熏的那款，但觉得偏贵。",
        "said": "我在楼梯上签到的，楼下没有信号。",
        "why": "忘了签退，半点就离开了。",
        "lead": "果园街熟食店",
    },
}


def disagree(world: World, language: str = "en") -> dict[str, str]:
    """Rob and Mia change the same things without knowing of each other. Returns ids by what they are."""
    words = WORDS[language]
    shop = world.customer(
        SHOP, phone="0555 01 20 14", note=words["note"], grade="B", address="Quayside Arcade"
    )
    cellar = world.customer(CELLAR, lat=PLACE[0] + 0.004, lon=PLACE[1])
    rob, mia = world.phone("rob"), world.phone("mia")
    base = _version(rob, shop)

    def change(phone: Phone, field: str, op: str, old: Any, new: Any, at: datetime) -> dict[str, Any]:
        ops = [{"field": field, "op": op, "old": old, "new": new}]
        return phone.mutation("customer", shop, "update", ops, at, base=base)

    mia.push(
        change(mia, "phone", "set", "0555 01 20 14", "0555 01 78 00", ago(hours=20)),
        change(mia, "note", "text", words["note"], words["lead_note"], ago(hours=20)),
    )
    phone, note, grade = rob.push(
        change(rob, "phone", "set", "0555 01 20 14", "0555 01 20 41", ago(hours=2)),
        change(rob, "note", "text", words["note"], words["rep_note"], ago(hours=2)),
        change(rob, "grade", "set", "B", "A", ago(hours=2)),
    )
    assert [phone["status"], note["status"], grade["status"]] == ["merged", "merged", "parked"]

    begun = ago(minutes=95)
    away = fix(begun, lat=PLACE[0], accuracy_m=14)
    visit = rob.check_in(cellar, begun, check_in_fix=away)
    out = rob.check_out(visit["entity"], begun + timedelta(minutes=41), minutes=words["minutes"])
    rob.push(visit, out)
    rob.push(rob.create("comment", on_kind="visit", on_id=visit["entity"], body=words["said"]))

    earlier = ago(minutes=230)
    long = rob.check_in(shop, earlier, check_in_fix=fix(earlier))
    left = rob.check_out(long["entity"], earlier + timedelta(minutes=110), minutes=words["minutes"])
    rob.push(long, left)
    changes = {"check_out": rob.moment(earlier + timedelta(minutes=38))}
    rob.push(rob.create("amendment", visit_id=long["entity"], reason=words["why"], changes=changes))
    return {
        "shop": shop,
        "cellar": cellar,
        "visit": visit["entity"],
        "long": long["entity"],
        "phone": phone["conflicts"][0],
        "note": note["conflicts"][0],
    }


def lead_without_a_team(world: World, language: str = "en") -> str:
    """Rob, for a while in no team, makes a lead and visits it: all of it is parked. Returns the lead's id."""
    rob = world.phone("rob")
    lead = str(uuid4())
    world.change("person", "rob", team_id=None)
    made = rob.create("customer", lead, name=WORDS[language]["lead"], lat=PLACE[0], lon=PLACE[1])
    visit = rob.check_in(lead, ago(minutes=60))
    receipts = rob.push(made, visit, rob.check_out(visit["entity"], ago(minutes=20)))
    assert [r["code"] for r in receipts] == ["FORBIDDEN", "PARENT_PARKED", "PARENT_PARKED"], receipts
    world.change("person", "rob", team_id=world.ids["north"])
    return lead


def twin(world: World) -> str:
    """The same shop once more, a few steps away: a merge is suggested."""
    return world.customer(
        SHOP.replace("&", "and"), address="Quayside Arcade 3", lat=PLACE[0] + 0.0004, lon=PLACE[1] - 0.0003
    )


def _version(phone: Phone, entity: str) -> int:
    """The version of an entity as this phone would hold it."""
    for page in phone.pull():
        for row in page["rows"]:
            if row["id"] == entity:
                return int(row["version"])
    raise AssertionError(f"{entity} is not on {phone.who}'s phone")
