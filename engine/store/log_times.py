"""When decisions were made, by the wall clock as it was set last. The log itself records what the clock showed."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine.store.future import TOLERANCE_S
from engine.store.log import Row


def corrected(rows: Sequence[Row]) -> list[Row]:
    """The log, oldest first, with times that a later correction of the clock showed to be ahead moved back, as
    `engine.store.future` moved the records of that time."""
    times = [row.decision.at for row in rows]
    for place, row in enumerate(rows):
        right = row.decision.right_time
        if right is None:
            continue
        step = min(0.0, row.decision.clock_step_s)
        for earlier in range(place - 1, -1, -1):
            if times[earlier] <= right:
                break
            if times[earlier] > right + TOLERANCE_S:
                times[earlier] = min(right, times[earlier] + step)
    return [
        row if row.decision.at == at else replace(row, decision=replace(row.decision, at=at))
        for row, at in zip(rows, times, strict=True)
    ]


def skipped(row: Row) -> float:
    """Seconds that the clock was set forward by this decision and not back since: no time passed in them. `row` is one
    of `corrected`."""
    decision = row.decision
    if decision.right_time is None or decision.clock_step_s <= 0:
        return 0.0
    return max(0.0, decision.clock_step_s - (decision.right_time - decision.at))
