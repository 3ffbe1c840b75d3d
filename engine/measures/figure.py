"""A number with its sample, as reports and messages show it."""

from __future__ import annotations

from msgspec import Struct


class Figure(Struct, frozen=True):
    """A stage's figure with its sample; `good` is None without data or without a target."""

    value: float | None
    words: str  # "0.4 % (6 of 1520)" or "no LLM documents"
    good: bool | None = None
