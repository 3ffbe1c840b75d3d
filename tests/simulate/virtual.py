"""An event loop whose time is virtual, and a `time` module that agrees with it.

Waiting costs nothing: when nothing is ready, time jumps to the next timer. Threads become calls: what the code hands to an executor runs
in the loop, so two runs with one seed take the same steps. Tasks belong to the actor that made them, so one actor can be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import selectors
import time
import uuid
import weakref
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any
from unittest import mock

EPOCH = 1_800_000_000.0
OWNER: contextvars.ContextVar[str] = contextvars.ContextVar("owner", default="world")


class Deadlock(RuntimeError):
    """Nothing is scheduled and the rollout has not ended."""


class _Jump(selectors.SelectSelector):
    """Instead of waiting for sockets, move the time."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("every task waits for something that nobody will do")
        if timeout > 0:
            self.loop.advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _Jump()
        selector.loop = self
        self._seconds = 1000.0
        self.owned: dict[str, weakref.WeakSet[asyncio.Task[Any]]] = {}
        super().__init__(selector)
        self.set_task_factory(self._owned)  # type: ignore[arg-type]

    def time(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """In the loop, a moment later: a thread's work is one step, and what comes meanwhile comes before or after it."""
        done = self.create_future()

        def step() -> None:
            if done.cancelled():
                return
            try:
                done.set_result(func(*args))
            except BaseException as error:
                done.set_exception(error)

        self.call_later(0.0005, step)
        return done

    def _write_to_self(self) -> None:
        """There is no other thread to wake this one."""

    def _owned(self, loop: Any, coro: Coroutine[Any, Any, Any], context: Any = None, **more: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, context=context, **more)
        owner = (context or contextvars.copy_context()).get(OWNER, "world")
        self.owned.setdefault(owner, weakref.WeakSet()).add(task)
        return task

    def start_as(self, owner: str, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of `owner`; the tasks that it makes are the owner's too."""
        context = contextvars.copy_context()
        context.run(OWNER.set, owner)
        return self.create_task(coro, context=context)

    def kill(self, owner: str) -> None:
        """End the owner's tasks where they wait."""
        for task in sorted(self.owned.pop(owner, ()), key=lambda task: task.get_name()):
            task.cancel()


@contextlib.contextmanager
def virtual_time(loop: VirtualLoop, random: Random) -> Iterator[Wall]:
    """Let `time` and `uuid4` follow the loop and the seed."""
    wall = Wall()

    def pause(seconds: float) -> None:
        loop.advance(seconds)

    def drawn() -> uuid.UUID:
        return uuid.UUID(int=random.getrandbits(128), version=4)

    with contextlib.ExitStack() as stack:
        for name, reads in (
            ("time", lambda: EPOCH + loop.time() + wall.offset),
            ("monotonic", loop.time),
            ("perf_counter", loop.time),
            ("clock_gettime", lambda clock: loop.time()),
            ("sleep", pause),
        ):
            stack.enter_context(mock.patch.object(time, name, reads))
        stack.enter_context(mock.patch.object(uuid, "uuid4", drawn))
        yield wall


class Wall:
    """What a person or NTP set the wall clock to, against the machine's."""

    offset = 0.0
