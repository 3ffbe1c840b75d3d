"""LLM calls in flight, each a task of its own, so that a rollback ends the call and not its document."""

from __future__ import annotations

import asyncio

from engine.clock import Clock
from engine.extraction.llm import LlmAnswer, LlmPool
from engine.routing.ports import PermitSource


class Cancelled(Exception):
    """The LLM call was ended, by a rollback or the engine's shutdown. The message is a phrase."""


class Calls:
    def __init__(self, pool: LlmPool, switch: PermitSource, clock: Clock) -> None:
        self._pool = pool
        self._switch = switch
        self._clock = clock
        self._tasks: set[asyncio.Task[object]] = set()
        self._cancelled_for = ""  # why calls in flight were last ended
        self.last_sent: float | None = None  # epoch seconds
        self.last_ended: float | None = None

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    @property
    def requests_open(self) -> int:
        """Requests of any kind that use a model and are still open, as counted at the sockets."""
        return self._pool.gate.open

    @property
    def requests_sent(self) -> int:
        return self._pool.gate.sent

    def cancel(self, why: str) -> int:
        """End every LLM call in flight; their documents are finished by frequency. Return how many there were."""
        self._cancelled_for = why
        calls = [task for task in self._tasks if not task.done()]
        for task in calls:
            task.cancel()
        self._pool.gate.cut()  # every other use of a model: loading it, a test request
        self.shut()  # now, not when the loop has finished the documents that are ready
        return len(calls)

    def shut(self) -> None:
        """End the connections of all calls, from any thread. Have the loop cancel the calls first, so that none takes
        this for a fault of the LLM service."""
        self._pool.shut()

    async def extract(
        self, text: str, bucket: int | None = None, *, background: bool = False, epoch: int | None = None
    ) -> LlmAnswer:
        """One LLM extraction. Cancelled if a rollback ended it or the percentage fell in the meantime.

        `epoch`: for a shadow call, the epoch it belongs to; the next stage may have no shadow, or a smaller one.
        """
        call = self._pool.extract(text, permit=lambda: self._granted(bucket, epoch), background=background)
        task = asyncio.create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            answer = await task
            if not self._switch.may_call(bucket):  # a suspended engine may wake up with the answer after a rollback
                raise Cancelled("the percentage fell while the call was in flight")
            return answer
        except asyncio.CancelledError:
            if not task.cancelled():  # the document's own task was cancelled, not the call
                task.cancel()
                raise
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise Cancelled(self._cancelled_for) from None
        finally:
            self.last_ended = self._clock.now()

    def _granted(self, bucket: int | None, epoch: int | None) -> bool:
        """Asked right before every send; the proof's "last LLM call" time comes from here."""
        if not self._switch.may_call(bucket, epoch):
            return False
        self.last_sent = self._clock.now()
        return True
