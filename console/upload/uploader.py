"""Documents on their way to the engine: as many at once as it answers soon, and what became of each."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterator
from typing import Any

from console.upload.sources import Source

LEAST, MOST = 8, 64  # at once; each waits for the store's next commit, 50 ms, or for the LLM
MOST_CHARS = 250_000  # at once: more long documents than that keep a rollback waiting in the engine for over 0.15 s
SOON_S = 10.0  # answered within it: more at once
LATE_S = 30.0  # answered after it: fewer, since all that are sent wait

Answer = dict[str, Any]


class Gone(Exception):
    """No engine answers any more."""


class Refused(Exception):
    """The engine does not take this document: a sentence."""


class BoundedUploader:
    """`extract` takes one document to the engine and returns its answer, or raises Refused or Gone; it is called from threads."""

    def __init__(self, extract: Callable[[Source], Answer], clock: Callable[[], float] = time.monotonic) -> None:
        self.most = LEAST
        self._extract = extract
        self._clock = clock
        self._threads = concurrent.futures.ThreadPoolExecutor(MOST)
        self._sent: dict[concurrent.futures.Future[Answer], tuple[Source, float]] = {}

    def send(self, source: Source) -> None:
        self._sent[self._threads.submit(self._extract, source)] = source, self._clock()

    def ends(self, until_room: bool = False) -> Iterator[tuple[Source, Answer | Refused]]:
        """What became of the documents as they are done: of all, or until another may be sent. Raises Gone."""
        while self._sent and not (until_room and self._room()):
            for future in concurrent.futures.wait(self._sent, return_when="FIRST_COMPLETED").done:
                source, since = self._sent.pop(future)
                self._pace(self._clock() - since)
                try:
                    yield source, future.result()
                except Refused as refused:
                    yield source, refused

    def stop(self) -> None:
        """Send nothing more, and wait for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _room(self) -> bool:
        long = len(self._sent) >= LEAST and sum(len(source.text) for source, _ in self._sent.values()) >= MOST_CHARS
        return not long and len(self._sent) < self.most

    def _pace(self, took: float) -> None:
        if took < SOON_S:
            self.most = min(MOST, self.most + 1)
        elif took > LATE_S:
            self.most = max(LEAST, self.most // 2)
