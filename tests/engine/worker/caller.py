"""A worker that does nothing but call: a line a call, with the time of its start. Run as a process by the tests."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TextIO

from engine.clock import SystemClock
from engine.worker.keeper import Keeper
from engine.worker.line import EngineConnection
from engine.worker.switch import LeasedSwitch
from tests.engine.worker.leased_work import NoCalls

CALL_S = 0.03


class Calling(NoCalls):
    """Sleeps are its calls."""

    def __init__(self, plan_digest: str) -> None:
        super().__init__(plan_digest)
        self.tasks: set[asyncio.Task[None]] = set()
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def open_calls(self) -> int:
        return len(self.tasks)

    def cancel(self, why: str) -> None:
        for task in self.tasks:
            task.cancel()

    def ended(self, why: str) -> None:
        if not self.end.done():
            self.end.set_result(why)


async def work(place: str, token: str, name: str, plan_digest: str, out: TextIO) -> str:
    calling = Calling(plan_digest)
    keeper = Keeper(name, lambda: EngineConnection(place, token), SystemClock(), calling)
    switch = LeasedSwitch(keeper, EngineConnection(place, token).folder)
    keeper.start(asyncio.get_running_loop())
    while not calling.end.done():
        if switch.may_call(0):
            calling.last_call = time.time()
            print(f"{calling.last_call:.4f}", file=out, flush=True)
            task = asyncio.create_task(asyncio.sleep(CALL_S))
            calling.tasks.add(task)
            task.add_done_callback(calling.tasks.discard)
        await asyncio.sleep(0.002)
    return calling.end.result()


if __name__ == "__main__":
    place, token, name, digest, path = sys.argv[1:]
    with open(path, "a") as out:
        print(asyncio.run(work(place, token, name, digest, out)), file=sys.stderr)
