"""One machine: a store, servers, at most one engine at a time, and what an observer outside of it all has seen."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from msgspec.structs import replace

from engine.client.client import Reply
from engine.clock import LapseClock
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Plan
from engine.rollout.control import Actor
from engine.routing import buckets
from engine.server.commands import carry_out
from engine.service.engine import Engine
from engine.service.loop import ControlLoop
from engine.store import database, log
from engine.store.folder import Folder, Lock
from tests.simulate.disk import Disk, EngineFolder, SimulatedWriter
from tests.simulate.invariants import Observer
from tests.simulate.servers import MODEL, Request, Servers, Transport
from tests.simulate.virtual import VirtualLoop

URL = "http://llm-1.test:11434"
WORDS = [
    "cache",
    "worker",
    "queue",
    "shard",
    "index",
    "token",
    "ledger",
    "broker",
    "socket",
    "buffer",
    "kernel",
    "parser",
    "schema",
    "router",
    "packet",
    "thread",
    "vector",
    "cursor",
    "bucket",
    "signal",
    "replica",
    "segment",
    "channel",
    "digest",
    "lookup",
    "daemon",
]


@lru_cache
def plan_of() -> Plan:
    plan = parse_plan(default_plan_text())
    return replace(plan, llm=replace(plan.llm, urls=(URL,), model=MODEL, timeout_s=8.0, breaker_open_s=1.0))


def text_of(number: int, version: int = 0) -> str:
    """A document whose phrases a server can find again; `number` is its mark."""
    draw = Random(number * 7919 + version)
    phrases = [" ".join(draw.sample(WORDS, 2)) for _ in range(14)]
    body = " ".join(f"In part {place} the {phrase} keeps its place." for place, phrase in enumerate(phrases))
    return f"{body} See reference d{number}."


class World:
    def __init__(self, root: Path, loop: VirtualLoop, random: Random, template: Path) -> None:
        self.loop = loop
        self.random = random
        self.plan = plan_of()
        self.clock = LapseClock(1.0)
        self.path = root / "store"
        shutil.copytree(template, self.path)
        self.folder = Folder(self.path)  # as people's commands see it
        self.disk = Disk()
        self.servers = Servers(random, loop.time, self._requested)
        self.engine: Engine | None = None
        self._lock: Lock | None = None
        self._owner = ""
        self.observer = Observer(self.plan)
        self.starts = 0
        self.counts: Counter[str] = Counter()
        self.trace: list[str] = []
        self._ids: dict[str, str] = {}  # mark of a document -> its id

    def say(self, sentence: str) -> None:
        self.trace.append(f"{self.loop.time() - 1000:9.2f} s  {sentence}")

    # -- the engine --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """A new engine where none runs; waits until it serves."""
        if self.engine is not None or (lock := self.folder.try_lock()) is None:
            return
        self.starts += 1
        self._lock, self._owner = lock, f"engine-{self.starts}"
        engine = Engine(self.plan, EngineFolder(self.path), self.clock, environ={})
        try:
            await self.loop.start_as(self._owner, self._open(engine))
        except (OSError, sqlite3.Error) as error:
            self.say(f"engine {self.starts} could not start: {error}")
            self._bury(engine)
            return
        self.engine = engine
        self.say(f"engine {self.starts} started")

    async def _open(self, engine: Engine) -> None:
        await engine.open()
        engine.pool._random = self.random  # pauses before a retry are drawn too
        await ControlLoop(engine).start()

    async def stop(self) -> None:
        """As SIGTERM does."""
        engine, self.engine = self.engine, None
        if engine is not None:
            with contextlib.suppress(asyncio.CancelledError, sqlite3.Error):
                await self.loop.start_as(self._owner, engine.stop())
            self._bury(engine)
            self.say("engine stopped")

    def kill(self) -> None:
        """As kill -9 does, wherever each of its tasks waits."""
        engine, self.engine = self.engine, None
        if engine is not None:
            self._bury(engine)
            self.say("engine killed")

    def _bury(self, engine: Engine) -> None:
        if isinstance(engine.folder, EngineFolder):
            engine.folder.dead = True
        writer = getattr(engine, "writer", None)
        if isinstance(writer, SimulatedWriter):
            writer.crash()
        if hasattr(engine, "conn"):
            engine.conn.close()
        self.loop.kill(self._owner)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def swap_store(self) -> None:
        """Put an older copy of the database where the engine's is, as a restore under its feet would."""
        if not self.folder.exists:
            return
        backup = self.path / "backup.db"
        if not backup.exists():
            source = database.open_reader(self.folder)
            target = sqlite3.connect(backup)
            source.backup(target)
            target.close()
            source.close()
            return
        for path in self.path.glob("store.db*"):
            path.rename(self.path / f"old-{self.starts}-{path.name}")
        shutil.copy(backup, self.folder.database)
        self.observer.swapped(self.read)
        self.say("the database was replaced by a backup")

    # -- what reaches it ---------------------------------------------------------------------------------------------------

    async def command(self, kind: str, fields: dict[str, Any], actor: Actor) -> Reply | None:
        """A person's request; None when the engine ends before it answers."""
        engine = self.engine
        if engine is None:
            return None
        try:
            return await self.loop.start_as(self._owner, carry_out(engine, kind, fields, actor))
        except asyncio.CancelledError:
            self._not_mine()
            return None

    async def extract(self, document_id: str, text: str) -> bool:
        """Whether the document was acknowledged."""
        engine = self.engine
        if engine is None:
            return False
        self.observer.sent(document_id, text)
        try:
            await self.loop.start_as(self._owner, engine.extract(document_id, text))
        except asyncio.CancelledError:
            self._not_mine()
            return False
        except Exception as error:
            self.counts[f"document refused: {type(error).__name__}"] += 1
            return False
        self.observer.acknowledged(document_id, text)
        self.counts["documents"] += 1
        return True

    @staticmethod
    def _not_mine() -> None:
        """The engine's task ended, not the caller's."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError

    def knows(self, number: int, document_id: str) -> None:
        self._ids[f"d{number}"] = document_id

    def _requested(self, request: Request) -> None:
        if not request.generates:
            return
        self.counts["LLM requests"] += 1
        document_id = self._ids.get(request.document, "")
        bucket = buckets.bucket(self.plan.salt, document_id) if document_id else None
        self.observer.requested(self, request, bucket)

    # -- what an observer reads ----------------------------------------------------------------------------------------------

    def rows(self) -> list[log.Row]:
        """The log as it is on the disk."""
        return self.read(lambda conn: list(log.every(conn)))

    def read(self, query: Callable[[sqlite3.Connection], Any]) -> Any:
        conn = database.open_reader(self.folder)
        try:
            return query(conn)
        finally:
            conn.close()


@contextlib.contextmanager
def in_place_of(world: World) -> Iterator[None]:
    """Put the simulated connections and writer where the engine makes its own."""
    writer = type("WorldWriter", (SimulatedWriter,), {"disk": world.disk})
    transport = type("WorldTransport", (Transport,), {"servers": world.servers})
    with (
        mock.patch("engine.service.engine.Writer", writer),
        mock.patch("engine.extraction.llm.transport.ConnectionPool", transport),
    ):
        yield
