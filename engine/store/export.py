"""Documents for comparing a method's keywords, a page at a time: memory does not grow with their number, and the
write-ahead log can shrink between two pages."""

from __future__ import annotations

import random
import sqlite3
from array import array
from collections.abc import Iterator, Sequence

from engine.store.documents import COLUMNS, WHOLE, Document, document_of, whole_document_of

PAGE = 200

_WITHOUT_TEXT = f"SELECT {COLUMNS}, d.rowid FROM document d"
_LATEST = "SELECT rowid FROM document WHERE method = ? ORDER BY updated DESC, id LIMIT ?"
_BY_ID = "SELECT rowid FROM document WHERE method = ? ORDER BY id"


def chosen(conn: sqlite3.Connection, method: str, limit: int, seed: int | None = None) -> array[int]:
    """Row ids of the latest documents, or of a sample that a seed makes reproducible.

    Those that serve the method's keywords first; for `frequency`, which every document has, the others after them.
    """
    served = ("frequency", "llm") if method == "frequency" else ("llm",)
    rows: array[int] = array("q")
    for one in served:
        if len(rows) < limit:
            query, values = (_LATEST, (one, limit - len(rows))) if seed is None else (_BY_ID, (one,))
            rows.extend(rowid for (rowid,) in conn.execute(query, values))
    if seed is None:
        return rows
    drawn = random.Random(seed).sample(range(len(rows)), min(limit, len(rows)))
    return array("q", (rows[place] for place in drawn))


def pages(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    return (rows[first : first + PAGE] for first in range(0, len(rows), PAGE))


def page(conn: sqlite3.Connection, rows: Sequence[int], method: str, text: bool = False) -> list[Document]:
    """The documents of these rows, in their order, without those deleted or restored since they were chosen."""
    query = f"{WHOLE if text else _WITHOUT_TEXT} WHERE d.rowid IN ({','.join('?' * len(rows))})"
    by_row = {row[-1]: row for row in conn.execute(query, tuple(rows))}
    read = whole_document_of if text else document_of
    documents = [read(by_row[rowid]) for rowid in rows if rowid in by_row]
    return [d for d in documents if method == "frequency" or d.method == method]
