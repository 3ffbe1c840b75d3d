"""A moment in the past, rebuilt from the store: what it shows, and what it admits not to know."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from engine.history.decided import NothingKept
from engine.history.past import view_at
from engine.measures.record import Extraction
from engine.plan.durations import iso
from engine.rollout.state import ENGINE
from engine.routing.reading import AskedDocument
from engine.service import probes
from engine.store import live
from engine.store.rollup import insert_and_fold, retain
from engine.triggers import history
from engine.triggers.history import Gauged
from engine.triggers.windows import WindowTotals
from engine.triggers.wording import Reading
from engine.view.model import ServerView, View
from tests.engine.report.history import BO, DAY, HOUR, START, History, incident, whole
from tests.engine.service.clocked import Clocked
from tests.engine.service.rig import TEXT
from tests.engine.service.test_blind import hanging_service
from tests.stub_llm import StubLlm


def at(h: History, moment: float) -> View:
    return view_at(h.conn, h.plan, moment)


def seen(h: History, moment: float, verdict: str, held: float, left: float | None) -> None:
    reading = Reading(
        "error_critical", verdict, 0.2, 0.05, 100, 20, held, 300.0, "literal", "20 % (20 of 100)", "", left
    )  # type: ignore[arg-type]
    history.keep(h.conn, moment, [reading], Gauged(WindowTotals(300.0, 100, 20), WindowTotals(300.0, 0, 0)))


def test_the_percentage_stage_log_and_lock_are_those_of_the_moment() -> None:
    h = whole()
    canary = START + 1.5 * DAY + DAY + HOUR
    before, after = at(h, canary + 60), at(h, canary + 9 * 60)
    assert (before.stage, before.percent_bp, before.locked) == (2, 1000, "")
    assert (after.percent_bp, after.health) == (0, "rolled_back")
    assert after.locked
    assert all(d.at <= before.at for d in before.log)
    resumed = at(h, canary + 8 * 60 + 2 * HOUR + 1)
    assert not resumed.locked


def test_gauges_are_of_the_five_minutes_before_the_moment() -> None:
    h = whole()
    canary = START + 1.5 * DAY + DAY + HOUR
    shown = at(h, canary + 7 * 60)
    assert shown.error_rate.value == pytest.approx(0.2)
    assert shown.error_rate.window_s == 300.0
    assert at(h, canary - 60).error_rate.value is None


def test_gauges_and_triggers_of_a_moment_are_of_one_second_that_of_the_newest_record() -> None:
    h = History()
    h.tell("start", "the rollout begins", actor=ENGINE)
    h.wait(HOUR)
    seen(h, h.at, "breach", 60.0, 240.0)
    shown = at(h, h.at + 40)
    trigger = next(t for t in shown.triggers if t.id == "error_critical")
    assert (shown.at, trigger.held_s, trigger.fires_in_s) == (h.at, 60.0, 240.0)
    assert (shown.error_rate.k, shown.error_rate.n, trigger.sentence) == (20, 100, "20 % (20 of 100)")


def test_figures_of_before_a_decision_name_their_own_moment_after_it() -> None:
    h = History()
    h.tell("start", "the rollout begins", actor=ENGINE)
    h.wait(HOUR)
    seen(h, h.at, "breach", 120.0, 180.0)
    recorded = h.at
    h.wait(20.0)
    h.tell("sign", "alice signed an item")
    shown = at(h, h.at + 1)
    assert (shown.at, shown.log[0].sentence) == (h.at + 1, "alice signed an item")
    trigger = next(t for t in shown.triggers if t.id == "error_critical")
    assert trigger.sentence == f"{iso(recorded)[11:]}: 20 % (20 of 100)"


def test_a_trigger_without_figures_needs_no_moment() -> None:
    h = History()
    h.tell("start", "the rollout begins", actor=ENGINE)
    h.wait(HOUR)
    nothing = Reading(
        "error_critical", "insufficient", None, 0.05, 0, None, 0.0, 300.0, "", "nothing to judge", "", None
    )
    history.keep(h.conn, h.at, [nothing])
    shown = next(t for t in at(h, h.at + 40).triggers if t.id == "error_critical")
    assert shown.sentence == "nothing to judge"


def test_the_bake_of_a_moment_stops_while_blind_and_never_exceeds_the_last() -> None:
    h = History()
    h.up()
    began = h.at
    h.wait(60)
    h.tell("blind", "blind", {"unseen": "no LLM documents for 45 s while 83 arrived"}, ENGINE)
    seen(h, h.at, "blind", 0.0, None)
    assert at(h, h.at + 30).blind.endswith(": no LLM documents for 45 s while 83 arrived; timers paused")
    h.wait(600)
    assert at(h, h.at).gate.baked_s == 60
    h.tell("seen", "sees documents again", actor=ENGINE)
    h.wait(30)
    assert at(h, h.at).gate.baked_s == 90
    h.tell("engine_start", "the engine started", {"away_s": 25.0}, ENGINE)
    assert at(h, h.at).gate.baked_s == 65
    last = {"stage": 1, "entered_at": began, "gate": {"baked_s": 40.0}}
    live.write(h.conn, h.at, msgspec.json.encode(last))
    assert at(h, h.at).gate.baked_s == 40


def test_what_was_not_kept_is_unknown_and_never_invented() -> None:
    h = History()
    h.tell("start", "the rollout begins", actor=ENGINE)
    seen(h, h.at, "ok", 0.0, None)
    long_after = at(h, h.at + HOUR)
    assert {t.verdict for t in long_after.triggers} == {"unknown"}
    assert "no evaluation of the triggers is stored for the 1h before" in long_after.blind
    assert all(s.up is None and s.state == "not called" for s in long_after.servers)
    assert not long_after.gate.open
    assert any("lease" in sentence for sentence in long_after.not_kept)
    with pytest.raises(NothingKept, match="The store's record starts at"):
        at(h, START - 1)


def test_where_minutes_are_gone_the_hour_is_shown_and_reports_it() -> None:
    h = History()
    h.up()
    h.up("skipped in a test", ("x",))
    h.documents(100, failed=10)
    moment = h.at + 60
    h.wait(20 * DAY)
    h.documents(10)
    while retain(h.conn, h.at, DAY, DAY, DAY):
        pass
    shown = at(h, moment + HOUR)
    assert shown.error_rate.window_s == HOUR
    assert shown.error_rate.value == pytest.approx(0.1)
    assert any("until" in sentence and "1h" in sentence for sentence in shown.not_kept)


def test_a_signature_of_later_is_not_shown_earlier() -> None:
    h = History()
    h.tell("start", "the rollout begins", actor=ENGINE)
    item = h.plan.stages[0].checklist[0].id
    h.wait(HOUR)
    h.signs(item, by=BO)
    first = h.at
    h.wait(HOUR)
    h.signs(item, "open", by=BO)
    states = [
        next(i for i in at(h, moment).gate.items if i.id == item).state for moment in (first - 1, first + 1, h.at)
    ]
    assert states == ["open", "done", "open"]


def test_servers_are_known_by_the_calls_they_answered_and_the_probes_they_failed() -> None:
    h = History()
    h.up()
    h.up("skipped in a test", ("x",))
    incident(h)
    url = h.plan.llm.urls[0]
    probes.writes([(h.at - 10, url, False, None, "connection refused")])(h.conn)
    server = at(h, h.at).servers[0]
    assert (server.up, server.error) == (False, "connection refused")


def test_a_rehearsal_s_past_lists_its_own_servers_not_the_plan_s() -> None:
    h = History()
    h.up()
    own = "http://127.0.0.1:4711"
    server = ServerView("ollama-1", own, True, "up", 0, 0.0, None, 0, "")
    shown = replace(at(h, h.at), rehearsal=True, servers=(server,))
    live.write(h.conn, h.at, msgspec.json.encode(shown))
    assert [server.url for server in at(h, h.at).servers] == [own]


@pytest.mark.anyio
async def test_it_shows_what_the_engine_showed(tmp_path: Path) -> None:
    """The engine's own view of a moment and the one that is read from its store afterwards agree on what both know."""
    with hanging_service() as url:
        async with Clocked(tmp_path, {"llm.url": url}) as c:
            await c.climb(2)
            for n in range(30):
                await c.engine.extract(AskedDocument(f"control-{n}", TEXT, method="frequency"))
            await c.passes(70)
            then = c.engine.view
            assert then is not None
            await c.passes(600)
            again = view_at(c.engine.conn, c.engine.plan, then.at)
    same = ("stage", "percent_bp", "epoch", "rev", "held", "locked", "entered_at", "stage_name")
    assert {name: getattr(again, name) for name in same} == {name: getattr(then, name) for name in same}
    assert [t.id for t in again.triggers] == [t.id for t in then.triggers]
    assert [(i.id, i.state) for i in again.gate.items] == [(i.id, i.state) for i in then.gate.items]
    assert [c.id for c in again.gate.conditions] == [c.id for c in then.gate.conditions]
    assert [(c.value, c.n, c.met) for c in again.gate.conditions] == [
        (c.value, c.n, c.met) for c in then.gate.conditions
    ]
    assert again.methods["frequency"] == then.methods["frequency"]


