"""The inbox on the screens: each task with its key, the count on every screen, and what an empty one shows."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from console.app import Console
from console.link import EngineSnapshot
from console.liveness import Liveness, Process, SeenEngine, judge
from console.screens.ask import QuestionDialog
from console.screens.inbox import Inbox
from console.screens.live import gate_lines
from console.tasks import KEYS
from console.verbs.status import lines
from console.widgets import waiting
from engine.rollout.control import act
from engine.rollout.state import ENGINE, Ask, State, transition
from engine.service.gatekeeper import GateKeeper
from engine.view.inbox import InboxFacts, tasks
from engine.view.model import AckView, TaskView, View
from engine.view.next_steps import what_next
from tests.console.samples import ALERT, FIRED, GATE, IDLE, LOCKED, NORMAL, NOW, PLAN, ROLLED, SLEEP, FakeLink
from tests.console.screen_walk import console, pages, ready, until


def snapshot(view: View, state: str = "well") -> EngineSnapshot:
    return EngineSnapshot(view, Liveness(state), NOW)  # type: ignore[arg-type]


def live(app: Console, size: tuple[int, int] = (80, 24)) -> str:
    assert app.page is not None
    return app.page.canvas(*size).text()


def test_every_key_has_an_action() -> None:
    assert set(KEYS.values()) <= set(waiting.ACTIONS)


def test_a_task_counts_down_to_when_it_is_possible() -> None:
    row = waiting.rows(snapshot(LOCKED))[0]
    assert (row.key, row.when) == ("e", "18:00 left")
    later = replace(LOCKED, at=NOW + 2000)
    assert waiting.rows(snapshot(later))[0].when == ""


def test_sleep_is_offered_only_while_an_engine_watches_a_calm_rollout() -> None:
    assert waiting.empty(snapshot(SLEEP)) == waiting.SLEEP
    assert waiting.empty(snapshot(SLEEP, "frozen")) != waiting.SLEEP
    assert waiting.empty(snapshot(replace(ALERT, inbox=()))) != waiting.SLEEP
    assert waiting.empty(snapshot(replace(SLEEP, inbox=None))) != waiting.SLEEP
    assert waiting.badge(snapshot(replace(SLEEP, inbox=None))) == "?"


def test_live_shows_the_text_of_a_condition_once() -> None:
    """The engine puts the text before what is missing, for the lists that show nothing else."""
    of = NORMAL.gate.conditions[0]
    missing = replace(of, missing=f"{of.text}: 187 more clean documents")
    lines = gate_lines(replace(NORMAL, gate=replace(NORMAL.gate, conditions=(missing,))))
    assert lines[0][2] == f"{of.text}: 187 more clean documents"


def test_at_any_height_the_most_urgent_task_is_shown_whole() -> None:
    assert waiting.heights([3, 2, 1], 6) == [3, 2, 1]
    assert waiting.heights([3, 2, 1], 4) == [2, 1, 1]
    assert waiting.heights([3, 2, 1, 1, 1], 4) == [1, 1, 1]  # the fourth line counts the rest
    assert waiting.heights([2], 0) == []


def test_a_checklist_is_one_row_where_it_would_hide_other_tasks() -> None:
    items = IDLE.inbox or ()
    first = TaskView("reason", "record why it was rolled back", "rollback", "42")
    last = TaskView("message", "send: rollback", "messages", "rollback")
    every = waiting.rows(snapshot(replace(IDLE, inbox=(first, *items, last))))
    shown = waiting.folded(every)
    assert [row.sentence for row in shown] == [first.sentence, f"checklist: {len(items)} items open", last.sentence]
    assert sum(row.tasks for row in shown) == len(every)
    assert shown[1].action == every[1].action
    roomy = waiting.folded(every, 2)
    assert [row.task for row in roomy[2:4]] == list(items[:2])
    assert sum(row.tasks for row in roomy) == len(every)
    alone = waiting.rows(snapshot(IDLE))
    assert waiting.folded(alone) == alone
    failed = replace(IDLE.gate, items=(replace(IDLE.gate.items[1], state="failed"),))
    shown = waiting.folded(waiting.rows(snapshot(replace(IDLE, inbox=(first, *items), gate=failed))))
    assert [row.tasks for row in shown] == [1, len(items) - 1, 1]
    assert shown[2].task == items[1]


@pytest.mark.anyio
async def test_live_folds_the_checklist_below_what_is_urgent() -> None:
    link = FakeLink("idle")
    urgent = TaskView("reason", "record why it was rolled back", "rollback", "42")
    message = TaskView("message", "send: rollback", "messages", "rollback")
    link.view = replace(IDLE, inbox=(urgent, *(IDLE.inbox or ()), message))
    app = Console(link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "2 checklist: 9 items open" in live(app)
        assert "9 send: rollback" in live(app)
        assert "more" not in live(app).split("what happens next")[0]


@pytest.mark.anyio
async def test_live_shows_tasks_with_their_keys_and_sleep_without() -> None:
    async with console("locked").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        assert "e 18:00 left · resume: error_critical" in live(app)
    async with console("sleep").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        assert waiting.SLEEP in live(app)


@pytest.mark.anyio
@pytest.mark.parametrize(("state", "key", "asks"), [("ready", "p", "Promote to"), ("locked", "e", "Write the cause now"), ("normal", "o", "Promote to")])  # fmt: skip
async def test_the_gates_keys_work_from_live(state: str, key: str, asks: str) -> None:
    async with console(state).run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, QuestionDialog) and asks in app.screen.title_text)
        assert app.page is not None
        assert app.page.TITLE == "Gate"


@pytest.mark.anyio
async def test_enter_goes_where_it_is_done_and_d_ticks_off() -> None:
    link = FakeLink("normal")
    due = TaskView("monitoring", "monitoring: look", "commands", "first_day", due=NOW - 60)
    link.view = replace(NORMAL, inbox=(due, *(NORMAL.inbox or ())))
    app = Console(link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("exclamation_mark")
        assert isinstance(app.page, Inbox)
        await pilot.press("d")
        await until(pilot, lambda: ("remind", {"id": "first_day"}) in link.asked)
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: app.page is not None and app.page.TITLE == "Gate")
        await until(pilot, lambda: app.page._selected(NORMAL).item.id == "team")  # type: ignore[union-attr, attr-defined]


@pytest.mark.anyio
async def test_a_dead_engine_is_started_by_its_key() -> None:
    link = FakeLink("dead")
    app = Console(link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "E start the engine" in live(app)
        await pilot.press("E")
        await until(pilot, lambda: ("start_engine", {}) in link.asked)


@pytest.mark.anyio
@pytest.mark.parametrize(("process", "does"), [("stopped", "`kill -CONT 4242`"), ("runs", "`kill -9 4242`")])
async def test_a_frozen_engine_is_a_task_that_says_what_ends_it_and_that_r_works(process: Process, does: str) -> None:
    link = FakeLink("frozen")
    link.liveness = judge(SeenEngine(NOW, 4242, process, 30.0), NOW + 12)
    app = Console(link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        _, waits = live(app).split("waiting for you")
        assert does in waits
        assert "R still works" in live(app)


@pytest.mark.anyio
async def test_a_running_engine_is_not_started_again() -> None:
    link = FakeLink("normal")
    app = Console(link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("E")
        await until(pilot, lambda: app.notice is not None)
        assert link.asked == []


@pytest.mark.anyio
async def test_a_notice_leaves_the_keys_free_goes_by_a_key_and_is_kept() -> None:
    async with console("locked").run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        keys = live(app).splitlines()[-2]
        app.say("Nothing to resume.", "caution")
        assert live(app).splitlines()[-2] == keys
        assert "Nothing to resume." in live(app)
        await pilot.press("backspace")
        assert "Nothing to resume." not in live(app)
        await pilot.press("exclamation_mark")
        assert "Nothing to resume." in live(app)


def facts(text: str) -> set[str]:
    """The lines that say something, without the curve beside them, which is drawn lower to make room."""
    lines = re.sub("[\u2800-\u28ff]", " ", text).splitlines()
    return {" ".join(line.split()) for line in lines if any(map(str.isalnum, line))}


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_a_notice_covers_nothing_of_the_proof(size: tuple[int, int]) -> None:
    async with console("rolled_back").run_test(size=size) as pilot:
        app = await ready(pilot)
        await pilot.press("v")
        page = app.page
        assert page is not None
        before = facts(page.canvas(*size).text())
        app.say("The store has not recorded it yet; it is retried. " * 2)
        shown = page.canvas(*size).text()
        assert "The store has not recorded it yet" in shown
        assert len(shown.splitlines()) == size[1]
        assert before <= facts(shown)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (160, 48)])
@pytest.mark.parametrize("state", ["normal", "locked", "rehearsal_alert"])
async def test_a_notice_on_live_takes_its_rows_from_the_log_alone(size: tuple[int, int], state: str) -> None:
    async with console(state).run_test(size=size) as pilot:
        app = await ready(pilot)
        page = app.page
        assert page is not None
        before = page.canvas(*size).text().splitlines()
        log = next(y for y, line in enumerate(before) if "log ──" in line or "since you left" in line)
        for notice in ("One row.", "The store takes no writes now. It is tried again. " * 6):
            app.say(notice, "alarm")
            after = page.canvas(*size).text().splitlines()
            assert len(after) == len(before)
            first = next(y for y, line in enumerate(after) if line.strip().startswith(notice[:8]))
            assert after[: min(log, first)] == before[: min(log, first)]
            assert after[-1] == before[-1]
            rows = {"".join(line.split()) for line in before}  # the width of the times follows the rows shown
            assert [line for line in after[log:first] if "".join(line.split()) not in rows] == []


@pytest.mark.anyio
async def test_the_gate_of_the_way_back_names_the_key_that_starts_measuring_and_keeps_its_bake() -> None:
    """At 80 columns the meter gives way to the figures."""
    task = TaskView("resume", "resume, once the LLM may be called", "gate", "armed")
    gate = replace(GATE, returns=True, bake_s=64_800.0, baked_s=45_240.0, blocked=())
    app = console("rolled_back")
    app.link.view = replace(ROLLED, inbox=(task,), gate=gate)  # type: ignore[attr-defined]
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("2")
        assert "e resume, once the LLM may be called" in live(app)
        assert "back to Limited, 25 %   3 of 9 met   " in live(app)
        assert "bake 12h 34m of 18h" in live(app).splitlines()[3]


def test_status_names_the_key_and_counts_what_it_leaves_out() -> None:
    shown = [line.sentence for line in lines(LOCKED, "running")]
    assert any(
        "resume: error_critical fired; needs the cause" in s and "(possible in 18:00, key e)" in s for s in shown
    )
    many = replace(NORMAL, inbox=tuple(TaskView("item", f"sign: {n}", "gate", str(n)) for n in range(8)))
    assert "Waiting for you: 3 more; the key ! lists them." in [line.sentence for line in lines(many, "running")]
    assert "Waiting for you: nothing." in [line.sentence for line in lines(SLEEP, "running")]
    assert "Waiting for you: nothing." not in [line.sentence for line in lines(SLEEP, "dead")]


@pytest.mark.anyio
async def test_the_header_states_who_has_the_alarm_and_k_takes_it() -> None:
    link = FakeLink("alert")
    app = Console(link, PLAN)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("K")
        await until(pilot, lambda: ("acknowledge", {}) in link.asked)
        link.view = replace(ALERT, acknowledged=AckView("bo", NOW))
        await until(pilot, lambda: "alice (bo has it)" in live(app).splitlines()[0])
        link.view = replace(ALERT, acknowledged=AckView("alice", NOW))
        await until(pilot, lambda: "alice has it" in live(app).splitlines()[0])


WIDE = {"live": ("locked 18:00, then e (resume)", "resume: error_critical fired; needs the cause"), "gate": (LOCKED.gate.blocked[0],),
        "triggers": ("FIRED: locked; e on the gate (2) resumes", f"locked: {FIRED}")}  # fmt: skip


@pytest.mark.anyio
async def test_a_lock_is_read_whole_at_80_by_24() -> None:
    """What is locked, by what, until when and what to do: as the engine words it, not one character cut."""
    async with console("locked").run_test(size=(80, 24)) as pilot:
        async for name, page in pages(pilot):
            for sentence in WIDE.get(name, ()):
                shown = [
                    [line[:39], line[39:]] if name == "live" else [line]
                    for line in page.canvas(80, 24).text().splitlines()
                ]
                columns = [" ".join(" ".join(part).split()) for part in zip(*shown, strict=True)]
                assert any(sentence in column for column in columns), (name, sentence, columns)


def test_the_sample_of_a_lock_is_worded_as_the_engine_words_it() -> None:
    trigger = next(rule for rule in PLAN.triggers if rule.id == "error_critical")
    asked = Ask(ENGINE, NOW - 720, "r", trigger.id)
    before = State(stage=2, percent_bp=1000)
    decision = act(PLAN, before, trigger.action, asked, FIRED.removeprefix("error_critical fired: "), {})
    assert decision is not None
    state = transition(before, decision)
    assert (state.locked, state.cooldown_until) == (LOCKED.locked, LOCKED.cooldown_until)
    assert LOCKED.next == what_next(state, (), LOCKED.gate, "", None, NOW)
    assert LOCKED.inbox is not None
    assert LOCKED.inbox[0] == tasks(state, PLAN, LOCKED.gate, (), InboxFacts(locked_by=trigger.id))[0]
    held = SimpleNamespace(
        misplaced="",
        _clock=SimpleNamespace(now=lambda: NOW),
        _evaluated=SimpleNamespace(verdict=SimpleNamespace(blind="", quiet="")),
        _plan=PLAN,
    )
    assert LOCKED.gate.blocked[0] == GateKeeper.blocked(held, state)[0]  # type: ignore[arg-type]
