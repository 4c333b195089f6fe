"""Pure rules of people: the team tree, and which audiences a person belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

FINANCE = "finance"
"""The role that reviews values, and the audience of those that wait for it."""

ROLES = ("rep", "manager", FINANCE, "administrator")

LEADERS = frozenset({"manager", "administrator"})
"""Roles that read what others did."""


def below(parents: Mapping[str, str | None], root: str | None) -> frozenset[str]:
    """The ids of `root` and of every team under it; `parents` maps team to parent. None is above all roots.

    A tree that was bent into a ring by two administrators at once does not loop.
    """
    children: dict[str | None, list[str]] = {}
    for team, parent in parents.items():
        children.setdefault(parent, []).append(team)
    found: set[str] = set()
    todo = list(children.get(None, ())) if root is None else [root]
    while todo:
        team = todo.pop()
        if team not in found:
            found.add(team)
            todo.extend(children.get(team, ()))
    return frozenset(found)


def led_by(role: str, team_id: str | None, parents: Mapping[str, str | None]) -> frozenset[str]:
    """The teams that a person of this role and team leads: a manager their subtree, an administrator all."""
    if role == "administrator":
        return frozenset(parents)
    if role == "manager" and team_id is not None:
        return below(parents, team_id)
    return frozenset()


def scopes_of(
    person_id: str, role: str, team_id: str | None, active: bool, parents: Mapping[str, str | None]
) -> set[str]:
    """The audiences a person belongs to (PROTOCOL, Pull); none once deactivated."""
    if not active:
        return set()
    scopes = {"org", f"person:{person_id}"}
    if role == FINANCE:
        scopes.add(FINANCE)
    if team_id is not None:
        scopes.add(f"team:{team_id}")
    for team in led_by(role, team_id, parents):
        scopes |= {f"team:{team}", f"lead:{team}"}
    return scopes


def above(parents: Mapping[str, str | None], team: str | None) -> list[str]:
    """The teams above one, nearest first, itself not among them; ends where a ring would close."""
    found: list[str] = []
    while team is not None and (team := parents.get(team)) is not None and team not in found:
        found.append(team)
    return found


def makes_a_ring(parents: Mapping[str, str | None], team: str, parent: str | None) -> bool:
    """Whether putting `team` under `parent` would close a ring."""
    return parent is not None and team in {parent, *above(parents, parent)}


def changes(held: Iterable[str], due: Iterable[str]) -> tuple[set[str], set[str]]:
    """Scopes to grant and to end, for somebody who holds `held` and is due `due`."""
    held, due = set(held), set(due)
    return due - held, held - due
