"""From the phrases of a text to candidates, and the traits that rank them. Pure; each trait is a number.

`candidates` returns possible keywords; `scores` weighs each candidate's own traits; `context` returns traits relative
to the other candidates, computed only for the best few. The weights are in ranking.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from engine.extraction.candidates import KINDS, is_keyword
from engine.extraction.foreign import general_nouns, lone_adjectives
from engine.extraction.languages import ARTICLES, LINKS
from engine.extraction.tokens import Known, Span, Words
from engine.extraction.words import EMPTY, GENERAL, SOFT, VAGUE, WEAK

SELDOM = 400  # candidates, from which on one that occurs once and late is not worth a score
EARLY = 400  # tokens
# A general word that occurs this often, and in this many phrases, is the text's subject.
SUBJECT, SUBJECT_OF = 8, 60
FOREIGN_SUBJECT = 3  # times as often in other languages, whose lists are short: what they hold is general indeed

_LINKS = frozenset(chain.from_iterable([*LINKS.values(), *ARTICLES.values()]))
_NUMBERED = re.compile(r"\d(?<!\S\d)")
_NO_END = frozenset("aewvfG#.")
_NO_BEGINNING = frozenset("wvf#.")


class Candidate(NamedTuple):
    """`alone`: how often it is a phrase of its own; `within`: how often it is part of one. `at`, `last`: the first
    and last token where it begins. The rest follows from its words: see `candidate`."""

    words: Words
    text: str
    at: int
    last: int
    alone: int
    within: int
    begins: str  # the kind of its first word
    ends: str  # the kind of its last word
    weight: float  # share of content words


class Traits(NamedTuple):
    """The weight of each trait of a candidate; a trait is 1.0 where its name is true, unless a unit is given."""

    one: float  # number of words, 1 to 5
    two: float
    three: float
    four: float
    five: float
    alone: float  # log(times it is a phrase + a third of the times inside one)
    occurs: float  # log(all times)
    late: float  # log(1 + first token / 20)
    spread: float  # share of the text between its first and last occurrence
    name: float  # capitalised inside the text
    weight: float  # share of content words
    general_alone: float
    general_last: float
    empty_last: float
    adjective_first: float
    soft_first: float
    participle_first: float  # begins with an -ing form
    verb_last: float  # ends with a noun that is also a verb: increase, result
    part: float  # never a phrase of its own
    number: float
    identifier_alone: float


_SAYS = Known(lambda word: 0.0 if word in GENERAL or word in WEAK else 1.0)


def candidate(words: Words, text: str, at: int, last: int, alone: int, within: int) -> Candidate:
    size = len(words)
    if size == 1:
        begins = ends = KINDS[text]
        weight = _SAYS[words[0]]
    else:
        written = text.split(" ")
        begins, ends = KINDS[written[0]], KINDS[written[-1]]
        weight = (_SAYS[words[0]] + _SAYS[words[1]] if size == 2 else sum(map(_SAYS.__getitem__, words))) / size
    # a third of the time of a call of the class
    return tuple.__new__(Candidate, (words, text, at, last, alone, within, begins, ends, weight))


# of a phrase: first place, last place, times inside another phrase; and a spelling per occurrence
Phrasings = dict[Words, tuple[list[int], list[str]]]
Vague = tuple[
    int, int, str, Words, int, int
]  # less the times alone, first place, text, words, last place, times inside


def candidates(spans: list[Span], *, english: bool, language: str | None = None) -> tuple[list[Candidate], list[Vague]]:
    """The phrases, and parts that two of them share, in the order of the text's phrases; and the vague ones, most
    frequent first.

    A candidate is vague if it is a general single word that is not the text's subject: ability, details. In a
    `language` whose phrases have their noun at one end, a part must have one there, too.
    """
    phrases = _occurrences(spans)
    adjectives = frozenset[str]() if english else lone_adjectives(spans, language)
    parts = _parts_by_links(phrases) if language in LINKS else _parts(phrases)
    if language == "german":
        parts = _ending_as(phrases, parts)
    elif adjectives:
        parts = {part: where for part, where in parts.items() if len(part) > 1 or part[0] not in adjectives}
    many = len(phrases) + len(parts) > SELDOM
    subject = max(SUBJECT, len(spans) // SUBJECT_OF) * (1 if english else FOREIGN_SUBJECT)
    general = VAGUE if english else general_nouns(language)
    made: list[Candidate] = []
    vague: list[Vague] = []
    for words, ((at, last, within), texts) in phrases.items():
        alone = len(texts)
        if many and alone + within < 2 and at > EARLY:
            continue
        text = texts[0] if alone == 1 else _spelling(texts)
        if not is_keyword(text):
            continue
        if words[0] in general and alone + within < subject and (len(words) == 1 or _is_numbered(words)):
            vague.append((-alone, at, text, words, last, within))
        else:
            made.append(candidate(words, text, at, last, alone, within))
    for words, (at, last, within) in parts.items():
        text = " ".join(words)
        if (many and within < 2 and at > EARLY) or not is_keyword(text):
            continue
        part = candidate(words, text, at, last, 0, within)
        if _may_be_alone(part, english, general):
            made.append(part)
    vague.sort()
    return made, vague


def _occurrences(spans: list[Span]) -> Phrasings:
    phrases: Phrasings = {}
    for words, text, at in spans:
        seen = phrases.get(words)
        if seen is None:
            phrases[words] = [at, at, 0], [text]
        else:
            seen[0][1] = at
            seen[1].append(text)
    return phrases


def _ending_as(phrases: Iterable[Words], parts: dict[Words, list[int]]) -> dict[Words, list[int]]:
    """The parts that end as a phrase does."""
    ends = {words[i:] for words in phrases for i in range(len(words))}
    return {part: where for part, where in parts.items() if part in ends}


def _may_be_alone(part: Candidate, english: bool, general: frozenset[str]) -> bool:
    """Whether what occurs only inside phrases may be a keyword."""
    if english:
        return part.ends not in _NO_END and part.begins not in _NO_BEGINNING
    words = part.words
    return not (words[0] in _LINKS or words[-1] in _LINKS or (len(words) == 1 and words[0] in general))


def _is_numbered(words: Words) -> bool:
    """Issue 20, priority 1, March 3rd; but not Python 3.11."""
    return len(words) == 2 and words[1][0].isdigit()


def of_vague(one: Vague) -> Candidate:
    less, at, text, words, last, within = one
    return candidate(words, text, at, last, -less, within)


def is_weak(one: Candidate) -> bool:
    """Whether a candidate that occurs once is an ordinary word, or a general noun that an adjective hardly narrows:
    frequent changes, but not a name: Red Cross."""
    if one.alone + one.within > 1:
        return False
    if len(one.words) == 1:
        return one.ends in "gnsk"
    if len(one.words) != 2 or one.begins != "a" or one.words[1] not in VAGUE:
        return False
    return one.text.split()[1][0].islower()


def is_fragment(part: Candidate, of: Iterable[Candidate]) -> bool:
    """Whether a part of phrases occurs only inside a longer candidate: airlines flight, of Malaysia Airlines flight."""
    return any(longer.alone + longer.within >= part.within for longer, _ in _longer(part, of))


def is_part(part: Candidate, of: Iterable[Candidate]) -> bool:
    return any(True for _ in _longer(part, of))


def is_name(part: Candidate, of: Iterable[Candidate]) -> bool:
    """Whether the longer candidates around a part end its capitals where it ends: Malaysia Airlines, of Malaysia
    Airlines flight; not South China, of South China Sea."""
    size = len(part.words)
    if size == 1:
        return False
    around = [(longer.text.split(), at) for longer, at in _longer(part, of) if longer.alone]
    return bool(around) and all(_begins_as_name(written, size) and not at for written, at in around)


def _begins_as_name(written: Sequence[str], size: int) -> bool:
    """Whether the first `size` words are a name, and the words after it are none."""
    return all(word[0].isupper() for word in written[:size]) and all(word[0].islower() for word in written[size:])


def _longer(part: Candidate, of: Iterable[Candidate]) -> Iterator[tuple[Candidate, int]]:
    """The candidates that contain a shorter one, and where in each it begins."""
    words, size = part.words, len(part.words)
    for other in of:
        longer = other.words
        if len(longer) > size and words[0] in longer:
            at = longer.index(words[0])
            if longer[at : at + size] == words:
                yield other, at


def shorter(phrases: Iterable[Candidate], *, singles: bool) -> list[Candidate]:
    """Shorter keywords for an English text that has few: of each phrase its last two words, then other pairs of
    neighbours, then, with `singles`, its words that are not general. In text order. Some may be in `phrases`
    already."""
    made: list[tuple[int, int, Candidate]] = []
    for phrase in phrases:
        size, surface = len(phrase.words), phrase.text.split()
        for width in (2, 1) if singles else (2,):
            for i in range(size - width + 1 if width < size else 0):
                one = _piece(phrase, surface, i, width)
                if one.ends in _NO_END or one.begins in _NO_BEGINNING:
                    continue
                if width == 1 and (one.words[0] in VAGUE or not is_keyword(one.text)):
                    continue
                is_best = i + width == size or (not i and _begins_as_name(surface, width))
                made.append((2 if width == 1 else 0 if is_best else 1, one.at, one))
    made.sort(key=itemgetter(0, 1))
    return [one for _, _, one in made]


def _piece(phrase: Candidate, surface: list[str], i: int, width: int) -> Candidate:
    """The words from `i` on, which occur where the phrase does."""
    times = phrase.alone + phrase.within
    return candidate(
        phrase.words[i : i + width], " ".join(surface[i : i + width]), phrase.at + i, phrase.last + i, 0, times
    )


def _parts(phrases: Phrasings) -> dict[Words, list[int]]:
    """Parts that two phrases share and that are neither phrases themselves nor general words: first and last place,
    times inside a phrase. Completes the same figures of each of `phrases`.

    A word that occurs in one place only is in no such part, so parts that contain it are skipped.
    """
    once, recurring = set[str](), set[str]()
    for word in chain.from_iterable(phrases):
        if word in once:
            recurring.add(word)
        else:
            once.add(word)
    if not recurring:
        return {}
    parts: dict[Words, list[int]] = {}
    shared: dict[Words, list[int]] = {}  # in the order in which their second occurrence appears
    for words, ((begins, ends, _), texts) in phrases.items():
        size = len(words)
        if size == 1 or recurring.isdisjoint(words):
            continue
        count = len(texts)
        for i in range(size):
            if words[i] not in recurring:
                continue
            for j in range(i + 1, size + 1 if i else size):
                if words[j - 1] not in recurring:
                    break
                part = words[i:j]
                phrase = phrases.get(part)
                if phrase is not None:
                    where = phrase[0]
                elif part in parts:
                    where = shared[part] = parts[part]
                else:
                    parts[part] = [begins + i, ends + i, count]
                    continue
                where[2] += count
                if where[0] > begins + i:
                    where[0] = begins + i
                if where[1] < ends + i:
                    where[1] = ends + i
    return {part: where for part, where in shared.items() if len(part) > 1 or part[0] not in VAGUE}


def _parts_by_links(phrases: Phrasings) -> dict[Words, list[int]]:
    """The same for a language with links: every part that begins as a phrase does or after a link, though it comes
    once."""
    parts: dict[Words, list[int]] = {}
    for words, ((begins, ends, _), texts) in phrases.items():
        size, count = len(words), len(texts)
        for i in range(size):
            if words[i] in _LINKS or (i and words[i - 1] not in _LINKS):
                continue
            for j in range(i + 1, size + 1 if i else size):
                if words[j - 1] in _LINKS:
                    continue
                part = words[i:j]
                phrase = phrases.get(part)
                where = phrase[0] if phrase else parts.setdefault(part, [begins + i, ends + i, 0])
                where[0], where[1] = min(where[0], begins + i), max(where[1], ends + i)
                where[2] += count
    return parts


def _spelling(forms: Sequence[str]) -> str:
    """The most frequent spelling; at a tie the one with fewest capitals, then the shortest, then the first by
    alphabet."""
    if forms.count(forms[0]) == len(forms):
        return forms[0]
    times = Counter(forms)
    return min(times, key=lambda text: (-times[text], sum(map(str.isupper, text)), len(text), text))


def scores(of: Iterable[Candidate], length: int, by: Traits) -> list[float]:
    """Each candidate's score in a text of `length` tokens: its traits times their weights."""
    log, log1p, late, spread, share = math.log, math.log1p, by.late, by.spread, by.weight
    made = []
    for words, text, at, last, alone, within, begins, ends, weight in of:
        size = len(words)
        total = late * log1p(at / 20) + spread * (last - at) / length + share * weight
        if within or alone > 1:
            total += by.alone * log(alone + 0.33 * within) + by.occurs * log(alone + within)
        if size == 1:
            if ends == "i":
                total += by.identifier_alone
            total += by.one
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
        head = words[-1]
        if head in GENERAL:
            total += by.general_alone if len(words) == 1 else by.general_last
            if head in EMPTY:
                total += by.empty_last
        if ends in "bBV":
            total += by.verb_last
        if not alone:
            total += by.part
        if at and text[0].isupper() and text[1:2].islower():
            total += by.name
        if not text.isalpha() and not text.replace(" ", "").isalpha() and _NUMBERED.search(text):
            total += by.number
        made.append(total)
    return made


