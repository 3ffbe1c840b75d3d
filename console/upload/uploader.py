"""Uploads documents to the engine, with as much concurrency as it answers promptly."""

from __future__ import annotations

import concurrent.futures
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from console.upload.sources import Source
from engine.client.client import EXTRACT_S, EngineClient, broken

LEAST, MOST = 8, 64  # concurrent requests; each waits for the store's commit or for the LLM
MOST_CHARS = 250_000  # characters in flight: more would delay a rollback in the engine by over 0.15 s
SOON_S = 10.0  # faster answers raise the concurrency
PATIENCE_S = 10.0  # how long to retry while an engine restarts
LATE_S = 30.0  # slower answers lower it, because requests only queue

Answer = dict[str, Any]


class EngineGone(Exception):
    """The engine no longer answers."""


class UploadRefused(Exception):
    """The engine refuses this document; the message is a sentence."""


def extract(client: EngineClient, source: Source, method: str) -> Answer:
    """Send one document; return the answer. Raises Refused, or Gone after `PATIENCE_S` without an engine."""
    body = {"id": source.id, "title": source.title, "text": source.text, "method": method, "bulk": True}
    given_up = math.inf  # the clock starts at the first failure, because a good answer may take minutes
    while True:
        try:
            status, answer = client.extract(body)
        except TimeoutError:
            raise UploadRefused(f"no answer in {EXTRACT_S:.0f} s") from None
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


class BoundedUploader:
    """`extract` sends one document and returns the answer, or raises Refused or Gone. It is called from threads."""

    def __init__(self, extract: Callable[[Source], Answer], clock: Callable[[], float] = time.monotonic) -> None:
        self.most = LEAST
        self._extract = extract
        self._clock = clock
        self._threads = concurrent.futures.ThreadPoolExecutor(MOST)
        self._sent: dict[concurrent.futures.Future[Answer], tuple[Source, float]] = {}

    def send(self, source: Source) -> None:
        self._sent[self._threads.submit(self._extract, source)] = source, self._clock()

    def ends(self, until_room: bool = False) -> Iterator[tuple[Source, Answer | UploadRefused]]:
        """Results as documents finish: of all, or only until another may be sent. Raises Gone."""
        while self._sent and not (until_room and self._room()):
            for future in concurrent.futures.wait(self._sent, return_when="FIRST_COMPLETED").done:
                source, since = self._sent.pop(future)
                self._pace(self._clock() - since)
                try:
                    yield source, future.result()
                except UploadRefused as refused:
                    yield source, refused

    def stop(self) -> None:
        """Send nothing more and don't wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _room(self) -> bool:
        long = len(self._sent) >= LEAST and sum(len(source.text) for source, _ in self._sent.values()) >= MOST_CHARS
        return not long and len(self._sent) < self.most

    def _pace(self, took: float) -> None:
        if took < SOON_S:
            self.most = min(MOST, self.most + 1)
        elif took > LATE_S:
            self.most = max(LEAST, self.most // 2)
