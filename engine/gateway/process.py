"""A gateway as a process: `rollout worker`. Stops on SIGTERM after what it has accepted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import uuid
from functools import partial
from pathlib import Path

from engine import garbage
from engine.clock import switch_threads_soon
from engine.gateway.api import GatewayApi
from engine.gateway.service import Gateway
from engine.plan.environment import EnvironmentProblem, secret
from engine.plan.load import PlanError, load_plan
from engine.plan.model import Plan
from engine.server import log_folding, process_log
from engine.server.connections import Connection, connection_budgets
from engine.server.guard import LOOPBACK, Guard
from engine.server.listeners import Listeners
from engine.service import sd_notify
from engine.worker.line import EngineConnection, unfit

FLUSH_S = 2.0

log = logging.getLogger("rollout.gateway")


class CannotRun(Exception):
    """The gateway cannot start. The message is a sentence."""


def run(plan_path: Path, engine: str, listen: str, alone: bool) -> int:
    """Serve until asked to stop; return the exit code. `engine`: a URL, or the store's folder."""
    process_log.begin()
    switch_threads_soon()
    try:
        plan = load_plan(plan_path)
        token = secret(os.environ, plan.http.token_env) or ""
        if why := unfit(engine, token):
            raise CannotRun(why)
        tcp = bound(listen, bool(token), plan.http.token_env)
        with tcp:
            return asyncio.run(_serve(plan, engine, token, tcp, alone))
    except (CannotRun, PlanError, EnvironmentProblem) as error:
        print(error, file=sys.stderr)
        return 1


def bound(listen: str, has_token: bool, token_env: str) -> socket.socket:
    """A listening socket for `HOST:PORT`; on every address if there is no host. Raises CannotRun."""
    host, colon, number = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not number.isdecimal() or int(number) > 65535:
        raise CannotRun(f"--listen {listen!r} is not HOST:PORT. Give 127.0.0.1:8081, or :8081 for every address.")
    if host not in LOOPBACK and not has_token:
        raise CannotRun(
            f"--listen {listen} is not loopback, so a token is required: set {token_env} in the gateway's environment."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With an explicit protocol number; otherwise asyncio leaves Nagle's algorithm on.
    tcp = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        tcp.bind((host, int(number)))
    except OSError as error:
        tcp.close()
        raise CannotRun(f"--listen {listen} cannot be bound ({error.strerror}). Choose a free port.") from None
    return tcp


async def _serve(plan: Plan, engine: str, token: str, tcp: socket.socket, alone: bool) -> int:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    loop.add_signal_handler(signal.SIGHUP, log.info, "received SIGHUP: the gateway continues")
    name = f"gateway-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    key = secret(os.environ, plan.llm.api_key_env) or ""
    gateway = Gateway(name, plan, lambda: EngineConnection(engine, token), key, alone)
    host, port, *_ = tcp.getsockname()
    budget, _ = connection_budgets()
    guard = Guard(host, token)
    listeners = Listeners()
    running = asyncio.create_task(gateway.run())
    listeners.serve(GatewayApi(gateway, budget, guard).application(), tcp, partial(Connection, budget=budget))
    log.info("gateway up: http://%s for the engine %s", f"[{host}]:{port}" if ":" in host else f"{host}:{port}", engine)
    sd_notify.notify(sd_notify.READY, "STATUS=gateway up")
    garbage.keep_loaded()
    counting = asyncio.create_task(_count_folded())
    waits = [asyncio.create_task(ending.wait()), asyncio.create_task(gateway.ended.wait())]
    await asyncio.wait([*waits, running, *listeners.running], return_when=asyncio.FIRST_COMPLETED)
    sd_notify.notify(sd_notify.ENDING)
    gateway.stopping = True
    await listeners.drain(gateway.cancel_calls, budget)
    await gateway.stop()
    for task in (*waits, counting, running):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    if gateway.why_ended:
        raise CannotRun(gateway.why_ended)
    log.info("gateway ended")
    return 0


async def _count_folded() -> None:
    """Write how many log lines were left out, even if no other line follows."""
    while True:
        await asyncio.sleep(FLUSH_S)
        log_folding.flush(logging.getLogger().handlers)
