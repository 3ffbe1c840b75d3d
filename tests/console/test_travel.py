"""Time travel: every screen as it was then, clearly marked as the past."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.widgets import Input

from console.link import EngineSnapshot
from console.series_cache import SeriesCache
from console.widgets import curves
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from console.widgets.timegrid import HOUR, ZOOMS, Grid, grid_of, ticks
from engine.measures.record import Extraction
from engine.rollout.control import note
from engine.rollout.state import ENGINE, Ask, State
from engine.store import log
from engine.store.rollup import insert_and_fold
from engine.view.model import View
from tests.console.samples import ERROR, LATENCY, NONE_E, NORMAL, NOW, FakeLink
from tests.console.screen_walk import console, ready, until

anyio = pytest.mark.anyio


def kept(link: FakeLink) -> None:
    """A store that begins two hours ago, with ten failures of forty an hour ago."""

    def write(conn: object) -> None:
        state = State()
        for number, minutes in enumerate((120, 90, 50)):
            made = note(state, Ask(ENGINE, NOW - minutes * 60, f"r{number}"), "reason", f"event {minutes}", {})
            state = log.append(conn, state, made)  # type: ignore[arg-type]
        rows = [
            Extraction(NOW - 3700, f"d{i}", "treatment", "llm", 0, 0, attempted=True, error="timeout" if i < 10 else None, ms=900.0)
            for i in range(40)
        ]  # fmt: skip
        insert_and_fold(conn, rows)  # type: ignore[arg-type]

    link.read(write)


def shown(app: object) -> str:
    return app.page.text()  # type: ignore[attr-defined, no-any-return]


@anyio
async def test_the_bracket_shows_the_past_unmistakably_and_escape_returns() -> None:
    app = console("normal")
    kept(app.link)  # type: ignore[arg-type]
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "AS OF 14:02:07Z, 1m ago" in shown(app))
        assert "waiting for you" not in shown(app)  # the tasks of a moment are not recorded
        assert "gate to " in shown(app)
        assert "esc: now" in shown(app)
        assert "R rollback to 0 %" in shown(app)
        for number in ("2", "3", "4", "8"):
            await pilot.press(number)
            await until(pilot, lambda: "AS OF 14:02:07Z" in shown(app))
        await pilot.press("7")
        await until(pilot, lambda: "THIS SCREEN SHOWS NOW" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.travel.at is None)
        assert "AS OF" not in shown(app)
        assert "SHOWS NOW" not in shown(app)


@anyio
async def test_comma_and_full_stop_go_to_events_and_the_gauges_are_of_then() -> None:
    app = console("normal")
    kept(app.link)  # type: ignore[arg-type]
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        for at in (NOW - 3000, NOW - 5400):
            await pilot.press("comma")
            await until(pilot, lambda at=at: app.travel.read_at == at)  # type: ignore[misc]
        assert "event 90" in shown(app)
        assert "event 50" not in shown(app)
        await pilot.press("full_stop")
        await until(pilot, lambda: app.travel.read_at == NOW - 3000)
        app.action_travel_to(NOW - 3600)
        await until(pilot, lambda: app.travel.read_at == NOW - 3600)
        assert "25.0 %" in shown(app)


@anyio
async def test_only_rollback_acts_from_the_past_and_it_acts_now() -> None:
    app = console("normal")
    link = app.link
    assert isinstance(link, FakeLink)
    kept(link)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("left_square_bracket")
        app.action_on_gate("promote")
        await until(pilot, lambda: "only R acts" in (app.notice or ("",))[0])
        await pilot.press("2")
        await until(pilot, lambda: "AS OF" in shown(app))
        app.act("hold", reason="x")
        assert "only R acts" in (app.notice or ("",))[0]
        await pilot.press("R")
        await until(pilot, lambda: app.attempt is not None)
        assert app.travel.at is None
        assert app.attempt is not None
        assert app.attempt.rev == 41  # of now, not of then


@anyio
async def test_before_the_store_begins_it_states_since_when_it_knows() -> None:
    app = console("normal")
    kept(app.link)  # type: ignore[arg-type]
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.action_travel_to(NOW - 8000)
        await until(pilot, lambda: "The store's record starts at" in shown(app))
        await pilot.press("right_square_bracket")
        assert app.travel.at == NOW - 8000 + 60


def test_a_window_around_a_cursor_does_not_move_with_it() -> None:
    zoom = ZOOMS[HOUR]
    assert grid_of(zoom, NOW, NOW - 60) == grid_of(zoom, NOW, None)
    first = grid_of(zoom, NOW, NOW - 7200)
    assert first.start <= NOW - 7200 <= first.end
    assert len({grid_of(zoom, NOW, NOW - 7200 - s) for s in range(0, 600, 60)}) <= 2
    assert first.start % first.span == 0


def test_buckets_are_the_same_at_every_paint() -> None:
    link = FakeLink()
    history = SeriesCache(link)
    assert history.due(NOW)
    history.read(NOW)
    before = history.grid
    assert not history.due(NOW + 1)
    history.read(NOW + 31)
    assert (history.grid.start - before.start) % before.span == 0


def drawn(width: int = 60, height: int = 9, **more: object) -> str:
    c = Canvas(width, height)
    grid = Grid(NOW - NOW % 3600, 30.0, 120)
    chart = curves.Chart(curves.MEASURES["error_rate"], [0.01] * 120, grid, "1h", **more)  # type: ignore[arg-type]
    curves.curve(c, Area(0, 0, width, height), chart)
    return c.text()


def test_a_chart_has_its_unit_times_thresholds_and_the_value_at_the_cursor() -> None:
    text = drawn(limits=[(0.05, "5 % → 0 %")])
    assert "error rate · 1h · %" in text
    assert "14:00" in text
    assert "14:30" in text
    assert "5 % → 0 %" in text
    full = drawn(limits=[(0.01, "1 % → 0 %")], height=7)
    assert "1 % → 0 %" in full  # where the curve lies on it, too
    read_out = drawn(cursor=NOW - NOW % 3600 + 600)
    assert "1.0 % at 14:10" in read_out
    assert "│" in read_out


def test_the_quantiles_are_all_seen_on_one_scale() -> None:
    c = Canvas(60, 9)
    grid = Grid(NOW - NOW % 3600, 30.0, 120)
    lines = [("p50", [900.0] * 120), ("p95", [4000.0] * 120), ("p99", [30000.0] * 120)]
    curves.curve(c, Area(0, 0, 60, 9), curves.Chart(curves.MEASURES["latency_quantiles"], (), grid, "1h", lines=lines))
    rows = [next(i for i, row in enumerate(c.text().splitlines()[1:]) if name in row) for name in ("p99", "p95", "p50")]
    assert rows == sorted(set(rows))


def test_ticks_are_round_moments_inside_the_window() -> None:
    for zoom in ZOOMS:
        grid = grid_of(zoom, NOW, None)
        result = ticks(grid, 5)
        assert 1 <= len(result) <= 6
        assert all(grid.start <= at <= grid.end for at, _ in result)


def test_the_sight_of_a_moment_is_a_view() -> None:
    link = FakeLink()
    kept(link)
    app = console("normal")
    app.travel._link = link
    snapshot = app.travel.read(NOW - 3600)
    assert isinstance(snapshot, EngineSnapshot)
    assert isinstance(snapshot.view, View)
    assert snapshot.view.as_of


@anyio
async def test_curves_are_of_shadow_while_only_shadow_calls_the_llm() -> None:
    """As the gauges are; and of the LLM arm again at a moment at which it was served."""
    app = console("normal")
    link = app.link
    assert isinstance(link, FakeLink)
    arms: list[str] = []
    curves = link.curves
    link.curves = lambda *a: arms.append(a[4] if len(a) > 4 else "treatment") or curves(*a)  # type: ignore[method-assign, func-returns-value]
    shadow = replace(ERROR, arm="shadow"), replace(LATENCY, arm="shadow")
    link.view = replace(NORMAL, stage=1, percent_bp=0, shadow_bp=10_000, shadow=shadow, error_rate=NONE_E)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "shadow errors · 1h" in shown(app) and "shadow latency · 1h" in shown(app))
        assert arms[-2:] == ["shadow", "control"]
        link.view = replace(NORMAL, at=NOW + 60)
        await until(pilot, lambda: "error rate · 1h" in shown(app))
        assert arms[-2:] == ["treatment", "control"]


@anyio
async def test_a_moment_is_typed_and_arrows_move_only_in_the_past() -> None:
    app = console("normal", read_only=True)  # it acts on nothing
    kept(app.link)  # type: ignore[arg-type]
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("left")
        assert app.travel.at is None
        await pilot.press("at")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"13:03", "enter")
        await until(pilot, lambda: "AS OF 13:03:00Z, 1h ago" in shown(app) and "@ time" in shown(app))
        await pilot.press("2", "left")
        await until(pilot, lambda: "AS OF 13:02:00Z" in shown(app))
        await pilot.press("right")
        await until(pilot, lambda: "AS OF 13:03:00Z" in shown(app))
        await pilot.press("at")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"noon", "enter")
        await until(pilot, lambda: '"noon" is not a time' in (app.notice or ("",))[0])
        assert app.travel.at is not None
