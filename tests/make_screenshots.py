"""Make screenshots/ from the real console on a real rehearsal: `.venv/bin/python -m tests.make_screenshots` (about two minutes)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from console import themes
from console.app import Console
from console.link import StoreLink
from engine.client import EngineClient
from engine.rehearsal.stage import Rehearsal
from engine.view import View

OUT = Path(__file__).parent.parent / "screenshots"


async def shoot(rehearsal: Rehearsal) -> None:
    link = StoreLink(rehearsal.folder, rehearsal.plan)
    client = EngineClient(rehearsal.folder, rehearsal.plan)
    app = Console(link, rehearsal.plan, rehearsal=True, read_only=False, ascii_only=False, theme=themes.choose("dark"))

    async def until(holds: Callable[[View], bool], seconds: float = 90.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(0.2)
            if app.sight.view is not None and holds(app.sight.view):
                return
        raise SystemExit("the rehearsal did not get where the picture is")

    async def command(kind: str, **fields: object) -> None:
        reply = await asyncio.to_thread(client.command, kind, **fields)
        if not reply.ok:
            raise SystemExit(reply.sentence)

    def save(name: str) -> None:
        (OUT / f"{name}.svg").write_text(app.export_screenshot(title="rollout"), encoding="utf-8")
        print(name)

    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda v: v.methods["frequency"] > 20)
        for item in app.sight.view.gate.items:  # type: ignore[union-attr]
            await command("sign", item=item.id, note="seen in the rehearsal")
        await pilot.press("2")
        await asyncio.sleep(1.5)
        save("gate")
        for _ in range(3):
            await command("promote", epoch=link.reader.state().epoch, override=True, reason="for the picture")
        await pilot.press("1")
        await until(lambda v: v.error_rate.n > 30)
        await asyncio.sleep(1.5)
        save("dashboard")
        await command("fault", name="error_rate", value=0.2)
        await until(
            lambda v: any(t.id == "error_critical" and t.verdict == "breach" and t.held_s > 100 for t in v.triggers)
        )
        await asyncio.sleep(0.3)
        save("alert")
        await pilot.press("3")
        await asyncio.sleep(1.2)
        save("triggers")
        await pilot.press("1")
        await until(lambda v: v.percent_bp == 0)
        await asyncio.sleep(2.5)
        save("rolled-back")
        await command("fault", name="error_rate", value=0)
        await until(lambda v: v.cooldown_until is not None and v.at > v.cooldown_until)
        await command("resume", reason="the fault is switched off")
        for _ in range(2):
            await command("promote", epoch=link.reader.state().epoch, override=True, reason="for the picture")
        await until(lambda v: v.error_rate.n > 20)
        await pilot.press("R")
        await until(
            lambda v: v.rollback is not None and not v.rollback.automatic and v.rollback.effective_ms is not None
        )
        await asyncio.sleep(2)
        save("rollback-by-hand")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with Rehearsal(speed=60) as rehearsal:
        if trouble := rehearsal.start():
            raise SystemExit(trouble)
        asyncio.run(shoot(rehearsal))


if __name__ == "__main__":
    main()
