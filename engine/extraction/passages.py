"""A document in two languages: its passages, so that each is read by its own grammar (a README with a Chinese half, a
German ticket with an English log)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain, pairwise

from engine.extraction.languages import ENGLISH, PERHAPS_FOREIGN, SPOKEN
from engine.extraction.tokens import Known
from engine.extraction.words import FUNCTION

LEAST_SHARE = 0.12  # of the words: a quotation of less is read with the rest
LEAST_WORDS = 15
THINNEST = 0.06  # share of its function words in a passage; a language without a list shows fewer of any other
PROSE_SHARE = 0.2  # function words of a language among the words of its sentences
FEW_WORDS = 3  # other languages' function words that an English text may have
CLEARLY = 1.5  # times as many function words as the document's main language has in the same passage
_FOREIGN_LETTER = re.compile(r"[^\W\d_a-zA-Z]")

_LANGUAGES: dict[str, tuple[str, ...]] = {**SPOKEN, **{word: (ENGLISH, *SPOKEN.get(word, ())) for word in FUNCTION}}
_SPEAKS = Known(lambda token: _LANGUAGES.get(token.lower(), ()))


def passages(text: str, tokens: list[str]) -> list[list[str]]:
    """The tokens by language, the main one's first; all of them together if the text is in one language."""
    plain = text.isascii() or not _FOREIGN_LETTER.search(text)
    if plain and len(PERHAPS_FOREIGN.intersection(tokens)) < FEW_WORDS:
        return [tokens]
    lines = _lines(tokens)
    counts = [_counts(line) for line in lines]
    spoken = _spoken(counts)
    words = Counter[str]()
    found: dict[str, Counter[str]] = {}  # function words in the passages of a language
    for line, name, count in zip(lines, spoken, counts, strict=True):
        words[name] += len(line)
        found.setdefault(name, Counter()).update(count)
    main = max(words, key=words.__getitem__)
    least = max(LEAST_WORDS, LEAST_SHARE * len(tokens))
    others = [
        name
        for name, many in words.items()
        if name != main and many >= least and found[name][name] >= CLEARLY * found[name][main]
    ]
    if not others or any(found[name][name] < THINNEST * words[name] for name in (main, *others)):
        return [tokens]
    apart: dict[str, list[str]] = {name: [] for name in (main, *others)}
    for line, name in zip(lines, spoken, strict=True):
        apart.get(name, apart[main]).extend(line)
    return list(apart.values())


def is_prose(tokens: list[str]) -> bool:
    """Whether they are sentences of a listed language, not names alone."""
    words = [token for token in tokens if token[0].isalpha()]
    return len(words) >= LEAST_WORDS and max(_counts(words).values(), default=0) >= PROSE_SHARE * len(words)


def _lines(tokens: list[str]) -> list[list[str]]:
    begins = [0, *(place for place, token in enumerate(tokens) if token[0] == "\n")]
    return [tokens[begin:end] for begin, end in pairwise([*begins, len(tokens)])]


def _counts(line: Sequence[str]) -> Counter[str]:
    """How many function words of each language a line has."""
    return Counter(chain.from_iterable(map(_SPEAKS.__getitem__, line)))


def _spoken(counts: Sequence[Counter[str]]) -> list[str]:
    """The language of each line; of one that shows none that of the line before it."""
    spoken: list[str] = []
    for found in counts:
        (name, most), (_, second) = [*found.most_common(2), ("", 0), ("", 0)][:2]
        spoken.append(name if most > max(second, 1) else "")
    first = next(filter(None, spoken), "")
    for at, name in enumerate(spoken):
        spoken[at] = first = name or first
    return spoken
