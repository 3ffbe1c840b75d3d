"""Finds the documents of a load that the store already has unchanged."""

from __future__ import annotations

from console.upload.sources import Source
from engine.store.reader import Reader
from engine.text import clean_line, digest


class KnownDocuments:
    """What the store has of a load already; for the method llm, only documents that serve LLM keywords. Asked document
    by document: the digests of two million take 13 s and 700 MB."""

    def __init__(self, reader: Reader, method: str) -> None:
        self._reader = reader
        self._method = "llm" if method == "llm" else None

    def has(self, source: Source) -> bool:
        """Whether this text is stored under this id. Not before the store exists."""
        from engine.routing.admission import admitted
        from engine.store import documents
        from engine.store.folder import StoreError

        name = clean_line(source.id, 512)
        try:
            stored = self._reader.read(lambda conn: documents.digests(conn, self._method, [name]))
        except StoreError:
            return False
        return stored.get(name) == digest(admitted(source.text))
