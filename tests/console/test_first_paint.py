"""The first frame is what the screen shows next, and needs nothing of the screen's library."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import platformdirs
import pytest
from rich.color import ColorSystem
from textual import events

from console import first_paint, session, themes
from console.app import Console
from console.first_paint import FirstPaint, PaintContext
from console.terminal import escape
from console.terminal.diff import Frame
from console.terminal.first_frame import FirstFrame
from console.terminal.first_keys import FirstKeys
from engine.store import sockets
from engine.store.folder import Folder
from tests.console.samples import PLAN, FakeLink
from tests.console.screen_walk import ready
from tests.console.test_rollback_key import settled
from tests.machine import patience

pytestmark = pytest.mark.anyio


def onlooker(state: str, read_only: bool = False) -> PaintContext:
    return PaintContext(FakeLink(state), PLAN, rehearsal=False, read_only=read_only, ascii_only=False)


def test_it_loads_nothing_of_the_screen_s_library(tmp_path: Path) -> None:
    """Nor what else takes long to import and paints nothing, on the way there past a running engine."""
    slow = ("textual", "asyncio", "rich.console", "http.client", "shutil", "platformdirs", "curses", "traceback")
    code = (
        "import sys, console.cli, console.session, console.verbs.engine\n"
        "from console import themes\n"
        "from console.terminal import escape\n"
        "from engine.client import engine_process\n"
        "from engine.store.folder import Folder\n"
        "assert engine_process.listens(Folder(sys.argv[1]))\n"
        "themes.choose(None), escape.size(), escape.erases_in_colour()\n"
        f"print([m for m in {slow} if m in sys.modules])"
    )
    folder = Folder(tmp_path)
    with sockets.bind(folder.socket, 0o600) as engine:
        engine.listen()
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "TERM": "xterm-256color"},
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("environ", [{}, {"COLUMNS": "132"}, {"COLUMNS": "0", "LINES": "50"}, {"LINES": "tall"}])
def test_its_size_is_the_one_that_the_screen_s_library_finds(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert escape.size() == tuple(shutil.get_terminal_size())


@pytest.mark.parametrize("home", [None, "", " ", "/somewhere"])
def test_settings_are_where_platformdirs_puts_them(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("XDG_CONFIG_HOME", home)
    assert themes.settings() == platformdirs.user_config_path("rollout-console") / "console.json"


@pytest.mark.parametrize("state", ["normal", "alert"])
async def test_the_screen_continues_on_the_same_frame(state: str) -> None:
    seen = onlooker(state)
    canvas, palette = FirstPaint(seen).canvas(80, 24), themes.palette("dark")
    frame, data = Frame(), first_paint.text(canvas, palette, ColorSystem.TRUECOLOR)
    assert frame.diff(data)
    assert frame.diff(data) == ""  # it knows what is on the terminal
    app = Console(seen.link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        assert (await ready(pilot)).page is not None
        ours, theirs = canvas.text().splitlines(), app.page.text().splitlines()
        assert (ours[:8], ours[-1]) == (theirs[:8], theirs[-1])  # between them are curves, which are read later


def test_each_read_has_its_time() -> None:
    ours, theirs = os.pipe()
    keys = FirstKeys(ours)
    for number, data in enumerate((b"2", b"\x1b[B", b"R"), start=1):
        os.write(theirs, data)
        for _ in patience(10.0):
            if len(keys.reads) == number:
                break
            time.sleep(0.001)
    reads = keys.stop()
    os.write(theirs, b"q")
    assert [read.data for read in reads] == [b"2", b"\x1b[B", b"R"]
    assert sorted(reads) == reads
    assert keys.stop() == []
    assert os.read(ours, 10) == b"q", "the screen reads what comes after"


class Typed(Console):
    """`typed`: keys and the seconds at which they were typed, before the first paint."""

    typed: Sequence[tuple[str, float]] = ()
    number: int | None = None  # of the screen at the end

    def on_load(self) -> None:
        super().on_load()
        for key, at in self.typed:
            event = events.Key(key, key)
            event.time = 1000.0 + at
            self.post_message(event)


async def after(
    typed: Sequence[tuple[str, float]], state: str = "normal", *, seen: bool = True
) -> tuple[Typed, FakeLink]:
    """The app once the keys that were typed under its first frame are through."""
    link, first = FakeLink(state), FirstFrame(Frame(), (80, 24))
    first.seen = seen
    app = Typed(link, PLAN, first=first)
    app.typed = typed
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.key_guard.ready and not app.holds_keys)
        await settled(pilot, lambda: app.page is not None and app.page.is_mounted)
        await pilot.pause(0.1)
        app.number = app.page.NUMBER if app.page is not None else None
    return app, link


@pytest.mark.parametrize(
    ("typed", "rollbacks", "number"),
    [
        ([("R", 0.0)], 1, None),
        ([("2", 0.0), ("8", 0.2), ("3", 0.4)], 0, 3),
        ([("R", 0.0), ("x", 0.2), ("y", 0.4), ("z", 0.6)], 1, None),
        ([("3", 0.0), ("R", 0.3)], 1, None),
        ([(key, 0.0) for key in "LONG RANT"], 0, None),
        ([*((key, 0.0) for key in "FOUR"), ("8", 0.3)], 0, 8),
        ([*((key, 0.0) for key in "3RU"), ("j", 0.003), ("8", 0.3)], 0, 8),
    ],
)
async def test_keys_under_the_first_frame_act_as_they_would_a_moment_later(
    typed: Sequence[tuple[str, float]], rollbacks: int, number: int | None
) -> None:
    app, link = await after(typed)
    assert len(link.rollbacks) == rollbacks
    assert number in (None, app.number)


async def test_nothing_is_confirmed_on_a_screen_that_was_not_seen() -> None:
    """Typed under the first frame: 2 opens the gate, p would ask there, y would confirm."""
    app, link = await after([("2", 0.0), ("p", 0.3), ("y", 0.6)], "ready")
    assert link.asked == []
    assert app.number == 2
    assert "were ignored" in str(app.notice)


async def test_a_frame_that_the_terminal_did_not_take_was_not_seen() -> None:
    app, link = await after([("R", 0.0)], seen=False)
    assert link.rollbacks == []
    assert "R was pressed before" in str(app.notice)


def test_a_read_only_look_offers_nothing_that_acts() -> None:
    offers = {
        "ready": ("p the gate is open",),
        "locked": ("restore", "e 18:00"),
        "dead": ("E starts one", "E start the engine"),
    }
    for state, words in offers.items():
        for size in ((80, 24), (160, 48)):
            may, may_not = (FirstPaint(onlooker(state, read_only)).canvas(*size).text() for read_only in (False, True))
            assert all(word not in may_not for word in words), state
            assert any(word in may for word in words), "the test must see it offered"
    assert "`rollout` in a shell starts one" in FirstPaint(onlooker("dead", True)).canvas(160, 48).text()


def test_what_the_screen_loads_is_not_looked_at_for_garbage_again() -> None:
    try:
        assert session._console_class() is Console
        assert gc.isenabled()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
