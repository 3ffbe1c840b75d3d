"""Whom to call: the plan's contacts that are filled in."""

from __future__ import annotations

from collections.abc import Sequence

from console.widgets import blocks
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from engine.plan.model import Contact

NONE_YET = "none yet: fill in [[contacts]] in rollout.toml (name, phone, email)"


def reachable(contacts: Sequence[Contact]) -> list[Contact]:
    """Contacts with a phone number or an address."""
    return [contact for contact in contacts if contact.given.keys() & {"phone", "email"}]


def rows(c: Canvas, contacts: Sequence[Contact]) -> int:
    """The panel's preferred height."""
    return max(1, len(reachable(contacts))) + blocks.frame_rows(c)


def panel(c: Canvas, area: Area, contacts: Sequence[Contact]) -> None:
    if area.height < 2 or not contacts:
        return
    shown = reachable(contacts)
    absent = len(contacts) - len(shown)
    note = f"{absent} of {len(contacts)} not filled in" if shown and absent else ""
    x, y, width, height = blocks.panel(c, area, "who to call", note, "warn")
    if not shown:
        c.block(x, y, width, height, NONE_YET, "warn")
    for row, contact in enumerate(shown[:height]):
        name = contact.given.get("name", "")
        reach = "  ".join(text for key, text in contact.given.items() if key != "name")
        c.spans(x, y + row, [(f"{contact.role}  ", "dim"), (f"{name}  ", "text"), (reach, "strong")], width)
