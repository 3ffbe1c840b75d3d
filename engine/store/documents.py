"""Documents and their keywords by both methods. Search: search.py; restore: restores.py.

`document.method` is the method served. The frequency keywords are always stored, so a restore is one UPDATE of that
column, as is undoing it; neither touches texts or the search index (which has one column per method).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from engine.decoding import json_decoder
from engine.store.terms import indexed

TEXT_LIMIT = 100_000
SOUGHT = 200  # ids in one query


class TextSource(Struct, frozen=True):
    """Where a text was read: a file or URL, and of JSON lines the bytes, of Parquet the rows, from `start` to before
    `end` (0: the whole file); `line` is the number of the first line there, 0 where lines are not counted."""

    uri: str
    start: int = 0
    end: int = 0
    line: int = 1


class DocumentWrite(Struct, frozen=True):
    """What an extraction stores with its document. Keywords are ranked, best first; `technical` is a subset. `text` is
    "" where texts are not kept; `source` is where it was read, in a store that keeps that instead."""

    id: str
    title: str
    text: str
    digest: str
    at: float
    arm: str
    method: str
    frequency: tuple[str, ...]
    frequency_technical: tuple[str, ...]
    llm: tuple[str, ...] | None
    llm_technical: tuple[str, ...]
    stage: int
    epoch: int
    shadow: bool = False
    source: TextSource | None = None


class Document(Struct, frozen=True):
    """A stored document. `keywords` are the ones served now; `digest` is its text's."""

    id: str
    title: str
    updated: float
    arm: str
    method: str
    keywords: tuple[str, ...]
    technical: tuple[str, ...]
    frequency: tuple[str, ...]
    llm: tuple[str, ...] | None
    shadow: tuple[str, ...] | None
    llm_at: float | None
    llm_stage: int | None
    restored: bool
    text: str = ""
    digest: str = ""
    source: TextSource | None = None


DocumentOrder = Literal["", "title", "llm_keywords", "method"]
_TITLE = "lower(CASE d.title WHEN '' THEN d.id ELSE d.title END), d.id"
ORDERS: dict[DocumentOrder, str] = {  # of every document, not of the latest; "" is the list's own order
    "title": _TITLE,
    "llm_keywords": f"coalesce(json_array_length(coalesce(d.llm, d.shadow), '$[0]'), 0) DESC, {_TITLE}",
    "method": f"d.method, {_TITLE}",
}


_packed = json_decoder(tuple[tuple[str, ...], tuple[str, ...]])


def _pack(ranked: Sequence[str], technical: Sequence[str]) -> str:
    return msgspec.json.encode((ranked, technical)).decode()


def _unpack(body: str | None) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    return None if body is None else _packed.decode(body)


_INSERT = (
    "INSERT INTO document (rowid, id, title, digest, updated, arm, method, frequency, llm, llm_at, llm_stage, "
    "llm_epoch) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
)
_UPDATE = """
    UPDATE document SET title = ?, updated = ?, arm = ?, method = ?, frequency = ?, restore_id = NULL,
        llm = CASE WHEN ? THEN ? WHEN digest = ? THEN llm END,
        shadow = CASE WHEN digest = ? THEN shadow END,
        llm_at = CASE WHEN ? THEN ? WHEN digest = ? THEN llm_at END,
        llm_stage = CASE WHEN ? THEN ? WHEN digest = ? THEN llm_stage END,
        llm_epoch = CASE WHEN ? THEN ? WHEN digest = ? THEN llm_epoch END,
        digest = ?
    WHERE id = ?
"""
_INDEX = "INSERT INTO document_fts (rowid, title, name, frequency, llm) VALUES (?,?,?,?,?)"
_TEXT = (
    "INSERT INTO document_text VALUES (?, ?) ON CONFLICT(document_id) DO UPDATE SET text = excluded.text "
    "WHERE text <> excluded.text"
)

_SOURCE = "INSERT OR REPLACE INTO document_source VALUES (?, ?, ?, ?, ?)"


def write(conn: sqlite3.Connection, documents: Sequence[DocumentWrite]) -> None:
    """Insert or update inside the caller's transaction. New documents, of which a load has most, go in together: a
    statement each takes twice the time."""
    rowids = _rowids(conn, [d.id for d in documents])
    (last,) = conn.execute("SELECT coalesce(max(rowid), 0) FROM document").fetchone()
    new: dict[int, DocumentWrite] = {}
    for d in documents:
        if d.shadow:  # only if the text is still the same: the document may have been extracted again in the meantime
            _insert(conn, new)
            llm = _pack(d.llm, d.llm_technical) if d.llm is not None else None
            conn.execute("UPDATE document SET shadow = ? WHERE id = ? AND digest = ?", (llm, d.id, d.digest))
        elif d.id in rowids:
            _insert(conn, new)
            _update(conn, rowids[d.id], d)
        else:
            rowids[d.id] = last = last + 1
            new[last] = d
    _insert(conn, new)


