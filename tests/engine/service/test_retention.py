"""Expired data is removed in small steps, one per tick, until none is left."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from engine.store.rollup import insert_and_fold
from tests.engine.metrics.samples import record
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio
OLD_S = 40 * 86400.0


async def test_old_rows_go_with_every_beat_until_none_is_left_and_not_at_500_a_minute(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        old = [record(at=c.clock.now() - OLD_S + n / 100) for n in range(1800)]
        c.engine.writer.write(lambda conn: insert_and_fold(conn, old)).result(60)

        def left() -> int:
            return int(c.engine.conn.execute("SELECT count(*) FROM extraction").fetchone()[0])

        c.clock.advance(61)
        seen = [left()]
        for _ in range(5):
            await c.loop.tick()
            await c.settled(lambda: not seen[-1] or left() < seen[-1])
            seen.append(left())
            c.clock.advance(1)
        steps = [before - after for before, after in pairwise(seen)]
        assert seen[-1] == 0
        assert max(steps) <= 500
