"""The palette lists what can be done, and what it lists works."""

from __future__ import annotations

import pytest

from console.screens.gate import Gate
from console.screens.log import Log
from console.screens.palette import Palette, commands
from tests.console.samples import FakeLink
from tests.console.walking import console, pages, ready, until

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


async def test_read_only_lists_nothing_that_acts_but_the_rollback() -> None:
    async with console("ready", read_only=True).run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.page, Gate))
        actions = {command.action for command in commands(app, app.page, app.BINDINGS)}
        assert "app.roll_back" in actions
        assert not actions & {"promote", "override", "sign", "hold", "app.undo"}
