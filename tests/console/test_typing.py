"""Typed text is visible in every input line, on a real terminal, from the smallest size to a large one."""

from __future__ import annotations

import sys

import pytest

from tests.terminal import Terminal

SHOW = (sys.executable, "-m", "tests.console.show")
SEARCHES = {"triggers": "3/", "documents": "7/", "log": "8/", "help": "?/", "menu": ":"}
HAS = {"triggers": "error_", "documents": "documents", "log": "decisions", "help": "Rollback", "menu": ""}

ASKS = {
    "triggers": "filter the triggers", "documents": "search titles", "log": "filter the log", "help": "search all pages",
    "menu": "type a few letters",
}  # fmt: skip


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("where", SEARCHES)
def test_what_is_typed_is_seen(where: str, size: tuple[int, int]) -> None:
    with Terminal((*SHOW, "normal"), columns=size[0], rows=size[1]) as terminal:
        terminal.until("HEALTHY")
        terminal.until_keys_act()
        *way, opens = SEARCHES[where]
        for key in way:
            terminal.press(key)
            terminal.until(HAS[where])
        terminal.press(opens)
        terminal.until(ASKS[where])
        terminal.type("zebra")
        terminal.until("zebra")
