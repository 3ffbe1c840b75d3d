"""The engine's own lifecycle in the decision log: its start, the reason for its stop, and how long none ran."""

from __future__ import annotations

import asyncio
import contextlib
import os

from engine.plan.durations import format_duration, iso
from engine.rollout.control import hold
from engine.rollout.state import Decision, Refusal, State
from engine.service.engine import Engine, machine_time
from engine.text import percent

STOP_S = 2.0  # a store that refuses writes must not keep the engine from stopping


async def started(engine: Engine) -> None:
    """Log the start. After a long time without an engine people may have forgotten the rollout, so promotion is held,
    which notifies them, until one of them resumes."""
    before, away_s = engine.evaluated_before, _away_s(engine)
    how = "" if before is None else f"; the previous one {_end(engine.clean_start)} at {iso(before)}"
    sentence = f"the engine started (process {os.getpid()}){how}"
    evidence = {"pid": os.getpid(), "clean": engine.clean_start, "before": before, "away_s": away_s}
    ask = engine.ask()
    await engine.note(ask, "engine_start", sentence, evidence)
    if away_s >= engine.plan.store.away_s and engine.state.percent_bp and not engine.state.held:
        gone = format_duration(round(away_s, -2))
        reason = f"no engine ran for {gone}; the rollout returns at {percent(engine.state.percent_bp)}"
        engine.event(f"{reason[0].upper()}{reason[1:]}, and is held until a person resumes.")
        held = engine.ask(reason)

        def decide(state: State) -> Decision | Refusal:
            return hold(state, held)

        await engine.commit(held, decide)


async def stopped(engine: Engine, why: str) -> None:
    """Log the end, if the store accepts it in time."""
    if engine.writer.fenced:
        return
    ask = engine.ask()
    sentence = f"the engine stopped (process {os.getpid()}): {why}"
    with contextlib.suppress(Exception):
        await asyncio.wait_for(engine.note(ask, "engine_stop", sentence, {"why": why}), STOP_S)


def _end(clean: bool) -> str:
    return "ended" if clean else "was last seen, and did not end cleanly,"


def _away_s(engine: Engine) -> float:
    """Seconds without an engine before this one; 0 in a time lapse, which has its own calendar."""
    if engine.seen_before is None or engine.rehearsal:
        return 0.0
    return max(0.0, machine_time() - engine.seen_before)
