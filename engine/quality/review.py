"""Quality review from the store: a sample as it was drawn and shown, what reviewers judged, and what it says together.

A sample keeps its documents' keywords as they were when it was drawn, so that all reviewers judge the same; and, drawn with it,
which method's stands first, so that a blind judgement is read back without anyone having to know.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from engine.quality.agreement import Agreement, Judgement, ReviewVerdict, agreement, review_verdict
from engine.quality.sample import blind_order, draw
from engine.store import documents

POOL = 2000  # of the latest LLM documents: what a sample is drawn from
MOST = 500

Side = Literal["first", "second"]
Flaw = Literal["relevant", "grounded", "count"]  # the mark that a flaw takes away
FLAWS: tuple[Flaw, ...] = ("relevant", "grounded", "count")
Better = Literal["first", "second", "same"]


class Shown(Struct, frozen=True):
    """A document of a sample. `first`: the method whose keywords stand first, for every reviewer."""

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
    documents: tuple[Shown, ...]


class Marks(Struct, frozen=True):
    """What one reviewer said of one document's LLM keywords; `good` when no mark is missing and frequency is not better.

    `flaws` and `better` are what was pressed, by side, so that a judgement can be shown again and changed.
    """

    good: bool
    relevant: bool
    grounded: bool
    count: bool
    winner: Literal["llm", "frequency", "same"]
    better: Better
    flaws: dict[Side, tuple[Flaw, ...]]


class Judged(Struct, frozen=True):
    document: str
    reviewer: str
    at: float
    marks: Marks


_marks = msgspec.json.Decoder(Marks)


def marks(shown: Shown, better: Better, flaws: dict[Side, tuple[Flaw, ...]]) -> Marks:
    """Read a judgement back to the methods: what was said of a side was said of the method that stood there."""
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


# -- samples ---------------------------------------------------------------------------------------------------------------


def draw_sample(conn: sqlite3.Connection, size: int, seed: int) -> tuple[Shown, ...]:
    """At most `size` recent documents that serve LLM keywords; the same seed and documents draw the same sample."""
    rows = conn.execute(
        "SELECT id FROM document WHERE method = 'llm' ORDER BY updated DESC LIMIT ?", (POOL,)
    ).fetchall()
    chosen = draw((row[0] for row in rows), max(1, min(MOST, size)), seed)
    found = [documents.get(conn, name) for name in chosen]
    return tuple(
        Shown(d.id, d.title, d.llm or (), d.frequency, blind_order(d.id, seed)[0]) for d in found if d is not None
    )


def keep_sample(
    conn: sqlite3.Connection, at: float, stage: int, seed: int, blind: bool, actor: str, shown: Sequence[Shown]
) -> int:
    """Store it inside the caller's transaction; its id."""
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


def latest_sample(conn: sqlite3.Connection, stage: int, since: float = 0.0) -> Sample | None:
    """The last one drawn in this stage, since then."""
    row = conn.execute(
        "SELECT id FROM review_sample s WHERE stage = ? AND at >= ? AND EXISTS "
        "(SELECT 1 FROM review_document d WHERE d.sample = s.id) ORDER BY id DESC LIMIT 1",
        (stage, since),
    ).fetchone()
    return read_sample(conn, row[0]) if row else None


def read_sample(conn: sqlite3.Connection, number: int) -> Sample | None:
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
        tuple(Shown(d, title, tuple(json.loads(a)), tuple(json.loads(b)), first) for d, title, a, b, first in shown),
    )


# -- judgements ------------------------------------------------------------------------------------------------------------


def keep_judgement(
    conn: sqlite3.Connection, sample: int, document: str, reviewer: str, at: float, found: Marks
) -> None:
    """Inside the caller's transaction; a reviewer's last word on a document counts."""
    body = msgspec.json.encode(found).decode()
    conn.execute("INSERT OR REPLACE INTO review VALUES (?,?,?,?,?)", (sample, document, reviewer, at, body))


def judgements(conn: sqlite3.Connection, sample: int) -> tuple[Judged, ...]:
    rows = conn.execute(
        "SELECT document_id, reviewer, at, body FROM review WHERE sample = ? ORDER BY at, reviewer", (sample,)
    ).fetchall()
    return tuple(Judged(document, reviewer, at, _marks.decode(body)) for document, reviewer, at, body in rows)


def latest(conn: sqlite3.Connection, stage: int, since: float) -> tuple[Sample | None, tuple[Judged, ...]]:
    """The last sample of this stage since then, and what was judged of it."""
    sample = latest_sample(conn, stage, since)
    return (sample, judgements(conn, sample.id)) if sample is not None else (None, ())


def verdict(conn: sqlite3.Connection, stage: int, since: float, until: float | None = None) -> ReviewVerdict:
    """What all reviews of this stage since then, up to `until`, say together: documents, not answers, are counted."""
    rows = conn.execute(
        "SELECT r.document_id, r.reviewer, json_extract(r.body, '$.good') FROM review r JOIN review_sample s ON s.id = r.sample "
        "WHERE s.stage = ? AND r.at >= ? AND r.at <= ? ORDER BY r.at",
        (stage, since, until if until is not None else 1e300),
    ).fetchall()
    return review_verdict(Judgement(document, reviewer, "yes" if good else "no") for document, reviewer, good in rows)


class Summary(Struct, frozen=True):
    """A sample so far. `agreement` is about "good"; `by_mark` about each mark; `winners` counts answers, not documents."""

    reviewers: dict[str, int]  # how many documents each has judged
    verdict: ReviewVerdict
    agreement: Agreement
    by_mark: dict[str, Agreement]
    winners: dict[str, int]
    flaws: dict[str, int]


def summary(found: Iterable[Judged]) -> Summary:
    every = list(found)

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


def _answer(found: Marks, name: str) -> str:
    value = getattr(found, name)
    return value if isinstance(value, str) else "yes" if value else "no"
