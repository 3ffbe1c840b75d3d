"""A rollout runs under the plan and the model it was started with; a change is a decision that records what it restarts."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.client.client import Reply
from engine.messages import outbox
from engine.plan.init import set_value
from engine.plan.load import load_plan
from engine.rollout.control import note
from engine.rollout.state import Decision
from engine.service import pinning
from engine.store import log, plans
from engine.trial import ledger
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio
LONG = {
    "trigger_settings.blind_after": "20h",
    "trigger_settings.blind_step_down": "21h",
    "trigger_settings.probe_every": "1h",
}
MESSAGES_OF = re.compile(r"(?m)^stages = \[.*\]$")
Edit = Callable[[str], str]


def set_to(place: str, value: object) -> Edit:
    return lambda text: set_value(text, place, value)


def without_stage(number: int) -> Edit:
    """The stage deleted and those after it renumbered, as a person does it in an editor."""

    def edit(text: str) -> str:
        head, *stages = text.split("[[stages]]\n")
        del stages[number]
        numbered = [
            part.replace(f"number = {n + (n >= number)}\n", f"number = {n}\n", 1) for n, part in enumerate(stages)
        ]
        whole = "[[stages]]\n".join([head, *numbered])
        return MESSAGES_OF.sub("stages = [1]", whole)

    return edit


def inserted(text: str) -> str:
    """A stage of 5 % before the canary, those after it renumbered."""
    head, *stages = text.split("[[stages]]\n")
    extra = (
        stages[2]
        .split("\n\n")[0]
        .replace('id = "canary"', 'id = "tiny"')
        .replace("Canary", "Tiny")
        .replace("percent = 10", "percent = 5")
    )
    stages.insert(2, extra + "\n\n")
    numbered = [part.replace(f"number = {n - (n > 2)}\n", f"number = {n}\n", 1) for n, part in enumerate(stages)]
    whole = "[[stages]]\n".join([head, *numbered])
    return MESSAGES_OF.sub("stages = [1]", whole)


@contextlib.asynccontextmanager
async def restarted(root: Path, *edits: Edit) -> AsyncIterator[Clocked]:
    """Another engine on the same store, after the edits of the plan file."""
    c = Clocked(root, LONG)
    text = c.rig.plan_path.read_text()
    for edit in edits:
        text = edit(text)
    c.rig.plan_path.write_text(text)
    plan = load_plan(c.rig.plan_path)
    c.engine.plan = c.engine.file_plan = plan
    async with c:
        yield c


async def at_stage(root: Path, stage: int) -> None:
    async with Clocked(root, LONG) as c:
        await c.climb(stage)
        await c.passes(60)


def last_plan(c: Clocked) -> Decision:
    row = log.last(c.engine.conn, ("plan",))
    assert row is not None
    return row.decision


async def promoted(c: Clocked) -> Reply:
    return await c.command("promote", epoch=c.engine.state.epoch, override=True, reason="at any price now")


async def test_a_deleted_stage_makes_nothing_stable_and_holds_until_a_person_names_the_stage(tmp_path: Path) -> None:
    await at_stage(tmp_path, 5)
    async with restarted(tmp_path, without_stage(4)) as c:
        view = c.engine.view
        assert view is not None
        assert not view.stable
        assert (view.stage_name, view.percent_bp, view.health) == ("Full Rollout", 10_000, "held")
        assert "stage 5 Full Rollout is now stage 4" in view.misplaced
        assert "stages[ab_test] removed" in last_plan(c).sentence
        refused = await promoted(c)
        assert "rollout.toml changed" in refused.sentence
        assert not (await c.command("adopt_plan", stage=9)).ok
        assert not (await c.command("adopt_plan", stage=5)).ok  # stable was never declared
        reply = await c.command("adopt_plan", stage=4, reason="the A/B test is no longer in the plan")
        assert reply.ok, reply.sentence
        await c.passes(20)
        view = c.engine.view
        assert (view.stage, view.stage_name, view.percent_bp, view.misplaced) == (4, "Full Rollout", 10_000, "")
        assert not view.stable
        assert c.engine.monitor.gatekeeper.baked(c.engine.state)[0] <= 20
        assert c.rig.reader.read(log.verify).ok
    async with restarted(tmp_path, without_stage(4)) as c:  # and it stays adopted
        assert not c.engine.misplaced


async def test_another_percentage_of_the_stage_is_held_and_adopted_it_falls_and_never_rises(tmp_path: Path) -> None:
    await at_stage(tmp_path, 3)
    async with restarted(tmp_path, set_to("stages[3].percent", 12)) as c:
        assert c.engine.switch.read().percent_bp == 2500
        assert "12 % instead of 25 %" in c.engine.misplaced
        assert "stages[limited].percent: 25 -> 12" in last_plan(c).sentence
        above = await c.command("adopt_plan", stage=4)
        assert not above.ok
        assert "then promote" in above.sentence
        assert (await c.command("adopt_plan", stage=3)).ok
        assert c.engine.state.percent_bp == 1200
        assert c.engine.switch.read().percent_bp == 1200
        await c.settled(lambda: any("adopted the changed plan" in d.subject for d in outbox.deliveries(c.engine.conn)))
    async with restarted(tmp_path, set_to("stages[3].percent", 30)) as c:
        assert (await c.command("adopt_plan", stage=3)).ok
        assert c.engine.state.percent_bp == 1200  # reduced; up only by promotion
        assert (await promoted(c)).ok
        assert (c.engine.state.stage, c.engine.state.percent_bp) == (3, 3000)


async def test_another_salt_moves_no_document_before_a_person_agrees(tmp_path: Path) -> None:
    await at_stage(tmp_path, 4)
    async with restarted(tmp_path, set_to("salt", "another")) as c:
        before = Clocked(tmp_path / "other", LONG).rig.plan
        assert c.engine.plan.salt == before.salt
        assert "salt" in c.engine.misplaced
        here = {n: c.engine.pipeline.route(f"d{n}").arm for n in range(200)}
        assert (await c.command("adopt_plan", stage=4)).ok
        assert {n: c.engine.pipeline.route(f"d{n}").arm for n in range(200)} != here


async def test_a_stage_inserted_below_is_held_and_one_changed_above_only_recorded(tmp_path: Path) -> None:
    await at_stage(tmp_path, 3)
    async with restarted(tmp_path, inserted) as c:
        assert "stage 3 Limited Rollout is now stage 4" in c.engine.misplaced
        assert c.engine.view is not None
        assert c.engine.view.stage_name == "Limited Rollout"
        rows = len(c.rig.kinds())
    async with restarted(tmp_path, inserted) as c:
        assert len(c.rig.kinds()) == rows  # reported once
        assert c.engine.misplaced
    async with restarted(tmp_path, set_to("stages[5].bake", "9d"), set_to("triggers[1].for", "11m")) as c:
        assert not c.engine.misplaced
        decision = last_plan(c)
        assert "stages[full].bake: 7d -> 9d" in decision.sentence
        assert "triggers[error_high].for: 10m -> 11m" in decision.sentence
        assert not decision.restarts


async def test_an_edited_plan_at_half_does_not_end_the_a_b_test_until_it_is_adopted(tmp_path: Path) -> None:
    async with Clocked(tmp_path, LONG) as c:
        await c.climb(4)
        await c.passes(20)
        await c.settled(lambda: ledger.running(c.engine.conn))
    async with restarted(tmp_path, without_stage(3)) as c:
        await c.passes(60)
        assert ledger.running(c.engine.conn) is not None
        assert (await c.command("adopt_plan", stage=3)).ok
        await c.passes(20)
        await c.settled(lambda: log.last(c.engine.conn, ("ab_end",)))
        row = log.last(c.engine.conn, ("ab_end",))
        assert row is not None
        assert "the plan changed before it was read" in row.decision.sentence


@pytest.mark.parametrize("edit", [set_to("llm.model", "qwen2.5:7b"), set_to("llm.temperature", 0.9)])
async def test_another_model_restarts_evidence_bake_and_test(tmp_path: Path, edit: Edit) -> None:
    async with Clocked(tmp_path, LONG) as c:
        await c.climb(4)
        await c.passes(120)
        await c.settled(lambda: ledger.running(c.engine.conn))
        assert c.engine.monitor.gatekeeper.baked(c.engine.state)[0] > 60
        before = c.engine.state
    async with restarted(tmp_path, edit) as c:
        await c.settled(lambda: log.last(c.engine.conn, ("model",)))
        row = log.last(c.engine.conn, ("model",))
        assert row is not None
        assert "the model changed" in row.decision.sentence
        await c.settled(lambda: c.engine.state.rev >= row.rev)
        after = c.engine.state
        assert (after.stage, after.percent_bp) == (before.stage, before.percent_bp)
        assert after.epoch > before.epoch
        assert after.entered_at > before.entered_at
        assert c.engine.monitor.gatekeeper.baked(after)[0] < 60
        await c.passes(20)
        await c.settled(lambda: log.last(c.engine.conn, ("ab_end",)))
        assert "the model changed before it was read" in log.last(c.engine.conn, ("ab_end",)).decision.sentence  # type: ignore[union-attr]
        assert c.rig.reader.read(log.verify).ok


async def test_other_weights_behind_the_same_name_are_another_model(tmp_path: Path) -> None:
    async with Clocked(tmp_path, LONG) as c:
        server = c.engine.pool._servers[0]
        server.facts = replace(server.facts, digest="a" * 64)
        await c.climb(2)
        assert c.engine.state.pins is not None
        assert c.engine.state.pins.model.digests == ("a" * 64,)  # the promotion pins it
        await c.passes(60)
        rev = c.engine.state.rev
        server.facts = replace(server.facts, digest="b" * 64)
        await c.passes(20)
        await c.settled(lambda: c.engine.state.rev > rev)
        assert c.engine.state.rev == rev + 1
        row = log.last(c.engine.conn, ("model",))
        assert row is not None
        assert "aaaaaaaaaaaa" in row.decision.sentence
        assert "bbbbbbbbbbbb" in row.decision.sentence
        assert row.decision.restarts
        assert c.engine.monitor.gatekeeper.baked(c.engine.state)[0] <= 20


async def test_a_store_from_before_pins_opens_and_is_pinned_by_what_its_engine_showed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:  # the engine of before: no pins in its rows, no plan file kept
        before.setattr(pinning, "begins", lambda engine, ask: note(engine.state, ask, "start", "the rollout begins"))
        before.setattr(pinning, "at_start", lambda engine, ask: None)
        before.setattr(plans, "keep", lambda conn, plan, at: None)
        await at_stage(tmp_path, 3)
    async with restarted(tmp_path, without_stage(2)) as c:
        assert "stage 3 Limited Rollout is now stage 2" in c.engine.misplaced
        assert c.engine.state.pins is not None
        assert c.engine.view is not None
        assert c.engine.view.stage_name == "Limited Rollout"
        assert c.rig.reader.read(log.verify).ok
