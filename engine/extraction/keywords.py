"""Keywords of a document, and when two phrases are the same phrase."""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from typing import NamedTuple

import snowballstemmer
from msgspec import Struct

MAX_DESCRIPTIVE = 15
MAX_TECHNICAL = 10
MAX_TOTAL = 15

_WORD = re.compile(r"[^\s\-_/‐-―]+")
_EDGES = ".,;:!?\"'`()[]{}<>*“”‘’"


class Budget(NamedTuple):
    """Maximum keywords of a document, in total and per kind. Both methods share it; otherwise the A/B test would
    compare budgets."""

    total: int = MAX_TOTAL
    descriptive: int = MAX_DESCRIPTIVE
    technical: int = MAX_TECHNICAL


class Keywords(Struct, frozen=True):
    """`ranked`: all of them, best first. `technical`: those that are identifiers or terms of the craft."""

    ranked: tuple[str, ...] = ()
    technical: tuple[str, ...] = ()

    @property
    def descriptive(self) -> tuple[str, ...]:
        if not self.technical:
            return self.ranked
        technical = set(self.technical)
        return tuple([keyword for keyword in self.ranked if keyword not in technical])

    def __len__(self) -> int:
        return len(self.ranked)


class _Stemmer(threading.local):
    """A stemmer per thread: it holds the word it works on, and long documents are processed off the event loop."""

    def __init__(self) -> None:
        self.of = snowballstemmer.stemmer("porter").stemWord


_stemmer = _Stemmer()


@lru_cache(1 << 17)
def stem(word: str) -> str:
    """Porter stem of one lower-case word; from any thread."""
    return str(_stemmer.of(word)) or word  # of s nothing would be left


def topped_up(keywords: Keywords, spare: Keywords, least: int, budget: Budget) -> Keywords:
    """Appends the best of `spare` until there are `least`; a keyword with the same stems is not added twice."""
    known = {stem_phrase(keyword) for keyword in keywords.ranked}
    more = [keyword for keyword in spare.ranked if stem_phrase(keyword) not in known][
        : max(0, min(least, budget.total) - len(keywords))
    ]
    names = {keyword for keyword in spare.technical if keyword in more}
    technical = [keyword for keyword in more if keyword in names][: max(0, budget.technical - len(keywords.technical))]
    return Keywords((*keywords.ranked, *more), (*keywords.technical, *technical))


def stem_phrase(text: str) -> str:
    """The form in which phrases are compared: lower case, split at spaces, hyphens, slashes and underscores, each word
    stemmed."""
    words = (word.strip(_EDGES) for word in _WORD.findall(text.lower()))
    return " ".join(stem(word) for word in words if word)
