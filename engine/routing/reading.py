"""Reads a document and extracts its frequency keywords, in this process or in workers beside the engine.

Counting is most of the cost of a frequency document: half a millisecond to a few. A batch's documents are counted in
worker processes, so that a second core is used and a rollback never waits for a document.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from msgspec import Struct
from msgspec.structs import replace

from engine.extraction import frequency
from engine.extraction.keywords import Budget, Keywords
from engine.parsing import Parsed, parse
from engine.text import clean_line

TITLE_LIMIT = 300
NICE = 10
MOST_WORKERS = 8
PARENT_LOOK_S = 1.0


class ReadDocument(Struct, frozen=True):
    """A parsed document, its frequency keywords, and how long counting took."""

    text: str  # clean, as both methods read it
    parsed: Parsed
    plain: Keywords
    ms: float


def read(name: str, text: str, title: str, budget: Budget) -> ReadDocument:
    """The title sent with the document, else the one in its text."""
    began = time.perf_counter()
    document = parse(text, name)
    document = replace(document, title=title or clean_line(document.title, TITLE_LIMIT))
    plain = frequency.extract(document, budget=budget)
    return ReadDocument(text, document, plain, (time.perf_counter() - began) * 1000)


def _read_all(documents: Sequence[tuple[str, str, str]], budget: Budget) -> list[ReadDocument]:
    return [read(name, text, title, budget) for name, text, title in documents]


class Readers:
    """Worker processes that count keywords, started with the first batch. Without a second core, or if a worker dies,
    the engine does the counting."""

    def __init__(self, workers: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        beside = (
            min(MOST_WORKERS, cores) if cores > 1 else 0
        )  # lower priority than the engine, so they only use what it leaves of each core
        self.workers = beside if workers is None else workers
        self._pool: ProcessPoolExecutor | None = None

    async def read(self, documents: Sequence[tuple[str, str, str]], budget: Budget) -> list[ReadDocument]:
        """(id, text, title) of each; the texts are clean."""
        if self.workers > 0:
            try:
                return await asyncio.wrap_future(self._submit(documents, budget))
            except (BrokenProcessPool, OSError):
                self.close()  # the next batch starts new ones
        out = []
        for name, text, title in documents:
            out.append(read(name, text, title, budget))
            await asyncio.sleep(0)  # a rollback can run between any two
        return out

    def _submit(
        self, documents: Sequence[tuple[str, str, str]], budget: Budget
    ) -> concurrent.futures.Future[list[ReadDocument]]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, _begin, (os.getpid(),))
        return self._pool.submit(_read_all, documents, budget)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _begin(parent: int) -> None:
    """In a worker: run at the lowest priority, and exit with the engine, even if it was killed."""
    os.nice(NICE)

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_LOOK_S)
        os._exit(1)

    threading.Thread(target=look, name="parent", daemon=True).start()
