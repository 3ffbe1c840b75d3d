"""The incident's timeline: its content, when it opens, and that it never blocks anything."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from console.screens.dashboard import Dashboard
from console.screens.incident import IncidentPage, as_text, grid_around, number
from console.screens.rows import Rows, draw_whole
from console.terminal import type_ahead
from console.widgets import curves
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from console.widgets.timegrid import Grid
from engine.measures import stored
from engine.measures.attendance import LOOK, Attendance
from engine.messages import outbox
from engine.messages.draft import Draft
from engine.plan.durations import time_of_day
from engine.plan.model import Action
from engine.report import incidents
from engine.report.incidents import keep_incidents
from engine.report.kept_incidents import KIND, KeptIncident
from engine.report.model import Incident, IncidentMoment
from engine.rollout.control import act, hold, resume, roll_back
from engine.rollout.state import ENGINE
from engine.service import feedback
from engine.service.feedback import Feedback
from engine.triggers import history
from engine.triggers.wording import Reading
from tests.console.samples import LOCKED, NORMAL, PLAN, FakeLink
from tests.console.screen_walk import console, ready, until
from tests.engine.report.history import ALICE, DAY, HOUR, START, History, incident

anyio = pytest.mark.anyio
BEGAN = START + 1.5 * DAY


def store() -> History:
    """Errors that fire error_critical, someone who looks, a complaint, a message, a cause."""
    h = History(PLAN)
    h.up()
    h.up("skipped in a test", ("x",))
    h.at = BEGAN
    reading = Reading("error_critical", "breach", 0.2, 0.05, 100, 20, 0.0, 300.0, "literal", "20 % over 5 %", "", 300.0, "errors 20 % over 5 %")  # fmt: skip
    for after, verdict in ((120, "breach"), (180, "breach"), (600, "ok")):
        history.keep(h.conn, BEGAN + after, [replace(reading, verdict=verdict)])
    stored.keep(h.conn, BEGAN + 200, LOOK, Attendance("bo", "pts/3", "came"))
    feedback.store(h.conn, Feedback("f", "complaint", BEGAN + 300, "d", text="nothing found", source="mail"))
    outbox.put(h.conn, Draft("rollback", "team", "s", "b"), BEGAN + 485, "k")
    outbox.took(h.conn, outbox.due(h.conn, BEGAN + 485)[0].id, "mail", ["mail"])
    incident(h)
    return h


def latest(h: History) -> Incident:
    last = incidents.latest(h.conn, h.plan)
    assert last is not None
    return last


def test_the_timeline_has_all_events_in_order() -> None:
    last = latest(store())
    kinds = [h.kind for h in last.happened]
    assert kinds[:4] == ["first", "seen", "look", "complaint"]
    assert kinds.index("fired") < kinds.index("proof")
    assert kinds[-1] == "decision"
    text = "\n".join(h.sentence for h in last.happened)
    assert "first bad document" in text
    assert "http_5xx" in text
    assert "errors 20 % over 5 % (n 100, at most 27" in text
    assert "bo opened a console (pts/3)" in text
    assert "complaint: nothing found" in text
    assert "message rollback: sent" in text
    assert text.count("message rollback") == 1, "its delivery is in the log too"
    assert [h.at for h in last.happened] == sorted(h.at for h in last.happened)


def test_what_it_cost_is_counted_from_its_documents() -> None:
    last = latest(store())
    assert "24 of 120 LLM calls failed" in last.cost
    assert "1 complaint from users" in last.cost


def test_an_incident_without_a_beginning_says_what_is_known() -> None:
    """A person rolls back on a suspicion: there is no first bad document to count from."""
    h = History(PLAN)
    h.up()
    h.up("skipped in a test", ("x",))
    h.wait(HOUR)
    h.documents(40, failed=2, at=h.at - 120)
    h.decide(roll_back(h.plan, h.state, h.ask(ALICE, "users complain")))
    last = latest(h)
    assert last.cost == (
        f"Rolled back manually at {time_of_day(last.decided)}; no trigger was recorded in breach then. In the 10m "
        "before, 2 of 40 LLM calls failed; 58 documents got LLM keywords. 0 complaints from users."
    )


def test_an_incident_of_complaints_has_no_bad_document_that_is_missing() -> None:
    h = History(PLAN)
    h.up()
    h.up("skipped in a test", ("x",))
    h.wait(HOUR)
    h.documents(40)
    for n in range(12):
        h.wait(30.0)
        feedback.store(h.conn, Feedback(f"f{n}", "complaint", h.at, "d", text="wrong page"))
        h.documents(5)  # the moment of a complaint is no document's fault
    reading = Reading("complaints_many", "breach", 12.0, 10.0, 12, None, 0.0, 0.0, "count", "12 complaints", "", 0.0)
    history.keep(h.conn, h.at, [reading])
    sentence = "12 complaints in this stage, over 10"
    h.decide(
        act(PLAN, h.state, Action.to_zero, h.ask(ENGINE, "complaints_many"), sentence, {"trigger": "complaints_many"})
    )
    last = latest(h)
    assert [moment.kind for moment in last.happened[:2]] == ["complaint", "complaint"]
    assert "12 complaints from users" in last.cost


def test_a_breach_that_probes_saw_before_a_document_failed_has_no_first_bad_document() -> None:
    h = History(PLAN)
    h.up()
    h.up("skipped in a test", ("x",))
    h.documents(10)
    h.wait(HOUR)
    reading = Reading("llm_unavailable", "breach", 4.0, 3.0, 4, 4, 0.0, 60.0, "probes", "LLM unavailable", "", 60.0)
    history.keep(h.conn, h.at, [reading])
    h.wait(0.5)
    h.documents(5)  # the cache still answers
    h.wait(60.0)
    h.documents(5, failed=5)
    sentence = "LLM service unavailable for 1:00 of 1:00"
    h.decide(
        act(PLAN, h.state, Action.to_zero, h.ask(ENGINE, "llm_unavailable"), sentence, {"trigger": "llm_unavailable"})
    )
    text = "\n".join(moment.sentence for moment in latest(h).happened)
    assert "LLM unavailable" in text
    assert "first bad document" not in text


@pytest.mark.parametrize("began_with", ["complaint", "seen"])
def test_a_kept_first_bad_document_that_was_none_is_not_shown(began_with: str) -> None:
    """As an older version kept it: at the moment of the complaint or of the breach with which the incident began."""
    h = store()
    last = latest(h)
    at = next(moment.at for moment in last.happened if moment.kind == began_with)
    none = IncidentMoment(at, "first", "first bad document; its row is no longer kept")
    measured = (none, *(moment for moment in last.happened if moment.kind == "seen"))
    stored.keep(h.conn, last.decided, KIND, KeptIncident(last.rev, at, at, measured))
    assert "first" not in [moment.kind for moment in latest(h).happened]
    assert [moment.at for moment in latest(h).happened].count(at) == 1


def test_a_cost_that_was_not_kept_is_not_shown_as_zero() -> None:
    h = store()
    h.conn.execute("DELETE FROM extraction")
    last = latest(h)
    assert "no longer kept" in last.cost or "not known" in last.cost
    assert " 0 of 0" not in last.cost


def test_an_incident_keeps_its_moments_and_its_cost_when_retention_takes_their_rows() -> None:
    h = store()
    before = latest(h)
    keep_incidents(h.conn, h.plan, BEGAN - DAY)  # its rows are safe for a day
    assert h.conn.execute("SELECT count(*) FROM measure WHERE kind = 'incident'").fetchone() == (0,)
    for _ in range(2):  # once is enough
        keep_incidents(h.conn, h.plan, BEGAN - HOUR)
    assert h.conn.execute("SELECT count(*) FROM measure WHERE kind = 'incident'").fetchone() == (1,)
    for table in ("extraction", "trigger_evidence", "probe"):
        h.conn.execute(f"DELETE FROM {table}")
    h.conn.execute("DELETE FROM rollup WHERE level < 3600")
    assert latest(h) == before
    assert "24 of 120 LLM calls failed" in before.cost
    h.at += 40 * DAY
    h.tell("reason", "alice gave the reason", {"of": before.rev})
    assert latest(h).happened == before.happened


def test_holds_of_people_and_of_triggers_are_kept_or_not_without_an_error() -> None:
    """Each actor is stored as a name beside its body: reading one as JSON stopped every write after the first hold."""
    h = History()
    h.up("holds are tried", ("all",))
    h.decide(hold(h.state, h.ask(ALICE, "a person holds")))
    keep_incidents(h.conn, h.plan, h.at + DAY)
    assert h.conn.execute("SELECT count(*) FROM measure WHERE kind = 'incident'").fetchone() == (0,)
    h.decide(resume(h.state, h.ask(ALICE, "on again")))
    h.decide(act(h.plan, h.state, Action.pause, h.ask(ENGINE, "error_critical"), "errors", {}))
    keep_incidents(h.conn, h.plan, h.at + DAY)
    assert h.conn.execute("SELECT count(*) FROM measure WHERE kind = 'incident'").fetchone() == (1,)
    h.conn.close()


def test_a_young_store_has_all_documents_of_its_first_incident() -> None:
    """Its first document came seconds after the trigger's first look: nothing is missing."""
    h = store()
    onset = latest(h).onset
    assert onset is not None
    first = onset - onset % 10 + 20
    h.conn.execute("DELETE FROM extraction WHERE at < ?", (first,))
    h.conn.execute("DELETE FROM rollup WHERE t < ?", (first,))
    assert "LLM calls failed" in latest(h).cost
    assert "no longer kept" not in latest(h).cost


