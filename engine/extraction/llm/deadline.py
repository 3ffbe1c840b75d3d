"""One document's time and counters while it goes through the LLM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from engine.clock import Clock
from engine.extraction.llm.failure import ErrorKind, Fault, LlmFailure
from engine.extraction.llm.judge import PieceKeywords

LOADING_LEAST_S = 2.0  # seconds to wait for a model, however short the deadline


@dataclass
class DocumentProgress:
    """`run` and `halt` bracket each call and each pause before a retry: the document's clock runs while at least one
    is in progress.

    `deadline` pauses with the clock, so time in the pool's queue does not count against the service.
    """

    clock: Clock
    permit: Callable[[], bool]
    limit_s: float
    deadline: asyncio.Timeout
    started: float
    background: bool = False  # no client is waiting for it
    sent: bool = False
    attempts: int = 0
    pieces: int = 1  # that the document is read in
    answered: int = 0  # of them
    proposed: int = 0
    dropped: int = 0
    load_ms: float = 0.0  # of its time in calls
    loading: Callable[[], float] = lambda: 0.0  # seconds in which no server could answer because its model was loading
    _loading_before: float = 0.0
    server: str = ""
    salvaged: bool = False
    last: Fault | None = None  # the failure of the latest attempt
    hung: bool = False  # the deadline passed during a call
    readied_s: float = 0.0  # seconds spent waiting for servers to load the model
    _running: int = 0
    _since: float = 0.0
    _spent: float = 0.0

    def __post_init__(self) -> None:
        self._loading_before = self.loading()

    def send(self, server: str) -> None:
        """One of the document's calls goes out now."""
        self.sent = True
        self.attempts += 1
        self.server = server

    def count(self, keywords: PieceKeywords) -> None:
        self.proposed += keywords.proposed
        self.dropped += keywords.dropped

    def run(self) -> None:
        if self._running == 0:
            self._since = self.clock.real()
            self.deadline.reschedule(asyncio.get_running_loop().time() + max(0.0, self.limit_s - self._spent))
        self._running += 1

    def halt(self) -> None:
        self._running -= 1
        if self._running == 0:
            self._spent += self.clock.real() - self._since
            if not self.deadline.expired():
                self.deadline.reschedule(None)

    @property
    def patience_s(self) -> float:
        """Seconds it still waits for models to load: as long again as its answer may take, over all servers
        together."""
        return max(0.0, max(self.limit_s, LOADING_LEAST_S) - self.readied_s)

    def left(self) -> float:
        running = self.clock.real() - self._since if self._running else 0.0
        return max(0.0, self.limit_s - self._spent - running)

    @property
    def ms(self) -> float:
        if not self.sent:
            return 0.0
        running = self.clock.real() - self._since if self._running else 0.0
        return max(0.0, (self._spent + running) * 1000 - self.load_ms)

    @property
    def queue_ms(self) -> float:
        """Milliseconds spent so far neither in calls nor waiting for a model to load."""
        idle_s = self.clock.real() - self.started - (self.loading() - self._loading_before)
        return max(0.0, idle_s * 1000 - self.ms - self.load_ms)

    def out_of_time(self) -> LlmFailure:
        """The fault of a document whose deadline has passed: the service was slow, or the cause of the last failure
        persisted."""
        spent = f"no answer within {self.limit_s:g} s"
        if self.answered:
            spent = f"{self.limit_s:g} s were enough for {self.answered} of the document's {self.pieces} pieces"
        if self.last is None:
            return self.failure(ErrorKind.timeout, spent)
        if self.hung:
            return self.failure(ErrorKind.timeout, f"{spent}; before that, {self.last.message}")
        return self.failure(self.last.kind, f"{spent}: {self.last.message}")

    def failure(self, kind: ErrorKind, message: str) -> LlmFailure:
        return LlmFailure(
            kind,
            message,
            sent=self.sent,
            ms=self.ms,
            attempts=self.attempts,
            queue_ms=self.queue_ms,
            server=self.server,
            answer=self.last.answer if self.last is not None else "",
        )
