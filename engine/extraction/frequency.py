"""The frequency method: the control arm, and what every failure falls back to. Pure, deterministic, any text, never raises.

Candidates are phrases (see candidates), and parts of phrases that stand in two of them. Each is scored log-linearly; the weights were fitted by logistic regression on abstracts
with indexers' keywords (short texts) and authors' keywords (long texts), and lie between the two by the logarithm of the length.

All of up to 15 keywords may be descriptive: a text about ideas has no technical terms, and the control is not made weaker for it.
"""

from __future__ import annotations

import html
import math
import re
from typing import NamedTuple

from engine.extraction.candidates import (
    ACRONYM,
    CJK,
    IDENTIFIER,
    KINDS,
    MAX_CHARS,
    Piece,
    Span,
    phrases,
    pieces,
    tokenise,
)
from engine.extraction.keywords import MAX_TECHNICAL, MAX_TOTAL, Keywords
from engine.extraction.languages import ENGLISH
from engine.extraction.words import EMPTY, GENERAL, SOFT, TECHNOLOGIES, TECHNOLOGIES_BY_NAME, WEAK

SAMPLE_CHARS = 400_000  # read of a longer text: its beginning and end, and slices spread evenly between, an eighth each
SHORT, LONG = 150, 450  # tokens at which the weights are wholly the one or the other
SELDOM = 400  # candidates from which on one that comes once, and late, is not worth scoring
EARLY = 400  # tokens

Words = tuple[str, ...]


class Weights(NamedTuple):
    size: tuple[float, ...]  # by number of words, 1 to 5
    stands: float  # log(times as a phrase + a third of the times inside one)
    occurs: float  # log(all times)
    late: float  # log(1 + first token / 20)
    spread: float  # share of the text between first and last time
    name: float  # capitalised inside the text
    weight: float  # share of words that say something
    general_alone: float
    general_last: float
    empty_last: float
    adjective_first: float
    soft_first: float
    participle_first: float  # -ing
    verb_last: float  # noun or verb: increase, result
    part: float  # never a phrase by itself
    number: float
    identifier_alone: float


_SHORT = Weights(
    (-1.1, 0.22, 0.3, -0.03, -0.75),
    0.65,
    0.2,
    -0.35,
    0.2,
    0.3,
    0.8,
    -1.2,
    0.0,
    -1.2,
    0.25,
    -0.65,
    -0.5,
    -0.5,
    -0.5,
    -0.9,
    0.3,
)
_LONG = Weights(
    (-0.65, 0.35, 0.18, -0.4, -0.95),
    0.0,
    0.9,
    -0.45,
    0.0,
    0.1,
    0.3,
    -1.4,
    -0.35,
    -1.2,
    0.22,
    -0.6,
    -0.5,
    -0.75,
    -0.9,
    -0.9,
    0.3,
)
# of a language without lists: shorter phrases, since verbs are in them
_FOREIGN = Weights(
    (0.0, 0.2, -0.2, -1.0, -1.0), 0.5, 0.5, -0.3, 0.2, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.9, -0.5, 0.0
)


class _Found(NamedTuple):
    """A candidate as it sorts: best first, then where it first stands, then by spelling."""

    loss: float
    at: int
    text: str
    words: Words
    stands: int


def extract(text: str, *, limit: int = MAX_TOTAL) -> Keywords:
    """At most `limit` keywords of a text of any length and language, best first."""
    if limit <= 0:
        return Keywords()
    body = prose(_sample(text))
    quoted = frozenset(_QUOTED.findall(body))
    found: list[_Found] = []
    if CJK.search(body):
        found = [_of_piece(piece, len(body)) for piece in pieces(body)]
        body = CJK.sub(" . ", body)
    tokens = tokenise(body)
    spans, language = phrases(tokens)
    found += _scored(spans, len(tokens), language == ENGLISH)
    found.sort()
    return _chosen(found, limit, quoted, language, 2 if len(tokens) < (SHORT + LONG) // 2 else 1)


# -- the text that is prose --------------------------------------------------------------------------------------------------------

_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})[^\n]*$", re.M)
_QUOTED = re.compile(r"`([^`\s]{2,60})`")
_TAG = re.compile(r"</?[A-Za-z!][^<>]{0,400}>")
_CLOSING_TAG = re.compile(r"</[A-Za-z]")
_ADDRESS = re.compile(r"\]\([^()\s]{1,400}\)|\b(?:https?|ftp|file)://[^\s<>]+|\bwww\.[^\s<>]+")
_DIRECTIVE = re.compile(r"^[ \t]*\.\. [\w:+-]+::.*$|^[ \t]*:[\w -]+:|:[\w+:-]+:(?=`)", re.M)
_CODE_LINE = re.compile(r"^(?:[ \t]*(?:>>>|\.\.\.|\$|#!) [^\n]*|(?: {4}|\t)[^\n]*(?:[;{}]|[=(]\S*\)?:?)[ \t]*)$", re.M)
_FEW = 200  # characters of prose beside which code is read too


