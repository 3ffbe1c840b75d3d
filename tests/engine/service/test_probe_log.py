"""A server that does not answer leaves its reason in the store, also while no document comes."""

from __future__ import annotations

import sqlite3

from engine.extraction.llm import ServerHealth
from engine.metrics.errors import error_analysis
from engine.service.probes import ProbeLog, writes
from engine.store.migrations import migrate

T0 = 1_800_000_000.0


def server(failed: int, error: str = "connection refused") -> ServerHealth:
    return ServerHealth("http://a:1", "x", "open", 0, 1, None, error, None, failed, failed)


def test_a_failure_is_kept_at_once_then_once_a_minute_and_its_end() -> None:
    log, rows = ProbeLog(), []
    for second in range(0, 125, 5):
        rows += log.rows([server(1 + second // 5)], T0 + second, float(second))
    assert [row[0] - T0 for row in rows] == [0, 60, 120]
    assert all(row[2] is False and row[4] == "connection refused" for row in rows)
    assert [row[2] for row in log.rows([server(0)], T0 + 130, 130.0)] == [True]
    assert log.rows([server(0)], T0 + 135, 135.0) == []


def test_the_error_analysis_shows_an_outage_without_traffic() -> None:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn)
    writes(ProbeLog().rows([server(1)], T0, 0.0))(conn)
    result = error_analysis(conn, T0 - 60, T0 + 60)
    assert result["total"] == 1
    assert result["groups"][0]["component"] == "llm_service"
    assert "refused" in result["groups"][0]["examples"][0]["message"]
