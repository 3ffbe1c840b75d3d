"""The engine as a process: takes the lock (or waits for it), serves the socket and TCP, ends cleanly on a signal.

`rollout` starts it detached, `rollout serve` in the foreground; the code is the same. A rehearsal's engine ends with its console,
whose end of the pipe on standard input closes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.clock import Clock, LapseClock, SystemClock
from engine.control import Actor
from engine.plan.load import PlanError, load_plan
from engine.plan.model import Plan
from engine.store.folder import Folder, StoreError

if TYPE_CHECKING:
    from engine.rehearsal.world import World
    from engine.service.engine import Engine

STANDBY_POLL_S = 0.2
DRAIN_S = 10.0
NICE = 5  # below the console, whose keys must never wait for a document

log = logging.getLogger("rollout.engine")


def spawn(plan_path: Path, folder: Folder, *options: str, attached: bool = False) -> subprocess.Popen[bytes]:
    """Start an engine of its own session, logging to the store's folder. `attached`: it ends when its stdin pipe closes."""
    folder.prepare()
    output = os.open(folder.engine_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "engine.service.process", "--plan", str(plan_path), "--store", str(folder.path), *options]
            + (["--attached"] if attached else []),
            stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder.path,
        )  # fmt: skip
    finally:
        os.close(output)


def wait_until_up(folder: Folder, process: subprocess.Popen[bytes] | None, timeout_s: float = 20.0) -> str:
    """ "" when the engine answers, else the sentence that says why not."""
    from engine.client import EngineClient

    client = EngineClient(folder)
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            status, _ = client.request("GET", "/healthz", timeout_s=1.0)
            if status:
                return ""
        if process is not None and process.poll() is not None:
            return (
                last_words(folder)
                or f"The engine ended at once with code {process.returncode}; see {folder.engine_log}."
            )
        time.sleep(0.02)
    return f"The engine did not answer within {timeout_s:g} s; see {folder.engine_log}."


def last_words(folder: Folder) -> str:
    try:
        lines = folder.engine_log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def run(
    plan_path: Path, folder: Folder, speed: float | None = None, attached: bool = False, foreground: bool = False
) -> int:
    """Run an engine until it is told to end; the process's exit code. Messages go to stderr, one sentence each."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        plan = load_plan(plan_path)
        folder.prepare()
    except (PlanError, StoreError) as error:
        print(error, file=sys.stderr)
        return 1
    clock: Clock = SystemClock() if speed is None else LapseClock(speed)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    try:
        return asyncio.run(_main(plan, folder, clock, attached))
    except (StoreError, OSError) as error:
        print(_sentence(error), file=sys.stderr)
        return 1


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, StoreError) else f"The engine cannot run: {error}."


async def _main(plan: Plan, folder: Folder, clock: Clock, attached: bool) -> int:
    from engine.service.engine import Engine
    from engine.service.heart import Heart

    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ending.set)
    if attached:
        loop.add_reader(0, _end_when_closed, loop, ending)
    lock = folder.try_lock()
    if lock is None:
        log.info("standby: another engine holds %s; waiting to take over", folder.lock)
        while lock is None and not ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), STANDBY_POLL_S)
            lock = folder.try_lock()
        if lock is None:
            return 0
    with lock:
        world = None
        if isinstance(clock, LapseClock):
            from engine.rehearsal.world import World

            world = World(clock)
            await world.start()
            plan = world.plan(plan)
        tcp = _bind(plan, world is not None)
        engine = Engine(plan, folder, clock, environ=dict(os.environ), ending=ending, world=world)
        await engine.open(address=f"http://{tcp.getsockname()[0]}:{tcp.getsockname()[1]}")
        await Heart(engine).start()
        if world is not None:
            _populate(world, engine)
        try:
            await _serve(engine, plan, folder, tcp, ending)
        finally:
            if world is not None:
                await world.stop()
            await engine.stop()
    return 0


def _populate(world: World, engine: Engine) -> None:
    """Let a rehearsal's documents and users come to its engine."""
    from engine.service.commands import carry_out
    from engine.store import documents

    def served_by_llm(document_id: str) -> bool:
        found = documents.get(engine.conn, document_id)
        return found is not None and found.method == "llm"

    async def feedback(fields: dict[str, Any], actor: Actor) -> None:
        await carry_out(engine, "feedback", fields, actor)

    world.attach(engine.extract, feedback, served_by_llm, visit=f"visit-{engine.token}")


def _end_when_closed(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    if not os.read(0, 1024):
        loop.remove_reader(0)
        ending.set()


def _bind(plan: Plan, rehearsal: bool) -> socket.socket:
    """The TCP socket. OSError as a sentence when the address is taken; a rehearsal then takes any free port."""
    http = plan.http
    if http.host not in ("127.0.0.1", "::1", "localhost") and not os.environ.get(http.token_env):
        raise StoreError(
            f"[http] host {http.host} is not loopback, so a token is required: set {http.token_env} in the engine's environment."
        )
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    tcp = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        tcp.bind((http.host, http.port))
    except OSError as error:
        if not rehearsal:
            tcp.close()
            raise StoreError(
                f"{http.host}:{http.port} cannot be bound ({error.strerror}): another program has it. Set [http] port to a free one."
            ) from None
        tcp.bind((http.host, 0))
    tcp.listen(128)
    return tcp


async def _serve(engine: Engine, plan: Plan, folder: Folder, tcp: socket.socket, ending: asyncio.Event) -> None:
    import uvicorn

    from engine.service.http import PeerProtocol, application

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are the process's affair

    token = os.environ.get(plan.http.token_env, "") if plan.http.host not in ("127.0.0.1", "::1", "localhost") else ""
    unix = folder.listen()
    pairs = (
        (application(engine, control=True), unix, PeerProtocol),
        (application(engine, control=False, token=token), tcp, "h11"),
    )
    servers = [
        (
            Server(
                uvicorn.Config(
                    app, http=protocol, log_level="warning", access_log=False, lifespan="off", ws="none",
                    timeout_graceful_shutdown=int(DRAIN_S), timeout_keep_alive=30, server_header=False, loop="asyncio",
                )
            ),
            sock,
        )
        for app, sock, protocol in pairs
    ]  # fmt: skip
    tasks = [asyncio.create_task(server.serve(sockets=[sock])) for server, sock in servers]
    log.info("engine up: %s and %s", folder.socket, engine.address)
    waiting = asyncio.create_task(ending.wait())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    engine.ends()
    for server, _ in servers:
        server.should_exit = True
    await asyncio.wait(tasks, timeout=DRAIN_S + 1)
    waiting.cancel()
    with contextlib.suppress(OSError):
        folder.socket.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(prog="engine")
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--speed", type=float)
    parser.add_argument("--attached", action="store_true")
    given = parser.parse_args()
    try:
        group = load_plan(given.plan).store.group
    except PlanError as error:
        print(error, file=sys.stderr)
        return 1
    return run(given.plan, Folder(given.store, group), given.speed, given.attached)


if __name__ == "__main__":
    sys.exit(main())
