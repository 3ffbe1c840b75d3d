"""From the phrases of a text to candidates, and the traits that rank them. Pure; each trait is a number.

`candidates` returns possible keywords; `traits` the facts about one candidate alone; `context` those relative to the
others, computed only for the best few. The weights are in ranking.
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

SELDOM = 400  # candidates from which on one that comes once, and late, is not worth scoring
EARLY = 400  # tokens
SUBJECT = 8  # times from which on a general word says what a text is about

_LINKS = frozenset(chain.from_iterable(LINKS.values()))
_NUMBERED = re.compile(r"(?<!\S)\d")
_NO_END = frozenset("aewvG#.")
_NO_BEGINNING = frozenset("wv#")


class Candidate(NamedTuple):
    """`stands`: how often it is a phrase of the text; `within`: how often a part of one. `at`, `last`: first and last
    token it begins at."""

    words: Words
    text: str
    at: int
    last: int
    stands: int
    within: int

    @property
    def vague(self) -> bool:
        """A general single word that is not the text's subject: ability, details."""
        return len(self.words) == 1 and self.words[0] in GENERAL and self.stands + self.within < SUBJECT


class Traits(NamedTuple):
    """Traits of one candidate; each is 1.0 where the name is true, unless a unit is given."""

    one: float  # number of words, 1 to 5
    two: float
    three: float
    four: float
    five: float
    stands: float  # log(times as a phrase + a third of the times inside one)
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


_SIZES: tuple[tuple[float, float, float, float, float], ...] = tuple(
    (float(n == 1), float(n == 2), float(n == 3), float(n == 4), float(n == 5)) for n in range(6)
)
_SAYS = Known(lambda word: word not in GENERAL and word not in WEAK)


def candidates(spans: Sequence[Span], *, english: bool) -> list[Candidate]:
    """The phrases, and the parts that two places of the phrases share, in the order of the text's phrases."""
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
    made = []
    for words in chain(spellings, parts):
        forms = spellings.get(words, ())
        stands, within, at = len(forms), inside.get(words, 0), first[words]
        if many and stands + within < 2 and at > EARLY:
            continue
        text = _spelling(forms) if stands else " ".join(words)
        if len(text) > MAX_CHARS or not (text[0].isalpha() or any(map(str.isalpha, text))):
            continue
        if not stands:
            if english:
                surface = text.split()
                if KINDS[surface[-1]] in _NO_END or KINDS[surface[0]] in _NO_BEGINNING:
                    continue
            elif words[0] in _LINKS or words[-1] in _LINKS:
                continue
        made.append(Candidate(words, text, at, last[words], stands, within))
    return made


def _inside(
    spellings: dict[Words, list[str]], first: dict[Words, int], last: dict[Words, int]
) -> tuple[dict[Words, int], list[Words]]:
    """How often each part of a phrase occurs inside one, and the parts that do so in two places of the phrases.

    A word that stands in one place only is in no such part, and ends no other phrase: what holds it is not counted.
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


def traits(candidate: Candidate, length: int) -> Traits:
    """Of a candidate in a text of `length` tokens."""
    words, text, at, last, stands, within = candidate
    size = len(words)
    head = words[-1]
    adjective = soft = participle = alone = 0.0
    general = head in GENERAL
    if size == 1:
        ends = KINDS[text]
        alone = 1.0 if ends == "i" else 0.0
        weight = 1.0 if _SAYS[head] else 0.0
    else:
        begins, ends = KINDS[text[: text.index(" ")]], KINDS[text[text.rindex(" ") + 1 :]]
        weight = sum(map(_SAYS.__getitem__, words)) / size
        if size > 2 and not _LINKS.isdisjoint(words):
            size -= sum(map(_LINKS.__contains__, words))  # base de datos is a term of two words
        if begins == "a":
            adjective = 1.0
            soft = 1.0 if words[0] in SOFT else 0.0
        elif begins in "gG":
            participle = 1.0
    return Traits(
        *_SIZES[size],
        math.log(stands + 0.33 * within),
        math.log(stands + within),
        math.log1p(at / 20),
        (last - at) / length,
        1.0 if at and text[0].isupper() and text[1:2].islower() else 0.0,
        weight,
        1.0 if general and size == 1 else 0.0,
        1.0 if general and size > 1 else 0.0,
        1.0 if general and head in EMPTY else 0.0,
        adjective,
        soft,
        participle,
        1.0 if ends in "bB" else 0.0,
        0.0 if stands else 1.0,
        1.0 if not text.isalpha() and _NUMBERED.search(text) else 0.0,
        alone,
    )


# -- beside the others -------------------------------------------------------------------------------------------------


class Context(NamedTuple):
    """One of the best candidates relative to the others and its place in the text."""

    behind: float  # score of the best, less its own
    rank: float
    length: float  # log(tokens of the text)
    rivals: float  # log(candidates of the text)
    size: float  # words
    chars: float
    longest: float  # characters of its longest word
    stands: float  # times
    at: float  # token
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
_ORDER = {"F": 1.0} | {kind: float(n) for n, kind in enumerate("^.frqtmxdv#wabBeGgnspPci")}


def context(
    best: Sequence[tuple[float, Candidate]],
    rivals: Sequence[tuple[float, Candidate]],
    spans: Iterable[Span],
    kinds: str,
) -> list[Context]:
    """One for each of `best` (score and candidate, best first), among `rivals`, all of the text's candidates."""
    counts = Counter(chain.from_iterable(words for words, _, _ in spans))
    heads = Counter(rival.words[-1] for _, rival in rivals)
    length = len(kinds)
    of_length, many = math.log(length), math.log(len(rivals))
    order, kind = _ORDER, KINDS
    top = best[0][0]
    made = []
    for rank, (score, (words, text, at, last, stands, _)) in enumerate(best):
        size = len(words)
        if size == 1:
            first = final = text
            long, name = len(text), float(text[0].isupper())
            rarest = commonest = counts[words[0]]
        else:
            surface = text.split()
            first, final = surface[0], surface[-1]
            long = max(map(len, surface))
            name = 0.0 if text.islower() else sum(word[0].isupper() for word in surface) / size
            times = [counts[word] for word in words]
            rarest, commonest = min(times), max(times)
        end = at + size
        made.append(
            Context(
                top - score,
                rank,
                of_length,
                many,
                size,
                len(text),
                long,
                stands,
                at,
                at / length,
                (last - at) / length,
                rarest,
                commonest,
                heads[words[-1]],
                order[kind[first]],
                order[kind[final]],
                order[kinds[at - 1]] if at else 0.0,
                order[kinds[end]] if end < length else 0.0,
                sum(map(_SAYS.__getitem__, words)) / size,
                name,
            )
        )
    return made
