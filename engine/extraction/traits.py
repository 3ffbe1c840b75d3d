"""From the phrases of a text to candidates, and the traits that rank them. Pure; each trait is a number.

`candidates` returns possible keywords; `score` weighs the facts about one candidate alone; `context` returns those
relative to the others, computed only for the best few. The weights are in ranking.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from engine.extraction.candidates import KINDS, MAX_CHARS, Known, Span, Words
from engine.extraction.languages import LINKS
from engine.extraction.words import EMPTY, GENERAL, SOFT, WEAK

SELDOM = 400  # with this many candidates, one that occurs once, and late, is not worth scoring
EARLY = 400  # tokens
SUBJECT = 8  # from this many times on, a general word is the subject of the text

_LINKS = frozenset(chain.from_iterable(LINKS.values()))
_NUMBERED = re.compile(r"(?<!\S)\d")
_NO_END = frozenset("aewvG#.")
_NO_BEGINNING = frozenset("wv#")


class Candidate(NamedTuple):
    """`alone`: how often it is a phrase on its own; `within`: how often it is part of one. `at`, `last`: the first and
    last token where it begins. The rest follows from its words: see `candidate`."""

    words: Words
    text: str
    at: int
    last: int
    alone: int
    within: int
    begins: str  # the kind of its first word
    ends: str  # of its last
    weight: float  # share of content words


class Traits(NamedTuple):
    """The weight of each trait of a candidate; a trait is 1.0 where its name is true, unless a unit is given."""

    one: float  # number of words, 1 to 5
    two: float
    three: float
    four: float
    five: float
    alone: float  # log(times as a phrase + a third of the times inside one)
    occurs: float  # log(all times)
    late: float  # log(1 + first token / 20)
    spread: float  # share of the text between first and last time
    name: float  # capitalised inside the text
    weight: float  # share of content words
    general_alone: float
    general_last: float
    empty_last: float
    adjective_first: float
    soft_first: float
    participle_first: float  # -ing
    verb_last: float  # noun or verb: increase, result
    part: float  # never a phrase of its own
    number: float
    identifier_alone: float


_SAYS = Known(lambda word: word not in GENERAL and word not in WEAK)


def candidate(words: Words, text: str, at: int, last: int, alone: int, within: int) -> Candidate:
    size = len(words)
    if size == 1:
        kind = KINDS[text]
        return Candidate(words, text, at, last, alone, within, kind, kind, _SAYS[words[0]])
    begins, ends = KINDS[text[: text.index(" ")]], KINDS[text[text.rindex(" ") + 1 :]]
    weight = (_SAYS[words[0]] + _SAYS[words[1]] if size == 2 else sum(map(_SAYS.__getitem__, words))) / size
    return Candidate(words, text, at, last, alone, within, begins, ends, weight)


def candidates(spans: Sequence[Span], *, english: bool) -> tuple[list[Candidate], list[Candidate]]:
    """The phrases, and the parts that two places of the phrases share, in the order of the text's phrases; and the
    vague.

    A candidate is vague if it is a general single word that is not the text's subject: ability, details.
    """
    spellings: dict[Words, list[str]] = {}  # one an occurrence
    first: dict[Words, int] = {}
    last: dict[Words, int] = {}
    for words, text, at in spans:
        if words in first:
            spellings[words].append(text)
        else:
            spellings[words] = [text]
            first[words] = at
        last[words] = at
    inside, shared = _inside(spellings, first, last)
    parts = [part for part in shared if part not in spellings and (len(part) > 1 or part[0] not in GENERAL)]
    many = len(spellings) + len(parts) > SELDOM
    made: list[Candidate] = []
    vague: list[Candidate] = []
    for words in chain(spellings, parts):
        forms = spellings.get(words)
        alone, within, at = len(forms) if forms else 0, inside.get(words, 0), first[words]
        if many and alone + within < 2 and at > EARLY:
            continue
        text = (forms[0] if alone == 1 else _spelling(forms)) if forms else " ".join(words)
        if len(text) > MAX_CHARS or not (text[0].isalpha() or any(map(str.isalpha, text))):
            continue
        if not forms and not english and (words[0] in _LINKS or words[-1] in _LINKS):
            continue
        one = candidate(words, text, at, last[words], alone, within)
        if not forms and english and (one.ends in _NO_END or one.begins in _NO_BEGINNING):
            continue
        of_any_field = english and len(words) == 1 and words[0] in GENERAL and alone + within < SUBJECT
        (vague if of_any_field else made).append(one)
    return made, vague


def _inside(
    spellings: dict[Words, list[str]], first: dict[Words, int], last: dict[Words, int]
) -> tuple[dict[Words, int], list[Words]]:
    """How often each part of a phrase occurs inside one, and the parts that do so in two places of the phrases.

    A word that occurs in one place only is in no such part and ends no other phrase, so parts containing it are
    skipped.
    Completes `first` and `last`, for parts too.
    """
    inside: dict[Words, int] = {}
    shared: dict[Words, None] = {}
    places = Counter(chain.from_iterable(spellings))
    for words, forms in spellings.items():
        size = len(words)
        if size == 1:
            continue
        count, begins, ends = len(forms), first[words], last[words]
        for i in range(size):
            for j in range(i + 1, size + 1 if i else size):
                if places[words[j - 1]] < 2:
                    break
                part = words[i:j]
                if part in inside:
                    inside[part] += count
                    shared[part] = None
                    if first[part] > begins + i:
                        first[part] = begins + i
                    if last[part] < ends + i:
                        last[part] = ends + i
                else:
                    inside[part] = count
                    if part not in first or first[part] > begins + i:
                        first[part] = begins + i
                    last[part] = max(last.get(part, 0), ends + i)
    return inside, list(shared)


def _spelling(forms: Sequence[str]) -> str:
    """The most frequent one; at a tie the one with fewest capitals, then the shortest, then by spelling."""
    if len(forms) == 1:
        return forms[0]
    times = Counter(forms)
    return min(times, key=lambda text: (-times[text], sum(map(str.isupper, text)), len(text), text))


def score(of: Candidate, length: int, by: Traits) -> float:
    """The traits of a candidate in a text of `length` tokens, each times its weight."""
    words, text, at, last, alone, within, begins, ends, weight = of
    size = len(words)
    head = words[-1]
    total = by.late * math.log1p(at / 20) + by.spread * (last - at) / length + by.weight * weight
    if within or alone > 1:
        total += by.alone * math.log(alone + 0.33 * within) + by.occurs * math.log(alone + within)
    if size == 1:
        if ends == "i":
            total += by.identifier_alone
        total += by.one
        if head in GENERAL:
            total += by.general_alone
            if head in EMPTY:
                total += by.empty_last
    else:
        if size > 2 and not _LINKS.isdisjoint(words):
            size -= sum(map(_LINKS.__contains__, words))  # base de datos is a term of two words
        total += by[size - 1]
        if begins == "a":
            total += by.adjective_first
            if words[0] in SOFT:
                total += by.soft_first
        elif begins in "gG":
            total += by.participle_first
        if head in GENERAL:
            total += by.general_last
            if head in EMPTY:
                total += by.empty_last
    if ends in "bBV":
        total += by.verb_last
    if not alone:
        total += by.part
    if at and text[0].isupper() and text[1:2].islower():
        total += by.name
    if not text.replace(" ", "").isalpha() and _NUMBERED.search(text):
        total += by.number
    return total


# -- beside the others -------------------------------------------------------------------------------------------------


class Context(NamedTuple):
    """One of the best candidates, relative to the others and to its place in the text.

    It excludes the text's length and its number of candidates: from those, trees learn which data set a text is from.
    """

    size: float  # words
    chars: float
    longest: float  # characters of its longest word
    alone: float  # times as a phrase on its own as a phrase on its own
    late: float  # share of the text before it
    spread: float
    rarest: float  # times its rarest word occurs in phrases
    commonest: float
    headed: float  # candidates with the same last word
    begins: float  # kind of its first word, as a number
    ends: float
    before: float  # kind of the token before it
    after: float
    weight: float
    name: float  # words of it with a capital


# Nouns last, so that a threshold separates similar kinds.
_ORDER = {kind: float(n) for n, kind in enumerate("^.frqtmxdv#wabBeGgnspPci")}
_ORDER |= {"F": 1.0, "V": _ORDER["B"], "o": _ORDER["n"], "y": _ORDER["n"], "O": _ORDER["c"]}


def context(
    best: Sequence[tuple[float, int, str, Candidate]],
    rivals: Sequence[tuple[float, int, str, Candidate]],
    spans: Iterable[Span],
    kinds: str,
) -> list[tuple[float, ...]]:
    """The fields of a Context for each of `best` (loss, place, text and candidate), among `rivals`, all of the text's
    candidates. Plain tuples: to make twenty named ones takes as long as a tree."""
    counts = Counter(chain.from_iterable([words for words, _, _ in spans]))
    heads = Counter([rated[3].words[-1] for rated in rivals])
    length = len(kinds)
    order = _ORDER
    made: list[tuple[float, ...]] = []
    for _, at, text, (words, _, _, last, alone, _, begins, ends, weight) in best:
        size = len(words)
        chars = len(text)
        if size == 1:
            long, name = chars, 1.0 if text[0].isupper() else 0.0
            rarest = commonest = counts[words[0]]
        else:
            surface = text.split()
            long = max(map(len, surface))
            name = 0.0 if text.islower() else sum([word[0].isupper() for word in surface]) / size
            times = [counts[word] for word in words]
            rarest, commonest = min(times), max(times)
        end = at + size
        made.append(
            (
                size,
                chars,
                long,
                alone,
                at / length,
                (last - at) / length,
                rarest,
                commonest,
                heads[words[-1]],
                order[begins],
                order[ends],
                order[kinds[at - 1]] if at else 0.0,
                order[kinds[end]] if end < length else 0.0,
                weight,
                name,
            )
        )
    return made