def test_the_report_and_the_screen_agree() -> None:
    from engine.report.collect import gather
    from engine.report.html import html
    from engine.report.markdown import markdown

    h = store()
    story, last = gather(h.conn, h.plan), latest(h)
    assert story.incidents[-1] == last
    for text in (markdown(story), html(story)):
        assert "bo opened a console" in text
        assert "24 of 120 LLM calls failed" in text
    for one in last.happened:
        assert one.sentence in as_text(last)


def test_marks_are_one_cell_each() -> None:
    assert number(0, False) == "①"
    assert [len(number(place, ascii_only)) for place in (0, 19, 40) for ascii_only in (False, True)] == [1] * 6


def test_marks_of_one_moment_do_not_hide_each_other() -> None:
    canvas, grid = Canvas(40, 6), Grid(0.0, 10.0, 40)
    marks = [(100.0, "①"), (100.5, "②"), (101.0, "③"), (300.0, "④")]
    chart = curves.Chart(curves.MEASURES["error_rate"], (0.01,) * 40, grid, "1h", marks=marks)
    curves.curve(canvas, Area(0, 0, 40, 6), chart)
    for _, sign in marks:
        assert sign in canvas.text()


def test_the_chart_holds_the_whole_incident() -> None:
    last = latest(store())
    grid = grid_around(last, last.decided + DAY)
    assert grid.start <= last.happened[0].at
    assert grid.end >= last.decided + 60


