"""Keys that a slow line or a busy machine brings at once: the ones behind an Escape or Enter mean what they meant when they
were typed."""

from __future__ import annotations

import time

import pytest
from textual import events
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from console.app import Console
from console.app.keys import without_alt
from console.screens.ask import QuestionDialog
from tests.console.screen_walk import console, ready, until

CHARACTERS = {"colon": ":", "slash": "/", "question_mark": "?", "enter": "\r", "escape": "\x1b"}


def bring(app: App[int], *keys: str, apart: float = 0.15) -> None:
    """All keys at once, typed `apart` seconds from each other, some time after the one before them."""
    now = time.monotonic() + 1.0
    for number, name in enumerate(keys):
        event = events.Key(name, CHARACTERS.get(name, name[-1]))
        event.time = now + number * apart
        app.post_message(event)


async def opened(pilot: Pilot[int], way: str) -> Console:
    """The console with a text in focus."""
    app = await ready(pilot)
    await pilot.press(*way.split())
    await until(pilot, lambda: app.focused is not None)
    return app


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["colon", "8 slash", "2 o", "N", "question_mark slash"])
async def test_r_behind_the_escape_that_leaves_a_text_rolls_back(way: str) -> None:
    async with console("normal").run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, way)
        bring(app, "escape", "R")
        await until(pilot, lambda: app.attempt is not None)


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["8 slash", "2 s"])
async def test_r_behind_the_enter_that_ends_a_text_rolls_back(way: str) -> None:
    async with console("normal").run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, way)
        bring(app, "enter", "R")
        await until(pilot, lambda: app.attempt is not None)


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["8", "colon"])
async def test_escape_and_r_that_look_like_one_key_roll_back(way: str) -> None:
    """A terminal's Escape and what follows it at once read as a key with Alt."""
    async with console("normal").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press(way)
        bring(app, "alt+shift+R")
        await until(pilot, lambda: app.attempt is not None)


def test_only_r_leaves_a_text_with_alt() -> None:
    word = events.Key("alt+d", "d")
    assert [key.key for key in without_alt(word, typing=True)] == ["alt+d"]
    assert [key.key for key in without_alt(word, typing=False)] == ["escape", "d"]


@pytest.mark.anyio
async def test_a_pasted_enter_and_y_confirm_nothing() -> None:
    """On a terminal without bracketed paste, a pasted reason is keys."""
    async with console("normal").run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, "2 o")
        await pilot.press(*"long_enough")
        bring(app, "enter", "y", apart=0.001)
        await until(pilot, lambda: app.focused is None)
        await pilot.press("j")  # comes after the y
        await pilot.pause()
        assert isinstance(app.screen, QuestionDialog)


@pytest.mark.anyio
@pytest.mark.parametrize("keys", ["2 s escape", "2 o escape", "N escape", "colon escape", "8 slash escape", "N R"])
async def test_what_is_left_before_it_is_drawn_does_not_end_the_console(keys: str) -> None:
    async with console("normal").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        bring(app, *keys.split(), "3")
        await until(pilot, lambda: app.attempt is not None or (app.page is not None and app.page.NUMBER == 3))


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["2 o", "8 slash"])
async def test_a_pasted_text_is_kept_whole_in_one_line_or_its_cut_is_shown(way: str) -> None:
    async with console("normal").run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, way)
        line = app.focused
        assert isinstance(line, Input)
        app.post_message(events.Paste("the runner crashed,\r\nsee\x1b[31m ticket\t42\n"))
        await until(pilot, lambda: "ticket" in line.value)
        assert line.value.startswith("the runner crashed, see")
        assert line.value.endswith("ticket 42")
        assert line.value.isprintable()
        assert app.attempt is None
        app.post_message(events.Paste("x" * 10_000))
        await until(pilot, lambda: len(line.value) == line.max_length)
        assert app.notice is not None
        assert "cut to" in app.notice[0]
