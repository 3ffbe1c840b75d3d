"""Reading the buckets: windows, curves, stages, totals. Never the raw rows, so cost does not grow with history.

A window uses the widest buckets in the middle, narrower ones towards its ends, and ten-second ones at the ends. Where
retention has deleted the narrow ones, the oldest end is shortened (by at most an hour), never estimated. A curve uses
the widest buckets that still give it 60 steps, so that no curve reads more than a few hundred.

Closed buckets have the same bytes at every refresh. Results are cached by those bytes, so they cannot be stale, and a
refresh costs only the open buckets.
"""

from __future__ import annotations

import itertools
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache

from engine.measures.bucket import Arms, Bucket
from engine.measures.record import Arm, SeenArm
from engine.store.rollup import ALL, LEVELS

STEPS = 60


# -- windows -----------------------------------------------------------------------------------------------------------


def window(
    conn: sqlite3.Connection, now: float, seconds: float, arm: Arm | None = None, since_epoch: int | None = None
) -> Bucket:
    """Everything in the last `seconds`, to 10 s: nothing older than asked, the ten seconds of `now` included.

    `since_epoch`: only extractions since that epoch began. Reads at most 28 buckets, plus one for each 6 h.
    """
    return between(conn, now - seconds, math.floor(now / 10) * 10 + 10, arm, since_epoch)


def between(
    conn: sqlite3.Connection, start: float, end: float, arm: Arm | None = None, since_epoch: int | None = None
) -> Bucket:
    """Everything with start <= at < end, to 10 s (buckets that begin before `start` or end after `end` are left
    out)."""
    return _between(conn, start, end, since_epoch).of(arm)


def _between(conn: sqlite3.Connection, start: float, end: float, since_epoch: int | None) -> Arms:
    cuts = _cut(start, end, len(LEVELS) - 1)
    return Arms.merged(_decoded(body) for cut in cuts for _, body in _rows(conn, *cut, since_epoch))


@lru_cache(maxsize=2048)
def _decoded(body: bytes) -> Arms:
    """Shared by every caller: merge it into another bucket, never another into it."""
    arms = Arms.decode(body)
    for bucket in (arms.treatment, arms.control):
        bucket.histogram.pack()
        bucket.plain_histogram.pack()
        bucket.shadow_histogram.pack()
    return arms


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


def since_change(conn: sqlite3.Connection, epoch: int) -> Bucket:
    """Everything since `epoch` began, however long ago."""
    return stage_summary(conn, None, since_epoch=epoch)


def total(conn: sqlite3.Connection, arm: Arm | None = None) -> Bucket:
    """Everything ever."""
    return stage_summary(conn, None, arm)


def by_stage(conn: sqlite3.Connection) -> tuple[tuple[int, Arms], ...]:
    """(stage, all its documents over all its visits), in the plan's order."""
    rows = conn.execute("SELECT stage, body FROM rollup WHERE level = ? ORDER BY stage", (ALL,))
    grouped = itertools.groupby(rows, key=lambda row: int(row[0]))
    return tuple((stage, Arms.merged(_decoded(body) for _, body in parts)) for stage, parts in grouped)


def stage_summary(
    conn: sqlite3.Connection, stage: int | None, arm: Arm | None = None, since_epoch: int | None = None
) -> Bucket:
    """Everything of a stage (None: all stages), over all visits unless `since_epoch` sets the first epoch."""
    return Arms.merged(_decoded(body) for _, body in _rows(conn, ALL, 0, 1, since_epoch, stage)).of(arm)


def buckets(
    conn: sqlite3.Connection,
    level: int,
    start: float,
    end: float,
    arm: Arm | None = None,
    epochs: tuple[int, int] | None = None,
    stage: int | None = None,
) -> list[tuple[int, Bucket]]:
    """(t, bucket) of one level with start <= t < end, oldest first; several per t where stage or epoch changed in it.

    `epochs`: [first, past the last).
    """
    first, beyond = epochs or (None, None)
    rows = _rows(conn, level, start, end, first, stage, beyond)
    return [(t, Arms.decode(body).of(arm)) for t, body in rows]


