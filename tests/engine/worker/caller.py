"""A worker that does nothing but call: a line a call, with the time of its start. Run as a process by the tests."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TextIO

from engine.clock import SystemClock
from engine.cluster.identity import version
from engine.cluster.lease import WorkerIdentity
from engine.worker.keeper import Keeper
from engine.worker.line import EngineConnection
from engine.worker.switch import LeasedSwitch

CALL_S = 0.03


async def work(place: str, token: str, name: str, plan_digest: str, out: TextIO) -> str:
    calls: set[asyncio.Task[None]] = set()
    last: list[float] = []
    end = asyncio.get_running_loop().create_future()

    def cancel(why: str) -> None:
        for task in calls:
            task.cancel()

    keeper = Keeper(
        name,
        lambda: EngineConnection(place, token),
        SystemClock(),
        lambda: WorkerIdentity(version(), plan_digest),
        lambda: len(calls),
        lambda: last[-1] if last else None,
        cancel,
        lambda: None,
        lambda why: None if end.done() else end.set_result(why),
    )
    switch = LeasedSwitch(keeper, EngineConnection(place, token).folder)
    keeper.start(asyncio.get_running_loop())
    while not end.done():
        if switch.may_call(0):
            last[:] = [time.time()]
            print(f"{last[0]:.4f}", file=out, flush=True)
            task = asyncio.create_task(asyncio.sleep(CALL_S))
            calls.add(task)
            task.add_done_callback(calls.discard)
        await asyncio.sleep(0.002)
    return str(end.result())


if __name__ == "__main__":
    place, token, name, digest, path = sys.argv[1:]
    with open(path, "a") as out:
        print(asyncio.run(work(place, token, name, digest, out)), file=sys.stderr)
