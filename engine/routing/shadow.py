"""Shadow calls: the LLM's answer for a document that frequency served, stored, never served, never cached."""

from __future__ import annotations

import asyncio
import logging

from engine.extraction.keywords import Keywords
from engine.extraction.llm import NO_ATTEMPT, LlmFailure, NotPermitted
from engine.routing.calls import Calls, Cancelled
from engine.routing.document_run import DocumentRun
from engine.routing.ports import Ports
from engine.routing.treatment import Treatment

journal = logging.getLogger("rollout.engine")

MOST_WAITING = 2000  # documents queued for their shadow call; more are skipped and counted
MOST_CHARS = 50_000_000  # total length of their texts


class ShadowCalls:
    def __init__(self, ports: Ports, calls: Calls, treatment: Treatment) -> None:
        self._ports = ports
        self._calls = calls
        self._treatment = treatment
        self._tasks: set[asyncio.Task[None]] = set()
        self._chars = 0
        self.passed_over = 0  # documents that got no call because the queue was full

    def start(self, made: DocumentRun) -> None:
        if len(self._tasks) >= MOST_WAITING or self._chars + len(made.content) > MOST_CHARS:
            if self.passed_over % MOST_WAITING == 0:
                journal.warning(
                    "%d documents are queued for a shadow call because the LLM is slower than they arrive: "
                    "more are skipped",
                    len(self._tasks),
                )
            self.passed_over += 1
            return
        task = asyncio.create_task(self._call(made))
        self._tasks.add(task)
        self._chars += len(made.content)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._chars -= len(made.content)

        task.add_done_callback(ended)

    async def drain(self, timeout_s: float) -> None:
        """Wait for calls under way, then cancel them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in self._tasks:
            task.cancel()

    async def _call(self, made: DocumentRun) -> None:
        try:
            answer = await self._calls.extract(made.content, background=True, epoch=made.extraction.epoch)
            done = self._treatment.answered(made, answer, shadow=True)
        except (Cancelled, NotPermitted):
            return
        except Exception as error:
            failure = error if isinstance(error, LlmFailure) else self._treatment.our_fault(error)
            if failure.kind in NO_ATTEMPT:
                return
            self._keep(made.failed("llm", Keywords(), failure, shadow=True))
            return
        self._keep(done, document=True)

    def _keep(self, made: DocumentRun, document: bool = False) -> None:
        now = self._ports.clock.now()
        record = made.record(now)
        self._ports.observe(record)
        self._ports.store.append(record, made.write(now) if document else None)
