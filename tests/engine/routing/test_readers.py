"""Readers beside the engine: the same keywords, and no document lost to a killed or hung one."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from engine.extraction.keywords import Budget
from engine.routing.reader import read_documents
from engine.routing.reader_pool import Readers
from engine.routing.reading import ReadDocument, read_all
from tests.machine import crowd

BUDGET = Budget(15, 8, 10)
TEXT = "The scheduler assigns each task to a worker pool and retries failed tasks with exponential backoff. " * 4
DOCUMENTS = [(f"{n}.md", f"# Title {n}\n\n{TEXT}", "") for n in range(4)]


def compared(documents: list[ReadDocument]) -> list[tuple[object, ...]]:
    return [(r.text, r.title, r.content, r.plain) for r in documents]


def test_a_reader_gives_what_counting_here_gives_and_its_death_or_hang_costs_no_document() -> None:
    here = compared(read_all(DOCUMENTS, BUDGET))

    async def use() -> None:
        readers = Readers(most=1, hung_s=60.0 * crowd())
        try:
            assert compared(await readers.read(DOCUMENTS, BUDGET)) == here
            (first,) = readers.pids
            assert os.getpgid(first) == first, "Ctrl+C is for the engine; a reader that starts would show a traceback"
            os.kill(first, signal.SIGKILL)
            several = await asyncio.gather(*(readers.read(DOCUMENTS, BUDGET) for _ in range(5)))
            assert all(compared(one) == here for one in several)
            (second,) = readers.pids
            assert second != first

            os.kill(second, signal.SIGSTOP)
            readers._hung_s = 0.2
            assert compared(await readers.read(DOCUMENTS, BUDGET)) == here
            assert readers.pids == []

            readers._hung_s = 60.0 * crowd()
            with pytest.MonkeyPatch.context() as patch:  # fewer documents than were asked for
                patch.setattr(
                    "engine.routing.reader_pool.read_documents", lambda body, asked: read_documents(body, asked[1:])
                )
                assert compared(await readers.read(DOCUMENTS, BUDGET)) == here
            assert readers.pids == []
        finally:
            readers.close()

    asyncio.run(use())


def test_readers_end_when_nothing_was_read_for_a_while() -> None:
    async def use() -> None:
        readers = Readers(most=1, idle_s=0.0)
        await readers.read(DOCUMENTS[:1], BUDGET)
        async with asyncio.timeout(60 * crowd()):
            while readers.pids:  # noqa: ASYNC110 — nothing announces the end
                await asyncio.sleep(0.01)

    asyncio.run(use())


def test_a_reader_that_cannot_be_started_leaves_the_counting_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.routing.reader_pool.sys.executable", "/nonexistent/python")

    async def use() -> list[ReadDocument]:
        return await Readers(most=2).read(DOCUMENTS, BUDGET)

    assert compared(asyncio.run(use())) == compared(read_all(DOCUMENTS, BUDGET))


def test_a_caller_that_waits_for_a_reader_is_served_though_its_starter_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that closes its connection cancels the read that was starting the process."""

    async def use() -> None:
        starting = asyncio.Event()

        async def start(reader: object) -> None:
            starting.set()
            await asyncio.Event().wait()

        readers = Readers(most=1)
        try:
            with monkeypatch.context() as patch:
                patch.setattr("engine.routing.reader_pool._Reader.start", start)
                left = asyncio.create_task(readers.read(DOCUMENTS, BUDGET))
                await starting.wait()
                waits = asyncio.create_task(readers.read(DOCUMENTS, BUDGET))
                while len(readers._readers) != 1 or readers._readers[0].asked != 1:  # noqa: ASYNC110 — its own queue
                    await asyncio.sleep(0)
                left.cancel()
                assert len(await asyncio.wait_for(waits, 60 * crowd())) == len(DOCUMENTS)
            assert left.cancelled()
            assert readers.pids == []
        finally:
            readers.close()

    asyncio.run(use())
