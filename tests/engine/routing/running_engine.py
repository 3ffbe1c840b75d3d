"""A running engine for tests of a document's way through it, and the few things they do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from engine.clock import SystemClock
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Llm, Plan
from engine.rollout.state import Actor
from engine.routing.document_run import Extracted
from engine.routing.reading import AskedDocument
from engine.server.commands import carry_out
from engine.service.engine import Engine
from engine.service.loop import ControlLoop
from engine.store import documents
from engine.store.folder import Folder
from tests.engine.service.rig import LATE_NOTE
from tests.machine import patience
from tests.stub_llm import StubLlm

ALICE = Actor("alice", 1000)
INTERNAL, CANARY, FULL = 1, 2, 3  # in a plan of these tests' own: 0 %, 10 %, 100 %


def text(name: str) -> str:
    return f"# About {name}\n\nThe gateway retries failed requests to {name} with backoff; max_connections bounds the pool.\n"


class Place:
    """A running engine, and the few things tests do with it."""

    def __init__(self, engine: Engine, stub: StubLlm) -> None:
        self.engine = engine
        self.stub = stub

    async def extract(self, name: str, body: str = "", method: Any = "auto") -> Extracted:
        return await self.engine.extract(AskedDocument(name, body or text(name), method=method))

    async def climb(self, stage: int) -> None:
        for _ in patience(30.0):
            if self.engine.state.stage >= stage:
                return
            fields = {"epoch": self.engine.state.epoch, "override": True, "reason": "climbing in a test"}
            reply = await carry_out(self.engine, "promote", fields, ALICE)
            assert reply.ok or reply.data.get("code") == LATE_NOTE, reply.sentence
        raise AssertionError("it did not climb")

    async def roll_back(self, **fields: Any) -> None:
        assert (await carry_out(self.engine, "rollback", fields, ALICE)).ok

    async def undo(self) -> None:
        assert (await carry_out(self.engine, "undo_rollback", {"epoch": self.engine.state.epoch}, ALICE)).ok

    async def loaded(self) -> None:
        """The preload after the climb has ended: until then, what leaves the queue is not a sign of overload."""
        await self.until(lambda: all(server.warm and not server.loading for server in self.engine.pool._servers))

    async def shadowed(self) -> None:
        """All shadow calls have ended and are stored."""
        await self.engine.pipeline.drain(5.0)
        await self.written()

    async def written(self) -> None:
        """What was given to the writer so far is committed: two more batches have been."""
        for _ in range(2):
            batch: Future[None] = Future()
            self.engine.writer.later(lambda conn, batch=batch: batch.done() or batch.set_result(None))
            await asyncio.wrap_future(batch)

    def stored(self, name: str) -> documents.Document:
        result = documents.get(self.engine.conn, name)
        assert result is not None
        return result

    def records(self, columns: str, where: str = "1") -> list[tuple[Any, ...]]:
        return self.engine.conn.execute(f"SELECT {columns} FROM extraction WHERE {where} ORDER BY id").fetchall()

    async def until(self, holds: Callable[[], bool]) -> None:
        for _ in patience(30.0):
            if holds():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("it did not come to pass")


def plan_for(stub: StubLlm, **settings: Any) -> Plan:
    llm = Llm(**{"urls": (stub.url,), "model": stub.model, "timeout_s": 3.0, "retries": 0, **settings})
    plan = parse_plan(default_plan_text())
    stages = (*plan.stages[:FULL], replace(plan.stages[-1], number=FULL))
    return replace(plan, llm=llm, stages=stages)


@asynccontextmanager
async def running(
    path: Path, stub: StubLlm, stage: int, change: Callable[[Plan], Plan] = lambda plan: plan, **settings: Any
) -> AsyncIterator[Place]:
    folder = Folder(path / "store")
    folder.prepare()
    lock = folder.try_lock()
    assert lock is not None
    engine = Engine(change(plan_for(stub, **settings)), folder, SystemClock())
    await engine.open()
    engine.monitor.lag.beat = lambda now: None  # type: ignore[method-assign]  # of a busy machine too, all is evidence
    await ControlLoop(engine).start()
    place = Place(engine, stub)
    try:
        await place.climb(stage)
        yield place
    finally:
        await engine.stop()
        lock.release()
