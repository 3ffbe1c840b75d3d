"""Keywords against a gold file, with manually counted figures."""

from __future__ import annotations

import json

import pytest

from engine.quality import gold

BODY = b'{"id": "a", "keywords": ["Neural Networks", "graph-theory"]}\n\n{"id": 2, "gold": ["queues", "queue"]}\n{"id": "empty", "keywords": []}\n'


def test_a_gold_file_is_read_with_stems_and_without_documents_that_have_none() -> None:
    rows = gold.read_gold(BODY, "g.jsonl").rows
    assert [row.id for row in rows] == ["a", "2"]
    assert rows[1].keywords == {"queue"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "g.jsonl, line 1: not JSON"),
        (b'{"id": "a"}', 'line 1: a line needs "id" and "keywords"'),
        (b'{"id": "a", "keywords": "x"}', "must be a list of strings"),
        (
            b'{"id": "a", "keywords": ["x"]}\n{"id": "a", "keywords": ["y"]}',
            "line 2: the document 'a' is in the file twice",
        ),
        (b"", "no document with keywords"),
        (b"[1]", 'needs "id"'),
    ],
)
def test_what_is_wrong_with_a_gold_file_is_named_with_its_line(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gold.read_gold(body, "g.jsonl")


def test_figures_pool_the_counts_of_all_documents() -> None:
    rows = gold.read_gold(BODY, "g.jsonl").rows
    result = gold.measured("llm", rows, {"a": ["neural network", "Neural networks", "noise", "graph theory"], "2": []})
    five = result.figures[0]
    assert (result.documents, five.k) == (2, 5)
    assert five.precision == pytest.approx(2 / 3)
    assert five.recall == pytest.approx(2 / 3)
    assert five.f1 == pytest.approx(2 / 3)
    assert five.interval is not None
    assert five.interval.low <= five.f1 <= five.interval.high


def test_a_document_without_keywords_of_the_method_is_not_counted_and_none_gives_no_figure() -> None:
    rows = gold.read_gold(BODY, "g.jsonl").rows
    assert gold.measured("llm", rows, {"a": ["noise"]}).documents == 1
    assert gold.measured("llm", rows, {}).figures == ()
    assert gold.difference(rows, {"a": ["x"]}, {"2": ["y"]}) is None


def test_one_document_gives_figures_and_no_interval() -> None:
    rows = gold.read_gold(BODY, "g.jsonl").rows
    one = gold.measured("llm", rows, {"a": ["neural network", "noise"]})

    assert one.documents == 1
    assert {figure.interval for figure in one.figures} == {None}
    assert gold.as_json(one)["at"]["10"]["f1_low"] is None
    assert "[" not in gold.sentence(one)
    assert gold.difference(rows, {"a": ["x"]}, {"a": ["y"]}) is None


def test_a_difference_is_of_the_same_documents() -> None:
    rows = gold.read_gold("\n".join(json.dumps({"id": n, "keywords": ["right"]}) for n in range(40)).encode(), "g").rows
    good = {str(n): ["right"] for n in range(40)}
    bad = {str(n): ["wrong"] for n in range(40)}
    apart = gold.difference(rows, good, bad)
    assert apart == gold.Bounds(1.0, 1.0)
    assert gold.difference(rows, good, good) == gold.Bounds(0.0, 0.0)


def test_a_draft_has_each_proposal_once_in_an_order_that_shows_nothing() -> None:
    result = gold.draft([["b", "a", "Queues"], ["c", "queue"]], "doc-1")
    assert sorted(result) == ["Queues", "a", "b", "c"]
    assert result == gold.draft([["c", "Queues"], ["a", "b"]], "doc-1")
