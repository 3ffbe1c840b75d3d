"""What an engine settles before its first document: leftovers of the last engine, the log, the plan, the ceiling."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import msgspec

from engine.client.identity import whoami
from engine.decoding import convert
from engine.messages import outbox
from engine.plan.environment import PERCENTAGE, ceiling
from engine.rollout.control import set_ceiling
from engine.rollout.corrections import in_the_future, renumber
from engine.service import pinning, rollback
from engine.service.deferred import DeferredRecords
from engine.service.engine import Engine
from engine.service.log_memory import LogMemory
from engine.store import armed_origin, future, log, plans
from engine.store.log_continuity import AddedDecisions, MissingHead
from engine.text import percent, spoken
from engine.view.model import ProofView


async def settle(engine: Engine, memory: LogMemory, deferred: DeferredRecords) -> None:
    """Apply intents, make switch and log consistent, and lower what may not stay in force."""
    _recall_proof(engine)
    _accept_armed_file(engine)
    if not engine.verified.ok:
        await rollback.alarm(engine, engine.verified.sentence)
    if engine.altered:
        await rollback.alarm(engine, engine.altered)
    finding = memory.compare()
    lack = finding if isinstance(finding, MissingHead) else None
    if engine.state.rev == 0:
        ask = engine.ask()
        await engine.commit(ask, lambda state: pinning.begins(engine, ask))
    if lack is not None:
        await _renumber(engine, deferred, lack)
    await _bring_back_the_future(engine, deferred)
    await rollback.apply_intents(engine)
    if isinstance(finding, AddedDecisions):
        await memory.revoke_unrecorded(finding)
    elif engine.state.percent_bp and (why := _why_not_in_force(engine, lack)):
        await rollback.roll_back(engine, engine.ask(why))
    await _pin(engine, deferred)
    if lack is not None:
        engine.event(f"{lack.why[0].upper()}{lack.why[1:]}. A restored backup and a new store look the same.")
    if not engine.clean_start:
        engine.event("The previous engine ended uncleanly; nothing acknowledged is lost.")
    await _record_ceiling(engine)
    limits = ceiling(engine.environ)
    if limits.percent_bp is not None and limits.percent_bp < engine.state.percent_bp:
        engine.event(
            f"The environment caps the percentage at {percent(limits.percent_bp)}; decided is "
            f"{percent(engine.state.percent_bp)}."
        )


def _recall_proof(engine: Engine) -> None:
    """The last rollback's proof, shown until there is another."""
    row = log.last(engine.conn, ("proof",))
    if row is not None:
        with contextlib.suppress(msgspec.ValidationError):
            engine.last_proof = convert(row.decision.evidence, ProofView)


def _accept_armed_file(engine: Engine) -> None:
    """Accept a file the previous engine left in place. One that outlived a rollback, appeared after it, or came with a
    copy of the store, permits nothing."""
    if not engine.rolled_back() and engine.state.stage > 0 and not armed_origin.why_foreign(engine.folder.armed):
        engine.switch.armed = engine.folder.armed_stamp()


def _why_not_in_force(engine: Engine, lack: MissingHead | None) -> str:
    """Why a percentage from before this start goes to 0 %; "" when it stays in force."""
    if not engine.clean_start and engine.plan.store.resume == "safe":
        return "the engine ended uncleanly and [store] resume is safe"
    if engine.from_backup:
        return "a restored backup carries an old percentage"
    if lack is not None:
        return lack.why
    if foreign := armed_origin.why_foreign(engine.folder.armed):
        return foreign
    if engine.switch.armed is None:
        return "the armed file was removed while no engine ran"
    return ""


async def _renumber(engine: Engine, deferred: DeferredRecords, lack: MissingHead) -> None:
    """Give the log of another past an epoch that was never in use: a console that saw the state before must not act on
    this one."""
    ask = engine.ask()
    sentence = f"{lack.why}; epochs continue above {lack.epochs_used}, and approvals and evidence start again"
    await deferred.record(ask, lambda state: renumber(state, ask, sentence, lack.epochs_used))


async def _bring_back_the_future(engine: Engine, deferred: DeferredRecords) -> None:
    """Move back what was dated in the future while the machine's clock was ahead (cool-downs, complaints, messages); it
    would otherwise be the newest until then."""
    if engine.rehearsal:
        return
    ask, moved = engine.ask(), 0

    def bring_back(conn: sqlite3.Connection) -> int:
        outbox.bring_back(conn, ask.at)
        return future.bring_back(conn, ask.at)

    with contextlib.suppress(sqlite3.OperationalError):  # retried at the next start
        moved = await asyncio.wrap_future(engine.writer.write(bring_back))
    decision = in_the_future(engine.plan, engine.state, ask, moved)
    if decision is not None:
        engine.event(spoken(decision.sentence))
        await deferred.record(ask, lambda state: in_the_future(engine.plan, state, ask, moved))


async def _pin(engine: Engine, deferred: DeferredRecords) -> None:
    """Record which plan the rollout runs under, and what changed in it since the last start."""
    ask, plan = engine.ask(), engine.file_plan
    engine.writer.later(lambda conn: plans.keep(conn, plan, ask.at))
    if (decide := pinning.at_start(engine, ask)) is not None:
        await deferred.record(ask, decide)


async def _record_ceiling(engine: Engine) -> None:
    """Record the environment's ceiling. A higher one counts only if it is exported explicitly and raises nothing in
    force (the plan's `export` and restart before a promotion). Otherwise a person raises it (`rollout ceiling`)."""
    environment_bp, recorded_bp = engine.switch.ceiling_bp, engine.state.ceiling_bp
    exported = PERCENTAGE in engine.environ and engine.state.percent_bp <= recorded_bp
    if environment_bp < recorded_bp or (environment_bp > recorded_bp and exported):
        ask = engine.ask(f"{PERCENTAGE}={environment_bp / 100:g}", whoami())
        await engine.commit(ask, lambda state: set_ceiling(state, ask, environment_bp, state.epoch, ""))
    elif environment_bp > recorded_bp:
        engine.event(
            f"The recorded ceiling is {percent(recorded_bp)}, and the environment now allows "
            f"{percent(environment_bp)}: `rollout ceiling {environment_bp / 100:g}` raises it."
        )
