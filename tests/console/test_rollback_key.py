"""R works from everywhere, at once, without a question; it is proven or it is loud."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from msgspec import structs, to_builtins
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from console.app import Console
from console.link import EngineSnapshot, corrected
from console.rollback_attempt import RollbackAttempt
from console.screens.ask import QuestionDialog, TextField
from console.screens.rollback import Rollback
from engine.client.client import Reply
from engine.client.without_engine import RollbackResult
from engine.rollout.state import State
from tests.console.samples import NORMAL, NOW, PLAN, STATES, FakeLink
from tests.machine import patience

pytestmark = pytest.mark.anyio


async def settled(pilot: Pilot[int], when: Callable[[], bool], seconds: float = 30.0) -> None:
    for _ in patience(seconds):
        if when():
            return
        await pilot.pause(0.02)
    raise AssertionError("it did not come to pass")


async def walk(state: str, steps: Callable[[Console, FakeLink, Pilot[int]], Awaitable[None]], **more: bool) -> FakeLink:
    link = FakeLink(state)
    app = Console(link, PLAN, rehearsal=state.startswith("rehearsal"), **more)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.key_guard.ready)
        await steps(app, link, pilot)
    return link


@pytest.mark.parametrize("state", ["normal", "alert", "blind", "dead", "frozen", "gone", "nothing", "idle"])
async def test_r_rolls_back_in_every_state(state: str) -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press("R")
        await settled(pilot, lambda: bool(link.rollbacks))
        await settled(pilot, lambda: isinstance(app.screen, Rollback))

    link = await walk(state, steps)
    assert len(link.rollbacks) == 1


@pytest.mark.parametrize("digit", "1234567890")
async def test_r_rolls_back_from_every_screen(digit: str) -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press(digit)
        await pilot.pause(0.05)
        await pilot.press("R")
        await settled(pilot, lambda: bool(link.rollbacks))

    link = await walk("rehearsal", steps)
    assert len(link.rollbacks) == 1


async def test_f9_rolls_back_while_a_reason_is_typed() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        app.push_screen(QuestionDialog("Promote?", ["facts"], "yes", "no", TextField("reason", least=8), danger=True))
        await settled(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("R")
        await pilot.pause(0.05)
        assert link.rollbacks == []
        assert app.screen.query_one(Input).value == "R"
        await pilot.press("f9")
        await settled(pilot, lambda: bool(link.rollbacks))
        await settled(pilot, lambda: isinstance(app.screen, Rollback))
        assert not any(isinstance(s, QuestionDialog) for s in app.screen_stack)

    await walk("normal", steps)


async def test_r_rolls_back_over_a_question_without_an_input() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        app.push_screen(QuestionDialog("Promote?", ["facts"], "yes", "no"))
        await pilot.pause(0.05)
        await pilot.press("R")
        await settled(pilot, lambda: bool(link.rollbacks))

    await walk("normal", steps)


async def test_read_only_does_not_unbind_it() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press("R")
        await settled(pilot, lambda: bool(link.rollbacks))

    await walk("normal", steps, read_only=True)


async def test_the_stopwatch_runs_until_the_engine_proves_it() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press("R")
        await settled(pilot, lambda: isinstance(app.screen, Rollback) and app.screen.is_mounted)
        link.put("running")
        await pilot.pause(0.3)
        assert app.attempt is not None
        assert app.attempt.proven_s is None
        assert "ROLLING BACK" in app.screen.text()
        link.put("rolled_back")
        await settled(pilot, lambda: "PROVEN" in app.screen.text())
        assert "was observed after 41 ms" in app.screen.text()

    await walk("normal", steps)


async def test_a_later_rollback_by_a_trigger_replaces_a_proven_one() -> None:
    """Else its proof would be shown with the time and the steps of the earlier one."""
    link = FakeLink("rolled_back")
    snapshot = link.poll()
    assert snapshot.view is not None
    proof = snapshot.view.rollback
    assert proof is not None
    attempt = RollbackAttempt(link, "", proof.rev - 1, lambda: None)
    assert not attempt.overtaken(snapshot)
    assert attempt.state(snapshot) == "proven"
    assert not attempt.overtaken(snapshot)
    later = structs.replace(proof, rev=proof.rev + 4, effective_ms=22.0, automatic=True)
    assert attempt.overtaken(structs.replace(snapshot, view=structs.replace(snapshot.view, rollback=later)))


async def test_after_the_proof_numbers_are_painted_calmly_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a time lapse the engine publishes several times a second: what a slow line is spared must not be lost by one rollback."""

    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press("R")
        link.put("rolled_back")
        await settled(pilot, lambda: app.attempt is not None and app.attempt.proven_s is not None)
        app._see(link.poll())
        painted: list[float] = []
        monkeypatch.setattr(app, "_page_refreshed", lambda: painted.append(app.snapshot.at))
        view = link.view
        assert view is not None
        app._painted_at = time.monotonic()
        for i in range(5):
            app._see(structs.replace(link.poll(), view=structs.replace(view, at=view.at + i)))
        assert painted == []

    await walk("normal", steps)


async def test_unproven_for_five_seconds_is_loud_and_shows_what_to_do() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press("R")
        await settled(pilot, lambda: isinstance(app.screen, Rollback) and app.screen.is_mounted)
        assert app.attempt is not None
        app.attempt.pressed -= 6.0
        await settled(pilot, lambda: "NOT OBSERVED" in app.screen.text())
        assert f"rm {link.folder.armed}" in app.screen.text()

    await walk("frozen", steps)


