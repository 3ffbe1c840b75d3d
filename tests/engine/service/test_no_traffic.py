"""A night without documents is not blindness: two silent arms and a healthy LLM service hold promotion and roll nothing back."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.routing.reading import AskedDocument
from engine.service.blindness import SilenceDetector
from engine.store import log
from tests.clock import ManualClock
from tests.engine.service.clocked import Clocked
from tests.engine.service.rig import TEXT
from tests.engine.service.test_blind import hanging_service, refused_as, shown

pytestmark = pytest.mark.anyio
BLIND_S, STEP_DOWN_S = 120.0, 1800.0


async def answered(c: Clocked) -> None:
    await c.settled(lambda: c.engine.monitor.probing.answers)


async def test_both_arms_silent_and_a_healthy_service_hold_promotion_and_step_nothing_down(tmp_path: Path) -> None:
    with hanging_service() as url:
        async with Clocked(tmp_path, {"llm.url": url}) as c:
            await answered(c)
            await c.climb(3)
            await c.passes(BLIND_S + 20)
            baked = c.engine.monitor.watch.baked_s
            await c.passes(2 * STEP_DOWN_S, step=20.0)
            assert c.engine.state.percent_bp == 2500
            assert c.engine.view is not None
            assert c.engine.view.health == "no_traffic"
            assert "nothing steps down" in c.engine.view.health_sentence
            assert not c.engine.view.blind
            assert c.engine.monitor.watch.baked_s == baked
            assert await refused_as(c, "no traffic")
            assert log.last(c.engine.conn, ("blind", "trigger")) is None


async def test_documents_by_frequency_alone_at_a_quarter_are_blindness(tmp_path: Path) -> None:
    """Thirty documents, none of which reaches the LLM though a quarter should, are not a quiet night."""
    with hanging_service() as url:
        async with Clocked(tmp_path, {"llm.url": url}) as c:
            await answered(c)
            await c.climb(3)
            for n in range(30):
                await c.engine.extract(AskedDocument(f"control-{n}", TEXT, method="frequency"))
            await c.passes(BLIND_S + 20)
            assert "while 30 arrived" in shown(c)
            await c.passes(STEP_DOWN_S)
            assert c.engine.state.percent_bp == 1000


async def test_a_quiet_night_does_not_count_towards_blindness_in_the_morning(tmp_path: Path) -> None:
    with hanging_service() as url:
        async with Clocked(tmp_path, {"llm.url": url}) as c:
            await answered(c)
            await c.climb(3)
            await c.passes(3 * 3600, step=25.0)  # six times what steps down on blindness
            for n in range(30):
                await c.engine.extract(AskedDocument(f"control-{n}", TEXT, method="frequency"))
            await c.passes(BLIND_S - 20)
            assert c.engine.state.percent_bp == 2500
            assert not shown(c)
            await c.passes(60)
            assert "blind 2:" in c.engine.view.blind if c.engine.view else False


def test_a_call_that_hangs_after_a_quiet_night_has_not_hung_all_night() -> None:
    clock = ManualClock()
    silence = SilenceDetector(clock)
    silence.sees(10.0)
    for _ in range(8 * 60):
        clock.advance(60)
        assert silence.unseen("", 0, 0.1, answers=True).idle or clock.monotonic() < 180
    clock.advance(40)
    seen = silence.unseen("", 1, 0.1, answers=True)
    assert seen.why == "" or seen.since_s <= 60
    clock.advance(60)
    seen = silence.unseen("", 1, 0.1, answers=True)
    assert "for 100 s" in seen.why
    assert seen.since_s == 100


def test_few_documents_of_a_small_share_do_not_prove_blindness() -> None:
    clock = ManualClock()
    silence = SilenceDetector(clock)
    silence.sees(10.0)
    for _ in range(40):
        silence.passes(llm_arm=False)
    clock.advance(3600)
    assert silence.unseen("", 0, 0.1, answers=True).idle
    for _ in range(30):
        silence.passes(llm_arm=False)
    assert not silence.unseen("", 0, 0.1, answers=True).idle
