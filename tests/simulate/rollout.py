"""One rollout by seed, and the shortest script that still breaks the same invariant."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random

from msgspec import Struct

from engine.store import database
from engine.store.folder import Folder
from tests.simulate import records
from tests.simulate.moves import do
from tests.simulate.moves.nights import mend
from tests.simulate.moves.registry import WEIGHTS
from tests.simulate.observer import Broken
from tests.simulate.people import Scene
from tests.simulate.script import NIGHT, Move, script
from tests.simulate.virtual import VirtualLoop, virtual_time
from tests.simulate.world import World, in_place_of

CHECK_EVERY = 12  # moves
BESIDE_S = {"day": 5.0, "night": 15.0}  # how long a move is waited for
ROOT = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


class Result(Struct, frozen=True):
    seed: int
    broken: str  # the invariant's name, or ""
    what: str
    checked: dict[str, int]
    counts: dict[str, int]
    trace: tuple[str, ...]
    calendar_s: float


@lru_cache
def template() -> Path:
    """An empty store, made once a process: its migrations cost more than a day of a rollout."""
    folder = Folder(Path(tempfile.mkdtemp(prefix="rollout-simulation-", dir=ROOT)) / "store")
    database.create(folder)
    return folder.path


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """A rollout makes little garbage with cycles, and looking for it again and again is a fifth of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect(1)


@contextlib.contextmanager
def machine(seed: int) -> Iterator[tuple[World, VirtualLoop]]:
    """A machine with an empty store, its time, and everything that a seed draws."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    engine_log = logging.getLogger("rollout.engine")
    level = engine_log.level
    engine_log.setLevel(logging.CRITICAL + 1)
    source = template()
    root = Path(tempfile.mkdtemp(prefix="rollout-simulation-", dir=ROOT))
    try:
        with _no_collections(), virtual_time(loop, Random(seed + 1)):
            world = World(root, loop, Random(seed + 2), source)
            with in_place_of(world):
                try:
                    yield world, loop
                finally:
                    world.kill()
                    _drain(loop)
    finally:
        engine_log.setLevel(level)
        loop.close()
        asyncio.set_event_loop(None)
        shutil.rmtree(root, ignore_errors=True)


def run(seed: int, moves: Sequence[Move] | None = None) -> Result:
    """Deterministic: the same seed and moves give the same trace."""
    drawn = script(Random(seed), WEIGHTS)
    moves = drawn if moves is None else moves
    broken = what = ""
    with machine(seed) as (world, loop):
        began = world.clock.now()
        try:
            loop.run_until_complete(_whole(world, moves))
        except Broken as error:
            broken, what = error.name, str(error)
        except BaseExceptionGroup as group:
            first = _first(group)
            if not isinstance(first, Broken):
                raise
            broken, what = first.name, str(first)
        return Result(
            seed, broken, what, dict(world.observer.checked), dict(world.counts), tuple(world.trace),
            world.clock.now() - began,
        )  # fmt: skip


async def _whole(world: World, moves: Sequence[Move]) -> None:
    scene = Scene(world)
    beside: set[asyncio.Task[None]] = set()
    last = 0
    await world.start()
    for number, move in enumerate(moves, 1):
        await asyncio.sleep(move.pause)
        if move.name == NIGHT:
            await mend(scene)
            await _wait(beside, BESIDE_S["night"])
        task = asyncio.create_task(do(scene, move))
        beside.add(task)
        if move.alone or move.name == NIGHT:
            await asyncio.wait([task], timeout=BESIDE_S["night" if move.name == NIGHT else "day"])
        await _wait(beside, 0.0)
        world.observer.check()
        if number % CHECK_EVERY == 0:
            last = world.read(lambda conn, last=last: records.decided(world.observer, conn, last))
    await mend(scene)
    await _wait(beside, 90.0)
    await asyncio.sleep(1.0)
    await world.stop()
    world.read(lambda conn: records.decided(world.observer, conn))
    world.read(lambda conn: records.stored(world.observer, conn))
    world.observer.check()


async def _wait(beside: set[asyncio.Task[None]], seconds: float) -> None:
    """For the moves beside, as long as this; then raise what went wrong in one."""
    if beside and seconds:
        await asyncio.wait(beside, timeout=seconds)
    for done in sorted((task for task in beside if task.done()), key=hash):
        beside.discard(done)
        done.result()


def _drain(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        with contextlib.suppress(BaseException):
            loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    results: BaseException = group
    while isinstance(results, BaseExceptionGroup):
        results = results.exceptions[0]
    return results


def shortest(result: Result, tries: int = 150) -> Result:
    """The failing rollout with as many moves left out as the same invariant allows."""
    kept, best = script(Random(result.seed), WEIGHTS), result
    size = len(kept) // 2
    while size and tries > 0:
        for start in _starts(len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            tries -= 1
            again = run(result.seed, fewer)
            if again.broken == result.broken:
                kept, best = fewer, again
                break
            if tries <= 0:
                break
        else:
            size //= 2
    return best


def _starts(length: int, size: int) -> Iterator[int]:
    yield from range(length - size, -1, -max(1, size))