def _rowids(conn: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    rowids: dict[str, int] = {}
    for first in range(0, len(ids), SOUGHT):
        some = ids[first : first + SOUGHT]
        rowids.update(conn.execute(f"SELECT id, rowid FROM document WHERE id IN ({','.join('?' * len(some))})", some))
    return rowids


def _insert(conn: sqlite3.Connection, new: dict[int, DocumentWrite]) -> None:
    """Insert all of `new` (row id -> document), and empty it."""
    if not new:
        return
    conn.executemany(_INSERT, [_row(rowid, d) for rowid, d in new.items()])
    conn.executemany(_TEXT, [(d.id, d.text[:TEXT_LIMIT]) for d in new.values() if d.text])
    conn.executemany(_SOURCE, [_place(d, d.source) for d in new.values() if d.source is not None])
    conn.executemany(_INDEX, [_entry(rowid, d) for rowid, d in new.items()])
    new.clear()


def _row(rowid: int, d: DocumentWrite) -> tuple[object, ...]:
    frequency = _pack(d.frequency, d.frequency_technical)
    llm = (None,) * 4 if d.llm is None else (_pack(d.llm, d.llm_technical), d.at, d.stage, d.epoch)
    return (rowid, d.id, d.title, d.digest, d.at, d.arm, d.method, frequency, *llm)


def _update(conn: sqlite3.Connection, rowid: int, d: DocumentWrite) -> None:
    by_llm = d.llm is not None
    llm = _pack(d.llm, d.llm_technical) if d.llm is not None else None
    kept = ((value, d.digest) for value in (llm, d.at, d.stage, d.epoch))
    first, *others = [(by_llm, value, digest) for value, digest in kept]
    values = (*first, d.digest, *(value for other in others for value in other))
    frequency = _pack(d.frequency, d.frequency_technical)
    conn.execute(_UPDATE, (d.title, d.at, d.arm, d.method, frequency, *values, d.digest, d.id))
    if d.text:
        conn.execute(_TEXT, (d.id, d.text[:TEXT_LIMIT]))
    else:  # that of an earlier version would be wrong
        conn.execute("DELETE FROM document_text WHERE document_id = ?", (d.id,))
    if d.source is not None:
        conn.execute(_SOURCE, _place(d, d.source))
    else:
        conn.execute("DELETE FROM document_source WHERE document_id = ?", (d.id,))
    conn.execute("DELETE FROM document_fts WHERE rowid = ?", (rowid,))
    conn.execute(_INDEX, _entry(rowid, d))


def _place(d: DocumentWrite, source: TextSource) -> tuple[str, str, int, int, int]:
    return d.id, source.uri, source.start, source.end, source.line


def _entry(rowid: int, d: DocumentWrite) -> tuple[int, str, str, str, str]:
    return rowid, indexed(d.title), indexed(d.id), _listed(d.frequency), _listed(d.llm or ())


def delete(conn: sqlite3.Connection, id: str) -> bool:
    """Remove a document with its text, keywords, index entry and the copy reviewers saw; return whether it existed.
    Inside the caller's transaction. Figures that count it stay."""
    row = conn.execute("DELETE FROM document WHERE id = ? RETURNING rowid", (id,)).fetchall()
    if not row:
        return False
    conn.execute("DELETE FROM document_fts WHERE rowid = ?", row[0])
    conn.execute("DELETE FROM document_text WHERE document_id = ?", (id,))
    conn.execute("DELETE FROM document_source WHERE document_id = ?", (id,))
    conn.execute("DELETE FROM replay WHERE document_id = ?", (id,))
    conn.execute("UPDATE review_document SET title = '', llm = '[]', frequency = '[]' WHERE document_id = ?", (id,))
    return True


def expire_texts(conn: sqlite3.Connection, before: float, limit: int = 500) -> int:
    """Remove full texts of documents last extracted before then, oldest first; return how many. Keywords and titles
    stay."""
    return conn.execute(
        "DELETE FROM document_text WHERE document_id IN (SELECT d.id FROM document d JOIN document_text t ON "
        "t.document_id = d.id WHERE d.updated < ? ORDER BY d.updated LIMIT ?)",
        (before, limit),
    ).rowcount


def _listed(keywords: Sequence[str]) -> str:
    """Keywords for the index, separated by a word that no query contains, so a phrase never spans two."""
    return indexed(" zzzz ".join(keywords))


def index_again(conn: sqlite3.Connection) -> None:
    """Fill an empty index from the documents."""
    rows = conn.execute("SELECT rowid, id, title, frequency, llm FROM document").fetchall()
    for rowid, name, title, *packed in rows:
        frequency, llm = (_listed((_unpack(body) or ((), ()))[0]) for body in packed)
        conn.execute(_INDEX, (rowid, indexed(title), indexed(name), frequency, llm))


COLUMNS = "d.id, d.title, d.updated, d.arm, d.method, d.frequency, d.llm, d.shadow, d.llm_at, d.llm_stage, d.restore_id"


def document_of(row: tuple[Any, ...], text: str = "", digest: str = "", source: TextSource | None = None) -> Document:
    """A document from a row of `COLUMNS`."""
    name, title, updated, arm, method, *packed = row[:8]
    frequency, llm, shadow = (_unpack(body) for body in packed)
    frequency = frequency or ((), ())
    keywords, technical = llm if method == "llm" and llm is not None else frequency
    llm_at, llm_stage, restore_id = row[8:11]
    return Document(
        id=name,
        title=title,
        updated=updated,
        arm=arm,
        method=method,
        keywords=keywords,
        technical=technical,
        frequency=frequency[0],
        llm=llm[0] if llm else None,
        shadow=shadow[0] if shadow else None,
        llm_at=llm_at,
        llm_stage=llm_stage,
        restored=restore_id is not None,
        text=text,
        digest=digest,
        source=source,
    )


WHOLE = (
    f"SELECT {COLUMNS}, t.text, d.digest, s.uri, s.start, s.end, s.line, d.rowid FROM document d LEFT JOIN "
    "document_text t ON t.document_id = d.id LEFT JOIN document_source s ON s.document_id = d.id"
)


def whole_document_of(row: tuple[Any, ...]) -> Document:
    """A document with its text and source, from a row of `WHOLE`."""
    source = TextSource(*row[13:17]) if row[13] is not None else None
    return document_of(row, row[11] or "", row[12], source)


def get(conn: sqlite3.Connection, document_id: str) -> Document | None:
    """A document with its text; None if the store does not have it."""
    row = conn.execute(f"{WHOLE} WHERE d.id = ?", (document_id,)).fetchone()
    return None if row is None else whole_document_of(row)


def recent(
    conn: sqlite3.Connection, method: str | None = None, limit: int = 50, text: bool = False, order: DocumentOrder = ""
) -> list[Document]:
    """Latest documents first, or in another order; of one served method or of both."""
    join = "LEFT JOIN document_text t ON t.document_id = d.id" if text else ""
    column = "t.text" if text else "''"
    where = "WHERE d.method = ?" if method else ""
    given = (method, limit) if method else (limit,)
    rows = conn.execute(
        f"SELECT {COLUMNS}, {column} FROM document d {join} {where} "
        f"ORDER BY {ORDERS.get(order, 'd.updated DESC, d.id')} LIMIT ?",
        given,
    ).fetchall()
    return [document_of(row, row[11] or "") for row in rows]


def paired(conn: sqlite3.Connection, limit: int) -> list[Document]:
    """The latest documents with keywords by both methods (LLM served or in shadow), with their texts."""
    rows = conn.execute(
        f"SELECT {COLUMNS}, t.text FROM document d LEFT JOIN document_text t ON t.document_id = d.id "
        "WHERE d.llm IS NOT NULL OR d.shadow IS NOT NULL ORDER BY d.updated DESC LIMIT ?",
        (limit,),
    ).fetchall()
    return [document_of(row, row[11] or "") for row in rows]


def digests(conn: sqlite3.Connection, method: str | None = None, ids: Sequence[str] | None = None) -> dict[str, str]:
    """Digest of the text by document id, for one served method or for all; `ids`: of these documents only."""
    where, given = ["TRUE"], []
    if method:
        where, given = ["method = ?"], [method]
    if ids is not None:
        where, given = [*where, f"id IN ({','.join('?' * len(ids))})"], [*given, *ids]
    return dict(conn.execute(f"SELECT id, digest FROM document WHERE {' AND '.join(where)}", given).fetchall())


def ids_beginning(conn: sqlite3.Connection, start: str, limit: int) -> list[tuple[str, str]]:
    """(id, title) of documents whose id begins with `start`, in the order of their ids."""
    sql = "SELECT id, title FROM document WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
    return conn.execute(sql, (start, f"{start}\U0010ffff", limit)).fetchall()
