"""Make screenshots/ from the real console on a real rehearsal: `.venv/bin/python -m tests.make_screenshots` (about three minutes).

The console is gone through by its own keys, as in the walk-through of the README; nothing on the pictures is made up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from console.app import Console
from console.link import StoreLink
from console.screens.incident import IncidentPage
from engine.server.rehearse import Rehearsal
from engine.view.model import View

OUT = Path(__file__).parent.parent / "screenshots"
SMALL, LARGE = (80, 24), (160, 48)


class Tour:
    """A person at the keyboard, and a camera."""

    def __init__(self, app: Console, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def hope(self, holds: Callable[[View], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(0.2)
            if self.app.snapshot.view is not None and holds(self.app.snapshot.view):
                return True
        return False

    async def until(self, holds: Callable[[View], bool], seconds: float = 180.0) -> None:
        if not await self.hope(holds, seconds):
            shown = self.app.page.text() if self.app.page else ""
            raise SystemExit(
                f"The rehearsal did not get where the picture is; {self.app.screen}, {self.app.focused}:\n{shown}"
            )

    async def calm(self) -> None:
        """Enough documents for stable numbers; the cache needs a while to warm up, which is worth the wait."""
        await self.until(lambda v: v.error_rate.n > 20)
        await self.hope(lambda v: v.health == "ok", 60)

    async def press(self, *keys: str) -> None:
        """At a person's pace: bursts look like a paste."""
        for key in keys:
            await self.pilot.press(key)
            await asyncio.sleep(0.1)

    async def write(self, text: str, *then: str) -> None:
        """Into the line that a question opened."""
        await self.until(lambda _: isinstance(self.app.focused, Input))
        await self.press(*text, "enter")
        await self.until(lambda _: not isinstance(self.app.focused, Input))
        await self.press(*then)

    async def promote_past_the_gate(self, percent_bp: int, stage: int) -> None:
        await self.press("2", "o")
        await self.write("rehearsing the way up", "y")
        await self.until(lambda v: v.stage == stage and v.percent_bp == percent_bp)

    async def shoot(self, name: str, size: tuple[int, int] = SMALL, settle: float = 2.5) -> None:
        await self.pilot.resize_terminal(*size)
        await asyncio.sleep(settle)
        (OUT / f"{name}.svg").write_text(self.app.export_screenshot(title="rollout"), encoding="utf-8")
        print(name, flush=True)


async def tour(rehearsal: Rehearsal) -> None:
    app = Console(StoreLink(rehearsal.folder, rehearsal.plan), rehearsal.plan, rehearsal=True)
    async with app.run_test(size=SMALL) as pilot:
        t = Tour(app, pilot)
        await t.until(lambda v: v.methods["frequency"] > 20)
        await t.shoot("preparation")
        await t.press("2", "s")
        await t.write("merged in 1204")
        await t.press("s")  # the cursor has gone on to the next open item
        await t.write("")
        await t.press("c")
        await t.until(lambda v: sum(item.state == "done" for item in v.gate.items) >= 3)
        await asyncio.sleep(8)  # the check's message disappears
        await t.shoot("gate")
        for stage, percent in ((1, 0), (2, 1000), (3, 2500)):
            await t.promote_past_the_gate(percent, stage)
        await t.press("1")
        await t.calm()
        await t.shoot("dashboard")
        await t.press("0", "minus", "s", "1")  # slower: two minutes on the way to 0 % are to be seen
        await t.until(
            lambda v: any(x.verdict == "breach" and x.action == "to_zero" and x.held_s > 30 for x in v.triggers)
        )
        await t.shoot("alert", settle=1.0)
        await t.press("3")
        await t.shoot("triggers", settle=1.0)
        await t.press("1")
        await t.until(lambda v: v.percent_bp == 0)
        await t.hope(lambda _: isinstance(t.app.screen, IncidentPage), 10)  # it opens automatically
        await t.press("0", "x", "plus", "1")
        await asyncio.sleep(8)  # the message disappears
        await t.shoot("rolled-back")
        await t.until(lambda v: v.cooldown_until is None or v.at > v.cooldown_until)
        await t.press("2", "e")
        await t.write("the fault was switched on", "y")
        await t.until(lambda v: not v.locked and all(server.up for server in v.servers))
        await t.promote_past_the_gate(2500, 3)  # the short way back, to the stage that the rollback left
        await t.press("1")
        await t.calm()
        await t.shoot("wide", LARGE, settle=4)
        await t.press("R")
        await t.until(lambda v: v.rollback is not None and not v.rollback.automatic and v.rollback.documents_since > 5)
        await t.shoot("rollback-manual")
        await t.press("7", "m")
        await t.shoot("documents")
        await t.press("2", "colon")
        await t.shoot("menu")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with Rehearsal(speed=60) as rehearsal:
        if trouble := rehearsal.start():
            raise SystemExit(trouble)
        asyncio.run(tour(rehearsal))


if __name__ == "__main__":
    main()
