"""Reviewers: published examples of kappa, honest unknowns, votes of documents not of reviewers, reproducible draws."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.quality.agreement import Judgement, agreement, cohen, fleiss, review_verdict
from engine.quality.sample import blind_order, draw

# Fleiss 1971 as in its usual worked example: 10 subjects, 14 raters, 5 categories, kappa 0.210.
FLEISS = [
    (0, 0, 0, 0, 14),
    (0, 2, 6, 4, 2),
    (0, 0, 3, 5, 6),
    (0, 3, 9, 2, 0),
    (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0),
    (2, 5, 3, 2, 2),
    (6, 5, 2, 1, 0),
    (0, 2, 2, 3, 7),
]


def pairs(both_yes: int, first_only: int, second_only: int, both_no: int) -> tuple[list[str], list[str]]:
    first = ["yes"] * (both_yes + first_only) + ["no"] * (second_only + both_no)
    second = ["yes"] * both_yes + ["no"] * first_only + ["yes"] * second_only + ["no"] * both_no
    return first, second


def test_cohens_kappa_of_the_textbook_table():
    result = cohen(*pairs(20, 5, 10, 15))
    assert result.estimate == pytest.approx(0.4)


def test_cohens_interval_covers_as_the_bootstrap_does():
    first, second = pairs(60, 15, 25, 100)
    result, rng = cohen(first, second), random.Random(1)
    rows = list(zip(first, second, strict=True))
    again = []
    for _ in range(2000):
        resampled = rng.choices(rows, k=len(rows))
        again.append(cohen([a for a, _ in resampled], [b for _, b in resampled]).estimate)
    again.sort()
    assert result.low == pytest.approx(again[50], abs=0.02)
    assert result.high == pytest.approx(again[1950], abs=0.02)


def test_fleiss_kappa_of_the_worked_example():
    result = fleiss([{str(i): count for i, count in enumerate(row)} for row in FLEISS])
    assert result.estimate == pytest.approx(0.210, abs=5e-4)
    assert result.low < 0.21 < result.high


def test_kappa_is_unknown_when_all_verdicts_agree():
    assert cohen(["yes"] * 9, ["yes"] * 9) is None
    result = agreement([Judgement(f"d{i}", who, "yes") for i in range(9) for who in "ab"])
    assert (result.kappa, result.observed, result.word) == (None, 1.0, "unknown")
    assert agreement([Judgement("d", "a", "yes")]).observed is None


def test_two_reviewers_give_cohen_three_give_fleiss_and_the_last_answer_counts():
    first, second = pairs(20, 5, 10, 15)
    judged = [Judgement(f"d{i}", "alice", a) for i, a in enumerate(first)]
    judged += [Judgement(f"d{i}", "bo", "no" if b == "yes" else "yes") for i, b in enumerate(second)]
    judged += [Judgement(f"d{i}", "bo", b) for i, b in enumerate(second)]
    result = agreement(judged)
    assert result.method == "Cohen's kappa"
    assert result.kappa.estimate == pytest.approx(0.4)
    assert result.word == "fair"
    result = agreement([*judged, Judgement("d0", "cy", "no"), Judgement("alone", "cy", "no")])
    assert (result.method, result.reviewers, result.documents) == ("Fleiss' kappa", 3, 50)


def test_the_verdict_counts_documents_not_reviewers():
    judged = [Judgement(f"d{i}", who, "yes" if i < 15 or who == "c" else "no") for i in range(20) for who in "abc"]
    result = review_verdict(judged)
    assert (result.documents, result.good) == (20, 15)
    assert result.interval.low == pytest.approx(0.531, abs=1e-3)  # Wilson, 15 of 20
    assert result.interval.high == pytest.approx(0.888, abs=1e-3)
    assert review_verdict([]).interval is None
    tie = review_verdict([Judgement("d", "a", "yes"), Judgement("d", "b", "no")])
    assert (tie.good, tie.ties) == (0, 1)


@given(
    st.lists(
        st.builds(Judgement, st.sampled_from("uvwxyz"), st.sampled_from("abcd"), st.sampled_from(["yes", "no", ""]))
    )
)
def test_any_judgements_give_json_without_nan(judged):
    text = msgspec.json.encode([agreement(judged), review_verdict(judged)])
    assert b"NaN" not in text


def test_a_draw_is_the_same_again_and_does_not_depend_on_listing_order():
    ids = [f"docs/{i}.md" for i in range(500)]
    drawn = draw(ids, 20, seed=7)
    assert drawn == draw(reversed(ids), 20, seed=7) == draw([*ids, *ids], 20, seed=7)
    assert len(set(drawn)) == 20
    assert drawn[:5] == draw(ids, 5, seed=7)
    assert drawn != draw(ids, 20, seed=8)
    assert len(draw(ids[:3], 20, seed=7)) == 3
    assert draw(ids, 0, seed=7) == draw([], 5, seed=7) == ()


def test_every_document_is_as_likely_to_be_drawn_and_to_be_shown_first():
    ids = [f"d{i}" for i in range(20)]
    times = Counter(document for seed in range(2000) for document in draw(ids, 5, seed))
    assert all(420 < times[document] < 580 for document in ids)  # 500 expected, sd 19
    first = sum(blind_order(document, seed)[0] == "llm" for document in ids for seed in range(200))
    assert 1850 < first < 2150  # 2000 expected, sd 32


def test_blind_order_and_draw_are_not_the_same_coin():
    drawn = [blind_order(document, 3)[0] for document in draw([f"d{i}" for i in range(400)], 100, 3)]
    assert 30 < drawn.count("llm") < 70
