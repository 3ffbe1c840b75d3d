"""An event loop whose time is virtual, and a `time` module that agrees with it.

Waiting costs nothing: when nothing is ready, time jumps to the next timer. Threads become calls: what the code hands to
an executor runs in the loop, so two runs with one seed take the same steps. Tasks belong to the actor that made them,
so one actor can be killed or frozen.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import selectors
import time
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any
from unittest import mock

EPOCH = 1_800_000_000.0
THREAD_S = 0.0005  # until a thread's work is done
OWNER: contextvars.ContextVar[str] = contextvars.ContextVar("owner", default="world")


class Deadlock(RuntimeError):
    """Nothing is scheduled and the rollout has not ended."""


class _Jump(selectors.SelectSelector):
    """Instead of waiting for sockets, move the time."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("every task waits for something that no one will do")
        if timeout > 0:
            self.loop.advance(timeout)
        return []


class _Task(asyncio.Task[Any]):
    """Hashed by number, so that a set of tasks has the same order in every run."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **more: Any) -> None:
        self.number = number
        super().__init__(coro, **more)

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.SelectorEventLoop):
    """`stalled`: whether threads hang now, as they do on a disk that does not answer."""

    def __init__(self) -> None:
        selector = _Jump()
        selector.loop = self
        self._seconds = 1000.0
        self._tasks_made = 0
        self._owned: dict[str, weakref.WeakSet[_Task]] = {}
        self._frozen = ""
        self._held: list[asyncio.Handle] = []
        self._held_timers: list[asyncio.TimerHandle] = []
        self.stalled: Callable[[], bool] = lambda: False
        super().__init__(selector)
        self.set_task_factory(self._make)  # type: ignore[arg-type]

    def time(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """In the loop, a moment later: a thread's work is one step, with everything else before or after it."""
        done = self.create_future()

        def step() -> None:
            if self.stalled():
                self.call_later(0.1, step)
                return
            if done.cancelled():
                return
            try:
                done.set_result(func(*args))
            except BaseException as error:
                done.set_exception(error)

        self.call_later(THREAD_S, step)
        return done

    def _write_to_self(self) -> None:
        """No other thread exists to wake this one."""

    # -- actors --------------------------------------------------------------------------------------------------------

    def _make(self, loop: Any, coro: Coroutine[Any, Any, Any], context: Any = None, **more: Any) -> _Task:
        self._tasks_made += 1
        task = _Task(self._tasks_made, coro, loop=self, context=context, **more)
        owner = (context or contextvars.copy_context()).get(OWNER, "world")
        self._owned.setdefault(owner, weakref.WeakSet()).add(task)
        return task

    def start_as(self, owner: str, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of `owner`; the tasks that it makes are the owner's too."""
        context = contextvars.copy_context()
        context.run(OWNER.set, owner)
        return self.create_task(coro, context=context)

    def kill(self, owner: str) -> None:
        """End the owner's tasks where they wait."""
        if self._frozen == owner:
            self.thaw()
        for task in sorted(self._owned.pop(owner, ()), key=lambda task: task.number):
            task.cancel()

    def freeze(self, owner: str) -> None:
        """Nothing of the owner's runs until `thaw`, as under SIGSTOP. One owner at a time."""
        self._frozen = owner

    def thaw(self) -> None:
        self._frozen = ""
        self._ready.extend(self._held)  # type: ignore[attr-defined]
        for timer in self._held_timers:
            heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        self._held, self._held_timers = [], []

    def _run_once(self) -> None:
        if self._frozen:
            self._set_aside()
        super()._run_once()  # type: ignore[misc]

    def _set_aside(self) -> None:
        ready, timers = self._ready, self._scheduled  # type: ignore[attr-defined]
        self._held += [handle for handle in ready if self._is_frozen(handle)]
        self._held_timers += [timer for timer in timers if self._is_frozen(timer)]
        self._ready = deque(handle for handle in ready if not self._is_frozen(handle))
        self._scheduled = [timer for timer in timers if not self._is_frozen(timer)]
        heapq.heapify(self._scheduled)

    def _is_frozen(self, handle: Any) -> bool:
        return bool(handle._context.get(OWNER, "world") == self._frozen)


@contextlib.contextmanager
def virtual_time(loop: VirtualLoop, random: Random) -> Iterator[None]:
    """Let `time` and `uuid4` follow the loop and the seed."""

    def drawn() -> uuid.UUID:
        return uuid.UUID(int=random.getrandbits(128), version=4)

    with contextlib.ExitStack() as stack:
        for name, reads in (
            ("time", lambda: EPOCH + loop.time()),
            ("monotonic", loop.time),
            ("perf_counter", loop.time),
            ("clock_gettime", lambda clock: loop.time()),
            ("sleep", loop.advance),
        ):
            stack.enter_context(mock.patch.object(time, name, reads))
        stack.enter_context(mock.patch.object(uuid, "uuid4", drawn))
        yield
