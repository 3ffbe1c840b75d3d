"""Screen 9, people's work: messages are sent after a question, the plan's commands run after one, lessons are kept. With real keys."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from console.app import Console
from console.plan_commands import command_environment, localized
from console.screens.ask import QuestionDialog
from console.screens.rows import Rows
from engine.messages import outbox
from engine.messages.draft import Draft
from engine.plan.model import MonitoringCommand
from engine.view.model import ReminderView
from tests.console.samples import NORMAL, PLAN, FakeLink
from tests.machine import patience

pytestmark = pytest.mark.anyio

STAGE = replace(
    PLAN.stages[2],
    validation=(
        MonitoringCommand("greet", "echo one; echo two >&2; exit 3"),
        MonitoringCommand("wait", "echo $$; sleep 60"),
    ),
    monitoring=(),
    sampling=None,
    reminders=(),
)
SMALL = replace(PLAN, stages=(*PLAN.stages[:2], STAGE, *PLAN.stages[3:]))


def screen(pilot: Pilot[int]) -> str:
    app = pilot.app
    assert isinstance(app, Console)
    assert app.page is not None
    return app.page.text()


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    for _ in patience(10.0):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"it did not come to that:\n{screen(pilot)}")


async def started(pilot: Pilot[int], *keys: str) -> None:
    await until(pilot, lambda: pilot.app.key_guard.ready)  # type: ignore[attr-defined]
    for key in keys:
        await pilot.press(key)
        await pilot.pause(0.1)  # keys that follow each other at once are a paste


def asked(link: FakeLink, kind: str) -> list[dict[str, object]]:
    return [fields for name, fields in link.asked if name == kind]


async def test_a_command_runs_after_a_question_and_its_output_goes_into_the_log() -> None:
    link = FakeLink()
    async with Console(link, SMALL).run_test(size=(100, 30)) as pilot:
        await started(pilot, "9", "tab", "j", "r")
        assert not asked(link, "ran")
        await started(pilot, "enter")  # the safe answer has the focus
        await started(pilot, "r", "y")
        await until(pilot, lambda: bool(asked(link, "ran")))
        (kept,) = asked(link, "ran")
        assert (kept["command"], kept["exit"], kept["output"]) == (STAGE.validation[0].run, 3, "one\ntwo\n")
        await until(pilot, lambda: "ended with 3" in screen(pilot) and "two" in screen(pilot))


async def test_a_running_command_can_be_ended_and_continues_behind_another_screen() -> None:
    link = FakeLink()
    async with Console(link, SMALL).run_test(size=(100, 30)) as pilot:
        await started(pilot, "9", "tab", "j", "j", "r", "y")
        runner = pilot.app.runner  # type: ignore[attr-defined]
        await until(pilot, lambda: runner.busy and bool(runner.last.output))
        await started(pilot, "2", "9", "tab")
        assert "running for" in screen(pilot)
        await started(pilot, "x")
        await until(pilot, lambda: bool(asked(link, "ran")))
        assert (asked(link, "ran")[0]["exit"], asked(link, "ran")[0]["ended"]) == (None, "cancelled")
        with pytest.raises(ProcessLookupError):
            os.kill(int(runner.last.output), 0)


async def test_leaving_the_console_ends_its_command() -> None:
    async with Console(FakeLink(), SMALL).run_test(size=(100, 30)) as pilot:
        await started(pilot, "9", "tab", "j", "j", "r", "y")
        runner = pilot.app.runner  # type: ignore[attr-defined]
        await until(pilot, lambda: bool(runner.last and runner.last.output))
        pid = int(runner.last.output)
    for _ in patience(10.0):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it lives on")


async def test_a_message_is_shown_as_it_would_go_out_and_sent_after_a_question() -> None:
    link = FakeLink()
    async with Console(link, PLAN).run_test(size=(100, 40)) as pilot:
        await started(pilot, "9")
        await until(pilot, lambda: "metrics summary, stage 2" in screen(pilot))
        await started(pilot, "s", "n")
        assert not asked(link, "message")
        await started(pilot, "s", "y")
        await until(pilot, lambda: asked(link, "message") == [{"id": "daily_summary"}])


async def test_a_lesson_is_written_and_the_report_asks_for_what_is_missing() -> None:
    link = FakeLink()
    async with Console(link, PLAN).run_test(size=(100, 40)) as pilot:
        await started(pilot, "9", "tab", "tab")
        await until(pilot, lambda: "What should the next rollout know?" in screen(pilot))
        await started(pilot, "l", *"ask early", "enter")
        await until(pilot, lambda: bool(pilot.app.screen_stack))
        await started(pilot, "y")
        await until(pilot, lambda: asked(link, "note") == [{"kind": "lesson", "text": "ask early"}])


async def test_a_console_that_may_only_look_runs_and_sends_nothing() -> None:
    link = FakeLink()
    async with Console(link, SMALL, read_only=True).run_test(size=(100, 30)) as pilot:
        await started(pilot, "9", "s", "y", "tab", "r", "y")
        await pilot.pause(0.3)
        assert not link.asked
        assert pilot.app.runner.last is None  # type: ignore[attr-defined]


def test_a_plan_command_runs_against_this_engine_plan_and_store(tmp_path: Path) -> None:
    line = "curl -s http://localhost:8080/metrics | jq .x"
    assert localized(line, PLAN, "http://127.0.0.1:40001") == "curl -s http://127.0.0.1:40001/metrics | jq .x"
    result = command_environment(PLAN, tmp_path, {"PATH": "/bin"})
    assert result["ROLLOUT_STORE"] == str(tmp_path)
    assert Path(result["ROLLOUT_PLAN"]).name == "rollout.toml"
    assert result["PATH"].endswith(":/bin")


DUE = ReminderView("daily", "daily look", NORMAL.at - 60, True)


def command_named(pilot: Pilot[int]) -> str:
    page = pilot.app.page  # type: ignore[attr-defined]
    line = page._selected()
    assert line is not None
    return str(line[1].text)


async def test_the_cursor_stays_on_its_command_over_a_change_of_tab() -> None:
    """And over another screen: r and y must not run the first command of the list instead."""
    async with Console(FakeLink(), SMALL).run_test(size=(80, 24)) as pilot:
        await started(pilot, "9", "tab", "j", "j")
        assert command_named(pilot) == "wait"
        await started(pilot, "tab", "tab", "tab", "2", "9", "tab")
        assert command_named(pilot) == "wait"


async def test_the_cursor_stays_on_its_command_when_a_reminder_comes_above_it() -> None:
    link = FakeLink()
    assert link.view is not None
    none = link.view = replace(link.view, reminders=())
    async with Console(link, SMALL).run_test(size=(80, 24)) as pilot:
        await started(pilot, "9", "tab", "j")
        assert command_named(pilot) == "wait"
        link.view = replace(none, reminders=(DUE,), rev=none.rev + 1)
        await until(pilot, lambda: "daily look" in screen(pilot))
        assert command_named(pilot) == "wait"
        link.view = replace(none, rev=none.rev + 2)
        await until(pilot, lambda: "daily look" not in screen(pilot))
        assert command_named(pilot) == "wait"


def test_a_selection_follows_what_it_is_on() -> None:
    rows = Rows()
    rows.hold("abcd")
    rows.move(2, 4)
    rows.hold("abcd")
    for keys, at in (("xabcd", 3), ("cd", 0), ("abc", 2), ("ab", 1), ("", 0), ("q", 0)):
        rows.hold(keys)
        assert max(0, rows.at) == at, keys


async def test_a_rehearsal_says_before_it_that_a_message_is_not_sent() -> None:
    link = FakeLink()
    assert link.view is not None
    link.view = replace(link.view, rehearsal=True)
    async with Console(link, PLAN).run_test(size=(100, 40)) as pilot:
        await started(pilot, "9")
        await until(pilot, lambda: "metrics summary, stage 2" in screen(pilot))
        await started(pilot, "s")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuestionDialog))
        assert isinstance(dialog := pilot.app.screen, QuestionDialog)
        assert dialog.facts[-1] == "Without addresses a rehearsal keeps it and sends nothing."


async def test_a_message_shows_as_it_was_sent_not_only_as_it_would_be_now() -> None:
    link = FakeLink()
    assert link.view is not None
    was = Draft("daily_summary", "team", "yesterday's summary", "Error rate 0.2 % of 812")
    link.read(lambda conn: outbox.put(conn, was, link.view.at - 86400.0, "k", "kept"))
    async with Console(link, PLAN).run_test(size=(120, 36)) as pilot:
        await started(pilot, "9")
        await until(pilot, lambda: "as kept" in screen(pilot))
        assert "of 812" not in screen(pilot)
        await pilot.press("a")
        await until(pilot, lambda: "of 812" in screen(pilot) and "yesterday's summary" in screen(pilot))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuestionDialog))
        assert isinstance(dialog := pilot.app.screen, QuestionDialog)
        assert not any("yesterday's" in fact for fact in dialog.facts), "what is sent is current"
        await pilot.press("escape", "a")
        await until(pilot, lambda: "of 812" not in screen(pilot))


async def test_the_last_gate_declares_it_stable_and_after_it_there_is_none() -> None:
    link = FakeLink()
    assert link.view is not None
    stages = link.view.stages
    gate = replace(link.view.gate, open=True, missing=(), blocked=(), next_stage=stages, next_name="stable")
    last = replace(link.view, stage=stages - 1, gate=replace(gate, next_percent_bp=link.view.percent_bp))
    link.view = replace(last, stage_percents=tuple(stage.percent_bp for stage in PLAN.stages))
    async with Console(link, PLAN).run_test(size=(100, 30)) as pilot:
        await started(pilot, "2", "p")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuestionDialog))
        assert isinstance(dialog := pilot.app.screen, QuestionDialog)
        assert "triggers keep watching" in dialog.facts[0]
        await pilot.press("y")
        await until(pilot, lambda: bool(asked(link, "promote")))
        link.view = replace(link.view, stage=stages, stable=True, gate=replace(gate, open=False))
        await until(pilot, lambda: "p promote" not in screen(pilot))


async def test_before_the_store_is_read_no_message_is_called_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    link, read = FakeLink(), threading.Event()
    async with Console(link, PLAN).run_test(size=(160, 48)) as pilot:
        await started(pilot)
        answer = link.read
        monkeypatch.setattr(link, "read", lambda query: (read.wait(20.0), answer(query))[1])
        await pilot.press("9")
        await pilot.pause()
        before = screen(pilot)
        read.set()
        assert "reading …" in before
        assert "none due" not in before
        assert "not sent yet" not in before
        await until(pilot, lambda: "not sent yet" in screen(pilot))
