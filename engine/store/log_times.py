"""When decisions were made, by the wall clock as it was set last. The log itself records what the clock showed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from engine.clock import STEP_S
from engine.store.log import Row

Correction = tuple[int, float, float]  # the place of the decision that records it, the right time, the clock's step


def corrected(rows: Sequence[Row]) -> list[Row]:
    """The log, oldest first, with times that a later correction of the clock showed to be ahead moved back, as
    `engine.store.future` moved the records of that time."""
    decisions = [row.decision for row in rows]
    corrections = [
        (place, decision.right_time, decision.clock_step_s)
        for place, decision in enumerate(decisions)
        if decision.right_time is not None
    ]
    times = _moved([decision.at for decision in decisions], corrections)
    return [
        row if row.decision.at == at else replace(row, decision=replace(row.decision, at=at))
        for row, at in zip(rows, times, strict=True)
    ]


def last_rev(conn: sqlite3.Connection, at: float) -> int | None:
    """The last decision made by then; None if there was none yet."""
    clock = conn.execute(
        "SELECT rev, json_extract(body, '$.right_time'), json_extract(body, '$.clock_step_s') FROM decision "
        "WHERE kind = 'clock' ORDER BY rev"
    ).fetchall()
    if not clock:
        newest: int | None = conn.execute("SELECT max(rev) FROM decision WHERE at <= ?", (at,)).fetchone()[0]
        return newest
    logged = conn.execute("SELECT rev, at FROM decision ORDER BY rev").fetchall()
    places = {rev: place for place, (rev, _) in enumerate(logged)}
    corrections = [(places[rev], right, step or 0.0) for rev, right, step in clock if right is not None]
    times = _moved([moment for _, moment in logged], corrections)
    return max((rev for (rev, _), moment in zip(logged, times, strict=True) if moment <= at), default=None)


def _moved(times: list[float], corrections: Iterable[Correction]) -> list[float]:
    for place, right, step in corrections:
        for earlier in range(place - 1, -1, -1):
            if times[earlier] <= right:
                break
            if times[earlier] > right + STEP_S:
                times[earlier] = min(right, times[earlier] + min(0.0, step))
    return times


def skipped(row: Row) -> float:
    """Seconds that the clock was set forward by this decision and not back since: no time passed in them. `row` is one
    of `corrected`."""
    decision = row.decision
    if decision.right_time is None or decision.clock_step_s <= 0:
        return 0.0
    return max(0.0, decision.clock_step_s - (decision.right_time - decision.at))
