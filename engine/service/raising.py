"""Up: a raise is recorded first, and only then may the LLM be called. Never against a rollback."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from engine.rollout.state import Ask, Decision, Refusal, State
from engine.service import rollback
from engine.service.engine import Engine
from engine.store.log import Outcome

SETTLE_S = 1.0  # how long a raise waits for a rollback's record before it is refused


async def record(
    engine: Engine, ask: Ask, decide: Callable[[State, sqlite3.Connection], Decision | Refusal | None]
) -> Outcome:
    """Record a decision after which the LLM may be called, then put the armed file in place; never against a rollback
    that came meanwhile.

    An armed file that is already in place stays: removing it at any moment of this is a rollback. OSError, with nothing
    changed, when the file cannot be created: a percentage without its armed file would be rolled back.
    """
    async with engine.raising:  # one armed file is made at a time; a rollback does not take this lock
        return await _raised(engine, ask, decide)


async def _raised(
    engine: Engine, ask: Ask, decide: Callable[[State, sqlite3.Connection], Decision | Refusal | None]
) -> Outcome:
    switch, folder = engine.switch, engine.folder
    for _ in range(round(SETTLE_S / 0.01)):  # a rollback from a moment ago is being recorded
        if not switch.pending:
            break
        await asyncio.sleep(0.01)
    if (why := refused_by_rollback(engine)) is not None:
        return Outcome(engine.state, engine.state, None, why)
    count = switch.rollback_count
    arming = switch.armed is None
    if arming:
        await asyncio.to_thread(folder.prepare_armed_file, f"made at {engine.clock.now():.3f} by engine {engine.token}")

    def checked(conn: sqlite3.Connection) -> Outcome:
        return engine.commit_on(conn, ask, lambda state: refused_by_rollback(engine) or decide(state, conn))

    outcome = await engine.record(checked)
    late = switch.rollback_count != count or _intent_waits(engine)
    # a request sent twice is answered from the log; a rollback may have come since
    made = outcome.state.rev > outcome.before.rev
    if not made or engine.state.stage == 0 or late:
        return outcome
    if arming:
        folder.arm()
        switch.armed = folder.armed_stamp()
        engine.background(asyncio.to_thread(folder.sync))  # outside the loop, which a slow disk must not block
        if _intent_waits(engine):  # left by a console between the check and the arming
            rollback.disarm(engine)
            return outcome
    engine.background(engine.pool.preload())  # so that no document waits for the model to load
    return outcome


def refused_by_rollback(engine: Engine) -> Refusal | None:
    """A rollback not recorded yet, or a store changed since this engine opened it. Checked again in the transaction."""
    switch = engine.switch
    if switch.pending or _intent_waits(engine):
        return Refusal("Not done: a rollback is in force and comes first.", "rolling_back")
    if why := switch.shut or switch.trust.broken or switch.trust.differs:
        return Refusal(f"Not done: {why}.")
    match switch.armed_file:
        case "removed":
            return Refusal(
                "Not done: the armed file was removed, which is a rollback: it is recorded first. Check the "
                "state, then decide again."
            )
        case "foreign":
            return Refusal(
                f"Not done: {engine.folder.armed} is not the file that the engine created, and permits nothing. The "
                f"engine removes it, unless it is a folder with files: {engine.folder.armed_removal}. "
                "Check the state, then decide again."
            )
    return None


def _intent_waits(engine: Engine) -> bool:
    """Whether a rollback is waiting as a file. One that this engine has recorded only awaits cleanup."""
    if not engine.folder.has_intents():
        return False
    recorded = {request_id for request_id, proof in tuple(engine.proofs.items()) if proof.view.rev}
    return any(intent.request_id not in recorded for _, intent in engine.folder.intents())
