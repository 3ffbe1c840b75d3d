"""The historical trends: all of them within reach at 80x24."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from console.screens.trends import CHARTS
from console.widgets import curves, words
from console.widgets.timegrid import Grid
from tests.console.samples import NORMAL, NOW, FakeLink
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


async def test_while_only_shadow_calls_the_llm_trends_begin_with_shadow_as_live_does() -> None:
    app = console("normal")
    assert isinstance(app.link, FakeLink)
    shadow = (replace(NORMAL.error_rate, arm="shadow"), replace(NORMAL.latency, arm="shadow"))
    app.link.view = replace(NORMAL, stage=1, percent_bp=0, shadow_bp=10_000, shadow=shadow)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("4")
        for arm in ("shadow", "frequency arm", "LLM arm", "shadow"):
            await until(pilot, lambda arm=arm: app.page is not None and f"error rate, {arm} · 1h" in app.page.text())  # type: ignore[misc]
            await pilot.press("f")


def test_a_figure_that_is_not_current_has_its_time() -> None:
    grid = Grid(NOW - 600, 60.0, 10)
    current = curves.Chart(curves.MEASURES["error_rate"], (None,) * 8 + (0.05, None), grid, "1h")
    assert curves._notes(current) == ["5.0 %"]
    old = curves.Chart(curves.MEASURES["error_rate"], (None, None, 0.05) + (None,) * 7, grid, "1h")
    assert curves._notes(old) == ["5.0 % at 13:55", "no data"]


@pytest.mark.parametrize("state", ["normal", "alert", "blind", "rolled_back"])
async def test_every_screen_has_the_figure_of_the_gauge_beside_a_curve(state: str) -> None:
    """The newest bucket of a curve is another window: 50 % beside a gauge of 19 % helps no one."""
    async with console(state).run_test(size=(160, 48)) as pilot:
        app = await ready(pilot)
        v = app.live.view
        assert v is not None
        latency = words.ms(v.latency.value)
        for key in ("1", "2", "3", "4"):
            await pilot.press(key)
            page = app.page
            assert page is not None
            await until(pilot, lambda page=page: not getattr(page, "busy", False))  # type: ignore[misc]
            heads = re.findall(r"latency(?:, LLM arm)? · 1h · s ─+ ([^─]*?) ─", page.canvas(160, 48).text())
            assert heads, key
            for head in heads:
                assert head == latency if v.latency.value is not None else " at " in head or head == words.NO_DATA
