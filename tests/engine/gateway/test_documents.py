"""A gateway's store: what the engine has not committed is not stored, and a resent batch is stored once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from engine.clock import SystemClock
from engine.gateway.documents import EngineStore
from engine.gateway.process import CannotRun, bound
from engine.measures.record import Extraction
from engine.routing.ports import Overtaken, Unconfirmed
from engine.routing.switch import Permit
from engine.service.jobs import by_frequency
from engine.store import gateways, migrations
from engine.store.documents import DocumentWrite
from engine.store.jobs import OVERTAKEN
from engine.worker.line import EngineRefused
from engine.worker.messages import DocumentBatch, DocumentReceipt
from tests.machine import crowd


def record(document_id: str = "a", method: str = "llm") -> Extraction:
    return Extraction(
        100.0, document_id, "treatment", method, 4, 7, True, False, True, False, False, False,
        None, None, 120.0, 0.0, 2, 2, 0, "ollama-1", False, None, 1,
    )  # fmt: skip


def document(document_id: str = "a") -> DocumentWrite:
    return DocumentWrite(
        document_id, "A", "a text", "digest", 100.0, "treatment", "llm", ("plain",), (), ("made", "by"), (), 4, 7, False
    )


class Line:
    """An engine that gives the test's answers in order, then repeats the last one."""

    def __init__(self, *answers: Exception | DocumentReceipt) -> None:
        self._answers = list(answers)
        self.batches: list[DocumentBatch] = []

    def post(self, path: str, body: bytes, timeout_s: float) -> bytes:
        self.batches.append(msgspec.json.decode(body, type=DocumentBatch))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return msgspec.json.encode(answer)


def with_store(line: Line, use: Callable[[EngineStore], Awaitable[None]], unattached: str = "") -> None:
    async def run() -> None:
        store = EngineStore("g", lambda: line, SystemClock(), lambda: unattached, lambda record: False, True)  # type: ignore[arg-type, return-value]
        sending = asyncio.create_task(store.send_forever())
        try:
            await asyncio.wait_for(use(store), 30 * crowd())
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(run())


def test_a_batch_without_an_answer_is_sent_again_under_its_number() -> None:
    line = Line(OSError("gone"), EngineRefused(503, "store", "Not stored.", 1.0), DocumentReceipt())

    async def use(store: EngineStore) -> None:
        await asyncio.wrap_future(store.append(record(), document()))

    with_store(line, use)
    assert {batch.number for batch in line.batches} == {1}
    assert len(line.batches) == 3
    (item,) = line.batches[-1].items
    assert not item.record.lookup, "the cache is the engine's"
    assert item.age_s >= line.batches[0].items[0].age_s


def test_one_that_comes_alone_is_sent_at_once_and_several_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.gateway.documents.GATHER_S", 3600.0)
    line = Line(DocumentReceipt(()))

    async def use(store: EngineStore) -> None:
        for name in ("a", "b"):
            await asyncio.wrap_future(store.append(record(name), document(name)))
        for _ in range(2):
            await asyncio.gather(*(asyncio.wrap_future(store.append(record(name), document(name))) for name in "cde"))

    with_store(line, use)
    assert [len(batch.items) for batch in line.batches] == [1, 1, 3, 3]


def test_a_refusal_that_does_not_pass_fails_its_documents_with_the_engine_s_sentence() -> None:
    async def use(store: EngineStore) -> None:
        with pytest.raises(OSError, match=r"^The plan is not the engine's$") as failed:  # within the answer's sentence
            await asyncio.wrap_future(store.append(record(), document()))
        assert not isinstance(failed.value, Unconfirmed)

    with_store(Line(EngineRefused(409, "worker_plan", "The plan is not the engine's.")), use)


def test_a_batch_that_got_no_answer_may_be_stored_whatever_refuses_it_afterwards() -> None:
    refused = EngineRefused(409, "worker_plan", "The plan is not the engine's.")

    async def use(store: EngineStore) -> None:
        with pytest.raises(Unconfirmed):
            await asyncio.wrap_future(store.append(record(), document()))

    with_store(Line(OSError("killed before it could answer"), refused), use)


def test_without_a_lease_nothing_is_accepted() -> None:
    async def use(store: EngineStore) -> None:
        assert store.refusing == "no lease"
        with pytest.raises(OSError, match="no lease"):
            await asyncio.wrap_future(store.append(record(), document()))

    with_store(Line(DocumentReceipt()), use, unattached="no lease")


def test_keywords_that_came_after_a_fall_are_reported_one_by_one() -> None:
    async def use(store: EngineStore) -> None:
        several = [asyncio.wrap_future(store.append(record(name), document(name))) for name in ("a", "b")]
        a, b = await asyncio.gather(*several, return_exceptions=True)
        assert a is None
        assert isinstance(b, Overtaken)

    with_store(Line(DocumentReceipt((1,))), use)


def test_the_engine_stores_frequency_keywords_for_what_came_after_the_fall() -> None:
    def kept(asked: str, permit: Permit) -> str:
        made, written = by_frequency(record(), document(), asked, permit, "salt")  # type: ignore[arg-type]
        assert written is not None
        assert made.method == written.method
        assert (made.message == OVERTAKEN) == (written.method == "frequency")
        assert (written.llm is None) == (written.method == "frequency")
        return written.method

    assert kept("auto", Permit(10_000, 10_000, 7, False, "")) == "llm"
    assert kept("auto", Permit(0, 0, 8, False, "")) == "frequency"
    assert kept("auto", Permit(0, 10_000, 8, False, "the lease has ended")) == "frequency"
    assert kept("llm", Permit(0, 0, 8, False, "")) == "llm", "asked for at 0 %"
    assert kept("llm", Permit(0, 0, 8, False, "rolled back")) == "frequency"


def test_a_batch_is_stored_once() -> None:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrations.migrate(conn)

    def keep(worker: str, number: int) -> bool:
        return gateways.keep(
            conn, worker, number, 100.0, [record(f"{worker}{number}")], [document(f"{worker}{number}")]
        )

    assert [keep("a", 1), keep("a", 1), keep("b", 1), keep("a", 2), keep("b", 1)] == [True, False, True, True, False]
    assert conn.execute("SELECT count(*) FROM extraction").fetchone() == (3,)
    assert conn.execute("SELECT count(*) FROM document").fetchone() == (3,)
    for number in range(3, gateways.BATCHES_KEPT + 10):
        assert gateways.keep(conn, "a", number, 100.0, [], [])
    assert keep("a", gateways.BATCHES_KEPT + 10)
    assert conn.execute("SELECT count(*) FROM gateway_batch WHERE worker = 'a'").fetchone() == (gateways.BATCHES_KEPT,)


@pytest.mark.parametrize("listen", ["8081", "host:", ":http", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_named(listen: str) -> None:
    with pytest.raises(CannotRun, match="is not HOST:PORT"):
        bound(listen, True, "ROLLOUT_TOKEN")


def test_an_address_that_others_reach_wants_a_token() -> None:
    with pytest.raises(CannotRun, match="set ROLLOUT_TOKEN"):
        bound(":0", False, "ROLLOUT_TOKEN")
    with bound(":0", True, "ROLLOUT_TOKEN") as tcp:
        assert tcp.getsockname()[0] == "0.0.0.0"
    with bound("[::1]:0", False, "ROLLOUT_TOKEN") as tcp:
        assert tcp.getsockname()[0] == "::1"
