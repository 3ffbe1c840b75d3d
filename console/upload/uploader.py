"""Uploads documents to the engine, with as much concurrency as it answers promptly."""

from __future__ import annotations

import concurrent.futures
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from console.upload.sources import Source
from engine.client.client import EXTRACT_S, EngineClient, broken

LEAST, MOST = 8, 64  # concurrent requests; each waits for the store's commit or for the LLM
MOST_CHARS = 250_000  # characters in flight: more would delay a rollback in the engine by over 0.15 s
SOON_S = 10.0  # faster answers raise the concurrency
PATIENCE_S = 10.0  # how long to retry while an engine restarts
TOGETHER = 50  # documents of a request where none waits for the LLM
TOGETHER_CHARS = MOST_CHARS // LEAST
LATE_S = 30.0  # slower answers lower it, because requests only queue
LATE = f"no answer in {EXTRACT_S:.0f} s"

Answer = dict[str, Any]


class EngineGone(Exception):
    """The engine no longer answers."""


class UploadRefused(Exception):
    """The engine refuses this document; the message is a sentence."""


def extract(client: EngineClient, source: Source, method: str) -> Answer:
    """Send one document; return the answer. Raises Refused, or Gone after `PATIENCE_S` without an engine."""
    body = _body(source, method)
    given_up = math.inf  # the clock starts at the first failure, because a good answer may take minutes
    while True:
        try:
            status, answer = client.extract(body)
        except TimeoutError:
            raise UploadRefused(LATE) from None
        except (OSError, ValueError) as error:
            if time.monotonic() > given_up:
                raise EngineGone(f"The engine is gone ({broken(error)}).") from None
        else:
            if status == 200:
                return answer
            if status == 429:  # the bulk queue is full: the engine is healthy, so never give up
                time.sleep(float(answer.get("retry_after_s") or 1.0))
                continue
            if status != 503 or time.monotonic() > given_up:
                raise UploadRefused(str(answer.get("error") or answer.get("sentence") or f"HTTP {status}"))
        given_up = min(given_up, time.monotonic() + PATIENCE_S)
        time.sleep(0.5)


def extract_together(client: EngineClient, sources: Sequence[Source], method: str) -> list[Answer | UploadRefused]:
    """Send documents in one request. One that has no keywords after it is sent again alone: `extract` knows what to
    wait for, and what is final. Raises Gone."""
    answers: dict[int, Answer] = {}
    if len(sources) > 1:
        try:
            answers = client.extract_together([_body(source, method) for source in sources])
        except TimeoutError:
            return [UploadRefused(LATE) for _ in sources]
        except (OSError, ValueError):
            pass
    return [
        answer if (answer := answers.get(place, {})).get("ok") else _ended(client, source, method)
        for place, source in enumerate(sources)
    ]


def _ended(client: EngineClient, source: Source, method: str) -> Answer | UploadRefused:
    try:
        return extract(client, source, method)
    except UploadRefused as refused:
        return refused


def _body(source: Source, method: str) -> dict[str, Any]:
    return {"id": source.id, "title": source.title, "text": source.text, "method": method, "bulk": True}


class BoundedUploader:
    """`extract` sends the documents of a request and returns how each ended, or raises Gone. It is called from threads.
    `together`: at most so many documents share a request."""

    def __init__(
        self,
        extract: Callable[[Sequence[Source]], list[Answer | UploadRefused]],
        together: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = LEAST
        self._extract = extract
        self._together = together
        self._clock = clock
        self._threads = concurrent.futures.ThreadPoolExecutor(MOST)
        self._gathered: list[Source] = []  # for the next request
        self._sent: dict[concurrent.futures.Future[list[Answer | UploadRefused]], tuple[list[Source], float]] = {}

    def send(self, source: Source) -> None:
        if self._gathered and _chars(self._gathered) + len(source.text) > TOGETHER_CHARS:
            self._submit()
        self._gathered.append(source)
        if len(self._gathered) >= self._together:
            self._submit()

    def ends(self, until_room: bool = False) -> Iterator[tuple[Source, Answer | UploadRefused]]:
        """Results as documents finish: of all, or of those that have, and until another may be sent. Raises Gone."""
        if not until_room and self._gathered:
            self._submit()
        yield from self.finished()
        while self._sent and not (until_room and self._room()):
            concurrent.futures.wait(self._sent, return_when="FIRST_COMPLETED")
            yield from self.finished()

    def finished(self) -> Iterator[tuple[Source, Answer | UploadRefused]]:
        """Results that are there, without waiting. Raises Gone."""
        for future in [future for future in self._sent if future.done()]:
            sources, since = self._sent.pop(future)
            self._pace(self._clock() - since)
            yield from zip(sources, future.result(), strict=True)

    def stop(self) -> None:
        """Send nothing more and don't wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _submit(self) -> None:
        self._sent[self._threads.submit(self._extract, self._gathered)] = self._gathered, self._clock()
        self._gathered = []

    def _room(self) -> bool:
        long = len(self._sent) >= LEAST and sum(_chars(sources) for sources, _ in self._sent.values()) >= MOST_CHARS
        return not long and len(self._sent) < self.most

    def _pace(self, took: float) -> None:
        if took < SOON_S:
            self.most = min(MOST, self.most + 1)
        elif took > LATE_S:
            self.most = max(LEAST, self.most // 2)


def _chars(sources: Sequence[Source]) -> int:
    return sum(len(source.text) for source in sources)
