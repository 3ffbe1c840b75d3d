"""Search quality score: do a method's keywords find the document a query is about?

Each method's keywords get their own full-text index in memory (FTS5, Porter stems, BM25). The same queries run on both,
and the first ten answers are scored: MRR (1 / rank of the first right answer; this is the score), nDCG (all right
answers, discounted by log2 of rank) and success (any right answer). Intervals come from a paired bootstrap over
documents, not queries, because the headings of one document succeed or fail together.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.experiment.effects import Interval
from engine.experiment.formatting import span
from engine.quality.queries import Query, SearchedDocument, words
from engine.store.terms import indexed, queried
from engine.text import clean_line

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

DEPTH = 10
MOST_WORDS = 16  # of a query
_CHUNK = 200  # resamples in one step, to bound memory


class Scores(Struct, frozen=True):
    """MRR@10, nDCG@10 and success@10: means over queries, or relative changes of them, with 95 % intervals."""

    mrr: Interval | None = None
    ndcg: Interval | None = None
    success: Interval | None = None


class SearchQuality(Struct, frozen=True):
    """`improvement`: (LLM - frequency) / frequency, 0.1 = 10 %. The gate judges `improvement.mrr`."""

    queries: int
    documents: int
    llm: Scores
    frequency: Scores
    improvement: Scores
    seed: int
    resamples: int
    notes: tuple[str, ...]
    sentence: str
    differences: tuple[float, ...] = ()  # MRR, LLM - frequency, by document (each query of a file is its own)


class Index:
    """In-memory full-text index of documents' keywords. Query words are quoted, so none acts as FTS5 syntax."""

    def __init__(self, keywords: Iterable[tuple[str, Sequence[str]]]) -> None:
        """(document id, its keywords). Ties in rank are broken by a hash of the id, not by list order."""
        rows = sorted((hashlib.blake2b(id.encode("utf-8", "replace")).digest(), id, ks) for id, ks in keywords)
        self._ids = [document_id for _, document_id, _ in rows]
        self._conn = sqlite3.connect(":memory:")
        self._conn.execute("CREATE VIRTUAL TABLE ft USING fts5(keywords, tokenize = 'porter unicode61')")
        self._conn.executemany(
            "INSERT INTO ft(rowid, keywords) VALUES (?, ?)",
            (
                (i, " zzzz ".join(indexed(clean_line(keyword, 200)) for keyword in ks))
                for i, (_, _, ks) in enumerate(rows)
            ),
        )

    def close(self) -> None:
        self._conn.close()

    def search(self, text: str, most: int = DEPTH) -> list[str]:
        """Ids of documents that contain any of the words, best first; [] for a text without words."""
        asked = queried(clean_line(text, 500))[:MOST_WORDS]
        if not asked:
            return []
        match = " OR ".join(asked)
        rows = self._conn.execute("SELECT rowid FROM ft WHERE ft MATCH ? ORDER BY rank, rowid LIMIT ?", (match, most))
        return [self._ids[row[0]] for row in rows]


def grade(answers: Sequence[str], relevant: Sequence[str]) -> tuple[float, float, float]:
    """MRR, nDCG and success at 10 of one query's answers; zeros if none is relevant."""
    right = set(relevant)
    ranks = [rank for rank, document_id in enumerate(answers[:DEPTH], start=1) if document_id in right]
    if not ranks:
        return 0.0, 0.0, 0.0
    best = math.fsum(1.0 / math.log2(rank + 1) for rank in range(1, min(len(right), DEPTH) + 1))
    return 1.0 / ranks[0], math.fsum(1.0 / math.log2(rank + 1) for rank in ranks) / best, 1.0


def search_quality(
    documents: Sequence[SearchedDocument],
    queries: Sequence[Query],
    *,
    seed: int = 0,
    resamples: int = 2000,
    progress: Callable[[float], None] = lambda _: None,
) -> SearchQuality:
    """Score both methods on the same documents and queries. Same seed, same intervals. `progress` gets 0..1."""
    ids = {document.id for document in documents}
    asked = [(query, [answer for answer in query.relevant if answer in ids]) for query in queries]
    usable = [(query, answers) for query, answers in asked if answers and words(query.text)]
    notes = []
    if len(usable) < len(queries):
        notes.append(
            f"{len(queries) - len(usable)} of {len(queries)} queries have no words or no answer among these "
            "documents and were skipped."
        )
    if not usable:
        notes.append("There are no queries, so search quality is unknown.")
        sentence = "Search quality is unknown: no queries."
        none = Scores()
        return SearchQuality(0, len(ids), none, none, none, seed, resamples, notes=tuple(notes), sentence=sentence)
    by_llm = _graded([(d.id, d.llm) for d in documents], usable, lambda done: progress(done / 2))
    by_frequency = _graded([(d.id, d.frequency) for d in documents], usable, lambda done: progress((1 + done) / 2))
    clusters = [answers[0] if query.source != "file" else f"query {i}" for i, (query, answers) in enumerate(usable)]
    if len(set(clusters)) < 20:
        notes.append(f"The queries cover only {len(set(clusters))} documents, so the intervals are rough.")
    llm, frequency, improvement = _bootstrap(by_llm, by_frequency, clusters, seed, resamples)
    return SearchQuality(
        queries=len(usable),
        documents=len(ids),
        llm=llm,
        frequency=frequency,
        improvement=improvement,
        seed=seed,
        resamples=resamples,
        notes=tuple(notes),
        sentence=_sentence(llm, frequency, improvement),
        differences=_differences(by_llm, by_frequency, clusters),
    )


