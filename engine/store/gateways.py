"""Documents of gateways in the store: each batch once, however often it is sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from engine.measures.record import Extraction
from engine.store import documents
from engine.store.documents import DocumentWrite
from engine.store.rollup import insert_and_fold

BATCHES_KEPT = 1000  # of each gateway: it resends none that is older
KEPT_S = 3600.0  # of a gateway that is gone


def keep(
    conn: sqlite3.Connection,
    worker: str,
    number: int,
    at: float,
    records: Sequence[Extraction],
    written: Sequence[DocumentWrite],
) -> bool:
    """Store a batch inside the caller's transaction; False when it was stored before."""
    if not conn.execute("INSERT OR IGNORE INTO gateway_batch VALUES (?,?,?)", (worker, number, at)).rowcount:
        return False
    conn.execute("DELETE FROM gateway_batch WHERE worker = ? AND number <= ?", (worker, number - BATCHES_KEPT))
    if number == 1:  # a new gateway: forget those that are gone
        conn.execute("DELETE FROM gateway_batch WHERE at < ?", (at - KEPT_S,))
    insert_and_fold(conn, records)
    documents.write(conn, written)
    return True
