"""Search quality: known answers, hostile queries, manually computed metrics, intervals that cover and are reproducible."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.quality.queries import Query, SearchedDocument, known_items, read_queries, words
from engine.quality.search import Index, grade, search_quality, served_scores

TOPICS = [
    f"{a}{b}" for a in ("quartz", "falcon", "harbor", "velvet", "copper") for b in ("mill", "gate", "song", "yard")
]


def corpus(size: int = 60, llm: float = 0.9, frequency: float = 0.6, seed: int = 1) -> list[SearchedDocument]:
    """Documents about two topics each; a method keeps each topic word with the given chance, among common words."""
    rng = random.Random(seed)
    results = []
    for i in range(size):
        title = f"{TOPICS[i % 20]} number{i}"
        noise = ("system", "report", "data")

        def kept(chance: float, title: str = title, noise: tuple[str, ...] = noise) -> tuple[str, ...]:
            return tuple(word for word in title.split() if rng.random() < chance) + noise

        results.append(SearchedDocument(f"d{i:03}", title, f"# {title}\n\nText.", kept(llm), kept(frequency)))
    return results


def test_grades_match_values_computed_manually():
    assert grade(["a", "b", "c"], ["b"]) == (0.5, pytest.approx(1 / math.log2(3)), 1.0)
    both = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
    assert grade(["a", "b", "c"], ["a", "c"]) == (1.0, pytest.approx(both), 1.0)
    assert grade(["x"] * 10 + ["a"], ["a"]) == (0.0, 0.0, 0.0)
    assert grade([], ["a"]) == grade(["a"], []) == (0.0, 0.0, 0.0)


def test_ndcg_agrees_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = random.Random(2)
    for _ in range(50):
        result = rng.sample([f"d{i}" for i in range(14)], 10)
        relevant = rng.sample(result, rng.randint(1, 4))
        truth = [[float(d in relevant) for d in result]]
        oracle = metrics.ndcg_score(truth, [[10 - i for i in range(10)]])
        assert grade(result, relevant)[1] == pytest.approx(oracle)


def test_queries_come_from_titles_and_headings_but_not_from_code_or_boilerplate():
    text = "# Tuning the harbor crane\n\n## Introduction\n\n```sh\n# not a heading\n```\n## Wind limits ##\n### 1.2\n"
    documents = [
        SearchedDocument(f"d{i}", "" if i else "Harbor manual", text if i == 0 else "## Introduction", (), ())
        for i in range(5)
    ]
    by_name = {query.text: query for query in known_items(documents)}
    assert set(by_name) == {"Harbor manual", "Tuning the harbor crane", "Wind limits"}
    assert by_name["Harbor manual"].source == "title"
    assert by_name["Wind limits"].relevant == ("d0",)


def test_a_heading_of_two_documents_has_two_answers():
    documents = [SearchedDocument(i, "Wind limits", "", (), ()) for i in ("b", "a")]
    assert known_items(documents) == (Query("Wind limits", ("a", "b"), "title"),)


def test_known_items_are_bounded_and_the_same_again():
    documents = corpus(60)
    drawn = known_items(documents, most=10, seed=3)
    assert len(drawn) == 10
    assert drawn == known_items(list(reversed(documents)), most=10, seed=3)
    many = SearchedDocument("d", "t", "\n".join(f"# heading alpha{i}" for i in range(100)), (), ())
    assert len(known_items([many])) <= 5


def test_a_file_of_queries_is_read_in_either_shape_or_refused():
    body = b'[{"query": "crane wind", "relevant_docs": ["b", "a", 3], "intent": "x"}]'
    assert read_queries(body, "q.json") == (Query("crane wind", ("3", "a", "b"), "file"),)
    assert read_queries(b'{"queries": ' + body + b"}", "q.json") == read_queries(body, "q.json")
    with pytest.raises(ValueError, match=r"q.json is not a file of queries"):
        read_queries(b'[{"q": 1}]', "q.json")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
@example('" OR 1 --')
@example("NEAR(a b) AND NOT keywords: ^x*")
@example("\x00\ud800 \u200f")
@example("e\u0301 \u0301 ² ª")
@example("الكلمات 关键词")
def test_no_query_text_is_syntax(text):
    index = Index([("a", ("harbor crane", text)), ("b", ("wind",))])
    match = index.search(text)
    assert set(match) <= {"a", "b"}
    index.close()


def test_stems_find_each_other_and_ties_do_not_follow_listing_order():
    index = Index([("a", ("extracting keywords",)), ("b", ("wind",))])
    assert index.search("Keyword extraction") == ["a"]
    rows = [(f"d{i}", ("same",)) for i in range(50)]
    assert Index(rows).search("same") == Index(reversed(rows)).search("same") != [f"d{i}" for i in range(10)]


def test_the_better_method_is_found_with_an_interval_and_the_same_again():
    documents = corpus(200)
    queries = known_items(documents)
    result = search_quality(documents, queries, seed=5, resamples=500)
    assert result == search_quality(documents, queries, seed=5, resamples=500)
    assert result.queries == 200
    assert result.improvement.mrr.low > 0.0
    assert result.llm.mrr.low < result.llm.mrr.estimate < result.llm.mrr.high
    mean = result.llm.mrr.estimate / result.frequency.mrr.estimate - 1.0
    assert result.improvement.mrr.estimate == pytest.approx(mean)
    swapped = [SearchedDocument(d.id, d.title, d.text, d.frequency, d.llm) for d in documents]
    assert search_quality(swapped, queries, resamples=500).improvement.mrr.high < 0.0


def test_identical_keywords_are_exactly_zero_improvement():
    documents = [SearchedDocument(d.id, d.title, d.text, d.llm, d.llm) for d in corpus(50)]
    result = search_quality(documents, known_items(documents), resamples=200)
    assert (result.improvement.mrr.estimate, result.improvement.mrr.low, result.improvement.mrr.high) == (0.0, 0.0, 0.0)


def test_the_interval_covers_the_truth_at_its_nominal_rate():
    """Titles of one word that no other document has: found exactly when the word was kept, so the truth is 0.9 / 0.6 - 1."""
    rng, covered = random.Random(13), 0
    for seed in range(200):
        documents = [
            SearchedDocument(
                f"d{i}", f"item{i}", "", *((f"item{i}",) if rng.random() < chance else () for chance in (0.9, 0.6))
            )
            for i in range(100)
        ]
        result = search_quality(documents, known_items(documents), seed=seed, resamples=300).improvement.mrr
        covered += result.low <= 0.5 <= result.high
    assert 0.90 < covered / 200 < 0.99


def test_headings_of_one_document_succeed_or_fail_together():
    """Five queries about each document carry no more than its one: the interval must not shrink by root five."""

    def asked(copies: int) -> float:
        documents = corpus(100)
        queries = [Query(f"{d.title} part{c}", (d.id,), "heading") for d in documents for c in range(copies)]
        result = search_quality(documents, queries, resamples=500).improvement.mrr
        return result.high - result.low

    assert asked(5) == pytest.approx(asked(1), rel=0.15)


def test_nothing_to_ask_and_nothing_found_are_unknown():
    empty = search_quality([], [])
    assert (empty.queries, empty.improvement.mrr) == (0, None)
    assert "unknown" in empty.sentence
    blind = [SearchedDocument("a", "harbor", "", ("harbor",), ())]
    result = search_quality(blind, known_items(blind), resamples=50)
    assert result.frequency.mrr.estimate == 0.0
    assert result.improvement.mrr is None
    lost = search_quality(blind, [Query("crane", ("gone",), "file"), Query("?!", ("a",), "file")])
    assert (lost.queries, lost.notes[0][:6]) == (0, "2 of 2")
    assert b"NaN" not in msgspec.json.encode([empty, result, lost])


def test_served_scores_are_per_document():
    served = {"a": ("harbor crane",), "b": ("harbor crane", "harbor"), "c": ("wind",), "d": ("quiet",)}
    queries = [
        Query("wind", ("c",), "title"),
        Query("storm", ("c",), "heading"),
        Query("crane", ("a", "gone"), "heading"),
    ]
    scores = served_scores(served, queries)
    assert scores["c"] == 0.5
    assert scores["a"] in (0.5, 1.0)
    assert set(scores) == {"a", "c"}


def test_a_query_is_cut_into_at_most_sixteen_words():
    assert words("A a B-b foo_bar " + "x" * 3) == ("a", "b", "foo", "bar", "xxx")
    assert len(words(" ".join(f"w{i}" for i in range(99)))) == 16
