"""Down, and the key: a rollback takes effect first, is recorded second, and is proven third; arming comes after a recorded raise.

Nothing here waits for a lock, a gate or a question.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable

import msgspec

from engine import control
from engine.control import Actor, Ask, Decision, State, percent
from engine.proof import Proof
from engine.service.engine import Engine
from engine.store import log
from engine.store.log import Outcome
from engine.view import ProofView


async def arm(engine: Engine) -> None:
    """Put the key in after a decision upward; never against a rollback that came meanwhile."""
    generation = engine.switch.generation
    stage = (
        engine.plan.stages[engine.state.stage]
        if engine.state.stage < len(engine.plan.stages)
        else engine.plan.stages[-1]
    )
    if not engine.state.percent_bp and not stage.shadow_bp:
        return
    if engine.folder.has_intents():
        await apply_intents(engine)
        return
    try:
        engine.folder.arm(f"stage {engine.state.stage}, {percent(engine.state.percent_bp)}, epoch {engine.state.epoch}")
    except OSError as error:
        engine.event(
            f"The armed file could not be written ({error.strerror}): the LLM stays at 0 %. Free the disk, then resume."
        )
        return
    if engine.switch.generation != generation or engine.folder.has_intents():
        engine.folder.disarm()


async def roll_back(
    engine: Engine, ask: Ask, to_stage: int | None = None, automatic: Decision | None = None
) -> tuple[Outcome | None, Proof]:
    """Effect first, record second, proof third. The outcome is None while the store does not take it (it is tried on).

    `automatic` is a trigger's decision, made from the same state, instead of a person's.
    """
    target = (
        automatic.percent_bp
        if automatic is not None
        else control.roll_back(engine.plan, engine.state, ask, to_stage).percent_bp
    )
    to_zero = target == 0
    proof = Proof(
        engine.pipeline, engine.switch, engine.clock, engine.plan.salt, str(engine.folder.armed),
        actor=ask.actor.name, reason=ask.reason, automatic=automatic is not None, target_bp=target,
    )  # fmt: skip
    if to_zero:
        engine.switch.zero()
        with contextlib.suppress(OSError):
            engine.folder.disarm()
    proof.effect()
    engine.proof = proof
    engine.proofs[ask.request_id] = proof
    while len(engine.proofs) > 32:
        engine.proofs.pop(next(iter(engine.proofs)))
    epoch = engine.state.epoch

    def decide(state: State) -> Decision | None:
        if automatic is None:
            return control.roll_back(engine.plan, state, ask, to_stage)
        return automatic if state.epoch == epoch else None  # it was made for a percentage that is gone

    recording = engine.background(_record(engine, ask, decide, to_zero, proof))
    if not to_zero:
        await recording  # a smaller percentage is in force when the row says so
    engine.background(_prove(engine, proof, recording))
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(asyncio.shield(recording), 0.1), proof
    return None, proof


async def _record(
    engine: Engine, ask: Ask, decide: Callable[[State], Decision | None], zeroed: bool, proof: Proof
) -> Outcome | None:
    try:
        outcome = await engine.commit(ask, decide, insist=True)
    except (sqlite3.Error, log.Fenced) as error:
        engine.event(f"The rollback is in force and not yet recorded: {error}.")
        return None  # `zero` stays: 0 % in this process whatever the row says
    if zeroed:
        engine.switch.recorded()
    proof.view = msgspec.structs.replace(proof.view, rev=outcome.state.rev)
    engine.folder.lay_ballast()
    return outcome


async def _prove(engine: Engine, proof: Proof, recording: asyncio.Task[Outcome | None]) -> None:
    seen: list[ProofView] = []
    await proof.run(seen.append)
    if proof.view.overdue:
        engine.event(proof.view.sentence)
    outcome = await recording
    if outcome is None:
        return
    rev = outcome.state.rev
    proof.view = msgspec.structs.replace(proof.view, rev=rev)
    now, body = engine.clock.now(), log.json_body(proof.view)
    engine.writer.later(lambda conn: conn.execute("INSERT OR REPLACE INTO proof VALUES (?,?,?)", (rev, now, body)))


async def apply_intents(engine: Engine) -> None:
    for path, intent in engine.folder.intents():
        known = {k: v for k, v in intent.actor.items() if k in ("name", "uid", "ssh", "terminal")}
        try:
            actor = msgspec.convert({"name": "unknown", **known}, Actor)
        except msgspec.ValidationError:
            actor = Actor("unknown")
        ask = Ask(
            actor,
            engine.clock.now(),
            intent.request_id,
            intent.reason or "left while the engine did not answer",
            intent.seen,
        )
        outcome, _ = await roll_back(engine, ask)
        if outcome is not None:
            with contextlib.suppress(OSError):
                path.unlink()
        engine.event(f"A rollback by {actor.name}, left while the engine did not answer, was applied.")
