"""The palette lists what can be done, and what it lists works."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from console import themes
from console.screens.gate import Gate
from console.screens.log import Log
from console.screens.palette import Palette, commands
from console.widgets.sheet import Sheet
from tests.console.samples import FakeLink
from tests.console.screen_walk import console, pages, ready, until

pytestmark = pytest.mark.anyio


async def test_every_command_of_every_screen_leads_to_an_action() -> None:
    async with console("rehearsal").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        async for name, page in pages(pilot):
            for command in commands(app, page, app.BINDINGS):
                owner, action = (
                    (app, command.action[4:]) if command.action.startswith("app.") else (page, command.action)
                )
                assert hasattr(owner, f"action_{action.partition('(')[0]}"), f"{name}: {command}"


async def test_letters_narrow_it_and_enter_does_it() -> None:
    async with console("ready").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press("2", "colon")
        await until(pilot, lambda: isinstance(app.screen, Palette))
        await pilot.press(*"take sig", "enter")
        link = app.link
        assert isinstance(link, FakeLink)
        await until(pilot, lambda: isinstance(app.screen, Gate))
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, Palette))
        await pilot.press(*"to log", "enter")
        await until(pilot, lambda: isinstance(app.screen, Log))


async def menu(pilot: Pilot[int], *keys: str) -> Input:
    """The menu's line, after these keys in it."""
    await pilot.press("colon")
    await until(pilot, lambda: isinstance(pilot.app.screen, Palette))
    await pilot.press(*keys)
    return pilot.app.screen.query_one(Input)


async def test_up_brings_back_what_was_chosen_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the next console; what was typed comes back with down."""
    monkeypatch.setattr(themes, "settings", lambda: tmp_path / "console.json")
    async with console("ready").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await menu(pilot, *"to log")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Log))
        await menu(pilot, *"to gate")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Gate))
    async with console("ready").run_test(size=(80, 24)) as pilot:
        later = await ready(pilot)
        line = await menu(pilot, "r", "up")
        assert line.value.startswith("go to Gate")
        await pilot.press("up")
        assert line.value.startswith("go to Log")
        await pilot.press("down", "down")
        assert line.value == "r"
        await pilot.press("up", "up", "enter")
        await until(pilot, lambda: isinstance(later.screen, Log))


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 36)])
async def test_the_selected_command_is_read_whole_at_any_size(size: tuple[int, int]) -> None:
    async with console("ready").run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press("colon")
        palette = pilot.app.screen
        assert isinstance(palette, Palette)
        for command in palette.matching[:12]:
            await until(pilot, lambda: bool(palette.query_one("#found", Sheet).size.width))
            await pilot.pause()
            sheet = palette.query_one("#found", Sheet).canvas
            left = " ".join(" ".join(line[: palette._room(sheet)] for line in sheet.text().splitlines()).split())
            assert command.words in left, command
            await pilot.press("down")


async def test_a_click_does_it() -> None:
    async with console("ready").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await menu(pilot, *"to log")
        await pilot.pause()
        await pilot.click("#found", offset=(3, 1))
        await until(pilot, lambda: isinstance(app.screen, Log))


async def test_read_only_lists_nothing_that_acts_but_the_rollback() -> None:
    async with console("ready", read_only=True).run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.page, Gate))
        actions = {command.action for command in commands(app, app.page, app.BINDINGS)}
        assert "app.roll_back" in actions
        assert not actions & {"promote", "override", "sign", "hold", "app.undo"}