@anyio
async def test_it_opens_when_a_trigger_rolled_back_and_escape_leaves_it() -> None:
    app = console("normal")
    link = app.link
    assert isinstance(link, FakeLink)
    link._conn = store().conn
    opened: list[str] = []
    app.screen_opened = opened.append  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await app._read()
        assert isinstance(app.page, Dashboard)
        link.view = replace(LOCKED, at=BEGAN + 500, log=tuple(replace(d, at=BEGAN + 480) for d in LOCKED.log))
        await app._read()
        await until(
            pilot, lambda: isinstance(app.page, IncidentPage) and "first bad document" in app.page.canvas(80, 24).text()
        )
        assert app.page is not None
        shown = app.page.canvas(80, 24).text()
        for part in ("R rollback to 0 %", "①", "LLM calls failed", "complaint", "what happened"):
            assert part in shown
        assert "INCIDENT" in app.page.text()
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.page, Dashboard))
        await app._read()
        assert isinstance(app.page, Dashboard)
        assert "Incident" not in opened  # on a game day this is no look of the player's
        await pilot.press("i")
        await until(pilot, lambda: "Incident" in opened)


@anyio
@pytest.mark.parametrize(
    ("way", "idle_s"), [("8 slash", 60.0), ("1 left_square_bracket", 60.0), ("2 H", 60.0), ("3", 0.0), ("7 enter", 0.0)]
)
async def test_it_takes_no_screen_of_someone_at_work_and_no_text_question_or_moment(way: str, idle_s: float) -> None:
    """A screen that opens under the hands takes the keys meant for the one it covers: j, enter and t act on both."""
    app = console("normal")
    link = app.link
    assert isinstance(link, FakeLink)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await app._read()
        await pilot.press(*way.split())
        await pilot.pause()
        before, page = app.screen, app.page
        assert page is not None
        link.view = replace(LOCKED, at=NORMAL.at + HOUR)
        app.key_at = time.monotonic() - idle_s
        await app._read()
        await pilot.pause(0.1)
        assert app.screen is before
        shown = " ".join(page.canvas(80, 24).text().split())
        assert "error_critical took 10 % to 0 %" in shown
        assert "i shows the incident" in shown


