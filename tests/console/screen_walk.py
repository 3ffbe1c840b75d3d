"""Navigation through the console's screens in a test: each is opened by its key and waited for until it has read what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from textual.pilot import Pilot

from console.app import Console
from console.screens.page import Page
from console.widgets import plot
from tests.console.samples import PLAN, FakeLink
from tests.machine import patience

# each opened from the one before it
SCREENS = {
    "live": "1", "gate": "2", "triggers": "3", "trends": "4", "review": "5", "ab": "6", "documents": "7", "log": "8", "messages": "9",
    "faults": "0", "commands": "9 tab", "report": "tab", "rollback": "1 v", "help": "1 question_mark",
}  # fmt: skip


def console(state: str, **more: bool) -> Console:
    return Console(FakeLink(state), PLAN, rehearsal=state.startswith("rehearsal"), **more)


async def until(pilot: Pilot[int], holds: Callable[[], bool], seconds: float = 30.0) -> None:
    for _ in patience(seconds):
        if holds():
            return
        await pilot.pause(0.01)
    raise AssertionError("it did not come to pass")


async def ready(pilot: Pilot[int]) -> Console:
    """The console after its first paint and its first read of the curves."""
    app = pilot.app
    assert isinstance(app, Console)
    await until(pilot, lambda: app.key_guard.ready and plot.loaded() and not app.series_cache.busy)
    await until(pilot, lambda: app.snapshot.view is None or bool(app.series_cache.series))
    return app


async def pages(pilot: Pilot[int]) -> AsyncIterator[tuple[str, Page]]:
    """Each screen in turn, opened by its key, having read what it shows."""
    app = await ready(pilot)
    for name, key in SCREENS.items():
        if name == "faults" and not app.rehearsal:
            continue
        await pilot.press(*key.split())
        page = app.page
        assert page is not None
        await until(pilot, lambda page=page: page.is_mounted and not getattr(page, "busy", False))  # type: ignore[misc]
        yield name, page
