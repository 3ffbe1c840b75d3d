"""The engine as a process: takes the lock (or waits for it), serves the socket and TCP, shuts down cleanly on a signal.

`rollout` starts it detached, `rollout serve` in the foreground; the code is the same. A rehearsal's engine ends with
its console, whose pipe on standard input then closes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sqlite3
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import files, garbage
from engine.clock import BelievedClock, Clock, LapseClock, SystemClock, switch_threads_soon
from engine.plan import memory
from engine.plan.environment import EnvironmentProblem, secret
from engine.plan.load import PlanError, load_plan
from engine.plan.model import Plan
from engine.server import binding, engine_log, log_folding, process_log
from engine.server.guard import Guard
from engine.server.simulation import Simulation, refuse_a_rehearsals
from engine.service import sd_notify
from engine.store import database, running, write_trouble
from engine.store.folder import Folder, Lock, StoreError
from engine.text import clean_output, reason_of

if TYPE_CHECKING:
    from engine.service.engine import Engine

STANDBY_POLL_S = 0.05
PORT_S = 5.0  # how long a standby waits for the previous engine's port: the lock may be free a moment earlier
SOCKET_LOOK_S = 1.0
NICE = 5  # below the console, whose keys must never wait for a document

log = logging.getLogger("rollout.engine")


def run(
    plan_path: Path,
    folder: Folder,
    speed: float | None = None,
    attached: bool = False,
    foreground: bool = False,
    scenario: str = "",
) -> int:
    """Run an engine until it is asked to stop; return the process's exit code. Messages go to stderr, one sentence
    each."""
    process_log.begin()
    try:
        plan = load_plan(plan_path)
        folder.prepare()
        # the service manager has its standard error; a person looks in the store's folder
        apart = foreground and not files.is_open_as(sys.stderr.fileno(), folder.engine_log)
        if apart:
            _log_to(folder)
    except (PlanError, StoreError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The engine cannot run: {write_trouble.present(folder.path) or reason_of(error)}.", file=sys.stderr)
        return 1
    clock: Clock = BelievedClock(SystemClock()) if speed is None else LapseClock(speed)
    switch_threads_soon()
    if not foreground:  # a service manager sets the nice value of its services
        with contextlib.suppress(OSError):
            os.nice(NICE)
    try:
        return asyncio.run(_main(plan_path, plan, folder, clock, attached, scenario, foreground or attached))
    except (StoreError, PlanError, EnvironmentProblem) as error:  # errors a person can fix
        _last_word(str(error), apart)
    except (OSError, sqlite3.Error) as error:
        why = database.damaged(folder, error) if isinstance(error, sqlite3.Error) else ""
        cause = write_trouble.cause(error, folder.path) or reason_of(error)
        _last_word(why or f"The engine cannot run: {cause}.", apart, error)
    except Exception as error:  # our own fault: no setting explains it
        sentence = (
            f"The engine has an internal fault ({type(error).__name__}); your settings are not the cause. "
            f"Please report it and attach {folder.engine_log}, which has the details."
        )
        _last_word(sentence, apart, error)
    return 1


def _log_to(folder: Folder) -> None:
    """Write log messages to engine.log too."""
    if not folder.is_locked():  # else the file belongs to the running engine, and this one waits to take over
        engine_log.rotate(folder)
    handler = logging.StreamHandler(os.fdopen(folder.create(folder.engine_log, os.O_APPEND), "a", buffering=1))
    process_log.prepare(handler)
    log.addHandler(handler)


def _last_word(sentence: str, apart: bool, error: BaseException | None = None) -> None:
    """The reason for the exit: the last line of engine.log, where the starting process reads it. Only the log gets the
    traceback."""
    detail = "" if error is None else "".join(traceback.format_exception(error))
    if not apart:
        print(clean_output(detail + sentence), file=sys.stderr)  # which is engine.log
        return
    for handler in log.handlers:
        handler.handle(log.makeRecord(log.name, logging.ERROR, __file__, 0, "%s", (detail + sentence,), None))
    print(sentence, file=sys.stderr)


class EndRequest:
    """Whether this process was asked to end, and the first reason."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.cause = ""

    def end(self, cause: str) -> None:
        self.cause = self.cause or cause
        self.event.set()

    def listen(self, clock: Clock, attached: bool) -> None:
        """Listen for signals and, when `attached`, for the end of the process that started this one."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end, f"it received {number.name}")
        loop.add_signal_handler(signal.SIGHUP, self._hang_up, clock)
        if attached:
            loop.add_reader(0, self._read_input, loop)

    def _hang_up(self, clock: Clock) -> None:
        """A closed terminal or `kill -HUP` ends a rehearsal. An engine continues, under nohup or not, with the plan it
        started with: a changed plan is a decision, so no signal loads it."""
        if isinstance(clock, LapseClock):
            self.end("it received SIGHUP")
            return
        log.info("received SIGHUP: the engine continues with the plan it started with; a restart loads a changed one")

    def _read_input(self, loop: asyncio.AbstractEventLoop) -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            self.end("the process that started it ended")


async def _main(
    plan_path: Path, plan: Plan, folder: Folder, clock: Clock, attached: bool, scenario: str, stays: bool
) -> int:
    """`stays`: as a standby, where another engine runs."""
    from engine.service.engine import Engine

    ending = EndRequest()
    ending.listen(clock, attached)
    lock, patience_s = folder.try_lock(), 0.0
    if lock is None:
        patience_s = PORT_S
        lock = await _wait_as_standby(folder, ending.event, stays)
        if lock is None:
            return 0
        with contextlib.suppress(PlanError):  # it may have been edited during the wait
            plan = load_plan(plan_path)
    with lock:
        simulation = None
        if isinstance(clock, LapseClock):
            simulation = Simulation(folder, clock, scenario)
            await simulation.world.start()
            plan = simulation.world.plan(plan)
        else:
            refuse_a_rehearsals(folder)
        world = simulation.world if simulation is not None else None
        with await binding.port(plan, world is not None, patience_s) as tcp:  # the port frees up before the lock does
            engine = Engine(plan, folder, clock, environ=dict(os.environ), ending=ending.event, world=world)
            engine.director = simulation.director if simulation is not None else None
            if world is None:
                memory.remember(plan_path, folder.path, os.getpid())
                running.note(folder.path)
            await _live(engine, simulation, tcp, ending)
    return 0


async def _live(engine: Engine, simulation: Simulation | None, tcp: socket.socket, ending: EndRequest) -> None:
    """The engine's life, from opening its store to its last record."""
    from engine.server import lifecycle, otlp, preload
    from engine.service.loop import ControlLoop

    await engine.open(address=binding.url(tcp))
    await ControlLoop(engine).start()
    await lifecycle.started(engine)
    export = otlp.start(engine, os.environ)
    if simulation is not None:
        simulation.attach(engine)
    garbage.keep_loaded()
    engine.background(preload.load())
    try:
        await _serve(engine, tcp, ending.event)
    finally:
        if simulation is not None:
            await simulation.stop()
        if export is not None:
            await export.stop()
        await lifecycle.stopped(engine, engine.end_cause or ending.cause or "a listener ended")
        await engine.stop()