@pytest.mark.anyio
async def test_any_moment_has_the_figures_that_the_engine_showed_at_the_second_it_names(tmp_path: Path) -> None:
    views: dict[float, View] = {}
    async with StubLlm(slots=4, latency_s=0.01) as stub, Clocked(tmp_path, {"llm.url": stub.url}, ticking=False) as c:
        await c.climb(2)
        for n in range(100):
            stub.fault = "http_500" if n % 9 == 0 else ""
            await c.engine.extract(AskedDocument(f"document-{n}", TEXT, method="llm"))
            await c.passes(3, step=3)
            assert c.engine.view is not None
            views[c.engine.view.at] = c.engine.view
        asked = [moment for moment in views if moment > min(views) + 5]
        pasts = [view_at(c.engine.conn, c.engine.plan, moment) for moment in asked]
    for moment, past in zip(asked, pasts, strict=True):
        then = views[past.at]
        assert 0 <= moment - past.at <= 60
        assert past.triggers == then.triggers
        for now, before in ((past.error_rate, then.error_rate), (past.latency, then.latency), (past.cache, then.cache)):
            assert (now.value, now.n, now.k) == (before.value, before.n, before.k)
    assert any(past.error_rate.k for past in pasts)


def test_the_way_back_bakes_from_the_cause_on_and_forgets_what_the_rollback_answered() -> None:
    h = History()
    h.up()
    h.up("the canary", ("everything",))
    incident(h)  # ends with the cause, two hours after the rollback
    resumed = h.at
    h.wait(6 * HOUR)
    soon, later = at(h, resumed + 60), at(h, resumed + 5 * HOUR)
    assert (soon.gate.returns, soon.gate.baked_s) == (True, 60.0)
    assert later.gate.baked_s == 5 * HOUR


def test_shadow_answers_prove_that_the_armed_file_was_there() -> None:
    h = History()
    h.up()
    assert not at(h, h.at).armed
    insert_and_fold(h.conn, [Extraction(h.at, "a", "shadow", "llm", 1, h.state.epoch, shadow=True, attempted=True)])
    assert at(h, h.at + 10).armed


def test_shadow_at_a_moment_is_as_its_triggers_counted_it() -> None:
    """A late engine's timeouts are in the store and judged by no trigger."""
    h = History()
    h.up()
    late = [
        Extraction(h.at, f"d{n}", "shadow", "llm", 1, h.state.epoch, shadow=True, attempted=True, error="timeout")
        for n in range(9)
    ]
    insert_and_fold(h.conn, late)
    h.wait(60.0)
    reading = Reading("error_critical", "insufficient", None, None, 0, None, 0.0, 300.0, "", "at 0 %", "", None)
    nothing = WindowTotals(300.0, 0, 0)
    history.keep(h.conn, h.at, [reading], Gauged(nothing, WindowTotals(300.0, 4, 1)))
    errors = at(h, h.at + 10).shadow[0]
    assert (errors.n, errors.k) == (4, 1)
