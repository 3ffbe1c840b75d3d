"""The engine itself: stopping it and, in a rehearsal, its calendar and its faults."""

from __future__ import annotations

from typing import Any

from engine.client.client import Reply
from engine.clock import LapseClock
from engine.rollout.state import Ask
from engine.service.engine import Engine
from engine.service.loop import LAPSED_TICK_S

GAME = "Not on a game day: what goes wrong is hidden, and the calendar's speed is fixed until it ends."


async def stop(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    engine.event(f"{ask.actor.name} stopped the engine.")
    engine.end_cause = f"{ask.actor.name} asked for it"
    engine.ending.set()
    return Reply(
        True, "The engine finishes what is in flight and stops. No documents are extracted until it runs again."
    )


async def speed(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if not isinstance(engine.clock, LapseClock):
        return Reply(False, "Only a rehearsal has a time lapse; this is the live engine.")
    if engine.world is not None and engine.world.hidden:
        return Reply(False, GAME)
    try:
        engine.clock.set_speed(min(20_000.0, float(fields.get("value") or 0)))
    except (TypeError, ValueError) as error:
        return Reply(False, str(error))
    most = engine.plan.trigger_settings.blind_after_s / LAPSED_TICK_S  # see `evaluate._watched`
    slower = f" Above {most:g}, triggers count it more slowly." if engine.clock.speed > most else ""
    return Reply(True, f"Time runs {engine.clock.speed:g} times faster.{slower}")


async def begin_shift(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """The player of a game day is ready: the calendar runs, and whatever the scenario holds takes its course."""
    if engine.director is None:
        return Reply(False, "This is not a game day; `rollout gameday` starts one.")
    if not engine.director.begin():
        return Reply(False, "The day shift is still bringing the rollout to its stage; a few seconds more.")
    return Reply(True, "Your shift begins.")


async def fault(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if engine.world is None:
        return Reply(False, "Faults can be switched only in a rehearsal; this is the live engine.")
    if engine.world.hidden:
        return Reply(False, GAME)
    try:
        sentence = await engine.world.set_fault(str(fields.get("name")), float(fields.get("value") or 0))
    except (TypeError, ValueError) as error:
        return Reply(False, str(error))
    engine.event(sentence)
    return Reply(True, sentence)
