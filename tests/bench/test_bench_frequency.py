"""The benchmark's own arithmetic, checked manually; its reading of a set."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.bench import bench_frequency as bench


def test_f1_is_of_pooled_counts_over_stemmed_distinct_phrases() -> None:
    gold = [frozenset(bench.distinct(["Neural Networks", "graph-theory"])), frozenset(bench.distinct(["queues"]))]
    ranked = [
        bench.distinct(["neural network", "Neural networks", "noise", "graph theory"]),
        bench.distinct(["nothing"]),
    ]

    assert bench.f1(gold, ranked, 1) == pytest.approx(100 * 2 * 1 / (2 + 3))  # 1 right of 2 given, 3 wanted
    assert bench.f1(gold, ranked, 5) == pytest.approx(100 * 2 * 2 / (4 + 3))  # 2 right of 4 given, 3 wanted


def test_sets_are_read_packed_or_not_and_documents_without_gold_left_out(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "queues", "gold": ["queues"]}, {"id": 2, "text": "x", "gold": []}]
    body = "\n".join(map(json.dumps, rows)) + "\n\n"
    (tmp_path / "plain.jsonl").write_text(body)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(body.encode()))

    results = bench.sets(tmp_path)

    assert list(results) == ["packed", "plain"]
    assert (
        bench.read(results["packed"])
        == bench.read(results["plain"])
        == [bench.Row("1", "queues", frozenset({"queue"}))]
    )


def test_texts_of_exactly_so_many_words() -> None:
    assert bench.cut(" a  b\nc d", 3) == " a  b\nc"
