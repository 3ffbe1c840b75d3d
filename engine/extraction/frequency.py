"""The frequency method: the control arm, and what every failure falls back to. Pure, deterministic, any text, never raises.

Candidates are phrases (see candidates), and parts of phrases that stand in two of them. Each is scored log-linearly; the weights were fitted by logistic regression on abstracts
with indexers' keywords (short texts) and authors' keywords (long texts), and lie between the two by the logarithm of the length.

All of up to 15 keywords may be descriptive: a text about ideas has no technical terms, and the control is not made weaker for it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from engine.extraction.candidates import ACRONYM, IDENTIFIER, KINDS, MAX_CHARS, Known, Span, Words, phrases, tokenise
from engine.extraction.keywords import MAX_TECHNICAL, MAX_TOTAL, Keywords
from engine.extraction.languages import ENGLISH, LINKS
from engine.extraction.prose import prose, sample
from engine.extraction.unspaced import CJK, Piece, pieces
from engine.extraction.words import EMPTY, GENERAL, SOFT, TECHNOLOGIES, TECHNOLOGIES_BY_NAME, WEAK
from engine.parsing import Parsed, parse

SHORT, LONG = 150, 450  # tokens at which the weights are wholly the one or the other
SELDOM = 400  # candidates from which on one that comes once, and late, is not worth scoring
EARLY = 400  # tokens

_LINKS = frozenset(LINKS.values())
_NUMBERED = re.compile(r"(?<!\S)\d")
_QUOTED = re.compile(r"`([^`\s]{2,60})`")


class Weights(NamedTuple):
    """What each trait of a candidate adds to its score.

    Fitted by listwise softmax regression (a document's candidates compete; L2 10) on sets with gold keywords: SHORT on abstracts, half
    of them indexed exhaustively (Inspec), half by the few words of their authors (WWW, KDD); LONG on authors' and librarians' keywords of
    abstracts, 500 words and whole theses and reports. Each trait was checked on sets that the fit had not seen; none that did not
    hold there is left. Three numbers are no fit: a single word costs 0.55 more in LONG, and three or four words 0.2 and 0.1 less, since
    librarians' keywords are single words twice as often as the keywords that authors and readers give (a fifth, published for papers
    and news); and a number costs 0.9, not 0.5, since nobody looks for "section 1".
    """

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
    size=(-0.7, 0.33, 0.42, 0.19, -0.25), stands=0.69, occurs=-0.25, late=-0.32, spread=0.19, name=0.18, weight=0.44,
    general_alone=-1.23, general_last=0.03, empty_last=-0.99, adjective_first=0.15, soft_first=-0.39, participle_first=-0.3,
    verb_last=-0.36, part=-0.49, number=-0.9, identifier_alone=0.29,
)  # fmt: skip
_LONG = Weights(
    size=(-0.71, 0.75, 0.44, -0.41, -0.32), stands=-0.1, occurs=0.85, late=-0.51, spread=0.51, name=0.44, weight=0.39,
    general_alone=-1.04, general_last=-0.48, empty_last=-0.81, adjective_first=0.14, soft_first=-0.31, participle_first=-0.46,
    verb_last=-0.37, part=-0.26, number=-0.9, identifier_alone=0.12,
)  # fmt: skip
# of a language without lists, by hand: shorter phrases, since verbs are in them
_FOREIGN = Weights(
    size=(0.0, 0.2, -0.2, -1.0, -1.0), stands=0.5, occurs=0.5, late=-0.3, spread=0.2, name=0.3, weight=0.0,
    general_alone=0.0, general_last=0.0, empty_last=0.0, adjective_first=0.0, soft_first=0.0, participle_first=0.0,
    verb_last=0.0, part=-0.1, number=-0.5, identifier_alone=0.9,
)  # fmt: skip


class _Found(NamedTuple):
    """A candidate as it sorts: best first, then where it first stands, then by spelling."""

    loss: float
    at: int
    text: str
    words: Words
    stands: int


def extract(text: str | Parsed, *, limit: int = MAX_TOTAL) -> Keywords:
    """At most `limit` keywords of a document of any format, length and language, best first."""
    if limit <= 0:
        return Keywords()
    document = parse(text) if isinstance(text, str) else text
    body = prose(sample(document.content))
    quoted = frozenset(_QUOTED.findall(body) if "`" in body else ())
    found: list[_Found] = []
    elsewhere = False  # the text is in Chinese or Japanese, and what else stands in it are names
    if not body.isascii() and CJK.search(body):
        found = [_of_piece(piece) for piece in pieces(body)]
        elsewhere = 3 * sum(map(len, CJK.findall(body))) > len(body)
        body = CJK.sub(" . ", body)
    tokens = tokenise(body)
    spans, language = phrases(tokens)
    found += _scored(spans, len(tokens), language == ENGLISH and not elsewhere)
    found.sort()
    best = _chosen(found, limit, quoted, language, 2 if len(tokens) < (SHORT + LONG) // 2 else 1)
    return _shown(best, spans, quoted, language == ENGLISH)


# -- scores ------------------------------------------------------------------------------------------------------------------------


def _scored(spans: list[Span], length: int, english: bool) -> list[_Found]:
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
    weights = _between(length) if english else _FOREIGN
    candidates = list(spellings)
    candidates += [part for part in shared if part not in spellings and (len(part) > 1 or part[0] not in GENERAL)]
    many = len(candidates) > SELDOM
    found = []
    for words in candidates:
        forms = spellings.get(words, ())
        stands, within = len(forms), inside.get(words, 0)
        at = first[words]
        if many and stands + within < 2 and at > EARLY:
            continue
        text = _spelling(forms) if stands else " ".join(words)
        if len(text) > MAX_CHARS or not (text[0].isalpha() or any(map(str.isalpha, text))):
            continue
        size = len(words)
        if size == 1:
            begins = ends = KINDS[text]
        else:
            surface = text.split()
            begins, ends = KINDS[surface[0]], KINDS[surface[-1]]
        if not stands and not english and (words[0] in _LINKS or words[-1] in _LINKS):
            continue
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
        if _NUMBERED.search(text):
            score += weights.number
        if size == 1 and begins == "i":
            score += weights.identifier_alone
        head = words[-1]
        score += weights.weight * sum(map(_SAYS.__getitem__, words)) / size
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
    spellings: dict[Words, list[str]], first: dict[Words, int], last: dict[Words, int]
) -> tuple[dict[Words, int], list[Words]]:
    """How often each part of a phrase occurs inside one, and the parts that do so in two places of the phrases.

    A word that stands in one place only is in no such part, and ends no other phrase: what holds it is not counted. Completes `first`
    and `last`, for parts too.
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


