"""A job's parts hold every document of its files once, with the ids that a plain load gives them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.upload import inputs, parts, sources
from console.upload.root import id_under
from engine.decoding import decode
from engine.store.jobs import Job, JobPart


def whole(files: list[str], root: Path) -> list[tuple[str, str, str]]:
    results = [source for name in files for source in sources.documents(name, id_under(root, name))]
    return [(source.id, source.text, source.trouble) for source in results]


def cut(files: list[str], root: Path) -> list[tuple[str, str, str]]:
    job = Job(1, 0.0, "running", "a", "docs", str(root), "auto", "live")
    results = [source for part in parts.parts(files) for source in parts.documents(job, part)]
    return [(source.id, source.text, source.trouble) for source in results]


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.sampled_from(["", "   ", "row", "named", "broken", "long"]), max_size=30),
    end=st.sampled_from([b"", b"\n", b"\r\n"]),
    size=st.integers(1, 7),
    block=st.integers(1, 64),
)
def test_lines_are_cut_without_losing_or_renaming_any(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: bytes, size: int, block: int
) -> None:
    root = tmp_path_factory.mktemp("cut")
    row = {
        "row": lambda n: json.dumps({"text": f"text {n}"}),
        "named": lambda n: json.dumps({"id": f"id-{n}", "text": "é" * n}),
        "broken": lambda n: "{not json",
        "long": lambda n: json.dumps({"text": "x" * 200}),
    }
    body = "\n".join(row[kind](n) if kind in row else kind for n, kind in enumerate(lines)).encode() + end
    path = root / "rows.jsonl"
    path.write_bytes(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART_DOCUMENTS", size)
        patch.setattr(parts, "READ_BYTES", block)
        assert cut([str(path)], root) == whole([str(path)], root)
        assert all(len(part.pieces) == 1 for part in parts.parts([str(path)]))


def test_files_are_collected_and_an_unreadable_one_explains_why(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.md").write_text(f"# {number}\n\ntext")
    (tmp_path / "none.md").write_bytes(b"")
    files = [*inputs.files((str(tmp_path),)), str(tmp_path / "missing.jsonl"), str(tmp_path / "missing.md")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART_DOCUMENTS", 3)
        *expected, lines, page = whole(files, tmp_path)
        lines = (*lines[:2], lines[2] + parts.AS_ONE)  # it may hold many documents, and is one failure
        assert cut(files, tmp_path) == [*expected, lines, page]
        assert [len(part.pieces) for part in parts.parts(files)] == [3, 3, 3, 1]


def test_a_relative_path_is_the_same_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("text")
    monkeypatch.chdir(tmp_path)
    assert [source[0] for source in cut([os.path.join("docs", "a.md")], tmp_path)] == ["docs/a.md"]


def test_lines_that_changed_since_the_job_began_are_named_and_not_read(tmp_path: Path) -> None:
    """At the old places of a changed file other lines begin, or none."""
    path = tmp_path / "rows.jsonl"
    rows = [json.dumps({"text": f"text {number}"}) for number in range(9)]
    path.write_text("\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART_DOCUMENTS", 3)
        patch.setattr(parts, "READ_BYTES", 16)
        made = list(parts.parts([str(path)]))
        job = Job(1, 0.0, "running", "a", "docs", str(tmp_path), "auto", "live")

        def read() -> list[str]:
            documents = [document for part in made for document in parts.documents(job, part)]
            return [document.trouble or document.text for document in documents]

        whole_file = [f"text {number}" for number in range(9)]
        assert read() == whole_file
        path.write_text("\n".join([*rows, *rows]) + "\n")  # lines at its end are not the job's
        assert read() == whole_file
        path.write_text("\n".join([*rows[:4], "{}", *rows[5:]]) + "\n")
        assert read() == [*whole_file[:3], parts.LINES_CHANGED, parts.LINES_CHANGED]
        path.write_text("\n".join(rows[:4]) + "\n")
        assert read() == [*whole_file[:3], parts.LINES_CHANGED, parts.LINES_CHANGED]
        assert [document.id for document in parts.documents(job, made[1])] == ["rows.jsonl:4"]
        path.unlink()
        assert read() == [f"No such file or directory{parts.AS_ONE}"] * 3


@pytest.mark.parametrize("lines", [9, 2])
def test_lines_that_change_while_they_are_read_are_named_too(tmp_path: Path, lines: int) -> None:
    """What was read by then may be of both versions."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"text {number} " + "x" * 100_000}) + "\n" for number in range(9)))
    (part,) = parts.parts([str(path)])
    reading = parts.documents(Job(1, 0.0, "running", "a", "docs", str(tmp_path), "auto", "live"), part)
    assert next(reading).trouble == ""
    path.write_text("".join(json.dumps({"text": f"other {number} " + "x" * 100_000}) + "\n" for number in range(lines)))
    assert parts.LINES_CHANGED in [document.trouble for document in reading]


def test_a_piece_of_a_job_that_was_begun_before_is_read_unchecked(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "one"}\n')
    piece = decode(f'{{"pieces": [{{"path": "{path}", "start": 0, "end": 16, "line": 1}}]}}', JobPart)
    job = Job(1, 0.0, "running", "a", "docs", str(tmp_path), "auto", "live")
    assert [document.text for document in parts.documents(job, piece)] == ["one"]
