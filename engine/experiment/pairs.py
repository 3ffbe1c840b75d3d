"""Shadow documents: both methods ran on the same document, so each is its own control.

What differs between documents cancels, and far fewer are needed than with two arms. It works at 0 %, before any canary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from engine.experiment import sequence
from engine.experiment.effects import Interval, single
from engine.experiment.moments import Moments
from engine.experiment.multiplicity import holm

ALPHA = 0.05


class PairedReport(Struct, frozen=True):
    """LLM minus frequency, per document. `interval` and `p` hold at any look.

    `effect` is the mean difference in standard deviations of the differences (Cohen's d_z).
    """

    name: str
    n: int
    mean: float | None
    sd: float | None
    interval: Interval | None
    p: float | None
    adjusted_p: float | None
    effect: float | None


def analyse_pairs(differences: Mapping[str, Moments], *, expected_n: int) -> tuple[PairedReport, ...]:
    """`differences`: per metric the Moments of (LLM's value - frequency's) over documents that have both.

    `expected_n` is the number of pairs expected at the end, declared before. The p-values share alpha by Holm's
    correction.
    """
    reports = []
    for name, moments in differences.items():
        spread = moments.variance
        sd = None if spread is None else math.sqrt(spread)
        of = single(moments)
        live = sequence.sequence(of, ALPHA, expected_n)
        interval, p = (None, None) if live is None else (Interval(live.estimate, live.low, live.high), live.p)
        effect = None if of is None else of.estimate / of.se / math.sqrt(of.n)
        reports.append(
            PairedReport(
                name=name, n=moments.n, mean=moments.mean, sd=sd, interval=interval, p=p, adjusted_p=None, effect=effect
            )
        )
    adjusted = holm({report.name: report.p for report in reports})
    return tuple(replace(report, adjusted_p=adjusted[report.name]) for report in reports)
