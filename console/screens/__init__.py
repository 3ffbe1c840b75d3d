"""The screens by number. Each is imported when first opened, so that the first paint needn't wait for it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.screens.page import Page

SCREENS: dict[int, tuple[str, str]] = {
    1: ("dashboard", "Dashboard"),
    2: ("gate", "Gate"),
    3: ("triggers", "Triggers"),
    4: ("trends", "Trends"),
    5: ("review", "Review"),
    6: ("ab", "AbTest"),
    7: ("documents", "Documents"),
    8: ("log", "Log"),
    9: ("messages", "Messages"),
    0: ("faults", "Faults"),  # a rehearsal's own
}


# messages, commands and report share a digit; Tab cycles through them
WORK: tuple[tuple[str, str, str], ...] = (
    ("messages", "Messages", "Messages"),
    ("commands", "Commands", "Commands"),
    ("report", "Report", "Report"),
)


def working(module: str) -> type[Page]:
    """The class of one of the screens under 9."""
    (name,) = (name for other, name, _ in WORK if other == module)
    return _page(module, name)


def screen(number: int) -> type[Page]:
    """The class of a screen. Raises KeyError for an unknown number."""
    return _page(*SCREENS[number])


def _page(module: str, name: str) -> type[Page]:
    page: type[Page] = getattr(importlib.import_module(f"console.screens.{module}"), name)
    return page
