"""Full-text search over documents, with a spelling suggested where a word occurs in none."""

from __future__ import annotations

import re
import sqlite3

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
        if _matching(conn, f'"{word.lower()}"*', 1):
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


def _matching(
    conn: sqlite3.Connection, terms: str, limit: int, order: DocumentOrder = "", method: str | None = None
) -> list[Document]:
    """Ranked by bm25, unless in another order: a title word weighs four times a keyword, a name word twice."""
    rows = conn.execute(
        f"""
        SELECT {COLUMNS}, m.rank FROM (
            SELECT rowid AS r, bm25(document_fts, 4.0, 2.0, 1.0, 0.0) AS rank, 'frequency' AS served
              FROM document_fts WHERE document_fts MATCH ?
            UNION ALL
            SELECT rowid, bm25(document_fts, 4.0, 2.0, 0.0, 1.0), 'llm' FROM document_fts WHERE document_fts MATCH ?
        ) m JOIN document d ON d.rowid = m.r AND d.method = m.served
        WHERE d.method = coalesce(?, d.method) ORDER BY {ORDERS.get(order, "m.rank, d.id")} LIMIT ?
        """,
        ("{title name frequency} : (" + terms + ")", "{title name llm} : (" + terms + ")", method, limit),
    ).fetchall()
    return [document_of(row) for row in rows]
