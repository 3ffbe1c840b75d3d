"""Faults found by walking the screens as an on-call engineer: keys explain themselves; menu and help find what they list."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.events import MouseScrollDown, MouseScrollUp
from textual.widgets import Input

from console.app import Console
from console.screens.help import Help
from console.screens.palette import Palette
from console.screens.review import Review
from console.screens.review_marks import SIDES
from tests.console.samples import DOCS, PLAN, FakeLink
from tests.console.screen_walk import console, ready, until
from tests.console.test_review_and_ab import with_sample

pytestmark = pytest.mark.anyio


async def test_the_menu_finds_every_line_by_its_own_words() -> None:
    async with console("normal").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press("2", "colon")
        menu = app.screen
        assert isinstance(menu, Palette)
        for command in menu.all:
            menu.query_one(Input).value = command.words[:60]
            await pilot.pause(0)
            assert command in menu.matching, command.words


async def test_help_is_searched_on_all_pages() -> None:
    async with console("normal").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press("question_mark")
        page = app.page
        assert isinstance(page, Help)
        page.text_wanted = "systemctl"
        results = [text for text, style in page.lines(78) if style == "head"]
        assert any(title.startswith("systemd · ") for title in results)
        page.text_wanted = ""
        assert not any("systemctl" in text for text, _ in page.lines(78))  # the page that is open is the keys


@pytest.mark.parametrize("keys", [["2", "p"], ["2", "s"], ["p"], ["7", "t"]])
async def test_a_read_only_console_explains_why_a_key_does_nothing(keys: list[str]) -> None:
    async with console("ready", read_only=True).run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press(*keys)
        await until(pilot, lambda: app.notice is not None and "read-only" in app.notice[0])


async def test_enter_shows_the_whole_document() -> None:
    link = FakeLink("normal")
    text = "\n".join(f"line {n} of the document" for n in range(80))
    link.docs = (replace(DOCS[0], text=text),)
    app = Console(link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("7")
        page = app.page
        assert page is not None
        await until(pilot, lambda: getattr(page, "chosen", None) is not None)
        await pilot.press("enter")
        await until(pilot, lambda: "line 0 of the document" in app.page.text())  # type: ignore[union-attr]
        assert "coroutine" in app.page.text()  # both keyword lists above it  # type: ignore[union-attr]
        await pilot.press("enter", "G")
        await until(pilot, lambda: "line 79 of the document" in app.page.text())  # type: ignore[union-attr]
        await pilot.press("escape")
        assert app.page is page
        assert "keywords by both methods" in page.canvas(80, 24).text()


async def test_marks_that_are_not_sent_survive_a_step_away_and_back() -> None:
    link = FakeLink("normal")
    with_sample(link, blind=False)
    app = Console(link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("5")
        page = app.page
        assert isinstance(page, Review)
        await until(pilot, lambda: page.document is not None and not page.busy)

        def marks() -> dict[str, set[str]]:
            return {side: set(page.marks.of(side)) for side in SIDES}

        before = marks()
        await pilot.press("r")
        marked = marks()
        assert marked != before
        first = page.shown
        await pilot.press("j")
        await until(pilot, lambda: page.shown != first and page.marks_are_shown)
        assert marks() == before
        await pilot.press("k")
        await until(pilot, lambda: page.shown == first and page.marks_are_shown)
        assert marks() == marked


@pytest.mark.parametrize("number", ["2", "3", "8"])
async def test_the_wheel_does_what_the_arrow_keys_do(number: str) -> None:
    async with console("normal").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press(number)
        page = app.page
        assert page is not None
        await until(pilot, lambda: page.is_mounted and not getattr(page, "busy", False))
        sheet, first = page.query_one("#sheet"), page.rows.at  # type: ignore[attr-defined]
        await pilot.press("down")
        second = page.rows.at  # type: ignore[attr-defined]
        assert second != first
        for kind, at in ((MouseScrollUp, first), (MouseScrollDown, second)):
            sheet.post_message(kind(sheet, 5, 9, 0, 1, 0, False, False, False))
            await until(pilot, lambda at=at: page.rows.at == at)  # type: ignore[misc, attr-defined]
