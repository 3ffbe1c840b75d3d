"""What fills the screen goes to the terminal past Textual's compositor: the same cells, and nothing twice."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from textual._compositor import Compositor
from textual.geometry import Region
from textual.widgets import Input

from console import themes
from console.app import Console
from console.screens.log import Log
from console.screens.page import Page
from console.terminal.diff import Frame
from console.widgets.canvas import Canvas
from console.widgets.sheet import Sheet
from tests.console.samples import PLAN, FakeLink
from tests.console.screen_walk import pages, ready, until

pytestmark = pytest.mark.anyio
SIZE = (80, 24)


class Drawn(NamedTuple):
    sent: str
    page: Page | None
    mounted: bool  # by then


class Recorder:
    """A terminal on which each frame is noted, with its screen."""

    def __init__(self, app: Console) -> None:
        self.frame = Frame()
        self.stalled = False
        self.gone = False
        self.drawn: list[Drawn] = []
        self._app = app

    @property
    def sent(self) -> list[str]:
        return [drawn.sent for drawn in self.drawn if drawn.sent]

    def draw(self, *frame: Any) -> None:
        page = self._app.page
        self.drawn.append(Drawn(self.frame.draw(*frame), page, page is not None and page.is_mounted))

    def write(self, data: str) -> None:
        self.frame.diff(data)

    def forget(self) -> None:
        self.frame.forget()


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each time that Textual's compositor renders."""
    calls, original = list[str](), Compositor.render_update

    def counted(self: Compositor, *given: Any, **named: Any) -> Any:
        calls.append("rendered")
        return original(self, *given, **named)

    monkeypatch.setattr(Compositor, "render_update", counted)
    return calls


def on_terminal(app: Console) -> Recorder:
    recorder = Recorder(app)
    app.terminal = recorder  # type: ignore[assignment]
    return recorder


def drawn_of(app: Console, recorder: Recorder) -> list[Drawn]:
    """The frames of the screen that is open now: the one before it may have been drawn until the key came."""
    return [drawn for drawn in recorder.drawn if drawn.page is app.page]


def by_textual(app: Console, page: Page) -> str:
    """The sheet as Textual writes it."""
    strips = page.query_one(Sheet).render_lines(Region(0, 0, *SIZE))
    return "".join(f"\x1b[{y + 1};1H{strip.render(app.console)}" for y, strip in enumerate(strips))


def sampler(palette: dict[str, Any]) -> Canvas:
    """Every style, and what is more or less than a cell or nothing for a terminal."""
    c = Canvas(*SIZE)
    for number, name in enumerate(palette):
        x, y = number % 8 * 10, number // 8
        c.put(x, y, f"{name[:6]} 日e\u0301", name)
        c.fill(x + 9, y, 1, name)
    c.put(0, 20, "⣀⣤ ╭─╮ ▁▂▃ ✔ “text” \u2026", "no such style")
    c.chars[21][3:5] = ["\x1b", "\u202e"]  # past the first defence
    return c


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("theme", themes.NAMES)
async def test_every_style_is_drawn_as_textual_writes_it(theme: str, ascii_only: bool) -> None:
    app = Console(FakeLink("normal"), PLAN, theme=theme, ascii_only=ascii_only)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert app.page is not None
        canvas = sampler(app.palette)
        app.page.query_one(Sheet).show(canvas, app.palette)
        recorder = on_terminal(app)
        app.draw(canvas)
        assert recorder.drawn[0][0]
        assert recorder.frame.diff(by_textual(app, app.page)) == ""
        other = Frame()
        other.diff(by_textual(app, app.page))
        recorder.frame = other
        app.draw(canvas)
        assert recorder.drawn[1][0] == ""
        app.terminal = None


async def test_every_screen_is_drawn_as_textual_writes_it() -> None:
    app = Console(FakeLink("rehearsal"), PLAN, rehearsal=True)
    async with app.run_test(size=SIZE) as pilot:
        async for name, page in pages(pilot):
            recorder = on_terminal(app)
            page.repaint()
            await until(pilot, lambda recorder=recorder: bool(recorder.drawn))  # type: ignore[misc]
            assert recorder.frame.diff(by_textual(app, page)) == "", name
            app.terminal = None


