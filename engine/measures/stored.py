"""Results that are measured now and then (a search measurement, an A/B report, a backtest), as rows of the store."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(order="deterministic")


def keep(conn: sqlite3.Connection, at: float, kind: str, value: Any) -> None:
    """Store a result in the caller's transaction."""
    conn.execute("INSERT INTO measure VALUES (?,?,?)", (at, kind, _encoder.encode(value).decode()))
