"""What does not work is on the screen, in status and in the proof; a rollback's lock and its trigger are marked."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.app import Console
from console.output import sentence_of
from console.screens.ask import QuestionDialog
from console.screens.drill.decision import short
from console.screens.rollback import _facts
from console.verbs import status
from console.widgets import bars, words
from console.widgets.canvas import Canvas
from engine.client.client import Reply
from engine.view.model import TaskView
from tests.console.samples import LOCKED, NORMAL, PLAN, PROVEN, ROLLED, FakeLink
from tests.console.screen_walk import console, pages, ready, until

pytestmark = pytest.mark.anyio

FAILED = "The apply command `sh -c 'exit 3'` ended with 3: no unit"
BROKEN = replace(NORMAL, engine=replace(NORMAL.engine, problems=(FAILED, "The WAL grows")))


async def test_the_proof_keeps_its_reason_under_a_problem_and_a_notice() -> None:
    """Two banners take four rows at 80x24: what a person wrote outlasts the counts that nobody asks for first."""
    link = FakeLink("rolled_back")
    proof = replace(PROVEN, reason="users complain about the keywords", applied="done", applied_sentence="xze follows")
    link.view = replace(ROLLED, engine=BROKEN.engine, rollback=proof)
    app = Console(link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("R")
        await until(pilot, lambda: app.attempt is not None and app.attempt.result is not None)
        app.say("bo resumed: the model server was moved to another machine and answers again. Promotion is open.")
        assert app.page is not None
        shown = app.page.canvas(80, 24).text()
        for row in ("decided", "0 % observed", "documents since", "service", "reason"):
            assert f" {row} " in shown, shown


async def test_a_problem_is_on_every_screen_at_80x24() -> None:
    app = console("normal")
    assert isinstance(app.link, FakeLink)
    app.link.view = BROKEN
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        async for name, page in pages(pilot):
            if name != "help":
                assert "PROBLEM" in page.text(), name
                assert "apply command" in page.text(), name
                assert "and 1 more" in page.text(), name


async def test_a_bug_while_a_screen_reads_or_a_command_runs_is_shown_and_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    app = console("normal")
    assert isinstance(app.link, FakeLink)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        monkeypatch.setattr(app.link, "log", lambda *given, **named: 1 // 0)
        await pilot.press("8")
        await until(pilot, lambda: app.page is not None and "Unexpected error: ZeroDivisionError" in app.page.text())
        monkeypatch.setattr(app.link, "command", lambda kind, **fields: {}[kind])
        for _ in range(2):
            app.act("hold", reason="a test")
            await until(pilot, lambda: any("KeyError: 'hold'" in text for _, text, _ in app.notices))
    written = tracebacks(tmp_path)
    assert [mode for mode, _ in written] == [0o600] * 2
    assert any("ZeroDivisionError" in text for _, text in written)


def tracebacks(folder: Path) -> list[tuple[int, str]]:
    return [(path.stat().st_mode & 0o777, path.read_text()) for path in folder.glob("rollout-*.traceback")]


def test_a_bug_on_a_full_disk_is_a_sentence_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkstemp", full)
    assert sentence_of(ValueError("odd")) == "Unexpected error: ValueError: odd."


def test_an_error_of_the_system_that_names_no_file_has_its_place_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with (tmp_path / "any").open("w") as file, pytest.raises(OSError, match="Invalid argument") as caught:
        os.lseek(file.fileno(), -1, os.SEEK_SET)
    assert sentence_of(caught.value).startswith("Invalid argument. Details for a bug report: ")
    ((mode, text),) = tracebacks(tmp_path)
    assert mode == 0o600
    assert "os.lseek" in text
    assert sentence_of(FileNotFoundError(errno.ENOENT, "No such file", "/a")) == "/a: No such file."
    assert len(tracebacks(tmp_path)) == 1, "a person can do something about a file that is named"


def test_a_problem_that_is_the_health_sentence_is_shown_once() -> None:
    blind = replace(BROKEN, health="blind", health_sentence=f"BLIND: {FAILED}; one stage back in 9:18")
    c = Canvas(80, 24)
    assert bars.problems(c, 0, blind) == 1
    assert "The WAL grows" in c.text()
    assert "apply command" not in c.text()


def test_a_problem_of_an_engine_that_has_ended_says_until_when_it_was_known() -> None:
    c = Canvas(80, 24)
    bars.problems(c, 0, BROKEN, old=True)
    assert f"PROBLEM until {words.hour(BROKEN.at, BROKEN.at)}: {FAILED[:20]}" in " ".join(c.text().split())


def test_a_changed_plan_comes_before_the_figures_in_status() -> None:
    changed = replace(NORMAL, plan_changed="rollout.toml has a mistake")
    topics = [line.topic for line in status.lines(changed, "")]
    assert topics[:3] == ["stage", "health", "plan"]


def test_a_problem_is_in_status() -> None:
    results = [line.sentence for line in status.lines(BROKEN, "")]
    assert f"Problem: {FAILED}" in results


def test_the_proof_explains_what_became_of_the_service_beside_the_engine() -> None:
    rows = {
        name: (value, good) for name, value, good in _facts(replace(PROVEN, applied="failed", applied_sentence=FAILED))
    }
    assert rows["service"] == (FAILED, False)
    assert "service" not in {name for name, _, _ in _facts(PROVEN)}


async def test_the_proof_of_an_automatic_rollback_leads_to_the_resume() -> None:
    app = console("locked")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("v")
        await until(pilot, lambda: app.page is not None and "resumes with" in app.page.text())
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, QuestionDialog))


async def test_the_cause_that_was_typed_is_kept_over_the_cool_down() -> None:
    app = console("locked")
    assert isinstance(app.link, FakeLink)
    cooling = app.link.view = replace(LOCKED, cooldown_until=LOCKED.at + 1798)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("2")
        await until(pilot, lambda: app.page is not None and app.page.NUMBER == 2)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, QuestionDialog))
        for letter in "disk was full":
            await pilot.press(letter if letter != " " else "space")
            await pilot.pause(0.06)
        await pilot.press("enter")
        await pilot.pause(0.1)
        await pilot.press("y")
        await until(pilot, lambda: app.texts.get("resume") == "disk was full")
        assert not [fields for kind, fields in app.link.asked if kind == "resume"]
        app.link.reply = Reply(True, "Resumed.")
        app.link.view = replace(cooling, cooldown_until=cooling.at - 1, rev=cooling.rev + 1)
        await until(pilot, lambda: app.snapshot.view is not None and app.snapshot.view.rev == cooling.rev + 1)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, QuestionDialog))
        assert app.screen.field.typed == "disk was full"  # type: ignore[attr-defined]


@pytest.mark.parametrize("state", ["frozen", "dead"])
async def test_figures_that_no_engine_keeps_up_to_date_are_not_judged(state: str) -> None:
    app = console(state)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert app.page is not None
        values = next(line for line in app.page.text().splitlines() if "<1 %" in line)
        assert "✔" not in values
        assert "✖" not in values


def test_evidence_is_shown_without_json_or_exponents() -> None:
    shown = short({"since": 1_796_010_000.0, "firing": ["error_critical", "error_high"], "armed": True, "rate": 0.056})
    assert "2026-" in shown
    assert "error_critical, error_high" in shown
    assert "[" not in shown
    assert "e+" not in shown


async def test_having_no_address_for_messages_is_a_notice_where_messages_are_and_not_a_problem_everywhere() -> None:
    nowhere = "nowhere to send: put apprise URLs into ROLLOUT_NOTIFY_URLS or [notify] urls_file"
    app = console("normal")
    assert isinstance(app.link, FakeLink)
    app.link.view = quiet = replace(NORMAL, engine=replace(NORMAL.engine, notices=(nowhere,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        shown = {name: page.text() async for name, page in pages(pilot)}
    assert [name for name, text in shown.items() if "PROBLEM" in text] == []
    assert "nowhere to send" in shown["messages"]
    assert f"Note: {nowhere}" in [line.sentence for line in status.lines(quiet, "")]


def test_the_proof_is_by_documents_where_some_came_and_has_one_value_of_its_time() -> None:
    rows = {name: value for name, value, _ in _facts(replace(PROVEN, probes=0))}
    assert rows["0 % observed"] == "in 41 ms"
    assert {n: v for n, v, _ in _facts(replace(PROVEN, probes=20))}["0 % observed"] == "in 41 ms, 20 probes"


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (160, 48)])
async def test_live_shows_a_problem_once(size: tuple[int, int]) -> None:
    """The banner has it; among the tasks it would take their rows."""
    app = console("normal")
    assert isinstance(app.link, FakeLink)
    task = TaskView("problem", FAILED, "log")
    one = replace(NORMAL.engine, problems=(FAILED,))
    app.link.view = replace(NORMAL, engine=one, inbox=(task, *(NORMAL.inbox or ())))
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        assert app.page is not None
        shown = app.page.canvas(*size).text()
        assert shown.count("ended with 3") == 1
        assert "! 5" in shown
