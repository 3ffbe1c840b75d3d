"""What counts as a negative impact: incidents, and metrics that the A/B test found worse. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.text import counted


def impacts(incidents: int, worse: Sequence[str], harmful: Sequence[str]) -> tuple[int, str]:
    """The number of impacts, and all of them in words. `worse`: the A/B test's metrics that got worse. Those not in
    `harmful` are within their limit or for people to judge; they are named but not counted."""
    counted_ones = (
        [counted(incidents, "critical trigger or rollback", "critical triggers and rollbacks")] if incidents else []
    )
    counted_ones += harmful
    named = [metric for metric in worse if metric not in harmful]
    head = "; ".join(counted_ones) or "none"
    return incidents + len(harmful), f"{head}. Worse, not counted: {'; '.join(named)}" if named else head
