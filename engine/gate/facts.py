"""The evidence a gate is judged on: a stage's buckets, and its people's judgements up to a moment."""

from __future__ import annotations

import contextlib
import sqlite3

import msgspec

from engine import bounds
from engine.decoding import json_decoder
from engine.experiment.report import Verdict
from engine.gate.impacts import impacts
from engine.measures.bucket import Bucket
from engine.plan.model import Plan
from engine.rollout import way_back
from engine.rollout.state import State
from engine.rollout.way_back import Setback
from engine.store import series
from engine.triggers.measurement import NoData, Ok, Sample, mean, rate

_verdicts = json_decoder(Verdict)
_samples = json_decoder(Ok)

OF_THE_TEST = ("ab_verdict", "ab_improvement")  # read once, at the declared end of the A/B test
STORED = ("search_improvement", *OF_THE_TEST)


def measured(state: State, bucket: Bucket) -> dict[str, Sample]:
    """The samples of a stage: extractions since the last change of percentage; at 0 %, LLM answers that were not
    served."""
    b = bucket
    if not state.percent_bp and not b.attempts and b.shadow_n:
        b = b.in_shadow()
    return {
        "error_rate": rate(b.errors, b.attempts),
        "latency_mean": mean(b.ms_sum, b.ms_sq, b.fresh),
        "latency_p95": Ok(b.histogram.quantile(0.95) or 0.0, b.fresh) if b.fresh else NoData(),
        "cache_hit_rate": rate(b.hits, b.lookups),
        "grounded_rate": rate(b.proposed - b.ungrounded, b.proposed),
        "documents": Ok(float(b.llm), b.llm),
        "latency_ratio": _latency_ratio(b),
    }


def on_the_way_back(conn: sqlite3.Connection, plan: Plan, setback: Setback, state: State, until: float) -> Bucket:
    """What a return is judged on: recent documents, and where those are too few to show a low error rate, older ones
    too. Otherwise the gate of a quiet service would never open."""
    fewest = max(
        (bounds.documents_for_rate_below(0, c.value, c.confidence)
         for c in way_back.evidence(plan, setback) if c.metric == "error_rate" and 0 < c.value < 1),
        default=0,
    )  # fmt: skip
    reach = way_back.evidence_s(plan, setback)
    while True:
        bucket = series.between(conn, until - reach, until, since_epoch=state.epoch)
        if max(bucket.attempts, bucket.shadow_n) >= fewest or until - reach <= state.changed_at:
            return bucket
        reach *= 2


def _latency_ratio(b: Bucket) -> Sample:
    """Of the LLM arm's mean to the frequency arm's."""
    if b.mean_ms is None or not b.plain_mean_ms:
        return NoData()
    return Ok(b.mean_ms / b.plain_mean_ms, min(b.fresh, b.plain_n))


def incidents(conn: sqlite3.Connection, state: State) -> Sample:
    """Triggers that acted, and rollbacks in force, since the stage was entered."""
    count = conn.execute(
        "SELECT count(*) FROM decision WHERE kind IN ('trigger', 'rollback') AND at >= ? AND rev <= ? AND rev > "
        "coalesce((SELECT max(rev) FROM decision WHERE kind = 'promote' AND stage = ? AND rev <= ?), 0)",
        (state.entered_at, state.last_rev, state.stage, state.rev),
    ).fetchone()[0]
    return Ok(float(count), count)


def negative(conn: sqlite3.Connection, state: State, until: float | None = None) -> tuple[Sample, str]:
    """Incidents and what the stage's A/B test found worse: the count, and in words."""
    happened = incidents(conn, state)
    verdict = _verdict(conn, state, until)
    worse, harmful = (verdict.worse, verdict.harmful) if verdict is not None else ((), ())
    count, sentence = impacts(happened.n if isinstance(happened, Ok) else 0, worse, harmful)
    return Ok(float(count), count), sentence


def tested(conn: sqlite3.Connection, state: State) -> str:
    """What the stage's A/B test found, in words: "no: better, but short of target"."""
    verdict = _verdict(conn, state, None)
    if verdict is None:
        return ""
    if verdict.word == "short of target":
        return f"no: better, but {verdict.word}"
    return f"{'yes' if verdict.word == 'ship' else 'no'}: {verdict.word}"


def _verdict(conn: sqlite3.Connection, state: State, until: float | None) -> Verdict | None:
    """The test's verdict so far; for a past moment, the verdict at its last look before then."""
    if until is None:
        row = conn.execute(
            "SELECT json_extract(report, '$.verdict') FROM trial WHERE stage = ? AND started >= ? ORDER BY id "
            "DESC LIMIT 1",
            (state.stage, state.entered_at),
        ).fetchone()
    else:
        row = conn.execute(
            "SELECT json_extract(body, '$.verdict') FROM measure WHERE kind = 'ab_report' AND at >= ? AND at <= "
            "? ORDER BY at DESC LIMIT 1",
            (state.entered_at, until),
        ).fetchone()
    with contextlib.suppress(msgspec.MsgspecError):  # from another version: ignored
        return _verdicts.decode(row[0]) if row is not None and row[0] is not None else None
    return None


def rated(conn: sqlite3.Connection, stage: int, since: float, until: float | None = None) -> Sample:
    """Ratings of 4 or 5 among all of a stage."""
    liked, count = conn.execute(
        "SELECT coalesce(sum(value >= 4), 0), count(*) FROM feedback WHERE kind = 'rating' AND stage = ? "
        "AND at >= ? AND at <= ?",
        (stage, since, until if until is not None else 1e300),
    ).fetchone()
    return rate(liked, count)


def stored(conn: sqlite3.Connection, metric: str, since: float, until: float | None = None) -> Sample:
    """The last measurement of a metric that is measured only occasionally."""
    row = conn.execute(
        "SELECT body FROM measure WHERE kind = ? AND at >= ? AND at <= ? ORDER BY at DESC LIMIT 1",
        (metric, since, until if until is not None else 1e300),
    ).fetchone()
    return _samples.decode(row[0]) if row else NoData()
