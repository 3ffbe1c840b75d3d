"""The LLM arm's stored attempts, for a backtest."""

from __future__ import annotations

import sqlite3

from engine.triggers.backtest import Attempt


def stored(conn: sqlite3.Connection, since: float) -> list[Attempt]:
    """In order of time. A timeout's time counts, another failure's says nothing about speed."""
    rows = conn.execute(
        "SELECT at, epoch, attempted, error, ms, lookup, cached FROM extraction "
        "WHERE at >= ? AND arm = 'treatment' AND shadow = 0 ORDER BY at", (since,),
    ).fetchall()  # fmt: skip
    return [
        Attempt(
            at,
            epoch,
            bool(tried),
            error is None,
            ms if tried and error in (None, "timeout") else None,
            bool(lookup),
            bool(hit),
        )
        for at, epoch, tried, error, ms, lookup, hit in rows
    ]