# -- beside the others -------------------------------------------------------------------------------------------------


class Context(NamedTuple):
    """One of the best candidates, relative to the others and to its place in the text.

    Leaves out the text's length and its number of candidates: from those, trees would learn which data set a text is
    from.
    """

    size: int  # words
    chars: int
    longest: int  # characters of its longest word
    alone: int  # times it is a phrase of its own
    late: float  # share of the text before it
    spread: float
    rarest: int  # times its rarest word occurs in phrases
    commonest: int
    headed: int  # candidates that end in the same word
    begins: int  # kind of its first word, as a number
    ends: int
    before: int  # kind of the token before it
    after: int
    weight: float
    name: float  # words of it that have a capital


# The same fields, in their order: making twenty Contexts takes as long as evaluating a tree.
Fields = tuple[int, int, int, int, float, float, int, int, int, int, int, int, int, float, float]

# Nouns last, so that one threshold separates similar kinds.
_ORDER = {kind: n for n, kind in enumerate("^.frqtmxdv#wabBeGgnspPci")}
_ORDER |= {"F": 1, "V": _ORDER["B"], "D": _ORDER["c"], "O": _ORDER["c"], **dict.fromkeys("oyk", _ORDER["n"])}


def context(
    best: Sequence[tuple[float, int, str, Candidate]],
    rivals: Sequence[tuple[float, int, str, Candidate]],
    spans: Iterable[Span],
    kinds: str,
) -> list[Fields]:
    """The fields of a Context for each of `best` (loss, place, text and candidate) among `rivals`, all of the
    text's candidates."""
    counts = Counter(chain.from_iterable([words for words, _, _ in spans]))
    heads = Counter([rated[3].words[-1] for rated in rivals])
    length = len(kinds)
    order = _ORDER
    made: list[Fields] = []
    for _, at, text, (words, _, _, last, alone, _, begins, ends, weight) in best:
        size = len(words)
        chars = len(text)
        if size == 1:
            long, name = chars, 1.0 if text[0].isupper() else 0.0
            rarest = commonest = counts[words[0]]
        else:
            name = 0.0 if text.islower() else sum([word[0].isupper() for word in text.split()]) / size
            if size == 2:  # most; without lists of two, in half the time
                first = text.index(" ")
                long = max(first, chars - first - 1)
                rarest, commonest = counts[words[0]], counts[words[1]]
                if rarest > commonest:
                    rarest, commonest = commonest, rarest
            else:
                long = max(map(len, text.split()))
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
                order[kinds[at - 1]] if at else 0,
                order[kinds[end]] if end < length else 0,
                weight,
                name,
            )
        )
    return made
