"""A number with its sample, as reports and messages show it."""

from __future__ import annotations

from msgspec import Struct


class MetricValue(Struct, frozen=True):
    """A stage's figure with its sample; `good` is None without data or without a target.

    `words` is the whole text. `short` and `evidence` are its parts; both are "" for a figure that is only words.
    """

    value: float | None
    words: str  # "0.4 % (6 of 1520)" or "no LLM documents"
    good: bool | None = None
    short: str = ""  # "0.4 %"
    evidence: str = ""  # "6 of 1520"

    @classmethod
    def of(cls, value: float, short: str, evidence: str, good: bool | None) -> MetricValue:
        return cls(value, f"{short} ({evidence})" if evidence else short, good, short, evidence)
