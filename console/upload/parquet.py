"""Parquet, by pyarrow, an optional extra (`pip install 'rollout-console[parquet]'`): documents from it, and keywords of
a back-fill into it.

A part's file is written whole or not at all, and its name is the job's and the part's: a part that is done again
replaces its own file, so each document is in one file once.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from console.upload import remote
from engine.store.jobs import ExtractedItem, Job, OutputGone

# rows in a part of a larger row group: workers read a group from its start, so it is split into few parts
PART_ROWS = 20_000
BATCH_ROWS = 256
COLUMNS = ("id", "file", "text", "title")


class NoParquet(OSError):
    """The message is a sentence."""


def library() -> Any:
    """pyarrow with pyarrow.parquet. NoParquet."""
    try:
        importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise NoParquet("Parquet needs pyarrow: pip install 'rollout-console[parquet]'.") from None
    return importlib.import_module("pyarrow")


# -- documents from it -------------------------------------------------------------------------------------------------


def ranges(file: BinaryIO) -> list[tuple[int, int]]:
    """(first row, row after the last) of each part: a row group, or a piece of a large one."""
    results: list[tuple[int, int]] = []
    metadata = library().parquet.ParquetFile(file).metadata
    start = 0
    for group in range(metadata.num_row_groups):
        end = start + metadata.row_group(group).num_rows
        results += [(first, min(first + PART_ROWS, end)) for first in range(start, end, PART_ROWS)]
        start = end
    return results


def rows(file: BinaryIO, start: int = 0, end: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, row) from row `start` to before row `end` (0: the last)."""
    table = library().parquet.ParquetFile(file)
    columns = [name for name in COLUMNS if name in table.schema_arrow.names]
    first = 0
    for group in range(table.metadata.num_row_groups):
        after = first + table.metadata.row_group(group).num_rows
        if after > start and (not end or first < end):
            yield from _of_group(table, group, columns, first, start, end or after)
        first = after


def _of_group(table: Any, group: int, columns: list[str], first: int, start: int, end: int) -> Iterator[Any]:
    for batch in table.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
        if first >= end:
            return
        low, high = max(start - first, 0), min(end - first, batch.num_rows)
        if low < high:
            yield from enumerate(batch.slice(low, high - low).to_pylist(), first + low)
        first += batch.num_rows


# -- keywords into it --------------------------------------------------------------------------------------------------


def check(output: str) -> None:
    """OSError with a sentence's end if no part can be written there, as far as this machine shows."""
    library()
    if remote.is_remote(output):
        remote.system(output)
        return
    if Path(output).is_file():
        raise OSError("it is a file, and each part needs its own: give a folder")
    Path(output).mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=output, prefix=".rollout-"):
        return


def name_of(job: Job, number: int) -> str:
    return f"{_stem(job)}-part{number:07}.parquet"


def files_of(job: Job) -> str:
    """A glob for the files of this job, among those of other jobs in the same folder."""
    return f"{job.output.rstrip('/')}/{_stem(job)}-*.parquet"


def _stem(job: Job) -> str:
    return f"keywords-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(job.at))}-job{job.id}"


def write(job: Job, number: int, items: Sequence[ExtractedItem]) -> None:
    """The part's file, in one step. OSError with a sentence's end that names the place: OutputGone if it may be written
    later."""
    body, name = packed(items), name_of(job, number)
    try:
        if remote.is_remote(job.output):
            fs, folder = remote.system(job.output)
            fs.pipe_file(f"{folder.rstrip('/')}/{name}", body)  # one object, there when it is whole
        else:
            _write(Path(job.output) / name, body)
    except Exception as error:  # each service's client has errors of its own
        why = getattr(error, "strerror", None) or remote.reason(error)
        gone = remote.is_remote(job.output) and remote.is_unreachable(job.output)
        raise (OutputGone if gone else OSError)(f"{job.output} cannot be written: {why}") from None


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        try:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def packed(items: Sequence[ExtractedItem]) -> bytes:
    """One row a document, ordered by id."""
    arrow = library()
    words = arrow.list_(arrow.string())
    schema = arrow.schema(
        [
            ("id", arrow.string()), ("title", arrow.string()), ("digest", arrow.string()),
            ("method", arrow.string()), ("keywords", words), ("technical", words),
            ("frequency", words), ("llm", words), ("fallback", arrow.bool_()), ("error", arrow.string()),
            ("at", arrow.timestamp("ms", "UTC")), ("stage", arrow.int16()), ("epoch", arrow.int32()),
        ]
    )  # fmt: skip
    table = arrow.Table.from_pylist([_row(item) for item in sorted(items, key=_id) if item.document], schema)
    sink = arrow.BufferOutputStream()
    arrow.parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _id(item: ExtractedItem) -> str:
    return item.document.id if item.document is not None else ""


def _row(item: ExtractedItem) -> dict[str, Any]:
    d, record = item.document, item.record
    assert d is not None
    by_llm = d.method == "llm" and d.llm is not None
    return {
        "id": d.id, "title": d.title, "digest": d.digest, "method": d.method,
        "keywords": list(d.llm or ()) if by_llm else list(d.frequency),
        "technical": list(d.llm_technical if by_llm else d.frequency_technical),
        "frequency": list(d.frequency), "llm": None if d.llm is None else list(d.llm),
        "fallback": record.fallback, "error": record.error, "at": round(d.at * 1000),
        "stage": d.stage, "epoch": d.epoch,
    }  # fmt: skip
