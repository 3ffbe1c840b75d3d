"""What a restore would serve again is counted beside the loop once a count takes long."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.service import restorable
from engine.store import documents, restores
from engine.store.documents import DocumentWrite
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio


def by_llm(name: str, at: float) -> DocumentWrite:
    return DocumentWrite(name, "", "text", "digest", at, "treatment", "llm", ("a",), (), ("b",), (), 2, 2)


async def test_a_large_store_is_counted_beside_the_loop_and_a_small_one_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Clocked(tmp_path) as c:
        engine, now = c.engine, c.clock.now()

        def holds(*names: str) -> None:
            made = [by_llm(name, now) for name in names]
            engine.writer.write(lambda conn: documents.write(conn, made)).result(60)

        assert engine.restorable().every.documents == 0
        holds("one", "two")
        await c.climb(1)
        assert engine.restorable().every == restores.Affected(2, now, now)

        monkeypatch.setattr(restorable, "AT_ONCE_S", -1.0)  # every count takes long
        holds("three")
        await c.climb(2)
        assert engine.restorable().every.documents == 2  # as last counted
        await c.settled(lambda: engine.restorable().every.documents == 3)
