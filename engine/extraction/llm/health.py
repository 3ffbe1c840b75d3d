"""One LLM server as the screen shows it."""

from __future__ import annotations

import msgspec

from engine.extraction.llm.breaker import State


class ServerHealth(msgspec.Struct, frozen=True):
    """One server as the screen shows it. Latency in ms; None before the first answer."""

    url: str
    state: str  # for people: "up", "not tried yet", "loading the model", "breaker open, retry in 12 s", ...
    breaker: State
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
    learnt: str = ""  # what requests leave out because the server refuses it
    tried: bool = True  # it was called or probed; until then nothing is known about it

    @property
    def up(self) -> bool:
        return self.breaker == "closed" and not self.failed_probes

    @property
    def answers_probes(self) -> bool:
        """The result of the last probe. The breaker's state would not do: without documents nothing closes a
        breaker."""
        return not self.failed_probes