def _rows(
    conn: sqlite3.Connection,
    level: int,
    start: float,
    end: float,
    since_epoch: int | None = None,
    stage: int | None = None,
    before_epoch: int | None = None,
) -> list[tuple[int, bytes]]:
    where = "level = ? AND t >= ? AND t < ?"
    given: list[object] = [level, math.ceil(start), end]
    limits = (" AND epoch >= ?", since_epoch), (" AND epoch < ?", before_epoch), (" AND stage = ?", stage)
    for clause, value in limits:
        if value is not None:
            where += clause
            given.append(value)
    return conn.execute(f"SELECT t, body FROM rollup WHERE {where} ORDER BY t", given).fetchall()


# -- curves ------------------------------------------------------------------------------------------------------------

Of = Callable[[Bucket], float | None]

# What each metric is on the LLM arm, and the same metric on the frequency arm where there is one.
_BOTH: dict[str, tuple[Of, Of]] = {
    "error_rate": (lambda b: b.error_rate, lambda b: b.plain_error_rate),
    "latency_mean": (lambda b: b.mean_ms, lambda b: b.plain_mean_ms),
}
_QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
_ONE: dict[str, Of] = {
    "cache_hit_rate": lambda b: b.hit_rate,
    "fallback_rate": lambda b: b.fallbacks / b.attempts if b.attempts else None,
    "grounded_rate": lambda b: b.grounded_rate,
    "keywords_mean": lambda b: b.keywords_mean,
    "queue_mean": lambda b: b.queue_mean_ms,
}
# Of all documents, whichever arm is requested.
_SHARES: dict[str, Callable[[Bucket], int]] = {"llm_share": lambda b: b.llm, "frequency_share": lambda b: b.frequency}
# Counts are split among the points that a bucket overlaps, and are 0, not unknown, where there were none.
_COUNTS: dict[str, Callable[[Bucket], int]] = {
    "documents": lambda b: b.n,
    "llm_documents": lambda b: b.llm,
    "frequency_documents": lambda b: b.frequency,
    "fallbacks": lambda b: b.fallbacks,
    "errors": lambda b: b.errors,
    "attempts": lambda b: b.attempts,
}
METRICS = (*_BOTH, *_QUANTILES, *_ONE, *_SHARES, *_COUNTS)


def series(
    conn: sqlite3.Connection, metric: str, start: float, end: float, points: int, arm: Arm | None = "treatment"
) -> list[tuple[float, float | None]]:
    """`points` values, oldest first, each at the start of its span; None where nothing was measured. KeyError: no such
    metric.

    Times in ms, rates 0..1, counts in documents a point.
    """
    return series_of(conn, (metric,), start, end, points, arm)[metric]


def series_of(
    conn: sqlite3.Connection,
    metrics: Sequence[str],
    start: float,
    end: float,
    points: int,
    arm: SeenArm | None = "treatment",
) -> dict[str, list[tuple[float, float | None]]]:
    """Several curves of the same span for the cost of one."""
    for metric in metrics:
        if metric not in METRICS:
            raise KeyError(f'unknown metric "{metric}"; known: {", ".join(METRICS)}')
    drawn = _draw(conn, metrics, start, end, points)
    span = (end - start) / points
    times = [start + number * span for number in range(points)]
    return {metric: list(zip(times, drawn.values(metric, arm), strict=True)) for metric in metrics}


class _Point:
    """The buckets of one point of a curve."""

    def __init__(self, *bodies: bytes) -> None:
        first, *others = map(_decoded, bodies)
        self.arms = Arms.merged((first, *others)) if others else first

    @cached_property
    def _quantiles(self) -> dict[str, list[float | None]]:
        histograms = {"treatment": self.arms.treatment.histogram, "control": self.arms.control.plain_histogram}
        return {arm: histogram.quantiles(_QUANTILES.values()) for arm, histogram in histograms.items()}

    @cached_property
    def _shadow(self) -> Bucket:
        return Bucket.merged((self.arms.treatment, self.arms.control)).in_shadow()

    def value(self, metric: str, arm: SeenArm) -> float | None:
        if arm == "shadow":
            return self._in_shadow(metric)
        if metric in _QUANTILES:
            return self._quantiles[arm][list(_QUANTILES).index(metric)]
        if metric in _SHARES:
            return _share(_SHARES[metric], self.arms)
        of = _BOTH[metric][arm == "control"] if metric in _BOTH else _ONE[metric]
        return of(self.arms.of(arm))

    def _in_shadow(self, metric: str) -> float | None:
        shadow = self._shadow
        if metric in _QUANTILES:
            return shadow.histogram.quantile(_QUANTILES[metric]) if shadow.fresh else None
        if metric in _SHARES:
            return _share(_SHARES[metric], self.arms)
        of = _BOTH[metric][0] if metric in _BOTH else _ONE[metric]
        return of(shadow)


