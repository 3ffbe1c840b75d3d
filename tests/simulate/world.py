"""One machine: a store, servers, a plan file, and at most one engine at a time."""

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

from engine.client.client import Reply
from engine.clock import LapseClock
from engine.plan.load import PlanError
from engine.plan.model import Plan
from engine.rollout.state import Actor
from engine.routing import reading
from engine.routing.pipeline import Pipeline, Route
from engine.routing.reading import AskedDocument
from engine.server.commands import carry_out
from engine.service.engine import Engine
from engine.service.loop import ControlLoop
from engine.store import database, terms
from engine.store.folder import Folder, Lock, StoreError
from tests.simulate import plans
from tests.simulate.disk import Disk, SimulatedWriter
from tests.simulate.folder import EngineFolder
from tests.simulate.observer import Observer
from tests.simulate.observer import Request as Seen
from tests.simulate.servers import Request, Servers, Transport
from tests.simulate.virtual import VirtualLoop

DAY_S = 86_400.0
WATCHED, NIGHT = 40.0, DAY_S  # calendar seconds a second
BEAT_S = 0.25  # of the engine's measure of its own lateness: late is only what was frozen
TICK_S = 1.0  # of the engine, as in production; at the watched speed it is 40 s of the calendar


class World:
    def __init__(self, root: Path, loop: VirtualLoop, random: Random, template: Path) -> None:
        self.loop = loop
        self.random = random
        self.clock = LapseClock(WATCHED)
        self.path = root / "store"
        shutil.copytree(template, self.path)
        self.folder = Folder(self.path)  # as people's commands see it
        self.plan_file = root / "rollout.toml"
        self.plan_file.write_text(plans.base_text())
        self.observer = Observer(plans.load(self.plan_file), self.read, loop.time)
        self.disk = Disk(self.folder.database)
        loop.stalled = lambda: self.disk.mood == "stalled"
        self.servers = Servers(random, self._requested, self._answered)
        self.engine: Engine | None = None
        self._process: Engine | None = None  # also while it starts or stops
        self.starts = 0
        self.counts: Counter[str] = Counter()
        self.trace: list[str] = []
        self._lock: Lock | None = None
        self._owner = ""
        self._ids: dict[str, str] = {}  # mark of a document -> its id
        self._reader: sqlite3.Connection | None = None

    def say(self, sentence: str) -> None:
        self.trace.append(f"{self.loop.time() - 1000:9.2f} s  {sentence}")

    def trouble(self, sentence: str) -> None:
        """From here on triggers have a reason."""
        self.observer.troubled_at = self.clock.now()
        self.say(sentence)

    def plan(self) -> Plan | None:
        """As a person's command reads it now; None with a mistake in it."""
        try:
            return plans.load(self.plan_file)
        except PlanError:
            return None

    # -- the engine ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """A new engine where none runs; waits until it serves."""
        if self.engine is not None or (lock := self.folder.try_lock()) is None:
            return
        if (plan := self.plan()) is None:
            lock.release()
            self.say("no engine could start: rollout.toml has a mistake")
            return
        self.starts += 1
        self._lock, self._owner = lock, f"engine-{self.starts}"
        engine = Engine(plan, EngineFolder(self.path, self.disk), self.clock, environ={})
        self._process = engine
        try:
            await self.loop.start_as(self._owner, self._open(engine))
        except asyncio.CancelledError:
            self._not_mine()
            return
        except (OSError, sqlite3.Error, StoreError) as error:
            self._bury(engine)
            self.say(f"engine {self.starts} could not start: {error}")
            return
        self.engine = engine
        self.say(f"engine {self.starts} started")

    async def _open(self, engine: Engine) -> None:
        await engine.open()
        engine.pool._random = self.random  # pauses before a retry are drawn too
        await _Loop(engine, self).start()

    async def stop(self) -> None:
        """As SIGTERM does."""
        engine, self.engine = self.engine, None
        if engine is None:
            return
        try:
            await self.loop.start_as(self._owner, engine.stop())
        except asyncio.CancelledError:
            self._not_mine()
        except sqlite3.Error as error:
            self.say(f"the engine did not stop cleanly: {error}")
        if self._process is engine:
            self._bury(engine)
            self.say("engine stopped")

    def kill(self) -> None:
        """As kill -9 does, wherever each of its tasks waits: also one that is starting or stopping."""
        if self._process is not None:
            with self.disk.as_it_is():
                self._bury(self._process)
            self.say("engine killed")

    def lose_power(self) -> None:
        """The machine stops at once; what was not synced may be gone."""
        if self.disk.mood == "healthy":
            self.observer.power_goes()
        self.kill()
        with self.disk.as_it_is():
            self._leave_reader()
        self.disk.lose_power(self.random)
        self.observer.power_lost(self.folder.is_armed())
        self.say("the power went")

    def freeze(self) -> None:
        """As SIGSTOP does to the engine."""
        self.loop.freeze(self._owner)
        self.trouble("engine frozen")

    def _bury(self, engine: Engine) -> None:
        self.engine = self._process = None
        self._leave_reader()
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
        backup = self.path / "backup.db"
        if not backup.exists():
            source = database.open_reader(self.folder)
            target = sqlite3.connect(backup)
            source.backup(target)
            target.close()
            source.close()
            self.say("a backup was taken")
            return
        self.observer.before_swap()
        self._leave_reader()
        for path in self.path.glob("store.db*"):
            path.rename(self.path / f"old-{self.starts}-{path.name}")
        shutil.copy(backup, self.folder.database)
        self.observer.swapped()
        self.trouble("the database was replaced by a backup")

    # -- what reaches it -----------------------------------------------------------------------------------------------

    async def command(self, kind: str, fields: dict[str, Any], actor: Actor) -> Reply | None:
        """A person's request; None when the engine ends before it answers."""
        engine = self.engine
        if engine is None:
            return None
        try:
            reply = await self.loop.start_as(self._owner, carry_out(engine, kind, fields, actor))
        except asyncio.CancelledError:
            self._not_mine()
            return None
        return reply if self._process is engine else None  # its process ended before the answer left

    async def extract(self, document_id: str, text: str) -> bool:
        """Whether the document was acknowledged."""
        engine = self.engine
        if engine is None:
            return False
        self.observer.sent(document_id, text)
        try:
            await self.loop.start_as(self._owner, engine.extract(AskedDocument(document_id, text)))
        except asyncio.CancelledError:
            self._not_mine()
            return False
        except Exception as error:
            self.counts[f"document refused: {type(error).__name__}"] += 1
            return False
        if self._process is not engine:
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
        if request.generates:
            self.counts["LLM requests"] += 1
            view = self.engine.view if self.engine is not None else None
            self.observer.requested(Seen(request.number, request.path, self._ids.get(request.document, "")), view)

    def _answered(self, request: Request) -> None:
        self.observer.llm_answered(request.number)
        if self.servers.mood == "healthy" and request.document:
            self.observer.answered_well.append(self.clock.now())

    # -- what an observer reads ----------------------------------------------------------------------------------------

    def read(self, query: Callable[[sqlite3.Connection], Any]) -> Any:
        """From the store as it is on the disk."""
        if self._reader is None:
            self._reader = database.open_reader(self.folder)
        return query(self._reader)

    def _leave_reader(self) -> None:
        """The files are about to be closed for good, or replaced."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class _Loop(ControlLoop):
    """Reports each whole tick to the observer."""

    def __init__(self, engine: Engine, world: World) -> None:
        super().__init__(engine)
        self._world = world

    async def tick(self) -> None:
        await super().tick()
        self._world.observer.ticked_at = self._world.loop.time()


reading.prepare()  # or the first rollout of a process takes a step more than the others

# pure, and the documents of every rollout have the same texts
_read = lru_cache(maxsize=4096)(reading.read)
_indexed = lru_cache(maxsize=16_384)(terms.indexed)


@contextlib.contextmanager
def in_place_of(world: World) -> Iterator[None]:
    """Put the simulated connections and writer where the engine makes its own."""
    assign = Pipeline.route

    def route(pipeline: Pipeline, document_id: str) -> Route:
        made = assign(pipeline, document_id)
        world.observer.routed(document_id, made.arm, made.permit)
        return made

    writer = type("WorldWriter", (SimulatedWriter,), {"disk": world.disk})
    transport = type("WorldTransport", (Transport,), {"servers": world.servers})
    with (
        mock.patch("engine.service.engine.Writer", writer),
        mock.patch("engine.extraction.llm.transport.ConnectionPool", transport),
        mock.patch("engine.service.plan_watch.load_plan", plans.load),
        mock.patch.object(Pipeline, "route", route),
        mock.patch("engine.routing.reading.read", _read),
        mock.patch("engine.store.documents.indexed", _indexed),
        mock.patch("engine.quality.search.indexed", _indexed),
        mock.patch("engine.service.loop.LAPSED_TICK_S", TICK_S),
        mock.patch("engine.service.loop.BEAT_S", BEAT_S),
        mock.patch("engine.cluster.lag.BEAT_S", BEAT_S),
    ):
        yield
