"""The last request behind each bucket of a histogram and each kind of error, for OpenMetrics exemplars.

An exemplar leads from a figure to one request in the caller's own logs. It never carries a document's id: only request
ids of hex digits and dashes are kept (UUIDs, trace ids), because a caller may use anything as its X-Request-Id.
"""

from __future__ import annotations

import bisect
import re

from msgspec import Struct

from engine.measures.bucket import timed
from engine.measures.origin import Origin
from engine.measures.record import Extraction, SeenArm

# Seconds; 2 and 3 are the plan's limits. Frequency takes milliseconds, the LLM takes seconds.
LIMITS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0,
    30.0, 60.0,
)  # fmt: skip
_ANONYMOUS = re.compile(r"[0-9a-fA-F-]{16,64}")


class Exemplar(Struct, frozen=True):
    """`epoch` names the decision that the document was routed under: `rollout log --json` has it on each row."""

    request_id: str
    trace_id: str
    epoch: int
    seconds: float
    at: float | None


def arm_of(record: Extraction) -> SeenArm:
    return "shadow" if record.shadow else record.arm


class Exemplars:
    """One exemplar per (stage, arm, place in LIMITS) and per (stage, arm, kind of error), the latest.

    `dated`: with their time. A time lapse's calendar is not the scraper's, so its exemplars get the time of the scrape.
    """

    def __init__(self, dated: bool = True) -> None:
        self._dated = dated
        self._of_time: dict[tuple[int, SeenArm, int], Exemplar] = {}
        self._of_error: dict[tuple[int, SeenArm, str], Exemplar] = {}

    def see(self, record: Extraction, origin: Origin) -> None:
        request_id = origin.request_id if _ANONYMOUS.fullmatch(origin.request_id) else ""
        if not request_id and not origin.trace_id:
            return
        exemplar = Exemplar(
            request_id, origin.trace_id, record.epoch, record.ms / 1000, record.at if self._dated else None
        )
        where = record.stage, arm_of(record)
        if _is_timed(record):
            self._of_time[(*where, bisect.bisect_left(LIMITS, exemplar.seconds))] = exemplar
        if record.error is not None:
            self._of_error[(*where, record.error)] = exemplar

    def of_time(self, stage: int, arm: SeenArm, place: int) -> Exemplar | None:
        """`place` is the index of the bucket's limit in LIMITS; len(LIMITS) is +Inf."""
        return self._of_time.get((stage, arm, place))

    def of_error(self, stage: int, arm: SeenArm, kind: str) -> Exemplar | None:
        return self._of_error.get((stage, arm, kind))


def _is_timed(record: Extraction) -> bool:
    """Whether the record is in the arm's histogram; `Bucket.add` decides what is."""
    if record.shadow or (record.arm == "control" and not record.attempted):
        return record.error is None
    return timed(record) is not None
