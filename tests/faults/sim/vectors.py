"""The scenarios of `tests/faults/vectors`, played by the Python model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.faults.sim.house import House
from tests.faults.sim.laws import broken
from tests.faults.sim.phone import Phone
from tests.faults.sim.play import Play

FOLDER = Path(__file__).parents[1] / "vectors"


def scenarios() -> dict[str, dict[str, Any]]:
    """name -> scenario, of every file."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    return {scenario["name"]: scenario for scenario in found.values()}


def play_scenario(house: House, scenario: dict[str, Any]) -> list[str]:
    """Play one; returns in plain words what did not come out as it says."""
    play = Play(house, scenario["phones"])
    for number, step in enumerate(scenario["steps"], 1):
        if not play.step(step):
            return [f"step {number} could not be taken: {step}"]
    play.rest()
    return broken(play) + [flaw for wanted in scenario["then"] if (flaw := _unmet(play, wanted))]


def _unmet(play: Play, wanted: dict[str, Any]) -> str | None:
    phone = play.phones[wanted["phone"]]
    if "client" in wanted:
        found = "same" if phone.clients == 1 else "new"
        return None if found == wanted["client"] else f"{phone.name} has the {found} client id"
    if "receipt" in wanted:
        receipt = next(
            (row.receipt for row in phone.outbox.rows if row.id == play.mutations[wanted["receipt"]]), None
        )
        said = (receipt["status"], receipt["code"]) if receipt else None
        if said != (wanted["status"], wanted["code"]):
            return f"{phone.name} got {said} for {wanted['receipt']}"
        return None
    for kind in ("conflict", "parked"):
        if kind in wanted:
            return _listed(play, phone, kind, wanted[kind])
    held = phone.replica.rows.get((wanted["kind"], play.ids.get(wanted["entity"], "")))
    if wanted.get("gone"):
        return f"{phone.name} holds {wanted['entity']}" if held else None
    if held is None:
        return f"{phone.name} does not hold {wanted['entity']}"
    for name, value in wanted.get("is", {}).items():
        if held.data.get(name) != play._value(phone, value, 0):
            return f"{phone.name} holds {name} of {wanted['entity']} as {held.data.get(name)!r}"
    for name, passages in wanted.get("has", {}).items():
        if any(passage not in (held.data.get(name) or "") for passage in passages):
            return f"{phone.name} holds {name} of {wanted['entity']} as {held.data.get(name)!r}"
    return None


def _listed(play: Play, phone: Phone, kind: str, members: dict[str, Any]) -> str | None:
    wanted = {name: play._value(phone, value, 0) for name, value in members.items()}
    wanted["entity"] = play.ids.get(members["entity"])
    rows = [held.data for (known, _), held in phone.replica.rows.items() if known == kind]
    if any(row["status"] == "open" and wanted.items() <= row.items() for row in rows):
        return None
    told = [{name: row.get(name) for name in wanted} for row in rows]
    return f"{phone.name} holds no open {kind} like {members}, but {told}"
