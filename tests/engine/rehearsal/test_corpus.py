"""Real documents, enough of them, in an order that the seed fixes, without end."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice, pairwise

import pytest

from engine.rehearsal import corpus

Every = list[corpus.SampleDocument]


@pytest.fixture(scope="module")
def reading() -> tuple[Every, set[str]]:
    """All of it, read once, and the modules that this imported. Not while tests are collected, which each process does."""
    before = set(sys.modules)
    documents = list(corpus.documents())
    return documents, set(sys.modules) - before


@pytest.fixture(scope="module")
def every(reading: tuple[Every, set[str]]) -> Every:
    return reading[0]


def test_a_python_installation_has_a_thousand_documents(every: Every) -> None:
    own = [document for document in every if document.id.startswith("python/")]
    assert len(own) >= 1000  # without what happens to be installed
    assert sum(len(document.text) for document in every) / len(every) > 500


def test_documents_are_distinct_and_of_bounded_length(every: Every) -> None:
    assert len({document.id for document in every}) == len(every)
    assert len({" ".join(document.text.split()) for document in every}) == len(every)
    assert all(50 <= len(document.text) <= 40_000 for document in every)
    assert all(document.title and "\n" not in document.title and len(document.title) <= 200 for document in every)


def test_the_seed_fixes_the_order() -> None:
    program = "from itertools import islice; from engine.rehearsal import corpus\nfor d in islice(corpus.documents(3), 200): print(d.id, len(d.text))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    here = [f"{document.id} {len(document.text)}" for document in islice(corpus.documents(3), 200)]
    assert output.splitlines() == here
    assert {d.id for d in islice(corpus.documents(4), 50)} != {d.id for d in islice(corpus.documents(3), 50)}


def test_a_file_has_the_title_that_the_product_reads_and_not_its_first_line_of_markup(every: Every) -> None:
    titles = {document.id: document.title for document in every}
    assert titles["packages/aiosmtpd/docs/handlers.rst"] == "docs: Handlers"


def test_neighbours_are_not_of_one_module(every: Every) -> None:
    modules = [document.id.split(".")[0] for document in every[:400]]
    same = sum(left == right for left, right in pairwise(modules))
    assert same < 0.15 * len(modules)


def test_nothing_is_imported_to_read_its_docstrings(reading: tuple[Every, set[str]]) -> None:
    assert not reading[1] & {"this", "antigravity", "tkinter", "turtle", "idlelib"}


def test_the_stream_repeats_a_share_unchanged_and_never_ends(monkeypatch: pytest.MonkeyPatch, every: Every) -> None:
    monkeypatch.setattr(corpus, "documents", lambda seed: iter(every[:100]))
    seen: dict[str, str] = {}
    repeats = 0
    taken = list(islice(corpus.stream(7), 2000))
    for document in taken:
        if document.id in seen:
            assert seen[document.id] == document.text
            repeats += 1
        seen[document.id] = document.text
    assert 0.25 < repeats / len(taken) < 0.35
    assert any(document.id.endswith("#5") for document in taken)
    assert list(islice(corpus.stream(7, repeats=0), 100)) == every[:100]


def test_an_edited_version_is_another_text_with_the_same_beginning(
    monkeypatch: pytest.MonkeyPatch, every: Every
) -> None:
    monkeypatch.setattr(corpus, "documents", lambda seed: iter(every[:50]))
    taken = {document.id: document for document in islice(corpus.stream(7, repeats=0), 100)}
    for document in every[:50]:
        edited = taken[f"{document.id}#2"]
        assert edited.text != document.text
        assert edited.title == document.title
        assert edited.text.startswith(document.text.split("\n\n")[0])
        assert len(edited.text) <= 40_000
