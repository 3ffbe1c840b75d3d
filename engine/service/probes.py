"""Probes of the LLM servers as rows of the store. Failures are kept, so that an outage without traffic leaves its
reason."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from engine.extraction.llm import ServerHealth

EVERY_S = 60.0  # interval between rows for a server that stays down (machine time)

Row = tuple[float, str, bool, float | None, str]  # at, server, ok, ms, message


class ProbeLog:
    def __init__(self) -> None:
        self._down: dict[str, float] = {}  # server -> when a failure was last recorded

    def rows(self, servers: Sequence[ServerHealth], at: float, real: float) -> list[Row]:
        """A failure immediately and then once a minute, and the first answer after it. `real` is the machine's
        clock."""
        out: list[Row] = []
        for s in servers:
            last = self._down.get(s.url)
            if s.failed_probes:
                if last is None or real - last >= EVERY_S:
                    self._down[s.url] = real
                    out.append((at, s.url, False, None, s.last_error or "no answer"))
            elif last is not None:
                del self._down[s.url]
                out.append((at, s.url, True, s.latency_ms, ""))
        return out


def writes(rows: Sequence[Row]) -> Callable[[sqlite3.Connection], None]:
    def write(conn: sqlite3.Connection) -> None:
        conn.executemany("INSERT INTO probe VALUES (?,?,?,?,?)", rows)

    return write
