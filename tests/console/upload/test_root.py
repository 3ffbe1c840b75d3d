"""A document keeps its id however the path to it is typed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.upload.inputs import files
from console.upload.root import id_under, root_of
from console.upload.sources import documents


def ids(*paths: str, root: Path | None = None) -> list[str]:
    top = root or root_of(paths)
    assert top is not None
    return [source.id for path in files(paths) for source in documents(path, id_under(top, path))]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("docs/a.md", "docs/sub/b.md", "more/a.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("repository", [True, False])
def test_relative_absolute_linked_and_from_within_is_one_id(
    tree: Path, repository: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if repository:
        (tree / ".git").mkdir()
    (tree / "link").symlink_to(tree / "docs")
    wanted = ["docs/a.md", "docs/sub/b.md"] if repository else ["a.md", "sub/b.md"]
    spelt = [ids("docs"), ids("./docs/"), ids("more/../docs"), ids(str(tree / "docs")), ids("link"), ids("docs/**")]
    monkeypatch.chdir(tree / "docs")
    spelt += [ids("."), ids("../docs"), ids(str(tree / "docs"))]
    assert all(result == wanted for result in spelt), spelt
    assert ids("a.md") == ids(str(tree / "docs" / "a.md")) == wanted[:1]


def test_two_folders_with_files_of_one_name_are_two_documents(tree: Path) -> None:
    assert ids("docs", "more") == ["docs/a.md", "docs/sub/b.md", "more/a.md"]


def test_a_root_that_is_given_is_the_one(tree: Path) -> None:
    (tree / ".git").mkdir()
    assert ids("docs/sub", root=tree / "docs") == ["sub/b.md"]
    assert id_under(tree / "docs", "more/a.md") == ""


def test_a_row_that_brings_its_id_keeps_it_and_one_without_is_named_by_its_line(tree: Path) -> None:
    (tree / "docs" / "rows.jsonl").write_text('{"id": "ticket-7", "text": "x"}\n{"text": "y"}\n')
    assert ids(str(tree / "docs" / "rows.jsonl")) == ["ticket-7", "rows.jsonl:2"]


def test_an_undecodable_file_name_still_names_its_document(tree: Path) -> None:
    name = os.fsdecode(b"docs/bad-\xff.md")
    (tree / name).write_text("text")
    assert "bad-\\udcff.md" in "".join(ids("docs"))