@anyio
async def test_it_opens_over_a_screen_that_was_left_alone() -> None:
    app = console("normal")
    link = app.link
    assert isinstance(link, FakeLink)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await app._read()
        await pilot.press("3")
        link.view = replace(LOCKED, at=NORMAL.at + HOUR)
        app.key_at = time.monotonic() - 60.0
        await app._read()
        await until(pilot, lambda: isinstance(app.page, IncidentPage))


@anyio
async def test_keys_meant_for_the_screen_that_it_covers_do_nothing_and_R_rolls_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """s signs on the gate and opens the servers here, t restores: who presses on without looking must not do that."""
    monkeypatch.setattr(type_ahead, "PAUSE_S", 120.0)  # a busy machine presses slowly
    app = console("normal")
    link = app.link
    assert isinstance(link, FakeLink)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await app._read()
        link.view = replace(LOCKED, at=NORMAL.at + HOUR)
        app.key_at = time.monotonic() - 60.0
        await app._read()
        await until(pilot, lambda: isinstance(app.screen, IncidentPage))
        await pilot.press(*"seqt", "enter")
        await pilot.pause(0.1)
        assert isinstance(app.screen, IncidentPage)
        assert app.travel.at is None
        assert not link.asked
        await pilot.press("R")
        await until(pilot, lambda: bool(link.rollbacks))


@anyio
async def test_enter_goes_to_the_moment() -> None:
    app = console("locked")
    link = app.link
    assert isinstance(link, FakeLink)
    link._conn = store().conn
    link.view = replace(LOCKED, at=BEGAN + 500)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.page, IncidentPage) and app.page.incident is not None)
        await pilot.press("j")
        await pilot.press("enter")
        await until(pilot, lambda: app.travel.at == BEGAN + 120)
        assert isinstance(app.page, Dashboard)


def test_moments_are_whole_where_they_fit_and_the_selected_one_everywhere() -> None:
    def heights(room: int, at: int) -> list[int]:
        drawn: list[int] = []
        rows = Rows()
        rows.at = at
        draw_whole(Canvas(40, 20), Area(0, 0, 40, room), rows, [1, 3, 2], lambda index, y, height: drawn.append(height))
        return drawn

    assert heights(6, 0) == [1, 3, 2]
    assert heights(5, 0) == [1, 1, 1]
    assert heights(5, 1) == [1, 3, 1]
    assert heights(2, 1) == [2]
