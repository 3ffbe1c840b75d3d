"""Documents at URLs, compressed and in Parquet: each once, whichever way they are cut into parts."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
import threading
import uuid
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from console.upload import inputs, parquet, parts, remote, sources
from console.upload.root import outside, root_of
from engine.store.jobs import FilePiece, Job, JobPart, OutputGone, SourceGone

ROWS = [{"id": f"d/{n}", "text": f"Broker {n} keeps an offset. " * (n % 7 + 1)} for n in range(300)]
HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None
needs_pyarrow = pytest.mark.skipif(not HAS_PYARROW, reason="pip install 'rollout-console[parquet]'")


def lines(rows: list[dict[str, Any]] = ROWS) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def bucket() -> str:
    """A folder in fsspec's memory with plain, compressed and foreign files."""
    url = f"memory://{uuid.uuid4().hex}"
    fs = fsspec.filesystem("memory")
    for name, body in (
        ("a.jsonl", lines(ROWS[:150])),
        ("b.jsonl.gz", gzip.compress(lines(ROWS[150:]))),
        ("notes.md", b"The scheduler assigns tasks to workers."),
        ("picture.png", b"\x89PNG"),
    ):
        fs.pipe_file(f"{url}/{name}", body)
    return url


def read(job_parts: list[JobPart]) -> list[str]:
    job = Job(1, 0.0, "running", "a", "s", "/nowhere", "auto", "live")
    results = [document for part in job_parts for document in parts.documents(job, part)]
    assert not [document.trouble for document in results if document.trouble]
    return [document.id for document in results]


def test_a_folder_and_a_glob_at_a_url_give_their_documents(bucket: str) -> None:
    skipped: dict[str, list[str]] = {}
    files = inputs.files((bucket,), skipped)
    assert [name.rpartition("/")[2] for name in files] == ["a.jsonl", "b.jsonl.gz", "notes.md"]
    assert list(skipped) == [".png"]
    expected = [row["id"] for row in ROWS]
    assert sorted(read(list(parts.parts(files)))) == sorted([*expected, files[2]]), "a file's id is its URL"
    assert inputs.files((f"{bucket}/*.gz",)) == files[1:2]
    assert root_of((bucket,)) is None
    assert outside(Path("/"), files) == ""


@pytest.mark.parametrize("size", [1, 40, 1000, 10_000_000])
def test_each_line_is_in_one_range_of_bytes(bucket: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "RANGE_BYTES", size)
    few = f"{bucket}/few.jsonl"
    fsspec.filesystem("memory").pipe_file(few, lines(ROWS[:20]).rstrip(b"\n"))
    cut = list(parts.parts([few]))
    assert len(cut) == -(-len(lines(ROWS[:20]).rstrip(b"\n")) // size)
    assert read(cut) == [row["id"] for row in ROWS[:20]]


def test_a_file_of_another_size_than_the_job_found_is_not_read(bucket: str) -> None:
    job = Job(1, 0.0, "running", "a", "s", "/nowhere", "auto", "live")
    (part,) = parts.parts([f"{bucket}/a.jsonl"])
    fsspec.filesystem("memory").pipe_file(f"{bucket}/a.jsonl", lines(ROWS[:149]))
    assert [document.trouble for document in parts.documents(job, part)] == [parts.CHANGED]


def test_rows_without_an_id_are_named_by_their_byte(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "RANGE_BYTES", 30)
    url = f"{bucket}/nameless.jsonl"
    fsspec.filesystem("memory").pipe_file(url, lines([{"text": "one word"}, {"text": "two words"}]))
    assert read(list(parts.parts([url]))) == [f"{url}@0", f"{url}@21"]


def test_compressed_lines_on_this_machine_too_in_a_part_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines()))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(lines())[:-40])
    files = inputs.files((str(tmp_path),))
    assert [part.pieces for part in parts.parts(files)] == [(FilePiece(name),) for name in files]
    assert read([JobPart((FilePiece(str(tmp_path / "rows.jsonl.gz")),))]) == [row["id"] for row in ROWS]
    *_, last = sources.documents(str(tmp_path / "cut.jsonl.gz"))
    assert "end-of-stream" in last.trouble
    assert [d.id for d in sources.documents(f"file://{tmp_path}/rows.jsonl.gz")] == [row["id"] for row in ROWS]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("memory://nowhere/a.jsonl", "No such file"),
        ("memory://nowhere/*.jsonl", "No such file"),
        ("gopher9://x/a.jsonl", "Protocol not known"),
    ],
)
def test_a_url_that_cannot_be_read_is_a_trouble_with_a_reason(url: str, why: str) -> None:
    (part,) = parts.parts(inputs.files((url,)))
    (document,) = parts.documents(Job(1, 0.0, "running", "a", "s", "/", "auto", "live"), part)
    assert why in document.trouble
    assert document.id == url


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(remote.RemoteTrouble, match=r"rollout-console\[remote\]"):
        remote.system("s3://bucket/a")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    (document,) = sources.documents(str(tmp_path / "a.parquet"))
    assert "rollout-console[parquet]" in document.trouble


