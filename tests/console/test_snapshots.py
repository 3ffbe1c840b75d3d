"""Pictures of the console in each state and size; a change shows as a picture beside the old one."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from console.app import Console
from tests.console.samples import PLAN, FakeLink

SIZES = [(80, 24), (160, 48)]


def console(state: str) -> Console:
    return Console(FakeLink(state), PLAN, rehearsal=state.startswith("rehearsal"))


async def settle(pilot: Pilot[int]) -> None:
    for _ in range(100):
        await pilot.pause(0.02)
        if pilot.app.hands.ready:  # type: ignore[attr-defined]
            break
    await pilot.pause(0.3)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", ["normal", "alert", "blind", "rolled_back", "dead", "rehearsal"])
def test_dashboard(snap_compare: Any, state: str, size: tuple[int, int]) -> None:
    assert snap_compare(console(state), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("number", ["2", "3", "8", "9"])
def test_screens(snap_compare: Any, number: str) -> None:
    async def go(pilot: Pilot[int]) -> None:
        await settle(pilot)
        await pilot.press(number)
        await pilot.pause(0.4)

    assert snap_compare(console("alert"), terminal_size=(80, 24), run_before=go)


def test_help_is_made_from_the_keys_of_the_screen(snap_compare: Any) -> None:
    async def go(pilot: Pilot[int]) -> None:
        await settle(pilot)
        await pilot.press("2", "question_mark")
        await pilot.pause(0.3)

    assert snap_compare(console("normal"), terminal_size=(80, 24), run_before=go)
