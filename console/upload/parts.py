"""A job's parts: some hundred documents each, found without reading them; and the documents of a part, read by a
worker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from console.upload import sources
from console.upload.root import id_under
from engine.store.jobs import FilePiece, Job, JobPart
from engine.worker.core import PartDocument

PART_DOCUMENTS = 500
PART_BYTES = 16_000_000
READ_BYTES = 1 << 20


def parts(files: Iterable[str]) -> Iterator[JobPart]:
    """Files of JSON lines are cut between lines, other files are collected."""
    pieces: list[FilePiece] = []
    size = 0
    for name in files:
        path = os.path.abspath(name)
        if sources.suffix(path) in sources.LINES and os.path.isfile(path):
            yield from (JobPart((piece,)) for piece in _cut(path))
            continue
        pieces.append(FilePiece(path))
        size += sources.weight(path)
        if len(pieces) >= PART_DOCUMENTS or size >= PART_BYTES:
            yield JobPart(tuple(pieces))
            pieces, size = [], 0
    if pieces:
        yield JobPart(tuple(pieces))


def _cut(path: str) -> Iterator[FilePiece]:
    """A file's lines, PART_DOCUMENTS at a time or about PART_BYTES. An unreadable file is one piece: its worker reports
    why."""
    start = at = 0
    first = line = 1
    try:
        with open(path, "rb") as file:
            while block := file.read(READ_BYTES):
                begins = 0
                while (end := block.find(b"\n", begins)) >= 0:
                    begins, line = end + 1, line + 1
                    if line - first >= PART_DOCUMENTS or at + begins - start >= PART_BYTES:
                        yield FilePiece(path, start, at + begins, first)
                        start, first = at + begins, line
                at += len(block)
    except OSError:
        yield FilePiece(path)
        return
    if at > start:
        yield FilePiece(path, start, at, first)


def documents(job: Job, part: JobPart) -> Iterator[PartDocument]:
    """Never raises: a document that cannot be read carries the trouble."""
    root = Path(job.root)
    for piece in part.pieces:
        called = id_under(root, piece.path)
        span = (piece.start, piece.end, piece.line) if piece.end else None
        for source in sources.documents(piece.path, called, span):
            yield PartDocument(source.id, source.text, source.title, source.trouble)
