"""A job's parts: some hundred documents each, found without reading them; and the documents of a part, read by a
worker."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from console.upload import inputs, remote, sources
from console.upload.root import id_under
from engine.store.documents import TextSource
from engine.store.jobs import FilePiece, Job, JobPart, PartDocument, SourceGone

PART_DOCUMENTS = 500
PART_BYTES = 16_000_000
READ_BYTES = 1 << 20
AS_ONE = "; all its documents count as one that failed"  # how many they are is not known
CHANGED = f"has changed since the job began; load it again{AS_ONE}"
LINES_CHANGED = f"the part that begins on this line has changed since the job began; load the file again{AS_ONE}"
RANGE_BYTES = 4_000_000  # of JSON lines at a URL, where lines are not counted


def parts(files: Iterable[str]) -> Iterator[JobPart]:
    """Files of JSON lines are cut between lines, those at URLs by bytes, Parquet by row groups; a file of compressed
    JSON lines is a part, other files are collected."""
    pieces: list[FilePiece] = []
    size = 0
    for name in files:
        path = name if remote.is_remote(name) else os.path.abspath(name)
        if (alone := _alone(path)) is not None:
            yield from (JobPart((piece,)) for piece in alone)
            continue
        pieces.append(FilePiece(path))
        size += inputs.weight(path)
        if len(pieces) >= PART_DOCUMENTS or size >= PART_BYTES:
            yield JobPart(tuple(pieces))
            pieces, size = [], 0
    if pieces:
        yield JobPart(tuple(pieces))


def _alone(path: str) -> Iterable[FilePiece] | None:
    """The pieces of a file that is not collected with others. An unreadable one is one piece: a worker reports why."""
    if inputs.suffix(path) == inputs.PARQUET:
        return _row_groups(path)
    if not inputs.is_lines(path):
        return None
    if inputs.is_packed(path):
        return [FilePiece(path)]
    if remote.is_remote(path):
        return _bytes(path)
    return _cut(path) if os.path.isfile(path) else None


def _row_groups(path: str) -> list[FilePiece]:
    from console.upload import parquet

    try:
        with remote.opened(path) if remote.is_remote(path) else open(path, "rb") as file:
            size = _size(path)
            return [FilePiece(path, start, end, size=size) for start, end in parquet.ranges(file)]
    except Exception:  # its worker reports why
        return [FilePiece(path)]


def _bytes(url: str) -> list[FilePiece]:
    try:
        size = remote.size(url)
    except remote.RemoteTrouble:
        size = 0
    if not size:
        return [FilePiece(url)]
    return [FilePiece(url, at, min(at + RANGE_BYTES, size), 0, size=size) for at in range(0, size, RANGE_BYTES)]


def _size(path: str) -> int:
    return remote.size(path) if remote.is_remote(path) else os.stat(path).st_size


def _cut(path: str) -> Iterator[FilePiece]:
    """A file's lines, PART_DOCUMENTS at a time or about PART_BYTES. An unreadable file is one piece: its worker reports
    why."""
    start = at = crc = 0
    first = line = 1
    try:
        with open(path, "rb") as file:
            while block := file.read(READ_BYTES):
                begins = cut = 0
                while (end := block.find(b"\n", begins)) >= 0:
                    begins, line = end + 1, line + 1
                    if line - first >= PART_DOCUMENTS or at + begins - start >= PART_BYTES:
                        yield FilePiece(path, start, at + begins, first, zlib.crc32(block[cut:begins], crc))
                        start, first, cut, crc = at + begins, line, begins, 0
                crc = zlib.crc32(block[cut:], crc)
                at += len(block)
    except OSError:
        yield FilePiece(path)
        return
    if at > start:
        yield FilePiece(path, start, at, first, crc)


def documents(job: Job, part: JobPart) -> Iterator[PartDocument]:
    """A document that cannot be read carries the trouble. SourceGone when the service of a URL cannot be reached."""
    root = Path(job.root)
    for piece in part.pieces:
        called = "" if remote.is_remote(piece.path) else id_under(root, piece.path)
        place = f":{piece.line}" if piece.crc is not None else ""
        changed = PartDocument(f"{called or piece.path}{place}", "", trouble=LINES_CHANGED if place else CHANGED)
        if _is_changed(piece):
            yield changed
            continue
        span = (piece.start, piece.end, piece.line) if piece.end else None
        for source in sources.documents(piece.path, called, span):
            if source.gone:
                raise SourceGone(f"{source.id} cannot be read: {source.trouble}.")
            whole = source.trouble and not source.named and source.id == (called or piece.path)
            trouble = f"{source.trouble}{AS_ONE}" if whole and _holds_many(piece) else source.trouble
            yield PartDocument(source.id, source.text, source.title, trouble, _place(piece.path, source))
        if _is_changed(piece):  # while it was read: what was read may be of both versions
            yield changed


def _holds_many(piece: FilePiece) -> bool:
    return inputs.is_lines(piece.path) or inputs.suffix(piece.path) == inputs.PARQUET


def _is_changed(piece: FilePiece) -> bool:
    """Whether the file no longer holds there what the job found. False if it cannot be read: reading explains that."""
    try:
        if piece.crc is not None:
            return _crc(piece) != piece.crc
        return bool(piece.size) and _size(piece.path) != piece.size
    except OSError:
        return False


def _crc(piece: FilePiece) -> int:
    crc, left = 0, piece.end - piece.start
    with open(piece.path, "rb") as file:
        file.seek(piece.start)
        while left > 0 and (block := file.read(min(READ_BYTES, left))):
            crc, left = zlib.crc32(block, crc), left - len(block)
    return crc


def _place(path: str, source: sources.Source) -> TextSource:
    return TextSource(path, *source.span) if source.span is not None else TextSource(path)