_point = lru_cache(maxsize=1024)(_Point)


class _Drawn:
    """Buckets sorted into the points of a curve, with count metrics split among them."""

    def __init__(self, metrics: Sequence[str], points: int) -> None:
        self.bodies: list[list[bytes]] = [[] for _ in range(points)]
        self.counts = {name: [0.0] * points for name in metrics if name in _COUNTS}
        self.known = [False] * points

    @cached_property
    def _points(self) -> list[_Point | None]:
        return [_point(*bodies) if bodies else None for bodies in self.bodies]

    def values(self, metric: str, arm: SeenArm | None) -> list[float | None]:
        if metric in _COUNTS:
            return [value if known else None for value, known in zip(self.counts[metric], self.known, strict=True)]
        return [point.value(metric, arm or "treatment") if point is not None else None for point in self._points]


def _share(of: Callable[[Bucket], int], arms: Arms) -> float | None:
    n = arms.treatment.n + arms.control.n
    return (of(arms.treatment) + of(arms.control)) / n if n else None


def _draw(conn: sqlite3.Connection, metrics: Sequence[str], start: float, end: float, points: int) -> _Drawn:
    span = (end - start) / points
    level = _level(conn, start, end, span)
    drawn = _Drawn(metrics, points)
    for t, body in _rows(conn, level, math.floor(start / level) * level, end):
        low, high = max(0.0, (t - start) / span), min(float(points), (t + level - start) / span)
        touched = range(int(low), math.ceil(high))
        for name, counts in drawn.counts.items():
            arms = _decoded(body)
            value = (_COUNTS[name](arms.treatment) + _COUNTS[name](arms.control)) * span / level
            if value:
                for place in touched:
                    counts[place] += value * (min(high, place + 1) - max(low, place))
        # A rate or a quantile cannot be split: a bucket wider than a point applies to each point it covers.
        for place in touched if level > span else (min(points - 1, int((low + high) / 2)),):
            drawn.bodies[place].append(body)
    first = began(conn)
    if first is not None:
        drawn.known = [start + (number + 1) * span > first for number in range(points)]
    return drawn


def began(conn: sqlite3.Connection) -> int | None:
    """When the first extraction was stored, as precisely as the buckets still show."""
    hour: int | None = conn.execute("SELECT min(t) FROM rollup WHERE level = 3600").fetchone()[0]
    if hour is None:
        return None
    first: int | None = conn.execute("SELECT min(t) FROM rollup WHERE level = 10 AND t >= ?", (hour,)).fetchone()[0]
    return first if first is not None and first < hour + 3600 else hour


def intact(conn: sqlite3.Connection, level: int, start: float, end: float) -> bool:
    """Whether retention has left the buckets of a level between two moments: they begin before, or no hour there had
    documents."""
    kept = conn.execute("SELECT min(t) FROM rollup WHERE level = ?", (level,)).fetchone()[0]
    if kept is not None and kept <= start:
        return True
    last = (
        end if kept is None or kept >= end else kept - 3600 + 1
    )  # an hour that ends after the oldest may be all in it
    query = "SELECT 1 FROM rollup WHERE level = 3600 AND t > ? AND t < ? LIMIT 1"
    return conn.execute(query, (start - 3600, last)).fetchone() is None


def _level(conn: sqlite3.Connection, start: float, end: float, span: float) -> int:
    """The widest level that fits into a point, or that gives STEPS points; a wider one if retention has deleted
    that level."""
    widest = max(span, (end - start) / STEPS)
    for level, wider in itertools.pairwise(LEVELS):
        if wider > widest and intact(conn, level, start, end):
            return level
    return LEVELS[-1]


# -- trends ------------------------------------------------------------------------------------------------------------
