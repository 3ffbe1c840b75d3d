"""Do reviewers agree, and what is their joint verdict?

Kappa is agreement beyond what the reviewers' habits produce by chance: 1 is perfect, 0 is chance. If everyone always
gives the same answer, chance agreement is complete too, so kappa is unknown, not 1; raw agreement is shown beside it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist

from msgspec import Struct

from engine.experiment.effects import Interval, wilson
from engine.experiment.moments import Counts, Moments
from engine.text import rate_percent

_NORMAL = NormalDist()
# Landis and Koch 1977, table on p. 165.
_WORDS = ((0.0, "slight"), (0.2, "fair"), (0.4, "moderate"), (0.6, "substantial"), (0.8, "almost perfect"))


class Judgement(Struct, frozen=True):
    """One reviewer's answer to one question about one document; `answer` is any short word ("yes", "no", "3")."""

    document_id: str
    reviewer: str
    answer: str


class Agreement(Struct, frozen=True):
    """`documents` were judged by two or more. `observed` is the share of agreeing pairs; `kappa` with its 95 %
    interval.
    """

    method: str  # "Cohen's kappa", "Fleiss' kappa", or "" with no one to compare
    reviewers: int
    documents: int
    observed: float | None
    kappa: Interval | None
    word: str
    sentence: str


class ReviewVerdict(Struct, frozen=True):
    """`good`: documents that most of their reviewers judged good; ties do not count. `interval` is Wilson's, 95 %."""

    documents: int
    good: int
    ties: int
    interval: Interval | None
    sentence: str


def cohen(first: Sequence[str], second: Sequence[str]) -> Interval | None:
    """Cohen's kappa (1960) of two reviewers of the same documents, in the same order.

    Interval by Fleiss, Cohen and Everitt (1969). None without documents or when chance agreement is complete.
    ValueError when the lists differ in length.
    """
    n = len(first)
    if n != len(second):
        raise ValueError(f"two reviewers judged {n} and {len(second)} documents; kappa needs the same documents")
    if n == 0:
        return None
    cells = Counter(zip(first, second, strict=True))
    rows, columns = Counter(first), Counter(second)
    answers = sorted(set(rows) | set(columns))
    observed = sum(cells[a, a] for a in answers) / n
    chance = sum(rows[a] * columns[a] for a in answers) / (n * n)
    if math.isclose(chance, 1.0):
        return None
    kappa = (observed - chance) / (1.0 - chance)
    rest = 1.0 - kappa
    agree = sum(cells[a, a] / n * (1.0 - (rows[a] + columns[a]) / n * rest) ** 2 for a in answers)
    differ = sum(cells[a, b] / n * ((columns[a] + rows[b]) / n) ** 2 for a in answers for b in answers if a != b)
    variance = (agree + rest * rest * differ - (kappa - chance * rest) ** 2) / (n * (1.0 - chance) ** 2)
    return _around(kappa, variance)


def fleiss(table: Sequence[Mapping[str, int]]) -> Interval | None:
    """Fleiss' kappa (1971): per document, how many reviewers gave each answer.

    Documents may have had different numbers of reviewers, at least two each (others are left out); each document counts
    once. Interval by the delete-one jackknife over documents. None with nothing to compare, or when chance agreement is
    complete.
    """
    documents = [(_pairs(row), _shares(row)) for row in table if sum(row.values()) >= 2]
    n, observed = len(documents), math.fsum(agreeing for agreeing, _ in documents)
    shares: dict[str, float] = defaultdict(float)
    for _, given in documents:
        for answer, share in given.items():
            shares[answer] += share
    kappa = _beyond_chance(n, observed, shares)
    if kappa is None:
        return None
    left_out = []
    for agreeing, given in documents:
        without = {answer: total - given.get(answer, 0.0) for answer, total in shares.items()}
        left_out.append(_beyond_chance(n - 1, observed - agreeing, without))
    pieces = [piece for piece in left_out if piece is not None]
    if n < 2 or len(pieces) < n:
        return Interval(kappa, None, None)
    return _around(kappa, (Moments.of(pieces).variance or 0.0) * (n - 1) ** 2 / n)


