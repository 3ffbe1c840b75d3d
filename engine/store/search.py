"""Full-text search over documents, with a spelling suggested where a word occurs in none."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from itertools import islice

from engine.store.documents import COLUMNS, ORDERS, Document, DocumentOrder, document_of
from engine.store.terms import MOST_TERMS, one_error_apart, one_error_from, queried

COMMON = 50_000  # a word in more documents says little about which one is meant


def search(
    conn: sqlite3.Connection, query: str, limit: int = 20, order: DocumentOrder = "", method: str | None = None
) -> list[Document]:
    """Full-text search over titles, names and served keywords, of one served method or of both. First documents with
    every word, then those with every word as `did_you_mean` corrects it, then those with some of the words or words
    that start with them, if not `COMMON`; with an `order`, all of these in that order. Any text is a valid query; one
    without a word returns nothing."""
    words = queried(query)
    if not words:
        return []
    if order:
        every = [*words, *queried(did_you_mean(conn, query))]
        return _matching(conn, _some(conn, every), limit, order, method)
    results = _matching(conn, " ".join(words), limit, method=method)
    if not results and (meant := did_you_mean(conn, query)):
        results = _matching(conn, " ".join(queried(meant)), limit, method=method)
    if len(results) < limit:
        some = _matching(conn, _some(conn, words), limit + len(results), method=method)
        known = {document.id for document in results}
        results += [document for document in some if document.id not in known]
    return results[:limit]


def _some(conn: sqlite3.Connection, words: list[str]) -> str:
    """Terms for documents with some of the words. Ranking two million for the "docs" of a name takes ten seconds, so
    common words count only where there is no other, and then the rarest."""
    begun = [_begun(word) for word in words]
    documents = {terms: count for terms in begun if (count := _documents(conn, terms))}
    telling = [terms for terms, count in documents.items() if count <= COMMON]
    return " OR ".join(telling or [min(documents, key=documents.__getitem__, default=begun[0])])


def _documents(conn: sqlite3.Connection, terms: str) -> int:
    """How many have the terms in what they may serve. Counted in the index, without ranks."""
    sql = "SELECT count(*) FROM document_fts WHERE document_fts MATCH ?"
    (count,) = conn.execute(sql, (f"{{title name frequency llm}} : ({terms})",)).fetchone()
    return int(count)


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
    """Ranked by bm25, unless in another order: a title word weighs four times a keyword, a name word twice. Of equal
    ones those that were stored last come first."""
    if order:
        return _ordered(conn, terms, limit, order, method)
    best: list[tuple[float, int]] = []
    for served, columns, weights in _SERVED:
        if method in (None, served):
            best += _best(conn, "{" + columns + "} : (" + terms + ")", weights, served, limit)
    whole = f"SELECT {COLUMNS} FROM document d WHERE d.rowid = ?"
    rowids = [-newest for _, newest in sorted(best)[:limit]]
    return [document_of(conn.execute(whole, (rowid,)).fetchone()) for rowid in rowids]


def _best(conn: sqlite3.Connection, match: str, weights: str, served: str, limit: int) -> Iterator[tuple[float, int]]:
    """(rank, -rowid) of the best matches among the documents that serve this method, the best first. Ranks are read
    from the index alone, documents only until there are enough: a word may be in a million of them, all alike."""
    ranks = (
        f"SELECT bm25(document_fts, {weights}) AS r, -rowid FROM document_fts WHERE document_fts MATCH ? "
        "ORDER BY r, rowid DESC"
    )
    serves = "SELECT 1 FROM document WHERE rowid = ? AND method = ?"
    ranked = conn.execute(ranks, (match,))
    return islice((one for one in ranked if conn.execute(serves, (-one[1], served)).fetchone() is not None), limit)


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
