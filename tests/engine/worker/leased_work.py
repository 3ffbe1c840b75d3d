"""What a keeper keeps a lease for, in tests: a process without calls."""

from __future__ import annotations

from engine.cluster.identity import version
from engine.cluster.lease import WorkerIdentity
from engine.cluster.window_shares import WindowUse


class NoCalls:
    """A `LeasedWork` that calls nothing."""

    open_calls = 0

    def __init__(self, plan_digest: str) -> None:
        self.identity = WorkerIdentity(version(), plan_digest)
        self.last_call: float | None = None

    def cancel(self, why: str) -> None: ...
    def shut(self) -> None: ...
    def ended(self, why: str) -> None: ...
    def uses(self) -> list[WindowUse]:
        return []

    def lend(self, shares: dict[str, int]) -> None: ...
