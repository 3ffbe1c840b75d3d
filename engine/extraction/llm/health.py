"""One LLM server as the screen shows it."""

from __future__ import annotations

import msgspec


class ServerHealth(msgspec.Struct, frozen=True):
    """One server as the screen shows it. Latency in ms; None = nothing answered yet."""

    url: str
    state: str  # in words: "up", "not tried yet", "loading the model", "taken out, next try in 12 s", ...
    breaker: str  # closed | open | half-open
    in_flight: int
    window: int
    latency_ms: float | None = None
    last_error: str = ""
    last_error_at: float | None = None
    consecutive_failures: int = 0
    failed_probes: int = 0
    loaded: str = ""
    version: str = ""
    documents: int = 0
    learnt: str = ""  # what is left out of requests because the server refuses it
    tried: bool = True  # it was called or probed: only then is anything known

    @property
    def up(self) -> bool:
        return self.breaker == "closed" and not self.failed_probes

    @property
    def answers_probes(self) -> bool:
        """The last probe's own result. A breaker's state is not a measurement: without documents nothing closes it."""
        return not self.failed_probes
