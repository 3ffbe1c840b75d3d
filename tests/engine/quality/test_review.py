"""A review sample is the same for everyone, and a judgement of a side counts for the method shown there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.quality import review
from engine.quality.review import Better, Flaw, Marks, SampledDocument, Side
from engine.store import documents
from engine.store.documents import DocumentWrite
from engine.store.migrations import migrate

NOW = 1_800_000_000.0


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    migrate(made)
    documents.write(made, [document(i) for i in range(300)])
    yield made
    made.close()


def document(i: int, llm: tuple[str, ...] = ("worker pool", "retry")) -> DocumentWrite:
    served = llm if i % 2 else None
    return DocumentWrite(
        f"d{i}", f"Document {i}", f"text {i}", str(i), NOW + i, "treatment" if i % 2 else "control",
        "llm" if i % 2 else "frequency", ("pool", "worker"), (), served, (), 2, 1,
    )  # fmt: skip


def keep(conn: sqlite3.Connection, blind: bool = True, seed: int = 7, size: int = 20) -> review.Sample:
    drawn = review.draw_sample(conn, size, seed)
    sample = review.read_sample(conn, review.keep_sample(conn, NOW, 2, seed, blind, "ann", drawn))
    assert sample is not None
    return sample


def test_the_same_seed_draws_the_same_llm_documents_in_the_same_order(conn: sqlite3.Connection) -> None:
    sample = keep(conn)
    assert len(sample.documents) == 20
    assert all(int(one.document[1:]) % 2 for one in sample.documents)
    assert sample.documents == review.draw_sample(conn, 20, 7)
    assert sample.documents != review.draw_sample(conn, 20, 8)
    assert {one.first for one in sample.documents} == {"llm", "frequency"}


def test_reviewers_judge_what_was_drawn_even_when_the_document_has_changed(conn: sqlite3.Connection) -> None:
    before = keep(conn)
    documents.write(conn, [document(i, ("something", "else")) for i in range(300)])
    assert review.read_sample(conn, before.id) == before


sides = st.sampled_from(("first", "second"))
flaws = st.dictionaries(sides, st.lists(st.sampled_from(review.FLAWS), unique=True, max_size=3).map(tuple))


@given(st.sampled_from(("llm", "frequency")), st.sampled_from(("first", "second", "same")), flaws)
def test_sides_are_read_back_to_methods(first: str, better: Better, result: dict[Side, tuple[Flaw, ...]]) -> None:
    shown = SampledDocument("d", "t", ("a",), ("b",), first)  # type: ignore[arg-type]
    marks = review.marks(shown, better, result)
    llm_stands: Side = "first" if first == "llm" else "second"
    assert marks.winner == ("same" if better == "same" else "llm" if better == llm_stands else "frequency")
    said_of_llm = set(result.get(llm_stands, ()))
    assert {name for name in review.FLAWS if not getattr(marks, name)} == said_of_llm
    assert marks.good == (not said_of_llm and marks.winner != "frequency")
    assert marks.good == (not marks.why_not)
    assert shown.side(llm_stands) == shown.llm


def judge(conn: sqlite3.Connection, sample: review.Sample, who: str, bad: set[int], at: float = NOW + 1000) -> None:
    for i, one in enumerate(sample.documents):
        llm_stands: Side = "first" if one.first == "llm" else "second"
        marks = review.marks(one, llm_stands, {llm_stands: ("relevant",)} if i in bad else {})
        review.keep_judgement(conn, sample.id, one.document, who, at, marks)


def test_two_reviewers_of_twenty_documents_are_twenty_documents_in_the_gate(conn: sqlite3.Connection) -> None:
    sample = keep(conn)
    judge(conn, sample, "ann", bad={0, 1})
    judge(conn, sample, "bo", bad={1, 2})
    result = review.verdict(conn, 2, NOW)
    assert (result.documents, result.good, result.ties) == (20, 17, 2)
    assert review.verdict(conn, 3, NOW).documents == 0
    assert review.verdict(conn, 2, NOW + 2000).documents == 0


def test_a_reviewer_s_last_word_counts(conn: sqlite3.Connection) -> None:
    sample = keep(conn)
    judge(conn, sample, "ann", bad=set(range(20)))
    judge(conn, sample, "ann", bad=set(), at=NOW + 1001)
    result = review.summary(review.judgements(conn, sample.id))
    assert (result.verdict.documents, result.verdict.good) == (20, 20)
    assert result.reviewers == {"ann": 20}


def test_the_summary_has_kappa_in_words_for_two_and_for_more(conn: sqlite3.Connection) -> None:
    sample = keep(conn)
    judge(conn, sample, "ann", bad={0, 1, 2, 3})
    judge(conn, sample, "bo", bad={0, 1, 2, 4})
    two = review.summary(review.judgements(conn, sample.id))
    assert two.agreement.sentence.startswith("Cohen's kappa 0.69")
    assert "substantial" in two.agreement.sentence
    judge(conn, sample, "cy", bad={0, 1, 2, 5})
    assert review.summary(review.judgements(conn, sample.id)).agreement.method == "Fleiss' kappa"
    assert two.by_mark["relevant"].sentence == two.agreement.sentence
    assert two.winners == {"llm": 40}
    assert two.flaws == {"relevant": 8, "grounded": 0, "count": 0}


def test_marks_survive_the_store(conn: sqlite3.Connection) -> None:
    sample = keep(conn)
    one = sample.documents[0]
    marks: Marks = review.marks(one, "second", {"first": ("count",), "second": ("grounded", "relevant")})
    review.keep_judgement(conn, sample.id, one.document, "ann", NOW, marks)
    assert review.judgements(conn, sample.id)[0].marks == marks
