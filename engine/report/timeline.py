"""What happened, from the log: visits to stages and where their time went, the timeline, decisions with evidence."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from engine import bounds
from engine.measures.bucket import Bucket
from engine.metrics import figures
from engine.plan.durations import format_duration, iso
from engine.plan.model import Stage
from engine.report.model import LoggedDecision, TimelineEntry
from engine.rollout.state import State, transition
from engine.store import log_times, series
from engine.store.log import Row
from engine.text import clean_line, took

DECIDED = frozenset(
    {"promote", "approve", "hold", "resume", "rollback", "trigger", "undo_rollback", "restore", "undo_restore"}
)
RUN = 3  # this many equal lines in a row become one
HOUR = 3600.0


class Visit(Struct):
    """One stay in a stage. `end` is the report's time while it lasts; `epochs` is [first, past the last).

    `skipped`: seconds by which the clock was set forward meanwhile. `held` counts from `start`, without them.
    """

    stage: int
    start: float
    end: float
    lasts: bool
    epochs: tuple[int, int]
    held: list[tuple[float, float]]
    skipped: float = 0.0

    @property
    def length(self) -> float:
        return self.since_start(self.end)

    def since_start(self, moment: float) -> float:
        return max(0.0, moment - self.start - self.skipped)


def visits(rows: Sequence[Row], at: float) -> list[Visit]:
    """The stays in each stage until `at`, oldest first, from the whole log, oldest first."""
    stays: list[Visit] = []
    state = State()
    shut: float | None = None  # when promotion was held or locked, in seconds of the visit
    for row in rows:
        before, state = state, transition(state, row.decision)
        moment = row.decision.at
        if stays:
            stays[-1].skipped += log_times.skipped(row)
        if not stays or state.stage != before.stage:
            if stays:
                _close(stays[-1], moment, state.epoch, shut)
            stays.append(Visit(state.stage, moment, at, True, (state.epoch, 1 << 60), []))
            if shut is not None:
                shut = 0.0
        closed = bool(state.held or state.locked)
        if closed and shut is None:
            shut = stays[-1].since_start(moment)
        elif not closed and shut is not None:
            stays[-1].held.append((shut, stays[-1].since_start(moment)))
            shut = None
    if stays and shut is not None:
        stays[-1].held.append((shut, max(stays[-1].length, shut)))
    return stays


def _close(visit: Visit, moment: float, epoch: int, shut: float | None) -> None:
    visit.end, visit.lasts, visit.epochs = moment, False, (visit.epochs[0], epoch)
    if shut is not None:
        visit.held.append((shut, visit.length))


class Spent(Struct, frozen=True):
    """Where a stage's time went, in seconds: bake, until figures met the gate, held or locked, waiting for people."""

    baked: float
    figures: float
    held: float
    waited: float


def spent(conn: sqlite3.Connection, stage: Stage, visit: Visit) -> Spent:
    baked = min(stage.bake_s, visit.length)
    ready = min(visit.length, max(baked, visit.since_start(_figures_ready(conn, stage, visit))))
    held = sum(max(0.0, high - max(low, ready)) for low, high in visit.held)
    waited = max(0.0, visit.length - ready - held)
    return Spent(baked, ready - baked, held, waited)


def _figures_ready(conn: sqlite3.Connection, stage: Stage, visit: Visit) -> float:
    """The end of the last hour in which the gate's conditions on figures were not met; only hours are kept."""
    wanted = [c for c in stage.success if c.metric in _MEASURED and c.required]
    if not wanted:
        return visit.start
    hourly = series.buckets(conn, 3600, 0, visit.end, "treatment", visit.epochs, visit.stage)
    so_far, ready = Bucket(), None
    for t, hours in itertools.groupby(hourly, key=lambda row: row[0]):
        for _, bucket in hours:
            so_far.merge(bucket)
        met = all(figures.judge(_MEASURED[c.metric](so_far, c.confidence), (c.op, c.value)) for c in wanted)
        ready = (ready if ready is not None else min(t + HOUR, visit.end)) if met else None
    return visit.end if ready is None else ready


