"""After a key the next thing to do is selected, and its text is there as soon as the screen is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from console.link import corrected
from console.liveness import SeenEngine, judge
from console.screens.ask import QuestionDialog
from console.screens.documents import Documents
from console.screens.gate import Gate
from console.screens.log import Log
from console.widgets import checklist, curves, logs, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, wrapped
from console.widgets.sheet import Sheet
from console.widgets.timegrid import Grid
from engine.client.client import Reply
from engine.rollout.state import State
from tests.console.samples import ALERT, IDLE, LOG, NORMAL, FakeLink
from tests.console.screen_walk import console, ready, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("ok", "moved"), [(True, 1), (False, 0)])
async def test_after_signing_the_cursor_goes_to_the_next_open_item(ok: bool, moved: int) -> None:
    """And stays where it was refused."""
    app = console("idle")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.link.reply = Reply(ok, "Said.")  # type: ignore[attr-defined]
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, Gate) and app.screen.rows.at > 0)
        gate = app.screen
        assert isinstance(gate, Gate)
        before = gate.rows.at
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, QuestionDialog))
        await pilot.press("enter")
        await until(pilot, lambda: app.notice is not None)
        await pilot.pause(0.05)
        await until(pilot, lambda: gate.rows.at == before + moved)


async def test_the_first_frame_of_a_question_has_its_words() -> None:
    """The first frame, not the second: a slow line would show an empty box."""
    app = console("ready")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        asked = QuestionDialog("Promote?", ["From 10 % to 25 %."], "promote", "stay")
        first: list[str] = []
        repaint = asked.repaint
        asked.repaint = lambda: (first.append(asked.query_one("#facts", Sheet).canvas.text()), repaint())  # type: ignore[method-assign, assignment, func-returns-value]
        app.push_screen(asked)
        await until(pilot, lambda: bool(first))
        assert "Promote?" in first[0]
        assert "25 %" in first[0]


@given(
    st.lists(st.text("abcdefghijklmnopqrstuvwxyzé_.", min_size=1, max_size=40), min_size=1, max_size=8),
    st.integers(4, 40),
)
def test_no_line_of_a_list_begins_with_a_comma(keywords: list[str], width: int) -> None:
    lines = wrapped(", ".join(keywords), width)
    assert not any(line.startswith(",") for line in lines)
    assert "".join(lines).replace(" ", "") == ", ".join(keywords).replace(" ", "")


def test_the_newest_decision_comes_first_whatever_its_clock() -> None:
    """A promotion is stamped before the checks that it has run."""
    late = replace(LOG[0], rev=50, at=LOG[0].at + 5, sentence="checked")
    promoted = replace(LOG[0], rev=51, at=LOG[0].at + 4, kind="promote", sentence="promoted")
    result = logs.lines(replace(NORMAL, log=(promoted, late, *LOG), events=((LOG[0].at + 9, "event"),)))
    assert [text for _, _, text in result][:3] == ["event", "promoted", "checked"]


def test_a_decision_that_is_announced_as_an_event_is_one_line() -> None:
    blind = replace(LOG[0], rev=50, kind="blind", sentence="blind 2:00: no LLM documents")
    result = logs.lines(replace(NORMAL, log=(blind, *LOG), events=((blind.at, "Blind 2:00: no LLM documents."),)))
    assert [text for _, _, text in result if "lind" in text] == ["blind 2:00: no LLM documents"]


def test_a_condition_that_only_takes_time_is_not_a_failure() -> None:
    waiting = next(c for c in NORMAL.gate.conditions if c.met is False and c.eta_s)
    assert checklist.sign(waiting)[0] == "○"
    assert checklist.sign(replace(waiting, eta_s=None))[0] == "✖"


# -- what the engine has not shown --------------------------------------------------------------------------------------------


def test_without_the_armed_file_the_screen_shows_zero_percent_even_if_the_store_takes_no_view() -> None:
    seen = corrected(NORMAL, None, armed=False)
    assert (seen.effective_bp, seen.health) == (0, "alert")
    assert seen.health_sentence.startswith("0 % IN FORCE")
    assert not seen.gate.open


def test_a_rollback_on_the_disk_is_shown_without_an_engine() -> None:
    seen = corrected(NORMAL, State(rev=NORMAL.rev + 1, percent_bp=0), armed=False)
    assert (seen.percent_bp, seen.effective_bp, seen.health) == (0, 0, "rolled_back")


@given(st.integers(-2, 2), st.integers(0, 10_000), st.booleans())
def test_nothing_on_the_disk_raises_what_is_shown(newer: int, percent_bp: int, armed: bool) -> None:
    for view in (NORMAL, IDLE):
        seen = corrected(view, State(rev=view.rev + newer, percent_bp=percent_bp), armed)
        assert seen.percent_bp <= view.percent_bp
        assert seen.effective_bp <= min(view.effective_bp, seen.percent_bp)


def test_a_silent_engine_without_the_armed_file_is_not_shown_as_calling() -> None:
    for armed, output in ((True, "LLM calls end within 30s of the stop"), (False, "no LLM call can start")):
        assert output in judge(SeenEngine(100.0, 1, "stopped", 30.0), 110.0, armed).sentence


def test_at_zero_percent_no_timer_threatens_to_go_there() -> None:
    breach = replace(ALERT, percent_bp=0, triggers=tuple(t for t in ALERT.triggers if t.action == "to_zero"))
    assert words.worst(replace(breach, percent_bp=1000)) is not None
    assert words.worst(breach) is None


@pytest.mark.parametrize("key", ["j", ""])
async def test_the_selection_in_a_growing_list_is_what_is_shown(key: str) -> None:
    """A key acts on the document selected when it was pressed; at the top, the newest is shown."""
    app = console("normal")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        link = app.link
        assert isinstance(link, FakeLink)
        await pilot.press("7")
        page = app.screen
        assert isinstance(page, Documents)
        await until(pilot, lambda: page.chosen is not None and not page.busy)
        seen = page.documents[1]
        link.docs = (replace(link.docs[0], id="new", title="just in"), *link.docs)
        view = link.view
        assert view is not None
        if key:
            await pilot.press(key)
        else:
            link.view = replace(view, at=view.at + 60)
            await app._read()
        await until(
            pilot, lambda: page.chosen is not None and page.chosen.id == (seen.id if key else "new") and not page.busy
        )
        assert page.chosen == page.documents[page.rows.at]


async def test_a_new_decision_moves_no_cursor_in_the_log() -> None:
    app = console("normal")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        link = app.link
        assert isinstance(link, FakeLink)
        await pilot.press("8", "j")
        page = app.screen
        assert isinstance(page, Log)
        await until(pilot, lambda: page.rows.at == 1 and page.evidence[0] == LOG[1].rev and not page.busy)
        view = link.view
        assert view is not None
        link.view = replace(view, at=view.at + 1, rev=99, log=(replace(LOG[0], rev=99), *view.log))
        await app._read()
        await until(pilot, lambda: len(page.decisions) == len(view.log) + 1 and not page.busy)
        assert page.decisions[page.rows.at].rev == LOG[1].rev


def test_a_spike_does_not_press_the_thresholds_off_the_curve() -> None:
    c = Canvas(40, 6)
    series = [0.01] * 20 + [1.0] + [0.08] * 9
    limits = [(0.03, "3 % → previous stage"), (0.05, "5 % → 0 %")]
    chart = curves.Chart(curves.MEASURES["error_rate"], series, Grid(0.0, 30.0, len(series)), "1h", limits)
    curves.curve(c, Area(0, 0, 40, 6), chart)
    assert "5 % → 0 %" in c.text()
    assert "≥20 %" in c.text()


@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_mark_or_cursor_on_the_time_axis_splits_a_threshold_s_label(ascii_only: bool) -> None:
    """Three stages promoted in minutes put three signs over the first threshold's label."""
    grid = Grid(0.0, 30.0, 30)
    limits = [(0.03, "3 % → previous stage"), (0.05, "5 % → 0 %")]
    for column in range(30):
        c = Canvas(40, 8, ascii_only)
        marks = [(column * 30.0 + 1, "▲"), (column * 30.0 + 2, "▼")]
        chart = curves.Chart(
            curves.MEASURES["error_rate"], [0.001] * 30, grid, "1h", limits, "", marks, cursor=(29 - column) * 30.0
        )
        curves.curve(c, Area(0, 0, 40, 8), chart)
        for label in ("5 % > 0 %", "3 % > previous stage") if ascii_only else ("5 % → 0 %", "3 % → previous stage"):
            assert label in c.text(), c.text()
        if not ascii_only:
            assert "▲" in c.text()
            assert "▼" in c.text()


async def test_a_refused_resume_takes_no_letters_for_keys() -> None:
    app = console("normal")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("2", "e")
        await until(pilot, lambda: app.notice is not None and "Nothing to resume" in app.notice[0])
        assert app.key_guard._blind is not None


def test_a_question_never_cuts_what_it_asks_about_silently() -> None:
    facts = [f"○ condition {n}: not measured yet" for n in range(8)]
    question = QuestionDialog("Promote?", facts, "yes", "no")
    whole = question._facts(Canvas(60, 10), "").text()
    assert all(fact in whole for fact in facts)
    small = question._facts(Canvas(60, 7), "").text()
    assert facts[3] in small
    assert facts[4] not in small
    assert "4 more lines; a larger terminal shows them" in small
