"""What people and measurements gave a gate's condition to count, one by one; the LLM's requests are in
`engine.metrics.requests`."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

LISTED = 500


class GateSample(Struct, frozen=True):
    """One thing that was counted. `good` is None if it speaks neither for nor against, and in a blind sample, whose
    methods stay hidden."""

    at: float
    document: str
    title: str
    good: bool | None
    by: str
    text: str


_REVIEWS = (
    "SELECT r.at AS at, r.document_id, coalesce(d.title, ''), CASE WHEN NOT s.blind THEN "
    "json_extract(r.body, '$.good') END AS good, r.reviewer, CASE WHEN s.blind THEN 'in a blind sample' WHEN "
    "json_extract(r.body, '$.good') THEN 'good' ELSE 'not good' END FROM review r JOIN review_sample s ON "
    "s.id = r.sample LEFT JOIN document d ON d.id = r.document_id WHERE s.stage = :stage AND r.at BETWEEN "
    ":since AND :until"
)
_FEEDBACK = (
    "SELECT f.at AS at, coalesce(f.document_id, ''), coalesce(d.title, ''), {} AS good, f.source, {} FROM feedback f "
    "LEFT JOIN document d ON d.id = f.document_id WHERE f.kind = '{}' AND f.stage = :stage AND f.at BETWEEN "
    ":since AND :until"
)
_MEASURED = (
    "SELECT at, '' AS document, '' AS title, NULL AS good, 'the engine', coalesce(json_extract(body, "
    "'$.value'), '') || ' (n ' || coalesce(json_extract(body, '$.n'), '?') || ')' FROM measure WHERE kind = "
    ":metric AND at BETWEEN :since AND :until"
)
_INCIDENTS = (
    "SELECT at, '' AS document, '' AS title, 0 AS good, actor, coalesce(json_extract(body, '$.sentence'), "
    "reason) FROM decision WHERE kind IN ('trigger', 'rollback') AND at BETWEEN :since AND :until"
)
_QUERY = {
    "quality_score": _REVIEWS,
    "satisfaction": _FEEDBACK.format("f.value >= 4", "'rating ' || f.value", "rating"),
    "complaints": _FEEDBACK.format("0", "f.text", "complaint"),
    "search_improvement": _MEASURED,
    "ab_verdict": _MEASURED,
    "ab_improvement": _MEASURED,
    "critical_incidents": _INCIDENTS,
    "negative_impacts": _INCIDENTS,
}


def has_samples(metric: str) -> bool:
    """Whether `samples` can list what this metric counted."""
    return metric in _QUERY


def samples(conn: sqlite3.Connection, metric: str, stage: int, since: float, until: float) -> list[GateSample]:
    """What a metric counted in a stage, what speaks against it first, then the newest."""
    rows = conn.execute(
        f"SELECT * FROM ({_QUERY[metric]}) ORDER BY good IS NOT 0, at DESC LIMIT :limit",
        {"metric": metric, "stage": stage, "since": since, "until": until, "limit": LISTED},
    )
    return [
        GateSample(at, document, title, None if good is None else bool(good), by, str(text))
        for at, document, title, good, by, text in rows
    ]