def _between(length: int) -> Weights:
    """The weights for a text of this many tokens."""
    share = min(1.0, max(0.0, math.log(max(length, 1) / SHORT) / math.log(LONG / SHORT)))
    if share in (0.0, 1.0):
        return _LONG if share else _SHORT
    sizes = tuple(short + share * (long - short) for short, long in zip(_SHORT.size, _LONG.size, strict=True))
    return Weights(sizes, *(short + share * (long - short) for short, long in zip(_SHORT[1:], _LONG[1:], strict=True)))


def _of_piece(piece: Piece) -> _Found:
    """Once is weak evidence that a run of characters is a word; an identifier that comes once, between them, is one."""
    once = 0.4 if piece.times == 1 else 0.0
    loss = once - math.log(piece.times) - 0.3 * min(len(piece.text), 4) + 0.45 * math.log1p(piece.at / 40)
    return _Found(loss, piece.at, piece.text, tuple(piece.text), piece.times)


def _spelling(forms: Sequence[str]) -> str:
    """The most frequent one; at a tie the one with fewest capitals, then the shortest, then by spelling."""
    if len(forms) == 1:
        return forms[0]
    times = Counter(forms)
    return min(times, key=lambda text: (-times[text], sum(map(str.isupper, text)), len(text), text))


# -- the choice --------------------------------------------------------------------------------------------------------------------


def _chosen(found: list[_Found], limit: int, quoted: frozenset[str], language: str | None, least: int) -> list[_Found]:
    """The best, without what says the same again: spelt otherwise, or as a part of a better one that stands alone fewer than `least` times."""
    chosen: list[_Found] = []
    keys: set[Words] = set()
    covered: set[Words] = set()  # every part of what is chosen
    technical = 0
    for candidate in found:
        if len(chosen) >= limit:
            break
        words = candidate.words
        key = tuple(map(_root, words)) if language == ENGLISH else words
        if key in keys or (candidate.stands < least and words in covered):
            continue
        if _is_technical(candidate.text, quoted):
            if technical >= MAX_TECHNICAL:
                continue
            technical += 1
        keys.add(key)
        covered.update(words[i:j] for i in range(len(words)) for j in range(i + 1, len(words) + 1))
        chosen.append(candidate)
    return chosen


def _shown(best: list[_Found], spans: list[Span], quoted: frozenset[str], english: bool) -> Keywords:
    ranked: dict[str, None] = {}
    technical: dict[str, None] = {}
    for candidate in best:
        text = candidate.text if candidate.stands else _as_written(candidate, spans)
        keyword = _in_small_letters(text) if english and text not in quoted else text
        ranked[keyword] = None
        if _is_technical(text, quoted):
            technical[keyword] = None
    return Keywords(tuple(ranked), tuple(technical))


def _as_written(part: _Found, spans: list[Span]) -> str:
    """The first spelling of a part of phrases, which is known only by its words as they are compared."""
    size = len(part.words)
    for words, text, at in spans:
        i = part.at - at
        if 0 <= i <= len(words) - size and words[i : i + size] == part.words:
            return " ".join(text.split()[i : i + size])
    return part.text


def _root(word: str) -> str:
    """Enough of a stem to see that clustering and clusters are one keyword."""
    for ending in ("ing", "ed", "e"):
        if word.endswith(ending) and len(word) > len(ending) + 3:
            return word[: -len(ending)]
    return word


def _technical(word: str) -> bool:
    low = word.lower()
    if low in TECHNOLOGIES or (low in TECHNOLOGIES_BY_NAME and word != low):
        return True
    return bool(IDENTIFIER.search(word)) or (ACRONYM.fullmatch(word) is not None and low not in GENERAL)


_TECHNICAL = Known(_technical)
_SAYS = Known(lambda word: word not in GENERAL and word not in WEAK)


def _is_technical(text: str, quoted: frozenset[str]) -> bool:
    return text in quoted or any(map(_TECHNICAL.__getitem__, text.split()))


def _in_small_letters(text: str) -> str:
    """But identifiers, acronyms and single letters (the language C) as they are written."""
    return " ".join(word if len(word) == 1 or KINDS[word] == "i" else word.lower() for word in text.split())