def prose(text: str) -> str:
    """The text without code blocks, tags, addresses and directives. If hardly anything else is there, with its code."""
    text = text.replace("\r", "")
    if "```" in text or "~~~" in text:
        text = _unless_little(text, _unfenced(text))
    if "<" in text and _CLOSING_TAG.search(text):
        for begin, end in (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"), ("<pre", "</pre>")):
            text = _unless_little(text, _without(text, begin, end))
        text = html.unescape(_TAG.sub(" . ", text))
    if "://" in text or "](" in text or "www." in text:
        text = _ADDRESS.sub(" . ", text)
    if ":" in text:
        text = _DIRECTIVE.sub(" . ", text)
    if "\n    " in text or "\n\t" in text or "\n>>> " in text or "\n$ " in text:
        text = _unless_little(text, _CODE_LINE.sub("", text))
    if text.isupper():
        text = text.lower()
    return text


def _unless_little(text: str, less: str) -> str:
    return less if len(less.strip()) >= min(_FEW, len(text) // 4) else text


def _unfenced(text: str) -> str:
    kept, begun, mark = [], 0, ""
    for fence in _FENCE.finditer(text):
        signs = fence[1]
        if not mark:
            kept.append(text[begun : fence.start()])
            mark = signs
        elif signs.startswith(mark):
            begun, mark = fence.end(), ""
    if not mark:
        kept.append(text[begun:])
    return "\n\n".join(kept)


def _without(text: str, begin: str, end: str) -> str:
    """Without what stands between the two, in any case; an opening without an end stays."""
    low = text.lower()
    if len(low) != len(text):  # a letter whose small form is longer: places would not agree
        low = text
    kept, at = [], 0
    while (start := low.find(begin, at)) >= 0 and (stop := low.find(end, start)) >= 0:
        kept.append(text[at:start])
        at = stop + len(end)
    return "\n\n".join([*kept, text[at:]])


def _sample(text: str) -> str:
    if len(text) <= SAMPLE_CHARS:
        return text
    part = SAMPLE_CHARS // 8
    step = (len(text) - part) / 7
    slices = [text[int(n * step) : int(n * step) + part] for n in range(8)]
    return "\n\n".join(slices[:1] + [s[max(s.find(" ", 0, 200), 0) :] for s in slices[1:]])


# -- scores ------------------------------------------------------------------------------------------------------------------------


def _scored(spans: list[Span], length: int, english: bool) -> list[_Found]:
    whole: dict[Words, int] = {}
    forms: dict[Words, dict[str, int]] = {}
    first: dict[Words, int] = {}
    last: dict[Words, int] = {}
    for words, text, at in spans:
        if words in whole:
            whole[words] += 1
            same = forms[words]
            same[text] = same.get(text, 0) + 1
        else:
            whole[words] = 1
            forms[words] = {text: 1}
            first[words] = at
        last[words] = at
    inside, shared = _inside(whole, first, last)
    weights = _between(length) if english else _FOREIGN
    candidates = list(whole)
    candidates += [part for part in shared if part not in whole and (len(part) > 1 or part[0] not in GENERAL)]
    many = len(candidates) > SELDOM
    found = []
    for words in candidates:
        stands, within = whole.get(words, 0), inside.get(words, 0)
        at = first[words]
        if many and stands + within < 2 and at > EARLY:
            continue
        if stands:
            text = _spelling(forms[words])
            surface = text.split()
        else:
            text, surface = " ".join(words), list(words)
        if len(text) > MAX_CHARS or not any(map(str.isalpha, text)):
            continue
        size = len(words)
        begins, ends = KINDS[surface[0]], KINDS[surface[-1]]
        if english and not stands and (ends in "aewv#." or begins in "wv#"):
            continue
        score = weights.stands * math.log(stands + 0.33 * within) + weights.occurs * math.log(stands + within)
        score += (
            weights.size[size - 1] + weights.late * math.log1p(at / 20) + weights.spread * (last[words] - at) / length
        )
        if not stands:
            score += weights.part
        if at and text[0].isupper() and text[1:2].islower():
            score += weights.name
        if any(word[0].isdigit() for word in words):
            score += weights.number
        if size == 1 and begins == "i":
            score += weights.identifier_alone
        if english:
            head = words[-1]
            score += weights.weight * sum(word not in GENERAL and word not in WEAK for word in words) / size
            if head in GENERAL:
                score += weights.general_alone if size == 1 else weights.general_last
                if head in EMPTY:
                    score += weights.empty_last
            if ends == "b":
                score += weights.verb_last
            if size > 1:
                if begins == "a":
                    score += weights.adjective_first
                    if words[0] in SOFT:
                        score += weights.soft_first
                elif begins == "g":
                    score += weights.participle_first
        found.append(_Found(-score, at, text, words, stands))
    return found


def _inside(
    whole: dict[Words, int], first: dict[Words, int], last: dict[Words, int]
) -> tuple[dict[Words, int], dict[Words, None]]:
    """How often each part of a phrase occurs inside one; those that are in two different phrases. Completes `first` and `last`."""
    inside: dict[Words, int] = {}
    shared: dict[Words, None] = {}
    for words, count in whole.items():
        size = len(words)
        if size == 1:
            continue
        begins, ends = first[words], last[words]
        for i in range(size):
            for j in range(i + 1, size + 1 if i else size):
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
    return inside, shared


def _between(length: int) -> Weights:
    """The weights for a text of this many tokens."""
    share = min(1.0, max(0.0, math.log(max(length, 1) / SHORT) / math.log(LONG / SHORT)))
    if share in (0.0, 1.0):
        return _LONG if share else _SHORT
    sizes = tuple(short + share * (long - short) for short, long in zip(_SHORT.size, _LONG.size, strict=True))
    return Weights(sizes, *(short + share * (long - short) for short, long in zip(_SHORT[1:], _LONG[1:], strict=True)))


def _of_piece(piece: Piece, length: int) -> _Found:
    loss = -math.log(piece.times) - 0.3 * min(len(piece.text), 4) + 0.45 * math.log1p(piece.at / 40)
    return _Found(loss, piece.at, piece.text, tuple(piece.text), piece.times)


def _spelling(forms: dict[str, int]) -> str:
    """The most frequent one; at a tie the one with fewest capitals, then the shortest, then by spelling."""
    if len(forms) == 1:
        return next(iter(forms))
    return min(forms, key=lambda text: (-forms[text], sum(map(str.isupper, text)), len(text), text))


# -- the choice --------------------------------------------------------------------------------------------------------------------


def _chosen(found: list[_Found], limit: int, quoted: frozenset[str], language: str | None, least: int) -> Keywords:
    """The best, without what says the same again: spelt otherwise, or as a part of a better one that stands alone fewer than `least` times."""
    ranked: dict[str, None] = {}
    technical: list[str] = []
    kept: list[Words] = []
    keys: set[Words] = set()
    for candidate in found:
        if len(ranked) >= limit:
            break
        words = candidate.words
        key = tuple(map(_root, words)) if language == ENGLISH else words
        if key in keys or (candidate.stands < least and any(_contains(other, words) for other in kept)):
            continue
        is_technical = candidate.text in quoted or any(map(_technical, candidate.text.split()))
        if is_technical and len(technical) >= MAX_TECHNICAL:
            continue
        keyword = _shown(candidate.text, quoted) if language == ENGLISH else candidate.text
        if keyword in ranked:
            continue
        ranked[keyword] = None
        keys.add(key)
        kept.append(words)
        if is_technical:
            technical.append(keyword)
    return Keywords(tuple(ranked), tuple(technical))


def _root(word: str) -> str:
    """Enough of a stem to see that clustering and clusters are one keyword."""
    for ending in ("ing", "ed", "e"):
        if word.endswith(ending) and len(word) > len(ending) + 3:
            return word[: -len(ending)]
    return word


def _contains(words: Words, part: Words) -> bool:
    size = len(part)
    return any(words[i : i + size] == part for i in range(len(words) - size + 1))


def _technical(word: str) -> bool:
    low = word.lower()
    if low in TECHNOLOGIES or (low in TECHNOLOGIES_BY_NAME and word != low):
        return True
    return bool(IDENTIFIER.search(word)) or (ACRONYM.fullmatch(word) is not None and low not in GENERAL)


def _shown(text: str, quoted: frozenset[str]) -> str:
    """In small letters, but identifiers and acronyms as they are written."""
    if text in quoted:
        return text
    return " ".join(word if KINDS[word] == "i" else word.lower() for word in text.split())
