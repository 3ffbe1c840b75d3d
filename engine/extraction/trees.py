"""How much the trees correct the score of each of the best few candidates.

There are two sums of trees: one ranks like an exhaustive index, the other like authors who choose keywords. A long
text uses the second alone; a short one uses the first plus FLOOR of the second, since nothing in a text shows who
will index it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap

from engine.extraction.ranking import between
from engine.extraction.ranking_trees import long, short
from engine.extraction.traits import Fields

# up to the first a text uses the short trees wholly, from the second on not at all
SHORT_TOKENS, LONG_TOKENS = 200, 450
FLOOR = 0.25  # share of the long trees in every text
FEW = 10  # candidates of a short text that all become keywords: their order is not worth twice the time


def logits(known: Sequence[Fields], length: int) -> list[float]:
    """What each candidate's score gains, in an English text of `length` tokens."""
    share = between(length, SHORT_TOKENS, LONG_TOKENS)
    if share == 1.0:
        return list(starmap(long, known))
    if share == 0.0 and len(known) <= FEW:
        return list(starmap(short, known))
    of_short, of_long = 1.0 - share, FLOOR + (1.0 - FLOOR) * share
    return [short(*one) * of_short + long(*one) * of_long for one in known]