@needs_pyarrow
@pytest.mark.parametrize("output", ["/dev/null/keywords", "file:///dev/null/keywords"])
def test_keywords_that_cannot_be_written_name_the_place(output: str) -> None:
    job = Job(1, 0.0, "running", "a", "docs", "/", "auto", "backfill", output=output)
    with pytest.raises(OSError, match=f"^{output} cannot be written: .+") as failed:
        parquet.write(job, 0, [])
    assert failed.type is OSError, "waiting does not help"


@needs_pyarrow
def test_keywords_may_be_written_later_to_a_service_that_is_gone() -> None:
    import fsspec

    class Gone(fsspec.AbstractFileSystem):  # type: ignore[misc]
        protocol = "gone"
        cachable = False

        def _reach(self, *_: object, **more: object) -> None:
            raise OSError(5, "Service Unavailable")

        pipe_file = info = _reach

    fsspec.register_implementation("gone", Gone, clobber=True)
    job = Job(1, 0.0, "running", "a", "docs", "/", "auto", "backfill", output="gone://bucket/keywords")
    with pytest.raises(OutputGone, match=r"^gone://bucket/keywords cannot be written: Service Unavailable$"):
        parquet.write(job, 0, [])


@needs_pyarrow
def test_parquet_is_cut_by_row_groups_and_large_ones_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow
    from pyarrow import parquet as writer

    monkeypatch.setattr(parquet, "PART_ROWS", 70)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 32)
    path = tmp_path / "rows.parquet"
    writer.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=200)
    cut = list(parts.parts([str(path)]))
    assert [(p.pieces[0].start, p.pieces[0].end) for p in cut] == [
        (0, 70),
        (70, 140),
        (140, 200),
        (200, 270),
        (270, 300),
    ]
    assert read(cut) == [row["id"] for row in ROWS]
    assert [d.id for d in sources.documents(f"file://{path}")] == [row["id"] for row in ROWS]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    (document,) = sources.documents(str(tmp_path / "bad.parquet"))
    assert "not Parquet" in document.trouble


@pytest.mark.skipif(importlib.util.find_spec("aiohttp") is None, reason="pip install aiohttp")
def test_a_service_that_is_gone_is_told_from_a_file_that_is(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines())
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        cut = list(parts.parts([f"{url}/a.jsonl"]))
        assert len(read(cut)) == len(ROWS)
        (missing,) = sources.documents(f"{url}/b.jsonl")
        assert (missing.trouble, missing.gone) == ("No such file or directory", False)
        server.shutdown()
        thread.join()
    with pytest.raises(SourceGone, match=r"/a\.jsonl cannot be read: "):
        read(cut)