async def test_an_unchanged_screen_is_not_drawn_again(rendered: list[str]) -> None:
    app = Console(FakeLink("normal"), PLAN)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert app.page is not None
        recorder = on_terminal(app)
        app.page.repaint()
        await until(pilot, lambda: bool(recorder.drawn))
        await pilot.pause()
        rendered.clear()
        recorder.drawn.clear()
        for _ in range(3):  # polls that bring what is shown
            app._see(app.live)
            await pilot.pause()
        app.page.repaint()
        await until(pilot, lambda: bool(recorder.drawn))
        assert recorder.sent == []
        assert rendered == []
        app.terminal = None


async def test_a_new_screen_is_there_before_it_is_mounted_and_is_sent_once(rendered: list[str]) -> None:
    app = Console(FakeLink("normal"), PLAN)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        recorder = on_terminal(app)
        for key in "231":
            rendered.clear()
            recorder.drawn.clear()
            await pilot.press(key)
            await until(pilot, lambda: app.page is not None and app.page.is_mounted and bool(drawn_of(app, recorder)))
            await pilot.pause()
            assert app.page is not None
            first, *later = drawn_of(app, recorder)
            assert len(first.sent) > 500
            assert first.mounted is (key == "1"), "Live stays mounted below the others"
            assert sum(len(drawn.sent) for drawn in later) < len(first.sent), "only what was read since"
            assert rendered == []
            assert recorder.frame.diff(by_textual(app, app.page)) == ""
        app.terminal = None


async def test_keys_that_arrive_together_are_one_frame(rendered: list[str]) -> None:
    app = Console(FakeLink("normal"), PLAN)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await until(pilot, lambda: app.page is not None and app.page.NUMBER == 3 and app.page.is_mounted)
        await pilot.pause()
        recorder = on_terminal(app)
        app.page.repaint()  # type: ignore[union-attr]
        await until(pilot, lambda: bool(recorder.drawn))
        rendered.clear()
        recorder.drawn.clear()
        for _ in range(3):
            app.page.action_move(1)  # type: ignore[union-attr]
        assert recorder.drawn == []
        await until(pilot, lambda: bool(recorder.drawn))
        await pilot.pause()
        assert len(recorder.sent) == 1
        assert rendered == []
        app.terminal = None


@pytest.mark.parametrize("key", ["colon", "slash"])
async def test_textual_draws_a_sheet_under_a_dialog_and_the_console_draws_it_again_after(
    key: str, rendered: list[str]
) -> None:
    app = Console(FakeLink("normal"), PLAN)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("8")
        await until(pilot, lambda: isinstance(app.page, Log) and app.page.is_mounted and not app.page.busy)
        await pilot.pause()
        page = app.page
        assert page is not None
        recorder = on_terminal(app)
        await pilot.press(key)
        await until(pilot, lambda: app.focused is not None)
        await pilot.pause()
        rendered.clear()
        recorder.drawn.clear()
        page.repaint()
        page.query_one(Sheet).refresh()
        await until(pilot, lambda: bool(rendered))
        assert recorder.drawn == [], "the sheet would hide it"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is page and app.focused is None and bool(recorder.drawn))
        await pilot.pause()
        assert recorder.frame.diff(by_textual(app, page)) == ""
        app.terminal = None


async def test_a_sheet_that_is_laid_out_at_another_size_is_painted_for_it() -> None:
    app = Console(FakeLink("normal"), PLAN)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("8")
        await until(pilot, lambda: isinstance(app.page, Log) and app.page.is_mounted and not app.page.busy)
        assert app.page is not None
        sheet = app.page.query_one(Sheet)
        for display, rows in (("block", SIZE[1] - 1), ("none", SIZE[1])):
            app.page.query_one(Input).styles.display = display
            await until(pilot, lambda rows=rows: sheet.canvas.height == rows, 10.0)  # type: ignore[misc]


async def test_a_busy_line_gets_no_frame_before_textual_s_next_one() -> None:
    app = Console(FakeLink("normal"), PLAN)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert app.page is not None
        await until(pilot, lambda: not app.page._draw_due)  # one from before the line was busy
        recorder = on_terminal(app)
        recorder.stalled = True
        app.page.repaint()
        assert not app.page._draw_due
        await until(pilot, lambda: bool(recorder.drawn))
        app.terminal = None
