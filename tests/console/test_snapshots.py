"""Every screen in the states that matter, as text with its styles; a few as pictures with the real colours.

The text files are read in a review as they are: the screen first, then the styles of each row. `--snapshot-update` rewrites them.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.pilot import Pilot

from console.screens.drill.error_kinds import ErrorKinds
from console.screens.drill.evidence import EvidencePage
from console.screens.drill.request import OneRequest
from console.screens.drill.requests import Requests
from console.screens.drill.servers import Servers
from console.screens.incident import IncidentPage
from console.screens.triggers import Triggers
from console.widgets.canvas import Canvas
from tests.console.samples import LOCKED, NOW, FakeLink
from tests.console.screen_walk import console, pages, ready, until
from tests.console.test_drill import deeper, filled
from tests.console.test_incident import BEGAN, store
from tests.console.test_travel import kept

STATES = ["normal", "alert", "blind", "rolled_back"]
SIZES = {"80x24": (80, 24), "160x48": (160, 48)}


class TextFile(SingleFileSnapshotExtension):
    _write_mode = WriteMode.TEXT
    _file_extension = "txt"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(TextFile)


def described(c: Canvas) -> str:
    """The screen, a line, then for each row its styles as "from column: name"."""
    rows = []
    for y, row in enumerate(c.styles):
        runs, x = [], 0
        for name, run in groupby(row):
            runs.append(f"{x}:{name}")
            x += len(list(run))
        rows.append(f"{y:>2} {' '.join(runs)}")
    return c.text() + "\n" + "\n".join(rows) + "\n"


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
async def test_screens(state: str, size: str, snapshot: SnapshotAssertion) -> None:
    async with console(state).run_test(size=SIZES[size]) as pilot:
        async for name, page in pages(pilot):
            assert described(page.canvas(*SIZES[size])) == snapshot(name=name)


@pytest.mark.anyio
@pytest.mark.parametrize("state", ["locked", "sleep", "idle", "dead"])
async def test_what_waits(state: str, snapshot: SnapshotAssertion) -> None:
    async with console(state).run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        assert app.page is not None
        assert described(app.page.canvas(80, 24)) == snapshot(name="live")
        await pilot.press("exclamation_mark")
        assert described(app.page.canvas(80, 24)) == snapshot(name="inbox")


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
async def test_as_of(size: str, snapshot: SnapshotAssertion) -> None:
    """The screens that travel, at a moment an hour ago; one that does not is labelled."""
    app = console("normal")
    kept(app.link)  # type: ignore[arg-type]
    async with app.run_test(size=SIZES[size]) as pilot:
        await ready(pilot)
        app.action_travel_to(NOW - 3600)
        await until(pilot, lambda: app.travel.read_at == NOW - 3600 and not app.series_cache.busy)
        for name, key in (
            ("live", "1"),
            ("gate", "2"),
            ("triggers", "3"),
            ("trends", "4"),
            ("documents", "7"),
            ("log", "8"),
        ):
            await pilot.press(key)
            page = app.page
            assert page is not None
            await until(pilot, lambda page=page: page.is_mounted and not getattr(page, "busy", False))  # type: ignore[misc]
            assert described(page.canvas(*SIZES[size])) == snapshot(name=name)


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
async def test_incident(size: str, snapshot: SnapshotAssertion) -> None:
    app = console("locked")
    link = app.link
    assert isinstance(link, FakeLink)
    link._conn = store().conn
    link.view = replace(LOCKED, at=BEGAN + 500)
    async with app.run_test(size=SIZES[size]) as pilot:
        await ready(pilot)
        await pilot.press("i")
        page = app.page
        assert isinstance(page, IncidentPage)
        await until(pilot, lambda: page.incident is not None and not page.busy)
        assert described(page.canvas(*SIZES[size])) == snapshot(name="incident")


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
async def test_the_way_down(size: str, snapshot: SnapshotAssertion) -> None:
    """From a server to one request, and from a trigger to its evidence."""
    app = filled("alert")
    async with app.run_test(size=SIZES[size]) as pilot:
        await ready(pilot)
        for name, keys, kind in (
            ("servers", "1 s", Servers), ("kinds", "j enter", ErrorKinds), ("requests", "enter", Requests), ("request", "j enter", OneRequest),
            ("triggers", "3", Triggers), ("evidence", "enter", EvidencePage),
        ):  # fmt: skip
            page = await deeper(pilot, keys, kind)
            await until(pilot, lambda page=page: page.is_mounted and not getattr(page, "busy", False))  # type: ignore[misc]
            assert described(page.canvas(*SIZES[size])) == snapshot(name=name)


@pytest.mark.parametrize(
    ("state", "size", "keys"),
    [
        ("alert", (80, 24), []),
        ("normal", (160, 48), []),
        ("rehearsal", (80, 24), ["2"]),
        ("ready", (80, 24), ["2", "p"]),
        ("normal", (80, 24), ["2", "colon"]),
        ("dead", (80, 24), []),
    ],
    ids=["alert", "wide", "rehearsal-gate", "promote", "palette", "dead"],
)
def test_pictures(snap_compare: Any, state: str, size: tuple[int, int], keys: list[str]) -> None:
    async def go(pilot: Pilot[int]) -> None:
        await ready(pilot)
        await pilot.press(*keys)
        await pilot.pause(0.3)
        if keys and keys[-1] == "colon":
            from textual.widgets import Input

            pilot.app.screen.query_one(Input).cursor_blink = False

    assert snap_compare(console(state), terminal_size=size, run_before=go)