async def test_without_engine_and_armed_file_nothing_can_call_the_llm_and_that_is_proof() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        link.result = RollbackResult(
            True, "Rolled back to 0 % without the engine.", ("armed file removed", "committed by this console"), "r", 42
        )
        link.out_of_reach = lambda: True  # type: ignore[method-assign]
        await pilot.press("R")
        await settled(
            pilot,
            lambda: (
                isinstance(app.screen, Rollback)
                and app.screen.is_mounted
                and "nothing can call the LLM" in app.screen.text()
            ),
        )

    await walk("dead", steps)


async def test_a_client_that_breaks_its_promise_still_leaves_the_person_with_a_command() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        def broken(reason: str = "", seen: str = "") -> RollbackResult:
            raise RuntimeError("boom")

        link.rollback = broken  # type: ignore[method-assign]
        await pilot.press("R")
        await settled(pilot, lambda: app.attempt is not None and app.attempt.result is not None)
        assert app.attempt is not None
        assert app.attempt.result is not None
        assert "rm " in app.attempt.result.sentence

    await walk("normal", steps)


async def test_what_was_on_the_screen_goes_into_the_log() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press("R")
        await settled(pilot, lambda: bool(link.rollbacks))
        assert "error rate 20.4 %" in link.rollbacks[0]

    await walk("alert", steps)


async def test_a_hanging_store_blocks_no_key_and_is_reported() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        import threading

        gate, poll = threading.Event(), link.poll
        link.poll = lambda: (gate.wait(20), poll())[1]  # type: ignore[method-assign]
        await settled(pilot, lambda: app.snapshot.liveness.state == "gone", 5.0)
        assert "has not answered" in app.snapshot.liveness.sentence
        app.post_message(events.Key("R", "R"))  # press would wait until the app is idle, which is what must not matter
        await settled(pilot, lambda: bool(link.rollbacks), 1.0)
        gate.set()

    await walk("normal", steps)


async def test_the_screen_does_not_wait_for_a_slow_engine() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        import threading

        gate = threading.Event()
        done = link.rollback

        def slow(reason: str = "", seen: str = "") -> RollbackResult:
            gate.wait(60)
            return done(reason, seen)

        link.rollback = slow  # type: ignore[method-assign]
        await pilot.press("R")
        await settled(pilot, lambda: isinstance(app.screen, Rollback) and "ROLLING BACK" in app.screen.text())
        gate.set()
        await asyncio.sleep(0)

    await walk("normal", steps)


async def test_proof_comes_from_the_engine_itself_when_the_store_takes_no_view() -> None:
    """Locked or full: the view does not change, and rev 0 means that nothing is recorded yet."""

    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        view = STATES["rolled_back"][0]
        assert view is not None
        assert view.rollback is not None
        shown = structs.replace(view.rollback, rev=0, effective_ms=31.0, overdue=False, sentence="Effective in 31 ms.")
        link.result = RollbackResult(True, "In force.", ("armed file removed",), "r1", None, "answered")
        answer = Reply(True, "", {"proof": to_builtins(shown)})
        command = link.command
        link.command = lambda kind, **fields: answer if kind == "proof" else command(kind, **fields)  # type: ignore[method-assign]
        await pilot.press("R")
        await settled(pilot, lambda: isinstance(app.screen, Rollback) and "PROVEN" in app.screen.text())
        assert "Effective in 31 ms" in app.screen.text()
        assert "not recorded it yet" in " ".join(app.screen.text().split())
        assert "Raised again since" not in app.screen.text()  # what the store shows is from before

    await walk("normal", steps)


async def test_unproven_it_explains_what_the_engine_is_doing() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        link.result = RollbackResult(True, "Without the engine.", ("intent left for the engine",), "r1", None, "silent")
        await pilot.press("R")
        await settled(pilot, lambda: app.attempt is not None and app.attempt.result is not None)
        assert app.attempt is not None
        app.attempt.pressed -= 6.0
        why = app.snapshot.liveness.sentence.removeprefix("Engine ")
        assert why
        await settled(pilot, lambda: "NOT OBSERVED" in app.screen.text())  # type: ignore[attr-defined]
        shown = " ".join(app.screen.text().split())  # type: ignore[attr-defined]
        assert shown.count(why) == 1, "in the banner, and not cut again below it"

    await walk("frozen", steps)


async def test_the_screen_agrees_with_itself_on_what_is_recorded() -> None:
    """The engine left without an answer, and the log has the rollback all the same: no part of the screen denies it."""

    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        link.result = RollbackResult(True, "Rolled back to 0 %.", ("armed file removed",), "r1", None, "silent")
        lowered = State(stage=1, percent_bp=0, rev=NORMAL.rev + 1)
        link.view = corrected(NORMAL, lowered, armed=False)
        link.poll = lambda: EngineSnapshot(link.view, link.liveness, NOW, True)  # type: ignore[method-assign]
        await pilot.press("R")
        await settled(pilot, lambda: app.attempt is not None and app.attempt.result is not None)
        await app._read()
        assert app.page is not None
        shown = " ".join(app.page.canvas(80, 24).text().split())
        assert "in the log; not yet confirmed by the engine" in shown
        assert "has not recorded it yet" not in shown

    await walk("normal", steps)
