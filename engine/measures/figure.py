"""One number with what it rests on, as reports and messages show it."""

from __future__ import annotations

from msgspec import Struct


class Figure(Struct, frozen=True):
    """One number of a stage with what it rests on; `good` is None when there is nothing to judge or no target."""

    value: float | None
    words: str  # "0.4 % (6 of 1520)" or "no LLM documents"
    good: bool | None = None