def _graded(
    keywords: Iterable[tuple[str, Sequence[str]]],
    queries: Sequence[tuple[Query, Sequence[str]]],
    progress: Callable[[float], None],
) -> list[tuple[float, float, float]]:
    """The grade of each query (its text, its relevant documents) against an index of these keywords."""
    index = Index(keywords)
    graded = []
    for query, answers in queries:
        graded.append(grade(index.search(query.text), answers))
        if len(graded) % 50 == 0:
            progress(len(graded) / len(queries))
    index.close()
    return graded


def _sentence(llm: Scores, frequency: Scores, improvement: Scores) -> str:
    if improvement.mrr is None:
        return "Frequency keywords find nothing, so the improvement cannot be computed."
    return f"MRR@10 {_short(llm.mrr)} by LLM keywords, {_short(frequency.mrr)} by frequency: {span(improvement.mrr)}."


def _differences(
    llm: Sequence[tuple[float, float, float]], frequency: Sequence[tuple[float, float, float]], clusters: Sequence[str]
) -> tuple[float, ...]:
    """Mean difference in reciprocal rank for each cluster of queries."""
    by_cluster: dict[str, list[float]] = defaultdict(list)
    for cluster, mine, its in zip(clusters, llm, frequency, strict=True):
        by_cluster[cluster].append(mine[0] - its[0])
    return tuple(math.fsum(differences) / len(differences) for differences in by_cluster.values())


def served_scores(served: Mapping[str, Sequence[str]], queries: Sequence[Query]) -> dict[str, float]:
    """Mean reciprocal rank by document, in one index of the keywords actually served: the A/B test's score.

    `served`: document id to keywords. Documents without a query are absent. Both arms compete in this index, as they do
    for users, so a document's score depends a little on the other arm's keywords.
    """
    index = Index(served.items())
    scores: dict[str, list[float]] = defaultdict(list)
    for query in queries:
        answers = [answer for answer in query.relevant if answer in served]
        answers_in_order = index.search(query.text) if answers else []
        for answer in answers:
            scores[answer].append(grade(answers_in_order, [answer])[0])
    index.close()
    return {document_id: math.fsum(values) / len(values) for document_id, values in scores.items()}


def _bootstrap(
    llm: Sequence[tuple[float, float, float]],
    frequency: Sequence[tuple[float, float, float]],
    clusters: Sequence[str],
    seed: int,
    resamples: int,
) -> tuple[Scores, Scores, Scores]:
    """Percentile intervals; each resample draws whole clusters with replacement, the same for both methods."""
    import numpy as np  # 0.1 s to import, needed only here

    place = {cluster: i for i, cluster in enumerate(dict.fromkeys(clusters))}
    at = np.array([place[cluster] for cluster in clusters])
    both = np.hstack([np.array(llm), np.array(frequency), np.ones((len(clusters), 1))])
    sums = np.zeros((len(place), 7))
    np.add.at(sums, at, both)
    rng = np.random.default_rng(seed)
    totals = []
    for begin in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - begin)
        totals.append(rng.multinomial(len(place), np.full(len(place), 1.0 / len(place)), size) @ sums)
    whole, again = sums.sum(axis=0), np.vstack(totals)
    means, spread = whole[:6] / whole[6], again[:, :6] / again[:, 6:]

    def interval(estimate: float, values: NDArray[float64]) -> Interval:
        low, high = np.quantile(values, [0.025, 0.975], method="nearest")
        return Interval(
            float(estimate), float(low) if math.isfinite(low) else None, float(high) if math.isfinite(high) else None
        )

    def absolute(i: int) -> Interval:
        return interval(means[i], spread[:, i])

    def relative(i: int) -> Interval | None:
        if not means[3 + i] > 0.0:
            return None
        base = spread[:, 3 + i]
        change = np.divide(spread[:, i], base, out=np.full_like(base, np.inf), where=base > 0.0) - 1.0
        return interval(means[i] / means[3 + i] - 1.0, change)

    return (
        Scores(mrr=absolute(0), ndcg=absolute(1), success=absolute(2)),
        Scores(mrr=absolute(3), ndcg=absolute(4), success=absolute(5)),
        Scores(mrr=relative(0), ndcg=relative(1), success=relative(2)),
    )


def _short(of: Interval | None) -> str:
    return "–" if of is None else f"{of.estimate:.3f}"
