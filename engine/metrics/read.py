"""Reading the buckets: windows, curves, stages, totals. Never the raw rows, so that no cost grows with history.

A window is cut at its own two ends: whole hours in the middle, minutes towards its ends, ten seconds at the ends. What retention
has taken away is left out of the oldest end (at most an hour), never guessed.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from engine.metrics.bucket import Bucket, decode
from engine.metrics.rollup import ALL, LEVELS
from engine.store.records import Arm

WINDOWS = (3600.0, 86400.0, 7 * 86400.0, 30 * 86400.0)


# -- windows -------------------------------------------------------------------------------------------------------------


def window(
    conn: sqlite3.Connection, now: float, seconds: float, arm: Arm | None = None, since_epoch: int | None = None
) -> Bucket:
    """Everything of the last `seconds`, to 10 s: nothing older than asked, the ten seconds of `now` included.

    `since_epoch`: only what was extracted since the change of percentage that began this epoch. At most 200 buckets are read of
    each series, and one more for each hour.
    """
    return between(conn, now - seconds, math.floor(now / 10) * 10 + 10, arm, since_epoch)


def between(
    conn: sqlite3.Connection, start: float, end: float, arm: Arm | None = None, since_epoch: int | None = None
) -> Bucket:
    """Everything with start <= at < end, to 10 s (buckets that begin before `start` or end after `end` are left out)."""
    made = Bucket()
    for level, low, high in _cut(start, end, len(LEVELS) - 1):
        for _, body in _rows(conn, level, low, high, arm, since_epoch):
            made.merge(decode(body))
    return made


def _cut(start: float, end: float, at: int) -> Iterator[tuple[int, int, int]]:
    """(level, from, to) that tile start..end, the coarsest in the middle."""
    level = LEVELS[at]
    low, high = math.ceil(start / level) * level, math.floor(end / level) * level
    if low < high:
        if at:
            yield from _cut(start, low, at - 1)
        yield level, low, high
        if at:
            yield from _cut(high, end, at - 1)
    elif at:
        yield from _cut(start, end, at - 1)


def since_change(conn: sqlite3.Connection, epoch: int, arm: Arm | None = None) -> Bucket:
    """Everything since the change of percentage that began `epoch`, however long ago."""
    return Bucket.merged(decode(body) for _, body in _rows(conn, ALL, 0, 1, arm, epoch))


def total(conn: sqlite3.Connection, arm: Arm | None = None) -> Bucket:
    """Everything ever."""
    return since_change(conn, 0, arm)


def stage_summary(
    conn: sqlite3.Connection, stage: int, arm: Arm | None = None, since_epoch: int | None = None
) -> Bucket:
    """Everything of a stage, all its visits unless `since_epoch` says from which on."""
    found = _rows(conn, ALL, 0, 1, arm, since_epoch, stage)
    return Bucket.merged(decode(body) for _, body in found)


def buckets(
    conn: sqlite3.Connection,
    level: int,
    start: float,
    end: float,
    arm: Arm | None = None,
    since_epoch: int | None = None,
) -> list[tuple[int, str, str, Bucket]]:
    """(t, arm, method, bucket) of one level with start <= t < end, oldest first."""
    where, given = _where(level, start, end, arm, since_epoch, None)
    found = conn.execute(f"SELECT t, arm, method, body FROM rollup WHERE {where} ORDER BY t", given).fetchall()
    return [(t, its_arm, method, decode(body)) for t, its_arm, method, body in found]


def _rows(
    conn: sqlite3.Connection,
    level: int,
    start: float,
    end: float,
    arm: Arm | None,
    since_epoch: int | None,
    stage: int | None = None,
) -> list[tuple[int, bytes]]:
    where, given = _where(level, start, end, arm, since_epoch, stage)
    return conn.execute(f"SELECT t, body FROM rollup WHERE {where}", given).fetchall()


def _where(
    level: int, start: float, end: float, arm: Arm | None, since_epoch: int | None, stage: int | None
) -> tuple[str, list[object]]:
    where = "level = ? AND t >= ? AND t < ?"
    given: list[object] = [level, math.ceil(start), end]
    for clause, value in ((" AND arm = ?", arm), (" AND epoch >= ?", since_epoch), (" AND stage = ?", stage)):
        if value is not None:
            where += clause
            given.append(value)
    return where, given


# -- curves --------------------------------------------------------------------------------------------------------------

Of = Callable[[Bucket], float | None]

# What each number is on the LLM arm, and the same number on the frequency arm where there is one.
_BOTH: dict[str, tuple[Of, Of]] = {
    "error_rate": (lambda b: b.error_rate, lambda b: b.plain_error_rate),
    "latency_mean": (lambda b: b.mean_ms, lambda b: b.plain_mean_ms),
    "latency_p50": (lambda b: b.histogram.quantile(0.5), lambda b: b.plain_histogram.quantile(0.5)),
    "latency_p95": (lambda b: b.histogram.quantile(0.95), lambda b: b.plain_histogram.quantile(0.95)),
    "latency_p99": (lambda b: b.histogram.quantile(0.99), lambda b: b.plain_histogram.quantile(0.99)),
}
_ONE: dict[str, Of] = {
    "cache_hit_rate": lambda b: b.hit_rate,
    "fallback_rate": lambda b: b.fallbacks / b.attempts if b.attempts else None,
    "grounded_rate": lambda b: b.grounded_rate,
    "keywords_mean": lambda b: b.keywords_mean,
    "queue_mean": lambda b: b.queue_mean_ms,
}
# Of all documents, whatever arm was asked for.
_SHARES: dict[str, Of] = {
    "llm_share": lambda b: b.llm / b.n if b.n else None,
    "frequency_share": lambda b: b.frequency / b.n if b.n else None,
}
# Counts are divided among the points that a bucket overlaps, and are 0, not unknown, where there were none.
_COUNTS: dict[str, Callable[[Bucket], int]] = {
    "documents": lambda b: b.n,
    "llm_documents": lambda b: b.llm,
    "frequency_documents": lambda b: b.frequency,
    "fallbacks": lambda b: b.fallbacks,
    "errors": lambda b: b.errors,
    "attempts": lambda b: b.attempts,
}
METRICS = (*_BOTH, *_ONE, *_SHARES, *_COUNTS)


def series(
    conn: sqlite3.Connection, metric: str, start: float, end: float, points: int, arm: Arm | None = "treatment"
) -> list[tuple[float, float | None]]:
    """`points` values, oldest first, each at the start of its span; None where nothing was measured. KeyError: no such metric.

    Times in ms, rates 0..1, counts in documents a point.
    """
    return series_of(conn, (metric,), start, end, points, arm)[metric]


def series_of(
    conn: sqlite3.Connection,
    metrics: Sequence[str],
    start: float,
    end: float,
    points: int,
    arm: Arm | None = "treatment",
) -> dict[str, list[tuple[float, float | None]]]:
    """Several curves of the same span for the cost of one."""
    for metric in metrics:
        if metric not in METRICS:
            raise KeyError(f'there is no metric "{metric}"; there are {", ".join(METRICS)}')
    drawn = _draw(conn, metrics, start, end, points)
    span = (end - start) / points
    times = [start + number * span for number in range(points)]
    return {metric: list(zip(times, drawn.values(metric, arm), strict=True)) for metric in metrics}


class _Drawn:
    """Buckets sorted into the points of a curve, by arm; and the counts among the metrics, divided."""

    def __init__(self, metrics: Sequence[str], points: int) -> None:
        self.of: dict[str, list[Bucket | None]] = {"treatment": [None] * points, "control": [None] * points}
        self.counts = {name: [0.0] * points for name in metrics if name in _COUNTS}
        self.known = [False] * points

    def values(self, metric: str, arm: Arm | None) -> list[float | None]:
        if metric in _COUNTS:
            return [value if known else None for value, known in zip(self.counts[metric], self.known, strict=True)]
        if metric in _SHARES:
            both = zip(self.of["treatment"], self.of["control"], strict=True)
            return [_SHARES[metric](Bucket.merged(b for b in pair if b is not None)) for pair in both]
        of = _BOTH[metric][arm == "control"] if metric in _BOTH else _ONE[metric]
        return [of(bucket) if bucket is not None else None for bucket in self.of[arm or "treatment"]]


def _draw(conn: sqlite3.Connection, metrics: Sequence[str], start: float, end: float, points: int) -> _Drawn:
    span = (end - start) / points
    level = _level(conn, start, end, span)
    drawn = _Drawn(metrics, points)
    where, given = _where(level, math.floor(start / level) * level, end, None, None, None)
    for t, arm, body in conn.execute(f"SELECT t, arm, body FROM rollup WHERE {where}", given).fetchall():
        bucket = decode(body)
        low, high = max(0.0, (t - start) / span), min(float(points), (t + level - start) / span)
        touched = range(int(low), math.ceil(high))
        # A rate or a quantile cannot be divided: a bucket wider than a point shows in each that it covers.
        for place in touched if level > span else (min(points - 1, int((low + high) / 2)),):
            held = drawn.of[arm][place]
            if held is None:
                drawn.of[arm][place] = held = Bucket()
            held.merge(bucket)
        for name, counts in drawn.counts.items():
            value = _COUNTS[name](bucket) * span / level
            if value:
                for place in touched:
                    counts[place] += value * (min(high, place + 1) - max(low, place))
    first = began(conn)
    if first is not None:
        drawn.known = [start + (number + 1) * span > first for number in range(points)]
    return drawn


def began(conn: sqlite3.Connection) -> int | None:
    """When the first extraction ever was stored, as exactly as is still known."""
    hour: int | None = conn.execute("SELECT min(t) FROM rollup WHERE level = 3600").fetchone()[0]
    if hour is None:
        return None
    first: int | None = conn.execute("SELECT min(t) FROM rollup WHERE level = 10 AND t >= ?", (hour,)).fetchone()[0]
    return first if first is not None and first < hour + 3600 else hour


def _level(conn: sqlite3.Connection, start: float, end: float, span: float) -> int:
    """The widest level that a point holds whole; a wider one where retention has already taken that."""
    for level in LEVELS[:-1]:
        wider = LEVELS[LEVELS.index(level) + 1]
        if wider <= span:
            continue
        kept = conn.execute("SELECT min(t) FROM rollup WHERE level = ?", (level,)).fetchone()[0]
        until = end if kept is None else min(end, kept)
        query = "SELECT 1 FROM rollup WHERE level = 3600 AND t >= ? AND t <= ? LIMIT 1"
        if conn.execute(query, (math.ceil(start / 3600) * 3600, until - 3600)).fetchone() is None:
            return level
    return LEVELS[-1]


# -- trends --------------------------------------------------------------------------------------------------------------


class Trend(Struct, frozen=True):
    """The plan's historical trends over one window: `values` by metric, one for each of `times` (the start of its span).

    `treatment` and `control` are the whole window; `documents_ever` is the total since the store began.
    """

    window_s: float
    span_s: float
    times: tuple[float, ...]
    values: dict[str, tuple[float | None, ...]]
    treatment: Bucket
    control: Bucket
    documents_ever: int


TREND_METRICS = (
    "documents", "llm_share", "frequency_share", "error_rate", "latency_mean", "latency_p50", "latency_p95", "latency_p99",
    "cache_hit_rate", "fallback_rate",
)  # fmt: skip
_POINTS = {3600.0: 60, 86400.0: 96, 7 * 86400.0: 84, 30 * 86400.0: 60}


def trends(conn: sqlite3.Connection, now: float, window_s: float = WINDOWS[2], points: int | None = None) -> Trend:
    """Documents, methods, errors, latency and cache over the last `window_s`: 1 h by minutes, 24 h by quarters of an hour, 7 d
    by two hours, 30 d by half days."""
    points = points or _POINTS.get(window_s, 60)
    span = window_s / points
    end = math.floor(now / span) * span + span
    drawn = _draw(conn, TREND_METRICS, end - window_s, end, points)
    return Trend(
        window_s,
        span,
        tuple(end - window_s + number * span for number in range(points)),
        {metric: tuple(drawn.values(metric, "treatment")) for metric in TREND_METRICS},
        between(conn, end - window_s, end, "treatment"),
        between(conn, end - window_s, end, "control"),
        total(conn).n,
    )
