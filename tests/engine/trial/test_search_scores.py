"""Search quality from a store: both methods on the same documents, queries that people wrote, bounded work."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.plan.load import load_plan
from engine.quality import queries
from engine.store import documents
from engine.store.documents import DocumentWrite
from engine.trial import search_scores

PLAN = load_plan(Path(__file__).parents[3] / "rollout.toml")


def fill(conn: sqlite3.Connection, count: int, shadow: bool = False) -> None:
    """The LLM's keywords hold the word of the title, the frequency keywords only in every second document."""
    made = [
        DocumentWrite(
            f"d{i}", f"About subject{i}q", f"# About subject{i}q\n\nbody", str(i), float(i), "control" if shadow else "treatment",
            "frequency" if shadow else "llm", (f"subject{i}q",) if i % 2 else ("words",), (),
            None if shadow else (f"subject{i}q", "common"), (), 2, 1,
        )
        for i in range(count)
    ]  # fmt: skip
    documents.write(conn, made)
    if shadow:
        documents.write(conn, [replace(d, llm=(f"subject{i}q", "common"), shadow=True) for i, d in enumerate(made)])


def test_the_gate_s_sample_is_the_change_with_the_variance_of_its_interval(conn: sqlite3.Connection) -> None:
    fill(conn, 200)
    shares: list[float] = []
    result = search_scores.measure(conn, 1.0, progress=shares.append)
    assert result.quality.queries == result.quality.documents == 200
    change = result.quality.improvement.mrr
    assert change is not None
    assert change.low is not None
    assert 0.5 < change.low < change.estimate
    sample = result.sample
    assert sample is not None
    assert sample.variance is not None
    assert (sample.value, sample.n) == (change.estimate, 200)
    assert 3.92 * (sample.variance / 200) ** 0.5 == pytest.approx((change.high or 0) - change.low)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_shadow_documents_are_compared_in_pairs_before_any_canary(conn: sqlite3.Connection) -> None:
    fill(conn, 200, shadow=True)
    pairs = {p.name: p for p in search_scores.measure(conn, 1.0).pairs}
    assert pairs["search_quality"].n == 200
    quality = pairs["search_quality"]
    assert quality.interval is not None
    assert quality.interval.low is not None
    assert quality.interval.low > 0.3
    assert pairs["keywords"].mean == 1.0


def test_no_more_than_the_latest_are_read_however_large_the_store(conn: sqlite3.Connection, monkeypatch) -> None:
    monkeypatch.setattr(search_scores, "SEARCHED", 60)
    fill(conn, 200)
    assert search_scores.measure(conn, 1.0).quality.documents == 60


def test_queries_that_people_wrote_are_asked_too_and_a_bad_file_is_a_sentence(
    conn: sqlite3.Connection, tmp_path: Path
) -> None:
    fill(conn, 100)
    plan = replace(PLAN, source=str(tmp_path / "rollout.toml"))
    assert search_scores.written_queries(plan) == ((), "")
    path = tmp_path / search_scores.QUERIES
    path.write_text(
        json.dumps([{"query": "common", "relevant_docs": ["d1", "d2"]}, {"query": "x", "relevant_docs": ["gone"]}])
    )
    written, trouble = search_scores.written_queries(plan)
    assert (len(written), trouble) == (2, "")
    result = search_scores.measure(conn, 1.0, written)
    assert result.quality.queries == 101
    assert any("1 of 102 queries" in note for note in result.quality.notes)
    path.write_text('{"queries": 5}')
    written, trouble = search_scores.written_queries(plan)
    assert written == ()
    assert "is not a file of queries" in trouble


def test_keywords_are_relevant_when_a_title_or_heading_bears_them_out() -> None:
    document = queries.SearchedDocument(
        "d", "Retry policies", "# Exponential backoff\n\n```\n# a comment\n```\n", (), ()
    )
    keywords = ("retrying", "exponential backoff", "comment", "weather")
    assert search_scores._relevance(search_scores._title_words(document), keywords) == pytest.approx(0.5)
    assert search_scores._relevance(search_scores._title_words(document), ()) is None
    bare = replace(document, title="", text="plain")
    assert search_scores._relevance(search_scores._title_words(bare), keywords) is None


def test_what_has_not_changed_is_not_measured_again(conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(conn, 60)
    measured: list[int] = []
    original = search_scores.search.search_quality
    monkeypatch.setattr(
        search_scores.search,
        "search_quality",
        lambda both, *more, **named: (measured.append(len(both)), original(both, *more, **named))[1],
    )
    last = search_scores.Last()
    first = search_scores.measure(conn, 1.0, last=last)
    again = search_scores.measure(conn, 2.0, last=last)
    assert (again.at, again.quality, again.pairs) == (2.0, first.quality, first.pairs)
    assert measured == [60]
    conn.execute("UPDATE document SET llm = '[[\"words\"],[]]' WHERE id = 'd3'")
    assert search_scores.measure(conn, 3.0, last=last).quality != first.quality
    written = (queries.Query("subject5q", ("d5",), "file"),)
    assert search_scores.measure(conn, 4.0, written, last=last).quality.queries == 61
    assert measured == [60, 60, 60]
