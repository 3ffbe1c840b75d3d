"""From the store to the judgement: the A/B test's results, search quality, and quality review samples."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
from msgspec import Struct

from engine.experiment.analysis import analyse
from engine.experiment.declaration import ArmStats, Declaration
from engine.experiment.moments import Counts, Moments
from engine.metrics import read
from engine.plan.model import Plan
from engine.quality import queries, sample, search
from engine.store import documents, log
from engine.triggers.sample import Ok

SEARCHED = 1500  # of the latest documents: what search quality is measured on
POOL = 2000  # of the latest LLM documents: what a review sample is drawn from


class ReviewRow(Struct, frozen=True):
    """A document to review. `order`: which method's keywords stand first when the review is blind."""

    id: str
    title: str
    text: str
    llm: tuple[str, ...]
    frequency: tuple[str, ...]
    order: str


def search_measure(conn: sqlite3.Connection, seed: int = 0) -> search.SearchQuality:
    """Known-item queries against both methods' keywords, on documents that have both (the LLM's served or in shadow)."""
    rows = conn.execute(
        "SELECT id FROM document WHERE llm IS NOT NULL OR shadow IS NOT NULL ORDER BY updated DESC LIMIT ?", (SEARCHED,)
    ).fetchall()
    found = [documents.get(conn, row[0]) for row in rows]
    both = [
        queries.Document(d.id, d.title, d.text, d.llm or d.shadow or (), d.frequency) for d in found if d is not None
    ]
    return search.search_quality(both, queries.known_items(both, seed=seed), seed=seed)


def improvement(found: search.SearchQuality) -> Ok | None:
    """The relative change of MRR as the gate's sample; None where nothing could be compared."""
    change = found.improvement.mrr
    return Ok(change.estimate, found.queries) if change is not None else None


def test_stage(plan: Plan) -> int | None:
    return next((stage.number for stage in plan.stages if stage.ab_test), None)


def results(conn: sqlite3.Connection, plan: Plan, now: float) -> dict[str, Any]:
    """What `rollout ab-test analyze` writes: the report, and per arm the search quality scores that the plan's script reads."""
    stage = test_stage(plan)
    state = log.read_state(conn)
    started = state.entered_at if stage is not None and state.stage == stage else now
    row = conn.execute("SELECT min(at) FROM decision WHERE kind = 'promote' AND stage = ?", (stage,)).fetchone()
    if row and row[0]:
        started = max(row[0], started) if state.stage == stage else row[0]
    arms = read.moments(conn, stage)
    scores = _scores(conn)
    stats = {
        arm: _with_people(conn, arm, arms.get(arm, ArmStats(0, {})), scores[arm], stage)
        for arm in ("control", "treatment")
    }
    experiment = plan.stages[stage].experiment if stage is not None else None
    days = experiment.duration_s / 86400 if experiment else 7.0
    report = analyse(Declaration(started=started, days=days), stats["control"], stats["treatment"], now)
    return {
        "at": now,
        "stage": stage,
        "verdict": report.verdict.sentence,
        "control": {"documents": stats["control"].documents, "search_quality_scores": scores["control"]},
        "treatment": {"documents": stats["treatment"].documents, "search_quality_scores": scores["treatment"]},
        "report": msgspec.to_builtins(report),
    }


def _scores(conn: sqlite3.Connection) -> dict[str, list[float]]:
    """Each served document's search score, by arm."""
    rows = conn.execute("SELECT id, arm FROM document ORDER BY updated DESC LIMIT ?", (SEARCHED,)).fetchall()
    arm_of = dict(rows)
    found = [d for d in (documents.get(conn, name) for name in arm_of) if d is not None]
    asked = queries.known_items([queries.Document(d.id, d.title, d.text, d.llm or (), d.frequency) for d in found])
    scores = search.served_scores({d.id: d.keywords for d in found}, asked)
    made: dict[str, list[float]] = {"control": [], "treatment": []}
    for name, score in sorted(scores.items()):
        made[arm_of[name]].append(score)
    return made


def _with_people(
    conn: sqlite3.Connection, arm: str, stats: ArmStats, scores: list[float], stage: int | None
) -> ArmStats:
    measures = dict(stats.measures)
    if scores:
        measures["search_quality"] = Moments(len(scores), sum(scores), sum(score * score for score in scores))
    liked, rated = conn.execute(
        "SELECT coalesce(sum(value >= 4), 0), count(*) FROM feedback WHERE kind = 'rating' AND arm = ? AND stage = ?",
        (arm, stage),
    ).fetchone()
    if rated:
        measures["satisfaction"] = Counts(rated, liked)
    clicks, shown = conn.execute(
        "SELECT coalesce(sum(kind = 'click'), 0), coalesce(sum(kind = 'impression'), 0) FROM feedback WHERE arm = ? AND stage = ?",
        (arm, stage),
    ).fetchone()
    if shown:
        measures["click_through"] = Counts(shown, min(clicks, shown))
    return ArmStats(stats.documents, measures)


def draw_sample(conn: sqlite3.Connection, size: int, seed: int) -> tuple[str, ...]:
    """Ids of `size` recent documents that serve LLM keywords; the same seed and documents draw the same sample."""
    pool = [
        row[0]
        for row in conn.execute("SELECT id FROM document WHERE method = 'llm' ORDER BY updated DESC LIMIT ?", (POOL,))
    ]
    return sample.draw(pool, size, seed)


def review_rows(conn: sqlite3.Connection, ids: tuple[str, ...], seed: int) -> list[ReviewRow]:
    found = [documents.get(conn, name) for name in ids]
    return [
        ReviewRow(d.id, d.title, d.text[:4000], d.llm or (), d.frequency, str(sample.blind_order(d.id, seed)))
        for d in found
        if d is not None
    ]