async def _wait_as_standby(folder: Folder, ending: asyncio.Event, stays: bool) -> Lock | None:
    """The store's lock as soon as the other engine releases it; None if this one ends first. One that a console
    started, at the same time as another, does not stay: `rollout stop` would only make it take over."""
    log.info("standby: another engine holds %s; waiting to take over", folder.lock)
    _load_all()
    sd_notify.notify(sd_notify.READY, "STATUS=standby: another engine holds the store")
    lock = None
    while lock is None and not ending.is_set():
        sd_notify.notify(sd_notify.ALIVE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), STANDBY_POLL_S)
        lock = folder.try_lock()
        if lock is None and not stays and _answers(folder):
            log.info("another engine runs on this store; this one ends")
            return None
    if lock is not None:
        log.info("standby: the lock is free; taking over")
    return lock


def _answers(folder: Folder) -> bool:
    with contextlib.suppress(OSError), folder.connect(STANDBY_POLL_S):
        return True
    return False


def _load_all() -> None:
    """A standby preloads what it will need immediately."""
    import uvicorn.protocols.http.h11_impl

    import engine.server.http
    from engine.store import own_schema

    own_schema.expected(own_schema.KNOWN)
    log.debug("loaded %s", (uvicorn.protocols.http.h11_impl, engine.server.http, own_schema))