_MEASURED: dict[str, Callable[[Bucket, float], float | None]] = {
    "error_rate": lambda b, c: bounds.rate_upper(b.errors, b.attempts, c) if b.attempts else None,
    "latency_mean": lambda b, c: b.mean_ms,
    "cache_hit_rate": lambda b, c: bounds.rate_lower(b.hits, b.lookups, c) if b.lookups else None,
    "documents": lambda b, c: float(b.llm),
}


# -- timeline and decisions ------------------------------------------------------------------------------------------


def timeline(rows: Sequence[Row]) -> tuple[TimelineEntry, ...]:
    """The whole log, oldest first; a run of minor entries of one kind becomes one line."""
    out: list[TimelineEntry] = []
    for kind, run in itertools.groupby(rows, key=lambda row: row.decision.kind):
        group = list(run)
        if kind in DECIDED or kind == "start" or len(group) < RUN:
            out += [_entry(row) for row in group]
            continue
        first, last = group[0].decision, group[-1].decision
        begun, ended = clean_line(first.sentence, 300), clean_line(last.sentence, 300)
        more = f"{begun} ... and {len(group) - 1} more like it, the last: {ended}"
        out.append(
            TimelineEntry(
                at=first.at,
                kind=kind,
                sentence=more,
                stage=last.stage,
                percent_bp=last.percent_bp,
                override=False,
                count=len(group),
                until=last.at,
            )
        )
    return tuple(out)


def _entry(row: Row) -> TimelineEntry:
    d = row.decision
    return TimelineEntry(d.at, d.kind, clean_line(d.sentence, 600), d.stage, d.percent_bp, d.override)


def verdict(row: Row) -> LoggedDecision:
    """A row of the log, with what people wrote made safe and short."""
    d = row.decision
    return LoggedDecision(
        rev=row.rev,
        at=d.at,
        kind=d.kind,
        who=who(row),
        where=clean_line(d.actor.where, 100),
        sentence=clean_line(d.sentence, 600),
        reason=clean_line(d.reason, 500),
        stage=d.stage,
        percent_from=row.percent_from,
        percent_to=d.percent_bp,
        override=d.override,
        evidence=evidence(d.evidence, d.sentence, d.reason),
        seen=clean_line(d.seen, 1000),
        hash=row.hash,
    )


def who(row: Row) -> str:
    """The person's name, or the trigger that acted."""
    actor = row.decision.actor
    if actor.kind == "engine" and row.decision.kind in ("trigger", "hold") and row.decision.reason:
        return f"trigger {clean_line(row.decision.reason, 60)}"
    return "the engine" if actor.kind == "engine" else clean_line(actor.name, 60)


MOMENTS = ("at", "since", "until")  # seconds since the epoch in what a decision rests on


def evidence(body: dict[str, Any], *shown: str) -> tuple[tuple[str, str], ...]:
    """Flat (name, value) pairs with readable numbers; nested names are joined by dots. At most 40, without words that
    are repeated, or `shown` beside it."""
    out: dict[str, str] = {}
    for name, value in _flat(body, ""):
        words = not value[:1].isdigit()
        if not words or (value not in out.values() and not any(value in text for text in shown)):
            out[name] = value
    return tuple(out.items())[:40]


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in _flat(part, f"{name}.{key}" if name else str(key))]
    if value is None or value in ("", [], {}, ()):
        return []
    if isinstance(value, list | tuple):
        return [(clean_line(name, 60), "; ".join(clean_line(str(part), 200) for part in value[:20]))]
    if isinstance(value, float) and name.rpartition(".")[2] in MOMENTS:
        return [(clean_line(name, 60), iso(value))]
    text = f"{value:.6g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
    return [(clean_line(name, 60), clean_line(text, 400))]


def duration(seconds: float | None) -> str:
    """A duration for the report's tables, below a second as a proof has it; words if it is None."""
    if seconds is None:
        return "not known"
    return took(seconds * 1000) if 0 < seconds < 1 else format_duration(seconds)


def span(seconds: float) -> str:
    """A part of a stage's time; under a second counts as none."""
    return format_duration(seconds) if seconds >= 1 else "none"


def moment_of(at: float, seconds: bool = False) -> str:
    """ "25 Nov 2026, 14:03 UTC"."""
    utc = datetime.fromtimestamp(at, UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M:%S} UTC" if seconds else f"{utc.day} {utc:%b %Y, %H:%M} UTC"
