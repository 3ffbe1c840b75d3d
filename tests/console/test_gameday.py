"""A game day is recognizable on every screen and changes nothing in the folder it is played in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.link import EngineSnapshot
from console.liveness import SeenEngine, judge
from console.plan_commands import CommandRun, CommandRunner
from console.screens import painting
from console.screens.briefing import KEYS, Briefing
from console.screens.debrief import DebriefPage
from console.screens.report import FILE, _file
from console.widgets import bars, words
from console.widgets.canvas import Canvas
from engine.gameday.debrief import Debrief
from engine.gameday.scoring import Score, ScorePart
from engine.plan.model import MonitoringCommand
from engine.report.model import IncidentMoment
from engine.view.model import AckView, View
from tests.console.samples import NORMAL, REHEARSAL, STATES, FakeLink
from tests.console.screen_walk import console, ready, until
from tests.console.test_screen_rules import Recording

GAME = replace(REHEARSAL, game=True, speed=10.0)


def header(view: View, width: int) -> str:
    canvas = Canvas(width, 2)
    bars.header(canvas, EngineSnapshot(view, STATES["normal"][1], view.at), "a" * 60)
    return canvas.text().splitlines()[0]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_header_names_the_game_day(width: int) -> None:
    assert "GAME DAY 10x" in header(GAME, width)
    assert "REHEARSAL" in header(REHEARSAL, width)
    assert "GAME DAY" not in header(NORMAL, width)


def test_who_has_the_alarm_is_named_even_where_two_long_names_do_not_fit() -> None:
    taken = replace(GAME, acknowledged=AckView("bo (uid 1000)", 0.0))
    canvas = Canvas(80, 2)
    bars.header(canvas, EngineSnapshot(taken, STATES["normal"][1], taken.at), "alice (uid 1000)")
    assert "bo has it" in canvas.text().splitlines()[0]


def test_the_terminal_s_title_names_it() -> None:
    assert words.title(GAME).startswith("GAME DAY ")


def test_a_second_console_does_not_offer_to_start_the_engine() -> None:
    liveness = judge(SeenEngine(100.0, 1, "ended", 30.0, exercise="game day"), 110.0)
    assert "in the console that began the game day" in liveness.remedy


def test_its_report_does_not_replace_the_real_one() -> None:
    assert _file(GAME) == "game-day-report.html"
    assert _file(REHEARSAL) == "rehearsal-report.html"
    assert _file(NORMAL) == _file(None) == FILE


def test_its_commands_run_in_its_own_folder(tmp_path: Path) -> None:
    """The plan's lines write files by relative names."""

    async def ran() -> CommandRun:
        ended = asyncio.Event()
        runner = CommandRunner(dict, lambda: None, lambda run: ended.set())
        runner.folder = tmp_path
        runner.start(MonitoringCommand(text="where", run="pwd"), "pwd")
        await ended.wait()
        assert runner.last is not None
        return runner.last

    assert asyncio.run(ran()).output.strip() == str(tmp_path.resolve())


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_briefing_is_read_whole_below_a_problem_of_two_lines(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painting, "Canvas", Recording)
    late = "the engine was late for 5.5 of the last 10 s (too little CPU, or stopped): what it measures then does not count"
    app = console("alert")
    assert isinstance(app.link, FakeLink)
    app.link.view = replace(GAME, health="watch", engine=replace(GAME.engine, problems=(late,)))
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await app.push_screen(page := Briefing())
        canvas = page.canvas(*size)
    assert isinstance(canvas, Recording)
    assert not canvas.clashes
    assert [what for _, what in KEYS if what not in canvas.text()] == []
    assert "The day shift is not done yet" in canvas.text() or "press enter" in canvas.text()


@pytest.mark.anyio
async def test_the_debrief_shows_the_selected_moment_whole_at_80_columns() -> None:
    held = "held by trigger: error rate creeps up (CUSUM 8.6 of 8.2, 5 of 12 in 1m 25s), and no one was at a console"
    moments = tuple(IncidentMoment(1000.0 + n, "fired", f"{n}: {held}") for n in range(12))
    part = ScorePart("noticed", 13, 15, "You noticed it 9 s after it became visible.")
    score = Score(23, 70, False, (part,), False, 9.0, None, "", 11, 5, 7, 11, ())
    made = Debrief("d", 1000.0, "alice", "empty", "Empty answers", 10.0, 1000.0, score, moments, "empty", "roll back")
    app = console("normal")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        page = DebriefPage(made)
        app.push_screen(page)
        await pilot.press("j", "j")
        await until(pilot, lambda: page.is_mounted and page.rows.at == 2)
        assert f"2: {held}" in " ".join(page.canvas(80, 24).text().split())
