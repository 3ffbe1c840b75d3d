"""A worker's store sends on, whatever became of one document or one answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from engine.measures.record import Extraction
from engine.plan.load import default_plan_text, parse_plan
from engine.service.seen_batches import BATCHES, SENDERS, SeenBatches
from engine.worker.batches import PART, Batches
from engine.worker.core import Worker
from engine.worker.line import EngineConnection
from engine.worker.messages import BatchReceipt
from tests.clock import ManualClock

PLAN = parse_plan(default_plan_text())
RECEIPT = msgspec.json.encode(BatchReceipt(2, 0, ()))


class Line:
    def __init__(self, *answers: bytes) -> None:
        self._answers = iter(answers)

    def post(self, path: str, body: bytes, timeout_s: float) -> bytes:
        return next(self._answers)


def sent(*answers: bytes, leaves: bool = False) -> list[asyncio.Future[None]]:
    """Two documents of one batch after the engine's answers. `leaves`: the first one is no longer awaited."""

    async def run() -> list[asyncio.Future[None]]:
        PART.set(1)
        batches = Batches("w", 1, Line(*answers), ManualClock())  # type: ignore[arg-type]
        waits = [
            asyncio.wrap_future(batches.append(Extraction(1.0, name, "control", "frequency", 1, 1))) for name in "ab"
        ]
        if leaves:
            waits[0].cancel()
            await asyncio.sleep(0)
        await batches._send(batches._next())
        await asyncio.wait(waits)
        return waits

    return asyncio.run(run())


def test_a_document_that_no_one_waits_for_any_more_ends_no_other() -> None:
    left, stored = sent(RECEIPT, leaves=True)
    assert left.cancelled()
    assert stored.result() is None


def test_an_answer_that_cannot_be_read_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.worker.batches.AGAIN_S", 0.0)
    assert [future.result() for future in sent(b"<html>", RECEIPT)] == [None, None]


def test_a_batch_is_new_once_and_the_oldest_senders_are_forgotten() -> None:
    seen = SeenBatches()
    assert seen.is_new("w", 1)
    assert not seen.is_new("w", 1)
    assert all(seen.is_new("w", number) for number in range(2, 2 + BATCHES))
    assert seen.is_new("w", 1), "64 later batches: the number is forgotten"
    for number in range(SENDERS):
        assert seen.is_new(f"w{number}", 1)
    assert seen.is_new("w", 1), "a thousand later senders"
    assert len(seen._numbers) == SENDERS


def test_faults_on_every_document_do_not_fill_the_pipe_that_nothing_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Worker("w", PLAN, 1, lambda: EngineConnection(str(tmp_path)), lambda job, part: iter(()))
    for number in range(1000):
        worker._trouble(KeyError(f"document {number}"))
    worker._trouble(ValueError("another"))
    assert capsys.readouterr().out.splitlines() == ["trouble: KeyError: 'document 0'", "trouble: ValueError: another"]
