"""The first frame is what the screen shows next, and needs nothing of the screen's library."""

from __future__ import annotations

import subprocess
import sys

import pytest
from rich.color import ColorSystem

from console import first_look, themes
from console.app import Console
from console.first_look import FirstLook, Onlooker
from console.terminal.diff import Frame
from console.terminal.first_frame import FirstFrame
from tests.console.samples import PLAN, FakeLink
from tests.console.walking import ready

pytestmark = pytest.mark.anyio


def onlooker(state: str, read_only: bool = False) -> Onlooker:
    return Onlooker(FakeLink(state), PLAN, rehearsal=False, read_only=read_only, ascii_only=False)


def test_it_loads_nothing_of_the_screen_s_library() -> None:
    """Nor what else takes long to import and paints nothing."""
    slow = ("textual", "asyncio", "rich.console")
    code = f"import console.cli, console.first_look, sys; print([m for m in {slow} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("state", ["normal", "alert"])
async def test_the_screen_continues_on_the_same_frame(state: str) -> None:
    seen = onlooker(state)
    canvas, palette = FirstLook(seen).canvas(80, 24), themes.palette("dark")
    frame, data = Frame(), first_look.text(canvas, palette, ColorSystem.TRUECOLOR)
    assert frame.diff(data)
    assert frame.diff(data) == ""  # it knows what is on the terminal
    app = Console(seen.link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        assert (await ready(pilot)).page is not None
        ours, theirs = canvas.text().splitlines(), app.page.text().splitlines()
        assert (ours[:8], ours[-1]) == (theirs[:8], theirs[-1])  # between them are curves, which are read later


def test_keys_act_once_a_frame_was_seen() -> None:
    link = FakeLink("normal")
    assert not Console(link, PLAN).key_guard.ready
    assert Console(link, PLAN, first=FirstFrame(Frame(), (80, 24))).key_guard.ready


def test_a_read_only_look_offers_nothing_that_acts() -> None:
    assert "p promotes" not in FirstLook(onlooker("ready", read_only=True)).canvas(160, 48).text()
