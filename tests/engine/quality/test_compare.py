"""compare-keywords: by stem, grounded in the text, honest where exports do not meet."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.quality.compare import ComparedDocument, ExportRow, compare, complete, read_rows
from engine.quality.queries import read_queries

TEXT = "The harbor crane lifts containers. Wind limits apply to cranes when extracting keywords."


def test_overlap_is_by_stem_and_duplicates_are_counted():
    llm = [ExportRow(("harbor cranes", "keyword extraction", "Harbor Crane", "wind limits"), "a", "a.md", TEXT)]
    frequency = [ExportRow(("harbor crane", "containers"), "a", "a.md")]
    (document,) = compare(llm, frequency).documents
    assert document.shared == ("harbor cranes",)
    assert document.only_llm == ("keyword extraction", "wind limits")
    assert document.only_frequency == ("containers",)
    assert document.overlap == pytest.approx(1 / 4)
    assert (document.llm.count, document.llm.duplicates) == (4, 1)


def test_made_up_keywords_are_counted_and_shown():
    result = compare(
        [ExportRow(("harbor crane", "blockchain"), "a", "a.md", TEXT)], [ExportRow(("containers",), "a", "a.md")]
    )
    assert result.documents[0].llm.ungrounded == ("blockchain",)
    assert result.overall.llm.grounded.estimate == 0.5
    assert result.overall.frequency.grounded.estimate == 1.0  # the other export's text serves both
    assert ("ungrounded", ("blockchain",)) in [(example.kind, example.llm) for example in result.examples]


def test_without_text_grounding_is_unknown_not_perfect():
    result = compare([ExportRow(("x1",), "a")], [ExportRow(("x1",), "a")])
    assert result.overall.llm.grounded is None
    assert result.documents[0].llm.ungrounded is None
    assert "1 of 1 documents have no text" in result.notes[0]


def test_exports_of_different_documents_are_reported_as_such():
    result = compare([ExportRow(("x1",), "a")], [ExportRow(("x1",), "b")])
    assert (result.overall.both, result.overall.overlap) == (0, None)
    assert result.notes[0].startswith("No document is in both exports")
    assert result.documents[0].only_llm == ()
    assert compare([], []).overall.llm.mean_count is None


def test_the_overall_figures_count_keywords_of_both_methods():
    llm = [ExportRow(tuple(f"k{i} w{j}" for j in range(12)), str(i)) for i in range(10)]
    frequency = [ExportRow(tuple(f"k{i} w{j}" for j in range(6 + i % 2)), str(i)) for i in range(10)]
    overall = compare(llm, frequency).overall
    assert (overall.both, overall.llm.keywords, overall.llm.mean_count) == (10, 120, 12.0)
    assert overall.llm.in_range.estimate == 1.0
    assert overall.frequency.in_range.estimate == 0.0
    assert overall.overlap.estimate == pytest.approx((6 / 12 + 7 / 12) / 2)
    assert overall.overlap.low < overall.overlap.estimate < overall.overlap.high
    assert overall.count_difference.estimate == pytest.approx(5.5)
    assert overall.llm.vocabulary == 120


def test_rows_are_matched_by_id_else_by_file_and_the_first_of_a_document_counts():
    result = compare([ExportRow(("x1",), "", "a.md"), ExportRow(("y1",), "", "a.md")], [ExportRow(("x1",), "", "a.md")])
    assert [document.overlap for document in result.documents] == [1.0]


def test_exports_are_read_as_the_plan_writes_them():
    rows = read_rows(b'[{"file": "a.md", "id": 7, "keywords": ["x"], "method": "llm"}]', "a.json")
    assert rows == (ExportRow(("x",), 7, "a.md"),)
    with pytest.raises(ValueError, match=r"a.json is not an export .*rollout export"):
        read_rows(b'{"control": 1}', "a.json")
    with pytest.raises(ValueError, match="not an export"):
        read_rows(b"\xff", "a.json")


rows = st.lists(
    st.builds(
        ExportRow,
        st.lists(st.text(max_size=12), max_size=5).map(tuple),
        st.sampled_from("abc"),
        st.just("f"),
        st.text(max_size=40),
    ),
    max_size=4,
)


@given(rows, rows)
def test_any_rows_give_printable_json_without_nan(llm, frequency):
    result = compare(llm, frequency)
    text = msgspec.json.encode(result)
    assert b":NaN" not in text  # a keyword may be that word
    assert b"\\u001b" not in text
    for document in result.documents:
        assert document.overlap is None or 0.0 <= document.overlap <= 1.0
        for side in (document.llm, document.frequency):
            assert side is None or side.duplicates >= 0
            assert side is None or side.grounded is None or 0.0 <= side.grounded <= 1.0


def test_the_store_completes_two_exports_of_different_documents_and_reports_it() -> None:
    """The plan's own two lines export the latest LLM documents and the latest frequency documents: never the same ones."""
    llm, frequency = (ExportRow(("worker pool", "made up"), "a"),), (ExportRow(("queue",), "b"),)
    kept = {
        "a": ComparedDocument(("worker pool", "made up"), ("worker pool", "retry"), "A worker pool may retry."),
        "b": ComparedDocument(None, ("queue",), "A queue."),
    }
    rows, others, notes = complete(llm, frequency, kept)
    result = compare(rows, others, notes)
    assert result.overall.both == 1
    first = next(document for document in result.documents if document.id == "a")
    assert first.llm is not None
    assert (first.shared, first.llm.ungrounded) == (("worker pool",), ("made up",))
    assert result.overall.frequency.documents == 2
    assert any("frequency keywords for 1 documents" in note for note in result.notes)
    assert compare(*complete(llm, frequency, {})).overall.both == 0


DEEP = b"[" * 3000 + b"]" * 3000


@pytest.mark.parametrize("read", [read_rows, read_queries])
def test_a_file_that_nests_without_end_is_refused_in_a_sentence(read) -> None:
    with pytest.raises(ValueError, match=r"^deep\.json is not "):
        read(b'[{"keywords": [], "query": "a", "relevant_docs": [], "more": ' + DEEP + b"}]", "deep.json")
