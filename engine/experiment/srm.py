"""Sample-ratio check: did the router split as declared? A mismatch voids every comparison, so it comes first.

With hourly looks, chi-square at p < 0.001 gives a false alarm in 1.7 % of weeks; the e-value is valid at any look.
"""

from __future__ import annotations

import math

from msgspec import Struct

from engine.experiment.formatting import percent
from engine.experiment.moments import Counts
from engine.experiment.sequence import rate_log_e

P_LIMIT = 0.001
E_LIMIT = 100.0
# The mixture's weight in documents: best near a split that is 3 points off, the size that routing errors have.
_WEIGHT = 300.0


class SampleRatio(Struct, frozen=True):
    """`p` is chi-square's, for one look at the end; `e_value` is for any look. `mismatch` is None without documents.
    `pending`: documents of the treatment that the LLM has not finished yet."""

    control: int
    treatment: int
    expected_share: float  # of the treatment
    p: float | None
    e_value: float | None
    mismatch: bool | None
    sentence: str
    pending: int = 0


def sample_ratio(
    control: int, treatment: int, share: float = 0.5, *, final: bool = False, pending: int = 0
) -> SampleRatio:
    """`share` is the treatment's, 0 < share < 1. The e-value decides; with `final` (one look, at the end) chi-square
    does too. A frequency document is counted at once, an LLM document when its call has ended: what up to `pending`
    unfinished ones explain is not a mismatch."""
    total = control + treatment
    if total == 0:
        return SampleRatio(0, 0, share, None, None, None, "No documents yet, so the split is unknown.", pending=pending)
    drawn = max(treatment, min(treatment + pending, round(control * share / (1.0 - share))))
    p = split_p(control, drawn, share)
    log_e = rate_log_e(Counts(control + drawn, drawn), share, share * _WEIGHT, (1.0 - share) * _WEIGHT)
    e_value = math.exp(min(700.0, max(-700.0, log_e)))
    mismatch = e_value >= E_LIMIT or (final and p < P_LIMIT)
    split = f"{percent(treatment / total)} where {percent(share)} was declared"
    seen = f"{control} control and {treatment} treatment documents, {split}"
    if drawn > treatment:
        seen += f", with {pending} LLM documents unfinished"
    if mismatch:
        sentence = f"Sample-ratio mismatch: {seen} (p = {p:.2g}, e-value {e_value:.3g}). The arms are not comparable."
    else:
        sentence = f"The split is as declared: {seen} (p = {p:.2g})."
    return SampleRatio(
        control=control,
        treatment=treatment,
        expected_share=share,
        p=p,
        e_value=e_value,
        mismatch=mismatch,
        sentence=sentence,
        pending=pending,
    )


def split_p(control: int, treatment: int, share: float) -> float:
    """Chi-square's p for the split, one degree of freedom, as scipy.stats.chisquare; both counts >= 0, not both 0."""
    total = float(control + treatment)
    off = treatment - total * share
    return math.erfc(abs(off) / math.sqrt(2.0 * total * share * (1.0 - share)))
