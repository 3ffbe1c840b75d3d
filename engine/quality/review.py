"""Quality reviews in the store: samples, reviewers' judgements, and their summary.

A sample keeps its documents' keywords as of the draw, so that all reviewers judge the same. It also keeps which method
comes first, so that blind judgements can be mapped back to methods.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from engine.decoding import json_decoder
from engine.quality.agreement import Agreement, Judgement, ReviewVerdict, agreement, review_verdict
from engine.quality.sample import blind_order, draw
from engine.store import documents

POOL = 2000  # a sample is drawn from this many of the latest LLM documents
MOST = 500

Side = Literal["first", "second"]
Flaw = Literal["relevant", "grounded", "count"]  # the mark that a flaw removes
FLAWS: tuple[Flaw, ...] = ("relevant", "grounded", "count")
Better = Literal["first", "second", "same"]


class SampledDocument(Struct, frozen=True):
    """A document of a sample. `first`: the method shown first, to every reviewer."""

    document: str
    title: str
    llm: tuple[str, ...]
    frequency: tuple[str, ...]
    first: Literal["llm", "frequency"]

    def side(self, side: Side) -> tuple[str, ...]:
        return self.llm if (self.first == "llm") == (side == "first") else self.frequency


class Sample(Struct, frozen=True):
    id: int
    at: float
    stage: int
    seed: int
    blind: bool
    actor: str
    documents: tuple[SampledDocument, ...]


class Marks(Struct, frozen=True):
    """One reviewer's marks for a document's LLM keywords; `good`: no mark is missing and frequency is not better.

    `flaws` and `better` record the keys pressed, by side, so that a judgement can be shown and changed.
    """

    good: bool
    relevant: bool
    grounded: bool
    count: bool
    winner: Literal["llm", "frequency", "same"]
    better: Better
    flaws: dict[Side, tuple[Flaw, ...]]

    @property
    def why_not(self) -> list[str]:
        """What keeps the LLM's keywords from being good, in words."""
        found = {"not relevant": self.relevant, "something invented": self.grounded, "wrong number": self.count}
        worse = ["frequency's are better"] if self.winner == "frequency" else []
        return [name for name, well in found.items() if not well] + worse


class StoredJudgement(Struct, frozen=True):
    document: str
    reviewer: str
    at: float
    marks: Marks


_marks = json_decoder(Marks)


def marks(shown: SampledDocument, better: Better, flaws: dict[Side, tuple[Flaw, ...]]) -> Marks:
    """Map a judgement of sides to the methods that were on them."""
    llm_side: Side = "first" if shown.first == "llm" else "second"
    missing = set(flaws.get(llm_side, ()))
    winner: Literal["llm", "frequency", "same"] = "same"
    if better != "same":
        winner = "llm" if better == llm_side else "frequency"
    return Marks(
        not missing and winner != "frequency",
        "relevant" not in missing,
        "grounded" not in missing,
        "count" not in missing,
        winner,
        better,
        flaws,
    )


# -- samples -----------------------------------------------------------------------------------------------------------


def draw_sample(conn: sqlite3.Connection, size: int, seed: int) -> tuple[SampledDocument, ...]:
    """At most `size` recent documents that serve LLM keywords; same seed and documents, same sample."""
    rows = conn.execute(
        "SELECT id FROM document WHERE method = 'llm' ORDER BY updated DESC LIMIT ?", (POOL,)
    ).fetchall()
    chosen = draw((row[0] for row in rows), max(1, min(MOST, size)), seed)
    stored = [documents.get(conn, name) for name in chosen]
    return tuple(
        SampledDocument(d.id, d.title, d.llm or (), d.frequency, blind_order(d.id, seed)[0])
        for d in stored
        if d is not None
    )


def keep_sample(
    conn: sqlite3.Connection,
    at: float,
    stage: int,
    seed: int,
    blind: bool,
    actor: str,
    shown: Sequence[SampledDocument],
) -> int:
    """Store a sample in the caller's transaction; returns its id."""
    names = json.dumps([one.document for one in shown])
    cursor = conn.execute(
        "INSERT INTO review_sample (at, stage, seed, size, blind, documents, actor) VALUES (?,?,?,?,?,?,?)",
        (at, stage, seed, len(shown), blind, names, actor),
    )
    number = int(cursor.lastrowid or 0)
    conn.executemany(
        "INSERT INTO review_document VALUES (?,?,?,?,?,?,?)",
        [
            (number, place, one.document, one.title, json.dumps(one.llm), json.dumps(one.frequency), one.first)
            for place, one in enumerate(shown)
        ],
    )
    return number


