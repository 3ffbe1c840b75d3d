"""How much each trait of a candidate counts: weights of a log-linear score, and trees that correct it for the best few.

Weights were fitted by listwise softmax regression (a document's candidates compete; L2 10) on sets with gold keywords:
SHORT on abstracts, half of them indexed exhaustively (Inspec), half by the few words of their authors (WWW, KDD); LONG
on authors' and librarians' keywords of abstracts, 500 words and whole theses and reports. Each trait was checked on
sets that the fit had not seen; none that did not hold there is left. Three numbers are not fitted: a single word costs
0.55 more in LONG, and three or four words 0.2 and 0.1 less, since librarians' keywords are single words twice as often
as the keywords that authors and readers give (a fifth, published for papers and news); and a number costs 0.9, not 0.5,
since no one searches for "section 1".
"""

from __future__ import annotations

import math

from engine.extraction.traits import Traits

SHORT_TOKENS, LONG_TOKENS = 150, 450  # at and below the first only SHORT counts, at and above the second only LONG

SHORT = Traits(
    -0.7, 0.33, 0.42, 0.19, -0.25, alone=0.69, occurs=-0.25, late=-0.32, spread=0.19, name=0.18, weight=0.44,
    general_alone=-1.23, general_last=0.03, empty_last=-0.99, adjective_first=0.15, soft_first=-0.39,
    participle_first=-0.3, verb_last=-0.36, part=-0.49, number=-0.9, identifier_alone=0.29,
)  # fmt: skip
LONG = Traits(
    -0.71, 0.75, 0.44, -0.41, -0.32, alone=-0.1, occurs=0.85, late=-0.51, spread=0.51, name=0.44, weight=0.39,
    general_alone=-1.04, general_last=-0.48, empty_last=-0.81, adjective_first=0.14, soft_first=-0.31,
    participle_first=-0.46, verb_last=-0.37, part=-0.26, number=-0.9, identifier_alone=0.12,
)  # fmt: skip
# for a language without lists, set by judgement: shorter phrases, since they contain verbs
FOREIGN = Traits(
    0.0, 0.2, -0.2, -1.0, -1.0, alone=0.5, occurs=0.5, late=-0.3, spread=0.2, name=0.3, weight=0.0, general_alone=0.0,
    general_last=0.0, empty_last=0.0, adjective_first=0.0, soft_first=0.0, participle_first=0.0, verb_last=0.0,
    part=-0.1, number=-0.5, identifier_alone=0.9,
)  # fmt: skip
# where noun phrases are known by their adjectives and links; a single word may be a verb
ROMANCE = FOREIGN._replace(
    one=-0.2, two=0.5, three=-0.3, four=-0.9, alone=0.6, occurs=0.3, late=-0.1, name=0.9, part=0.1
)
# what recurs in a paper is its subject in every language
ROMANCE_LONG = LONG._replace(one=-0.9, four=-0.5, name=0.6, part=0.0, identifier_alone=0.9)
ROMANCE_SHORT_TOKENS, ROMANCE_LONG_TOKENS = 500, 1_500


def weights(length: int) -> Traits:
    """The weights for an English text of this many tokens: interpolated by the logarithm of its length."""
    return _mixed(SHORT, LONG, between(length, SHORT_TOKENS, LONG_TOKENS))


def romance_weights(length: int) -> Traits:
    """The same for a text in a Romance language."""
    return _mixed(ROMANCE, ROMANCE_LONG, between(length, ROMANCE_SHORT_TOKENS, ROMANCE_LONG_TOKENS))


def _mixed(few: Traits, many: Traits, share: float) -> Traits:
    """The weights between those for a short text and those for a long one."""
    if share == 0.0:
        return few
    if share == 1.0:
        return many
    return Traits._make(short + share * (long - short) for short, long in zip(few, many, strict=True))


def between(length: int, short: int, long: int) -> float:
    """A length's place between short (0.0) and long (1.0), by its logarithm."""
    return min(1.0, max(0.0, math.log(max(length, 1) / short) / math.log(long / short)))
