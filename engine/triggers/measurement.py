"""A measured number, or why there is none. Never a bare float: no data is not zero, and there is no NaN."""

from __future__ import annotations

from msgspec import Struct


class Ok(Struct, frozen=True, tag="ok"):
    """`value` over `n` samples. A rate has `k` of them; a mean has the `variance` of one sample."""

    value: float
    n: int = 0
    k: int | None = None
    variance: float | None = None


class NoData(Struct, frozen=True, tag="no_data"):
    """Nothing was measured in the window."""


class Stale(Struct, frozen=True, tag="stale"):
    """The last measurement is too old to judge by."""

    age_s: float = 0.0


class Error(Struct, frozen=True, tag="error"):
    """The metric could not be measured."""

    sentence: str = ""


Sample = Ok | NoData | Stale | Error


def rate(k: int, n: int) -> Sample:
    """k of n; NoData when n is 0."""
    return Ok(k / n, n, k) if n else NoData()


def mean(total: float, squares: float, n: int) -> Sample:
    """A mean from the sums of the values and of their squares, with the sample variance (n - 1)."""
    if not n:
        return NoData()
    middle = total / n
    variance = max(0.0, (squares - total * middle) / (n - 1)) if n > 1 else None
    return Ok(middle, n, None, variance)
