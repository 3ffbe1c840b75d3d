"""Sufficient statistics of a metric: n, sum and sum of squares; n and k; or, where one document has many answers
(clicks, ratings), sums over documents.

All merge by addition, so roll-ups of any width give the same answer as the raw rows. An unknown number is None: no
data, one value where two are needed, or a sum that is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from sys import float_info

from msgspec import Struct
from msgspec.structs import astuple


def known(value: float) -> float | None:
    """The value, or None when it is NaN or infinite: neither may reach a screen or a JSON file."""
    return value if math.isfinite(value) else None


class Moments(Struct, frozen=True, tag="moments"):
    """A continuous metric: how many values, their sum, the sum of their squares."""

    n: int = 0
    sum: float = 0.0
    sum_sq: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """Exactly rounded sums; ignores values that are not finite."""
        finite = [float(value) for value in values if math.isfinite(value)]
        try:
            return cls(len(finite), math.fsum(finite), math.fsum(value * value for value in finite))
        except OverflowError:
            return cls(len(finite), math.inf, math.inf)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.sum + other.sum, self.sum_sq + other.sum_sq)

    def shifted(self, by: float) -> Moments:
        """The same values, each greater by `by`."""
        return Moments(self.n, self.sum + self.n * by, self.sum_sq + by * (2.0 * self.sum + self.n * by))

    @property
    def dof(self) -> float:
        return float(self.n - 1)

    @property
    def mean(self) -> float | None:
        return known(self.sum / self.n) if self.n > 0 else None

    @property
    def variance(self) -> float | None:
        """Of the sample (n - 1). 0 when the spread is below what the sums can resolve (cv about 1e-8)."""
        if self.n < 2 or not math.isfinite(self.sum) or not math.isfinite(self.sum_sq):
            return None
        spread = self.sum_sq - self.sum / self.n * self.sum
        # Summing n rounded squares is off by about sqrt(n) ulp: below that a spread is rounding, not data.
        if spread <= abs(self.sum_sq) * 4 * float_info.epsilon * math.sqrt(self.n):
            return 0.0
        return known(spread / (self.n - 1))


class Counts(Struct, frozen=True, tag="counts"):
    """A yes-or-no metric: k of n."""

    n: int = 0
    k: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.n + other.n, self.k + other.k)

    @property
    def dof(self) -> float:
        return float(self.n - 1)

    @property
    def mean(self) -> float | None:
        return self.k / self.n if self.n > 0 and 0 <= self.k <= self.n else None

    @property
    def variance(self) -> float | None:
        """The variance of one observation: p (1 - p)."""
        rate = self.mean
        return rate * (1.0 - rate) if rate is not None and self.n > 1 else None


class Ratio(Struct, frozen=True, tag="ratio"):
    """A yes-or-no metric with several answers a document: `yes` of `asked`, summed over `n` documents, with their
    products.

    The arms are drawn by document, so a document is one observation however often it is clicked or rated: two hundred
    ratings of one page are not two hundred pages. `variance` is that of the linearised ratio (delta method; Deng,
    Knoblich and Lu 2018, arXiv 1803.06336, eq. 8), so that `variance / n` is the square of the ratio's standard error.
    A document with a large share of the answers pulls the ratio towards itself and so hides its own error: the delta
    method is corrected to the jackknife over documents (MacKinnon and White 1985, HC3), whose leverages are here by
    their mean over the squared errors. With as many answers in each document that changes nothing.
    """

    n: int = 0
    yes: int = 0
    asked: int = 0
    yes_sq: int = 0
    asked_sq: int = 0
    cross: int = 0
    yes_sq_asked: float = 0.0  # cubes of millions leave the range of an integer in JSON
    yes_asked_sq: float = 0.0
    asked_cube: float = 0.0

    @classmethod
    def one(cls, yes: int, asked: int) -> Ratio:
        """One document's answers; nothing when it was never asked."""
        if asked <= 0:
            return cls()
        return cls(
            n=1,
            yes=yes,
            asked=asked,
            yes_sq=yes * yes,
            asked_sq=asked * asked,
            cross=yes * asked,
            yes_sq_asked=float(yes * yes * asked),
            yes_asked_sq=float(yes * asked * asked),
            asked_cube=float(asked**3),
        )

    def __add__(self, other: Ratio) -> Ratio:
        return self._with(other, 1)

    def __sub__(self, other: Ratio) -> Ratio:
        return self._with(other, -1)

    def _with(self, other: Ratio, sign: int) -> Ratio:
        return Ratio(*(mine + sign * its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def dof(self) -> float:
        """Documents that carry the ratio, less one: as many equal ones would share out the answers as unevenly
        (Kish)."""
        return max(1.0, self.asked**2 / self.asked_sq - 1.0) if self.asked_sq > 0 else float(self.n - 1)

    @property
    def counts(self) -> Counts:
        """As if every answer came from a different document, as a plain chi-square test assumes."""
        return Counts(self.asked, self.yes)

    @property
    def mean(self) -> float | None:
        return self.yes / self.asked if self.n > 0 and 0 <= self.yes <= self.asked and self.asked > 0 else None

    @property
    def variance(self) -> float | None:
        rate = self.mean
        if rate is None or self.n < 2:
            return None
        spread = self.yes_sq - 2.0 * rate * self.cross + rate * rate * self.asked_sq
        if spread <= self.yes_sq * 1e-12:
            return 0.0
        pulled = self.yes_sq_asked - 2.0 * rate * self.yes_asked_sq + rate * rate * self.asked_cube
        leverage = max(1.0 / self.n, pulled / spread / self.asked)
        if leverage > 1.0 - 1e-9:  # one document has all the answers
            return None
        jackknife = ((1.0 - 1.0 / self.n) / (1.0 - leverage)) ** 2
        return known(jackknife * spread / (self.n - 1) / (self.asked / self.n) ** 2)


Measure = Moments | Counts | Ratio