def _pairs(row: Mapping[str, int]) -> float:
    """The share of reviewer pairs that agree on this document."""
    n = sum(row.values())
    return sum(count * (count - 1) for count in row.values()) / (n * (n - 1))


def _shares(row: Mapping[str, int]) -> dict[str, float]:
    n = sum(row.values())
    return {answer: count / n for answer, count in row.items()}


def _beyond_chance(n: int, observed: float, shares: Mapping[str, float]) -> float | None:
    if n < 1:
        return None
    chance = math.fsum((share / n) ** 2 for share in shares.values())
    return None if math.isclose(chance, 1.0) else (observed / n - chance) / (1.0 - chance)


def _around(kappa: float, variance: float) -> Interval:
    width = _NORMAL.inv_cdf(0.975) * math.sqrt(max(0.0, variance))
    return Interval(kappa, max(-1.0, kappa - width), min(1.0, kappa + width))


def agreement(judgements: Iterable[Judgement]) -> Agreement:
    """Agreement on the documents judged by two or more: Cohen's kappa for two reviewers, Fleiss' for more.

    A reviewer's last answer on a document counts.
    """
    answers = _by_document(judgements)
    shared = {document: given for document, given in answers.items() if len(given) >= 2}
    reviewers = sorted({reviewer for given in shared.values() for reviewer in given})
    if not shared:
        everyone = {reviewer for given in answers.values() for reviewer in given}
        sentence = "No two reviewers have judged the same document, so agreement is unknown."
        return Agreement("", len(everyone), 0, None, None, "unknown", sentence)
    tables = [Counter(given.values()) for given in shared.values()]
    observed = math.fsum(_pairs(table) for table in tables) / len(tables)
    if len(reviewers) == 2:
        one, other = reviewers
        method = "Cohen's kappa"
        kappa = cohen([given[one] for given in shared.values()], [given[other] for given in shared.values()])
    else:
        method, kappa = "Fleiss' kappa", fleiss(tables)
    seen = f"{len(reviewers)} reviewers, {len(shared)} documents in common, {rate_percent(observed, 0)} agreement"
    if kappa is None:
        return Agreement(
            method,
            len(reviewers),
            len(shared),
            observed,
            None,
            "unknown",
            f"{seen}; all answers are the same, so kappa is unknown.",
        )
    word = next((word for least, word in reversed(_WORDS) if kappa.estimate > least), "poor")
    bounds = "" if kappa.low is None or kappa.high is None else f" [{kappa.low:.2f}, {kappa.high:.2f}]"
    sentence = f"{method} {kappa.estimate:.2f}{bounds}, {word}: {seen}."
    return Agreement(method, len(reviewers), len(shared), observed, kappa, word, sentence)


def review_verdict(judgements: Iterable[Judgement]) -> ReviewVerdict:
    """The share of documents judged "yes", with Wilson's interval. A document has one vote, its majority: the sample
    is of documents, and three reviewers of twenty documents are not sixty documents.
    """
    answers = _by_document(judgements)
    yes = ties = 0
    for given in answers.values():
        votes = sum(answer == "yes" for answer in given.values())
        yes += 2 * votes > len(given)
        ties += 2 * votes == len(given)
    counts = Counts(len(answers), yes)
    interval = wilson(counts)
    if interval is None or interval.low is None or interval.high is None:
        return ReviewVerdict(0, 0, 0, None, "No document has been reviewed.")
    split = f", {ties} undecided" if ties else ""
    sentence = (
        f"{yes} of {counts.n} reviewed documents are good{split}: "
        f"{rate_percent(interval.estimate, 0)}, between {rate_percent(interval.low, 0)} and "
        f"{rate_percent(interval.high, 0)} (both bounds at 95 %)."
    )
    return ReviewVerdict(counts.n, yes, ties, interval, sentence)


def _by_document(judgements: Iterable[Judgement]) -> dict[str, dict[str, str]]:
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for judgement in judgements:
        answers[judgement.document_id][judgement.reviewer] = judgement.answer
    return dict(answers)
