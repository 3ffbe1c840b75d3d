"""What counts as a document in files, folders, globs and standard input; a bad one is named and stops nothing."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.upload import inputs, sources
from console.upload.progress import Progress


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def all_of(*paths: str) -> list[sources.Source]:
    return [source for path in inputs.files(paths) for source in sources.documents(path)]


def stdin(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> list[sources.Source]:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    return all_of("-")


def test_folders_and_globs_give_each_file_of_a_known_kind_once_in_order(here: Path) -> None:
    for name in ("b.md", "a.txt", "deep/c.rst", "deep/d.HTML", "deep/e.png", ".git/f.md", ".hidden.md"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("text")

    assert inputs.files((".", "./a.txt", "deep/../a.txt", "*.md", "deep")) == [
        "a.txt",
        "b.md",
        "deep/c.rst",
        "deep/d.HTML",
    ]
    assert inputs.files(("d*",)) == ["deep/c.rst", "deep/d.HTML"]


def test_every_bad_file_is_named_with_its_reason(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SIZE_LIMIT", 1000)
    (here / "binary.txt").write_bytes(b"a\0b")
    (here / "empty.md").write_text(" \n")
    (here / "large.md").write_text("a" * 1001)
    (here / "gone.md").symlink_to("/nowhere")
    os.mkfifo(here / "pipe.txt")
    (here / "packed.txt").write_bytes(bz2.compress(b"A pool of connections."))
    (here / "office.txt").write_bytes(b"PK\x03\x04" + bytes(range(14, 200)))
    (here / "printed.txt").write_bytes(b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\n")
    (here / "blank.html").write_text("<script>x</script>")
    (here / "blank.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4}')

    by_name = {source.id: source.trouble for source in all_of(".", "missing.txt", "nul\0name")}

    assert by_name.pop("large.md").startswith("larger than")
    assert by_name.pop("nul\0name")
    assert by_name == {
        "binary.txt": "not a text file",
        "empty.md": "empty",
        "gone.md": "No such file or directory",
        "pipe.txt": "not a file, but a pipe or a device",
        "packed.txt": "compressed, and not JSON lines; unpack it first",
        "office.txt": "a zip archive or an office document; convert it to text first",
        "printed.txt": "a PDF; convert it to text first",
        "blank.html": "a page without text",
        "blank.ipynb": "a notebook without text",
        "missing.txt": "No such file or directory",
    }


@pytest.mark.parametrize(
    "raw",
    [
        "Größe".encode(), "\ufeffGröße".encode(), "Größe".encode("cp1252"), "Größe".encode("utf-16"),
        b"\xff\xfe" + "Größe".encode("utf-16-le"),
    ],
)  # fmt: skip
def test_text_is_read_in_the_encodings_that_files_have(here: Path, raw: bytes) -> None:
    (here / "a.txt").write_bytes(raw)

    assert all_of("a.txt")[0].text == "Größe"


def test_a_name_of_undecodable_bytes_still_names_its_document(here: Path) -> None:
    (here / os.fsdecode(b"b\xffd.txt")).write_text("text")

    assert [source.id for source in all_of(".")] == ["b\\udcffd.txt"]


def test_json_lines_lists_and_objects_give_documents_and_name_each_bad_row(here: Path) -> None:
    rows = [
        {"id": "a", "text": "one", "title": "T"}, {"id": 7, "text": "two"}, {"text": "three"}, {"file": "f.md", "text": "four"},
        {"id": "a2", "text": 5}, [], {"id": "a3", "text": " "}, {"id": "half \ud800", "text": "\ud800 five"},
    ]  # fmt: skip
    (here / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\nno json\n" + "[" * 100_000)
    (here / "list.json").write_text(json.dumps(rows[:2]))
    (here / "object.json").write_text(json.dumps(rows[0]))
    (here / "lines.json").write_text(f"{json.dumps(rows[0])}\n{json.dumps(rows[1])}\n")

    result = all_of("rows.jsonl")

    assert [source.id for source in result if not source.trouble] == ["a", "7", "rows.jsonl:3", "f.md"]
    assert [source.id for source in result if source.trouble] == [
        "rows.jsonl:5", "rows.jsonl:6", "a3", "half ?", "rows.jsonl:10", "rows.jsonl:11",
    ]  # fmt: skip
    assert [result[0].title, result[-3].text] == ["T", "? five"]
    assert [source.id for source in all_of("list.json")] == ["a", "7"]
    assert [source.id for source in all_of("object.json")] == ["a"]
    assert [source.id for source in all_of("lines.json")] == ["a", "7"]


def test_a_page_gives_its_title_and_what_a_browser_shows(here: Path) -> None:
    (here / "p.html").write_text(
        "<!DOCTYPE html><html><head><TITLE>Edges &amp;\n nodes</TITLE><style>b{}</style></head>"
        "<body><!-- no --><h1>Graphs</h1><p>Wal<b>king</b> paths<br>fast<script>var x</script><ul><li>one<li>two</ul></body>"
    )

    (page,) = all_of("p.html")

    assert page.title == "Edges & nodes"
    assert page.text.split() == ["Graphs", "Walking", "paths", "fast", "one", "two"]


def test_standard_input_is_json_lines_or_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = stdin(monkeypatch, b'\n{"id": "a", "text": "x"}\n{"text": 7}\n{"text": "y"}')
    assert [s.id for s in lines[:2]] == ["a", "stdin:2"]
    assert lines[2].text == "y"
    assert [s.id for s in stdin(monkeypatch, b'[{"id": "a", "text": "x"}]')] == ["a"]
    assert [s.text for s in stdin(monkeypatch, b"plain\ntext")] == ["plain\ntext"]
    assert [s.trouble for s in stdin(monkeypatch, b"")] == ["empty"]


def test_a_notebook_gives_its_title_and_its_cells_without_outputs(here: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Pool sizes\n", "Pools grow."]},
        {"cell_type": "code", "source": "grow()", "outputs": [{"data": {"image/png": "iVBORw0KGgo"}}]},
    ]
    (here / "a.ipynb").write_text(json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}))

    (book,) = all_of("a.ipynb")

    assert (book.title, book.text) == ("Pool sizes", "# Pool sizes\n\nPools grow.\n\n```\ngrow()\n```")


def test_an_info_manual_is_text_though_it_marks_its_index_with_zero_bytes(here: Path) -> None:
    (here / "a.info").write_bytes(b"File: a.info,  Node: Index\n\nIndex\n*****\n\n\0\b[index\0\b]\n* Menu:\n")

    (manual,) = all_of("a.info")

    assert not manual.trouble
    assert "\0" not in manual.text


@given(st.binary(max_size=300), st.sampled_from([".txt", ".json", ".jsonl", ".html", ".md"]))
def test_no_file_is_an_exception(tmp_path_factory: pytest.TempPathFactory, raw: bytes, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(raw)

    for source in sources.documents(str(path)):
        assert source.trouble or source.text.encode("utf-8").strip()


def test_progress_shows_speed_and_time_left_only_on_a_terminal() -> None:
    seconds = iter([0.0, 10.0, 20.0])
    out = io.StringIO()
    progress = Progress("load", 1000, out, shown=True, clock=lambda: next(seconds))

    progress.step(250, 50)

    assert "[######------------------]  25 %  50 documents, 5/s, 0:30 left" in out.getvalue()
    quiet = io.StringIO()
    Progress("load", 1000, quiet, shown=False, clock=lambda: 0.0).step(250, 50)
    assert quiet.getvalue() == ""


def test_unnamed_standard_input_is_named_by_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    one, again, other = (stdin(monkeypatch, raw)[0].id for raw in (b"one text", b"one text", b"another"))
    assert one == again != other
    assert stdin(monkeypatch, b'{"text": "one text"}')[0].id == one
    assert all(id.startswith("stdin-") for id in (one, other))


def test_an_id_that_was_given_stays_though_it_looks_like_a_place_in_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stdin(monkeypatch, b'{"id": "stdin:3", "text": "exported from an older store"}')[0].id == "stdin:3"


def test_broken_json_differs_from_json_without_a_text(here: Path) -> None:
    (here / "rows.jsonl").write_text('{"id": "a", "text": "cut\n{"id": "b"}\n')

    cut, bare = all_of("rows.jsonl")

    assert cut.trouble.startswith("not JSON: ")
    assert bare.trouble == 'no "text"; its fields are id'


@pytest.mark.parametrize(
    ("row", "trouble"),
    [
        ({"doc_id": "1", "content": "c"}, 'no "text"; its fields are content, doc_id'),
        ({}, 'no "text"; it has no fields'),
        ({"id": "1", "text": ["a"]}, '"text" is not a string'),
        ({"id": "1", "text": None}, '"text" is not a string'),
        ([1, 2], "not a JSON object"),
        ("text", "not a JSON object"),
        ({f"column {n}": n for n in range(100)}, 'no "text"; its fields are ' + ", ".join(f"column {n}" for n in (0, 1, 10, 11, 12, 13)) + " and 94 more"),
        ({"\x1b[31m" + "x" * 500: 1}, 'no "text"; its fields are ·[31m' + "x" * 34 + "…"),
    ],
)  # fmt: skip
def test_a_row_without_a_text_is_told_what_it_has_instead(here: Path, row: object, trouble: str) -> None:
    (here / "rows.jsonl").write_text(json.dumps(row))

    assert [source.trouble for source in all_of("rows.jsonl")] == [trouble]


def test_files_that_are_passed_over_are_named_by_their_ending(here: Path) -> None:
    for name in ("README", "a.mdx", "b.adoc", "c.asciidoc", "d.log", "e.1", "release-1.2", "f.png", "g.py", "h.PNG"):
        (here / name).write_text("text")
    (here / "program").write_bytes(b"\x7fELF\2\1\1" + bytes(9) + b"\3\0\x3e\0\1\0\0\0")
    (here / "wide").write_bytes("text in UTF-16".encode("utf-16-le"))
    (here / "deep").mkdir()
    (here / "loop").symlink_to(".")
    (here / "deep" / "up").symlink_to("..")
    passed_over: dict[str, list[str]] = {}

    result = inputs.files((".",), passed_over)

    assert result == ["README", "a.mdx", "b.adoc", "c.asciidoc", "d.log", "e.1", "release-1.2", "wide"]
    assert passed_over == {
        ".png": ["f.png", "h.PNG"],
        ".py": ["g.py"],
        inputs.BINARY: ["program"],
        inputs.LINKED: ["loop", "deep/up"],
    }
    assert [inputs.why_passed_over(ending) for ending in passed_over if not ending.startswith(".")] == [
        "load doesn't follow links to folders; name the folder itself",
        "not a text file",
    ]


def test_a_guessed_encoding_is_named_with_its_document(here: Path) -> None:
    (here / "a.txt").write_bytes("Шлюз хранит пул соединений. Сервер проверяет правила.".encode("koi8_r"))
    (here / "b.txt").write_bytes("Größe, naïve ".encode() + b"caf\xe9")
    (here / "c.txt").write_text("Größe", encoding="utf-8")

    assert [source.encoding for source in all_of("a.txt", "b.txt", "c.txt")] == [
        "koi8_r", "utf-8, unreadable bytes replaced", "",
    ]  # fmt: skip


@pytest.mark.parametrize("packer", [gzip, bz2, lzma], ids=["gz", "bz2", "xz"])
def test_a_damaged_compressed_file_is_named_with_its_reason_wherever_the_damage_is(here: Path, packer: Any) -> None:
    ending = {gzip: "gz", bz2: "bz2", lzma: "xz"}[packer]
    whole = packer.compress("".join(f'{{"id": "d{n}", "text": "document {n * n}"}}\n' for n in range(200)).encode())
    path = here / f"rows.jsonl.{ending}"
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        *_, last = sources.documents(str(path))
        assert last.trouble or last.text, at
    path.write_bytes(whole[: len(whole) // 2] + bytes(40) + whole[len(whole) // 2 + 40 :])
    assert [source for source in sources.documents(str(path)) if source.trouble]
