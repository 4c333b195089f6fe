"""A list of steps in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Step = dict[str, Any]


def story(steps: Iterable[Step]) -> str:
    """One line a step, numbered."""
    return "\n".join(f"{number:3}. {sentence(step)}" for number, step in enumerate(steps, 1))


def sentence(step: Step) -> str:
    """A step as a sentence."""
    do, phone = step["do"], step.get("phone", "")
    if do == "save":
        return _saved(step)
    if do == "exchange":
        return _exchanged(step)
    told = {
        "begin": f"another tab of {phone} begins an exchange ({step.get('as')}); its answer is still on the way",
        "end": f"the answer of {step.get('of')} arrives, and the exchange goes on",
        "overlap": f"while the transaction of {phone} is about to {step.get('when')}, "
        f"{' and '.join(step.get('others', []))} exchange",
        "arrive": f"requests of {phone} that were late arrive now",
        "restart": f"the page of {phone} dies and is opened again",
        "clone": f"the profile of {phone} is copied as {step.get('as')}",
        "lose": f"the browser throws away the {step.get('what')} of {phone}",
        "clock": f"the clock of {phone} is off by {step.get('minutes')} minutes from now on",
        "old page": f"{phone} still runs a page of an old release",
        "settle": "all exchange",
        "rescue": f"the outbox of {step.get('from')} is carried to {step.get('to')} in a rescue file",
        "backup": "a backup is made",
        "put back": "the server is put back to that backup",
        "lock": f"somebody holds the database's lock during the next {step.get('for')} requests",
        "pass": f"{step.get('days', 0)} days and {step.get('minutes', 0)} minutes pass",
        "expire": f"the sign-in of {phone} expires",
        "revoke": f"the device of {phone} is revoked",
        "collect": "old tombstones are collected",
        "poison": f"{phone} saves what no app would write: {step.get('raw')}",
        "stumble": f"{phone} exchanges, and the server stumbles {step.get('times')} times over it",
    }
    return told.get(do, str(step))


def _saved(step: Step) -> str:
    what = f"{step['verb']} {step['kind']} {step['entity']}"
    changes = [f"{name} = {_short(value)}" for name, value in step.get("set", {}).items()]
    changes += [f"{name} + {', '.join(values)}" for name, values in step.get("add", {}).items()]
    changes += [f"{name} - {', '.join(values)}" for name, values in step.get("remove", {}).items()]
    said = f"{step['phone']} saves: {what}" + (f" ({'; '.join(changes)})" if changes else "")
    return said + (", but its storage fails" if step.get("storage") == "fails" else "")


def _exchanged(step: Step) -> str:
    said = f"{step['phone']} exchanges"
    if step.get("limit"):
        said += f", {step['limit']} rows a page"
    if step.get("network"):
        said += f" ({', then '.join(step['network'])})"
    if "storage" in step:
        said += f"; its storage fails after {step['storage']} transactions"
    return said


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