def latest_sample(conn: sqlite3.Connection, stage: int, since: float) -> Sample | None:
    """The last sample drawn in this stage since `since`."""
    row = conn.execute(
        "SELECT id FROM review_sample s WHERE stage = ? AND at >= ? AND EXISTS "
        "(SELECT 1 FROM review_document d WHERE d.sample = s.id) ORDER BY id DESC LIMIT 1",
        (stage, since),
    ).fetchone()
    return read_sample(conn, row[0]) if row else None


def read_sample(conn: sqlite3.Connection, number: int) -> Sample | None:
    """A sample as its reviewers saw it; None if there is none with this number."""
    row = conn.execute("SELECT id, at, stage, seed, blind, actor FROM review_sample WHERE id = ?", (number,)).fetchone()
    if row is None:
        return None
    shown = conn.execute(
        "SELECT document_id, title, llm, frequency, first FROM review_document WHERE sample = ? ORDER BY place",
        (number,),
    ).fetchall()
    sample, at, stage, seed, blind, actor = row
    return Sample(
        sample,
        at,
        stage,
        seed,
        bool(blind),
        actor,
        tuple(
            SampledDocument(d, title, tuple(json.loads(a)), tuple(json.loads(b)), first)
            for d, title, a, b, first in shown
        ),
    )


# -- judgements --------------------------------------------------------------------------------------------------------


def keep_judgement(
    conn: sqlite3.Connection, sample: int, document: str, reviewer: str, at: float, marks_given: Marks
) -> None:
    """Store a judgement in the caller's transaction; it replaces the reviewer's earlier one on the document."""
    body = msgspec.json.encode(marks_given).decode()
    conn.execute("INSERT OR REPLACE INTO review VALUES (?,?,?,?,?)", (sample, document, reviewer, at, body))


def judgements(conn: sqlite3.Connection, sample: int) -> tuple[StoredJudgement, ...]:
    rows = conn.execute(
        "SELECT document_id, reviewer, at, body FROM review WHERE sample = ? ORDER BY at, reviewer", (sample,)
    ).fetchall()
    return tuple(StoredJudgement(document, reviewer, at, _marks.decode(body)) for document, reviewer, at, body in rows)


def latest(conn: sqlite3.Connection, stage: int, since: float) -> tuple[Sample | None, tuple[StoredJudgement, ...]]:
    """The last sample of this stage since `since`, and its judgements."""
    sample = latest_sample(conn, stage, since)
    return (sample, judgements(conn, sample.id)) if sample is not None else (None, ())


def verdict(conn: sqlite3.Connection, stage: int, since: float, until: float = math.inf) -> ReviewVerdict:
    """The verdict of all reviews of this stage from `since` to `until`; it counts documents, not answers."""
    rows = conn.execute(
        "SELECT r.document_id, r.reviewer, json_extract(r.body, '$.good') FROM review r "
        "JOIN review_sample s ON s.id = r.sample WHERE s.stage = ? AND r.at >= ? AND r.at <= ? ORDER BY r.at",
        (stage, since, until),
    ).fetchall()
    return review_verdict(Judgement(document, reviewer, "yes" if good else "no") for document, reviewer, good in rows)


class Summary(Struct, frozen=True):
    """A sample so far. `agreement`: on "good"; `by_mark`: on each mark; `winners` counts answers, not documents."""

    reviewers: dict[str, int]  # how many documents each has judged
    verdict: ReviewVerdict
    agreement: Agreement
    by_mark: dict[str, Agreement]
    winners: dict[str, int]
    flaws: dict[str, int]


def summary(judged: Iterable[StoredJudgement]) -> Summary:
    """What the judgements of a sample come to."""
    every = list(judged)

    def answers(name: str) -> list[Judgement]:
        return [Judgement(j.document, j.reviewer, _answer(j.marks, name)) for j in every]

    good = answers("good")
    return Summary(
        dict(Counter(j.reviewer for j in every)),
        review_verdict(good),
        agreement(good),
        {name: agreement(answers(name)) for name in (*FLAWS, "winner")},
        dict(Counter(j.marks.winner for j in every)),
        {name: sum(not getattr(j.marks, name) for j in every) for name in FLAWS},
    )


def _answer(marks_given: Marks, name: str) -> str:
    value = getattr(marks_given, name)
    return value if isinstance(value, str) else "yes" if value else "no"
