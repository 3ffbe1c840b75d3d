"""Acknowledging an alarm: only while one is active, visible to all, kept in the log; the next alarm needs a new acknowledgement."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.model import Action
from engine.rollout import control
from engine.rollout.state import ENGINE, Actor, Ask
from engine.routing.reading import AskedDocument
from engine.server.requests import people
from engine.service import snapshot
from tests.engine.service.clocked import Clocked
from tests.engine.service.rig import TEXT
from tests.engine.service.test_checks import PLAN, opened

pytestmark = pytest.mark.anyio
BO = Actor("bo", 1001)


async def test_an_alarm_is_taken_by_a_person_and_ends_with_its_cause(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        now = engine.clock.now
        reply = await people.acknowledge(engine, {}, Ask(BO, now(), "k0"))
        assert not reply.ok  # nothing is on
        for n in range(3):
            up = Ask(BO, now(), f"p{n}")
            await engine.commit(up, lambda s, up=up: control.promote(PLAN, s, control.Promotion(up, s.epoch)))  # type: ignore[misc]
        fire = Ask(ENGINE, now(), "t", "error_critical")
        await engine.commit(fire, lambda s: control.act(PLAN, s, Action.to_zero, fire, "too many errors", {}))
        engine.monitor.evaluate(engine.state, Ask(ENGINE, now(), "m1"))
        view = snapshot.view(engine)
        assert view.inbox is not None
        assert view.inbox[0].kind == "acknowledge"
        assert view.acknowledged is None

        reply = await people.acknowledge(engine, {}, Ask(BO, now(), "k1"))
        assert reply.ok
        view = snapshot.view(engine)
        assert view.acknowledged is not None
        assert view.acknowledged.name == "bo"
        assert view.inbox is not None
        assert "acknowledge" not in [task.kind for task in view.inbox]
        assert (view.log[0].kind, view.log[0].actor) == ("ack", "bo")

        cause = Ask(BO, now() + 10_000, "e", "the model server ran out of memory")
        await engine.commit(cause, lambda s: control.resume(s, cause))
        engine.monitor.evaluate(engine.state, Ask(ENGINE, now(), "m2"))
        assert snapshot.view(engine).alarm_since is None
        assert snapshot.view(engine).acknowledged is None
        again = Ask(ENGINE, now(), "t2", "error_critical")
        await engine.commit(again, lambda s: control.note(s, again, "note", "later"))
        assert not (await people.acknowledge(engine, {}, Ask(BO, now(), "k2"))).ok


async def test_the_alarm_is_what_the_headline_says(tmp_path: Path) -> None:
    """Several triggers are in breach at once: on-call is paged for the one that acts first."""
    async with Clocked(tmp_path) as c:
        await c.climb(2)
        seen = set()
        for n in range(30):
            await c.engine.extract(AskedDocument(f"document-{n}", TEXT, method="llm"))
            await c.passes(3, step=3)
            view = snapshot.view(c.engine)
            if not view.percent_bp:
                break
            breach = [t for t in view.triggers if t.verdict == "breach" and t.severity != "medium"]
            if len(breach) > 1:
                alarm = c.engine.monitor.alarm
                assert view.health_sentence.startswith(f"ALERT: {alarm}"), (alarm, view.health_sentence)
                seen.add(alarm)
        assert seen
