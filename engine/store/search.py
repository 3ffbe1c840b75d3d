"""Full-text search over documents, with a spelling suggested where a word occurs in none."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from engine.store.documents import COLUMNS, ORDERS, Document, DocumentOrder, document_of
from engine.store.terms import MOST_TERMS, one_error_apart, one_error_from, queried


def search(
    conn: sqlite3.Connection, query: str, limit: int = 20, order: DocumentOrder = "", method: str | None = None
) -> list[Document]:
    """Full-text search over titles, names and served keywords, of one served method or of both. First documents with
    every word, then those with every word as `did_you_mean` corrects it, then those with some of the words or words
    that start with them; with an `order`, all of these in that order. Any text is a valid query; one without a word
    returns nothing."""
    words = queried(query)
    if not words:
        return []
    if order:
        every = [*words, *queried(did_you_mean(conn, query))]
        return _matching(conn, " OR ".join(map(_begun, every)), limit, order, method)
    results = _matching(conn, " ".join(words), limit, method=method)
    if not results and (meant := did_you_mean(conn, query)):
        results = _matching(conn, " ".join(queried(meant)), limit, method=method)
    if len(results) < limit:
        some = _matching(conn, " OR ".join(map(_begun, words)), limit + len(results), method=method)
        known = {document.id for document in results}
        results += [document for document in some if document.id not in known]
    return results[:limit]


def _begun(phrase: str) -> str:
    """Prefix queries; one or two Latin letters match too much, so they stay exact."""
    return phrase if len(phrase) < 5 and phrase.isascii() else f"{phrase}*"


def did_you_mean(conn: sqlite3.Connection, query: str) -> str:
    """The query with each unknown word replaced by a known one that is one typing error away; "" if every word is
    known or nothing fits."""
    meant, changed = query, False
    for word in re.findall(r"[^\W\d_]{4,40}", query)[:MOST_TERMS]:
        if _occurs(conn, f'"{word.lower()}"*'):
            continue
        if other := _nearest(conn, word.lower()):
            meant, changed = meant.replace(word, other, 1), True
    return meant if changed else ""


def _nearest(conn: sqlite3.Connection, word: str) -> str:
    """The most frequent word of titles and keywords one typing error away. Compared by stem, as the index stores it."""
    from engine.extraction.keywords import stem  # the stemmer takes 20 ms to import

    # each spelling is looked up: reading all words of the index takes 34 s at two million documents
    count = "SELECT doc FROM document_vocabulary WHERE term = ?"
    near = one_error_from(word) | one_error_from(stem(word))
    close = [(-row[0], term) for term in near if (row := conn.execute(count, (term,)).fetchone()) is not None]
    for _, term in sorted(close)[:10]:
        for document in _matching(conn, f'"{term}"*', 5):
            written = re.findall(r"[^\W_]{3,40}", " ".join((document.title, *document.keywords)).lower())
            if spelled := next((other for other in written if one_error_apart(word, other)), ""):
                return spelled
    return ""


# Of each served method: its name, and what a word weighs in title, name, frequency and LLM keywords.
_SERVED = (("frequency", "title name frequency", "4.0, 2.0, 1.0, 0.0"), ("llm", "title name llm", "4.0, 2.0, 0.0, 1.0"))


def _occurs(conn: sqlite3.Connection, terms: str) -> bool:
    """Whether a document has the terms in what it may serve. Ranks none: a word may be in a million."""
    sql = "SELECT 1 FROM document_fts WHERE document_fts MATCH ? LIMIT 1"
    return conn.execute(sql, ("{title name frequency llm} : (" + terms + ")",)).fetchone() is not None


def _matching(
    conn: sqlite3.Connection, terms: str, limit: int, order: DocumentOrder = "", method: str | None = None
) -> list[Document]:
    """Ranked by bm25, unless in another order: a title word weighs four times a keyword, a name word twice."""
    if order:
        return _ordered(conn, terms, limit, order, method)
    best: list[tuple[float, str, int]] = []
    for served, columns, weights in _SERVED:
        if method in (None, served):
            best += _best(conn, "{" + columns + "} : (" + terms + ")", weights, served, limit)
    whole = f"SELECT {COLUMNS} FROM document d WHERE d.rowid = ?"
    return [document_of(conn.execute(whole, (rowid,)).fetchone()) for _, _, rowid in sorted(best)[:limit]]


def _best(
    conn: sqlite3.Connection, match: str, weights: str, served: str, limit: int
) -> Iterator[tuple[float, str, int]]:
    """(rank, id, rowid) of the best matches among the documents that serve this method, the best first. Ranks are read
    from the index alone, documents only until there are enough: a word may be in a million of them."""
    ranks = f"SELECT rowid, bm25(document_fts, {weights}) AS r FROM document_fts WHERE document_fts MATCH ? ORDER BY r"
    kept, last = 0, 0.0
    for rowid, rank in conn.execute(ranks, (match,)):
        if kept >= limit and rank > last:  # equal ranks are put in the order of their ids
            return
        row = conn.execute("SELECT id FROM document WHERE rowid = ? AND method = ?", (rowid, served)).fetchone()
        if row is not None:
            kept, last = kept + 1, rank
            yield rank, row[0], rowid


def _ordered(
    conn: sqlite3.Connection, terms: str, limit: int, order: DocumentOrder, method: str | None
) -> list[Document]:
    """Every match, in an order that only the documents know."""
    parts = " UNION ALL ".join(
        f"SELECT rowid AS r, '{served}' AS served FROM document_fts WHERE document_fts MATCH ?"
        for served, _, _ in _SERVED
    )
    matched = ["{" + columns + "} : (" + terms + ")" for _, columns, _ in _SERVED]
    rows = conn.execute(
        f"""
        SELECT {COLUMNS} FROM ({parts}) m JOIN document d ON d.rowid = m.r AND d.method = m.served
        WHERE d.method = coalesce(?, d.method) ORDER BY {ORDERS[order]} LIMIT ?
        """,
        (*matched, method, limit),
    ).fetchall()
    return [document_of(row) for row in rows]
