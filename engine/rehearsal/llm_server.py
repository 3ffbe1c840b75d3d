"""A simulated LLM service: a real HTTP server on loopback that speaks Ollama's API and OpenAI's, in its own
process.

It answers with real keywords of the document in the prompt, at a realistic latency in real time, on a bounded number of
slots; when the queue is full it answers 503, as Ollama does. Faults (`faults`) are switched while it runs, on a second
port: a service that is down cannot take the request to come back.

    python -m engine.rehearsal.llm_server --port 0 --seed 7      prints {"port": ..., "control": ..., "pid": ...}
    curl -s localhost:CONTROL/faults -d '{"error_rate": 0.2}'    GET lists them; GET /counters shows what was served

It ends on SIGTERM, when its standard input (a pipe) closes, and when its parent dies.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import stat
import sys
import time

import msgspec

from engine.rehearsal.api import SimulatedApi
from engine.rehearsal.capacity import SPREAD, Service
from engine.rehearsal.faults import changed
from engine.rehearsal.http_server import Call, Handler, HttpServer, send_json

PARENT_POLL_S = 0.5


def control(service: Service, door: HttpServer) -> Handler:
    """GET and POST /faults, GET /counters: on a separate port."""

    async def handle(call: Call) -> None:
        match call.method, call.path:
            case "GET", "/counters":
                facts = msgspec.to_builtins(service.counters)
                send_json(call, {**facts, "cpu_ms": round(time.process_time() * 1000, 1)})
            case "GET", "/faults":
                send_json(call, service.faults)
            case "POST", "/faults":
                try:
                    service.faults = changed(service.faults, msgspec.json.decode(call.body))
                except (ValueError, msgspec.MsgspecError) as wrong:
                    send_json(call, {"error": str(wrong)}, 400)
                    return
                if service.faults.down:
                    door.shut()
                else:
                    await door.open()
                send_json(call, service.faults)
            case _:
                send_json(call, {"error": "there are /faults and /counters"}, 404)

    return handle


async def run(service: Service, port: int, control_port: int) -> None:
    """Serve until asked to stop."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    door = HttpServer(SimulatedApi(service), port)
    switch = HttpServer(control(service, door), control_port)
    await door.open()
    await switch.open()
    watching = asyncio.create_task(_watch(ended, os.getppid()))
    print(msgspec.json.encode({"port": door.port, "control": switch.port, "pid": os.getpid()}).decode(), flush=True)
    await ended.wait()
    watching.cancel()
    door.close()
    switch.close()


async def _watch(ended: asyncio.Event, parent: int) -> None:
    """Exit with the parent: its end of the pipe on standard input closes or, without a pipe, this process is
    re-parented.
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        kind = os.fstat(0).st_mode
        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            loop.add_reader(0, lambda: None if os.read(0, 4096) else ended.set())
    while os.getppid() == parent:  # noqa: ASYNC110, a parent's death sets no event
        await asyncio.sleep(PARENT_POLL_S)
    ended.set()


def main() -> int:
    parser = argparse.ArgumentParser(prog="llm_server", description="A simulated LLM service on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument(
        "--seed", type=int, default=7, help="decides what fails and what is invented; the same on all servers"
    )
    parser.add_argument("--number", type=int, default=1, help="number of this server; varies its latencies")
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--latency-ms", type=float, default=900.0)
    parser.add_argument("--load-ms", type=float, default=1500.0)
    parser.add_argument("--model", dest="name", default="llama3.2:3b")
    parser.add_argument(
        "--spread", type=float, default=SPREAD, help="standard deviation of the latency's logarithm; 0: constant"
    )
    options = vars(parser.parse_args())
    port, control_port = options.pop("port"), options.pop("control_port")
    try:
        asyncio.run(run(Service(**options), port, control_port))
    except OSError as problem:
        why = f"127.0.0.1:{port} cannot be bound: {problem.strerror}"
        print(msgspec.json.encode({"error": why}).decode(), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
