"""The historical trends: all of them within reach at 80x24."""

from __future__ import annotations

import pytest

from console.screens.trends import CHARTS
from console.widgets import curves
from console.widgets.timegrid import Grid
from tests.console.samples import NOW
from tests.console.screen_walk import console, ready, until

pytestmark = pytest.mark.anyio


async def test_every_trend_of_the_plan_is_within_reach_at_80x24() -> None:
    titles = {curves.MEASURES[metric].title for metric in CHARTS}
    assert {"documents enriched", "documents by LLM", "error rate", "cache hits"} < titles
    assert {"latency", "latency p50 p95 p99"} < titles
    app = console("normal")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("4")
        seen: set[str] = set()

        def all_read() -> bool:
            page = app.page
            assert page is not None
            result = {
                title for title in titles if any(f"{title}{arm} · 1h" in page.text() for arm in ("", ", LLM arm"))
            }
            seen.update(result)
            return bool(result)

        await until(pilot, all_read)
        await pilot.press("n")
        await until(pilot, lambda: all_read() and seen == titles)


async def test_the_titles_name_the_arm_that_is_drawn() -> None:
    app = console("normal")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("4")
        for arm in ("LLM arm", "frequency arm"):
            await until(pilot, lambda arm=arm: app.page is not None and f"error rate, {arm} · 1h" in app.page.text())  # type: ignore[misc]
            await pilot.press("f")


def test_a_figure_that_is_not_current_has_its_time() -> None:
    grid = Grid(NOW - 600, 60.0, 10)
    current = curves.Chart(curves.MEASURES["error_rate"], (None,) * 8 + (0.05, None), grid, "1h")
    assert curves._notes(current) == ["5.0 %"]
    old = curves.Chart(curves.MEASURES["error_rate"], (None, None, 0.05) + (None,) * 7, grid, "1h")
    assert curves._notes(old) == ["5.0 % at 13:55", "no data"]