async def _serve(engine: Engine, tcp: socket.socket, ending: asyncio.Event) -> None:
    """Serve both addresses until asked to stop, then finish what is in flight, within `DRAIN_S`."""
    from engine.server.connections import Connection, connection_budgets, outsider
    from engine.server.http import application
    from engine.server.listeners import Listeners
    from engine.server.renewals import Renewals
    from engine.server.turns import Turns
    from engine.server.workers import renewed, watched

    folder = engine.folder

    def admits(transport: Any) -> str:
        return outsider(folder.path, transport.get_extra_info("socket"))

    tcp_budget, unix_budget = connection_budgets()
    private = application(engine, unix_budget)
    workers = partial(Renewals, partial(renewed, engine), partial(watched, engine))
    unix = partial(Connection, budget=unix_budget, admits=admits, renewals=workers(None))
    http = engine.file_plan.http
    guard = Guard(http.host, secret(os.environ, http.token_env), http.metrics == "open", http.page == "open")
    listeners = Listeners()
    listen = partial(listeners.serve, private, protocol=unix)
    listen(folder.listen())
    public = partial(Connection, budget=tcp_budget, renewals=workers(guard), turns=Turns())
    listeners.serve(application(engine, tcp_budget, guard), tcp, public)
    log.info("engine up: %s and %s", folder.socket, engine.address)
    sd_notify.notify(sd_notify.READY, f"STATUS=engine up at {engine.address}")
    looking = asyncio.create_task(_listen_again(engine, listen))
    waiting = asyncio.create_task(ending.wait())
    await asyncio.wait([waiting, looking, *listeners.running], return_when=asyncio.FIRST_COMPLETED)
    sd_notify.notify(sd_notify.ENDING)
    waiting.cancel()
    looking.cancel()
    engine.ends()
    await listeners.drain(lambda: engine.pipeline.cancel_calls("ended with the engine"), tcp_budget, unix_budget)
    folder.stop_listening()


async def _listen_again(engine: Engine, listen: Callable[[socket.socket], None]) -> None:
    """A clean-up job may remove the socket; without it consoles reach the engine only through files."""
    while True:
        await asyncio.sleep(SOCKET_LOOK_S)
        log_folding.flush([*logging.getLogger().handlers, *log.handlers])
        try:
            if engine.switch.shut or engine.folder.socket.exists():
                continue
            made = engine.folder.listen()
        except OSError as error:  # no room on the disk, or the folder was moved away, which the next tick sees
            engine.event(f"The engine's socket was removed and cannot be made again yet: {reason_of(error)}.")
            continue
        engine.event("The engine's socket was removed; listening again.")
        listen(made)


def main() -> int:
    parser = argparse.ArgumentParser(prog="engine")
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--speed", type=float)
    parser.add_argument("--attached", action="store_true")
    parser.add_argument("--scenario", action="store_true", help="a game day's; its name is the first line of stdin")
    given = parser.parse_args()
    try:
        group = load_plan(given.plan).store.group
    except PlanError as error:
        print(error, file=sys.stderr)
        return 1
    scenario = _input_line() if given.scenario else ""
    return run(given.plan, Folder(given.store, group), given.speed, given.attached, scenario=scenario)


def _input_line() -> str:
    """The first line of stdin, and no byte more: the rest shows when the process that started this one ends."""
    line = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    return line.decode()


if __name__ == "__main__":
    sys.exit(main())
