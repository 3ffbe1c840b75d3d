"""Whether an engine is alive, as seen from a console: by its heartbeat and its process.

The console judges liveness, never the engine: a frozen engine's last report would be good.
"""

from __future__ import annotations

import contextlib
import os
from typing import Literal

from msgspec import Struct

from engine.plan.durations import format_duration
from engine.store import running

LATE_S = 1.6  # the engine's heartbeat comes about once a second
SILENT_S = 5.0
STARTS_ONE = "E starts one; in a shell, `rollout` does."
CONTINUES = "`kill -CONT {pid}` in a shell continues it."
ENDS = "`kill -9 {pid}` in a shell ends it if it stays silent for a minute; then {then}."
IN_SHELL = "`rollout` in a shell starts one."
STARTS_GAME = ("E starts one, in the console that began the game day.", "E starts one, in its console.")
STARTS_REHEARSAL = "q ends this rehearsal, `rollout rehearse` starts another."


class Liveness(Struct, frozen=True):
    """Whether the engine is alive, as seen from here. `sentence` is empty while all is well; `remedy` is what to do in
    this console, `in_shell` what to do without its keys."""

    state: Literal["well", "late", "frozen", "dead", "starting", "gone"]
    sentence: str = ""
    age_s: float = 0.0
    remedy: str = ""
    in_shell: str = ""


Process = Literal["runs", "stopped", "ended"]


class SeenEngine(Struct, frozen=True):
    """What a console sees of an engine. `heartbeat`: the last one, epoch seconds of the machine. `started`: it has
    written figures. `exercise`: whether it runs a rehearsal or a game day."""

    heartbeat: float
    pid: int
    process: Process
    lease_s: float
    started: bool = True
    exercise: Literal["", "rehearsal", "game day"] = ""


def judge(engine: SeenEngine, now: float, armed: bool = True) -> Liveness:
    """The engine's liveness at a moment; `armed`: the armed file is there. Pure."""
    pid, lease_s = engine.pid, engine.lease_s
    age = max(0.0, now - engine.heartbeat)
    if not engine.started:
        return Liveness("starting", "The engine has started; its first figures come in a moment.", age)
    if engine.process == "ended":
        stops = _stops("its lease runs out", lease_s - age, armed)
        remedy, in_shell = STARTS_ONE, IN_SHELL
        if engine.exercise == "game day":
            remedy, in_shell = STARTS_GAME
        elif engine.exercise == "rehearsal":
            remedy, in_shell = STARTS_REHEARSAL, "`rollout rehearse` starts another."
        ended = f"No engine: process {pid} ended, last heartbeat {format_duration(age)} ago; {stops}."
        return Liveness("dead", ended, age, remedy, in_shell)
    if engine.process == "stopped":
        # the heartbeat is a row of the store: on a full disk it ended before the engine was stopped
        stops = f"NOT CERTAIN what is in force; LLM calls end within {format_duration(lease_s)} of the stop"
        return _silent(age, f"process {pid} is stopped", stops, armed, CONTINUES.format(pid=pid))
    if age > SILENT_S:
        ends = f"LLM calls end after {format_duration(lease_s)} without triggers"
        stops = f"NOT CERTAIN what is in force; {ends}"
        starts = "`rollout rehearse` starts another" if engine.exercise == "rehearsal" else "E starts one"
        return _silent(age, f"process {pid} is frozen or busy", stops, armed, ENDS.format(pid=pid, then=starts))
    if age > LATE_S:
        return Liveness("late", f"no heartbeat for {format_duration(age)}", age)
    return Liveness("well", "", age)


def _silent(age: float, process: str, stops: str, armed: bool, remedy: str) -> Liveness:
    stops = stops if armed else _stops("", 0.0, armed)
    sentence = f"Engine silent for {format_duration(age)} ({process}); {stops}. R still works."
    return Liveness("frozen", sentence, age, remedy, remedy)


def _stops(what: str, left: float, armed: bool) -> str:
    """When routers stop LLM calls at the latest."""
    if not armed:
        return "the armed file is missing, so no LLM call can start"
    return f"{what} in {format_duration(left)}" if left > 0 else "its lease has run out: every router is at 0 %"


PROCESS_STATES: dict[str, Process] = {"Z": "ended", "X": "ended", "T": "stopped", "t": "stopped"}  # else it runs


def process(pid: int) -> Process:
    """A local process's state from the kernel; a zombie counts as ended."""
    if pid <= 0:
        return "ended"
    with contextlib.suppress(OSError, ValueError, IndexError):
        return PROCESS_STATES.get(running.stat(pid)[0], "runs")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "ended"
    except OSError:  # another user's
        pass
    return "runs"
