"""Numbers of the A/B test as people read them; None is a dash."""

from __future__ import annotations

from typing import Literal

from engine.experiment.effects import Interval
from engine.text import rate_percent

Unit = Literal["ms", "rate", "count", "score"]


def percent(value: float | None, *, signed: bool = False) -> str:
    """A rate, 0..1, as "5.6 %"."""
    return "–" if value is None else rate_percent(value, signed=signed)


def number(value: float | None, unit: Unit, *, signed: bool = False) -> str:
    """A figure in its unit; milliseconds below 10 with two decimals."""
    sign = "+" if signed else ""
    if value is None:
        return "–"
    if unit == "rate":
        return percent(value, signed=signed)
    if unit == "ms":
        return f"{value:{sign}.0f} ms" if abs(value) >= 10 else f"{value:{sign}.2f} ms"
    return f"{value:{sign}z.1f}" if unit == "count" else f"{value:{sign}z.3f}"  # z: no "-0.0"


def span(of: Interval | None) -> str:
    """A relative change with its interval: "+16.2 % [+8.1 %, +24 %]"."""
    if of is None:
        return "–"
    low, high = percent(of.low, signed=True), percent(of.high, signed=True)
    return f"{percent(of.estimate, signed=True)} [{low}, {high}]"


def times(ratio: float) -> str:
    """ "1.62 times", "129 times"."""
    return f"{ratio:.3g} times" if ratio < 100 else f"{ratio:,.0f} times"
