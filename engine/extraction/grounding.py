"""Grounding: a keyword stays only if the document supports it, word by word, by stem. Items that are not keywords are
dropped too.

Supported means: the text contains the keyword literally (any language, any script), or contains a form of each of its
content words (see spelling), near each other. So "extracting keywords" supports "keyword extraction", but "keyword" on
one page and "extraction" on another does not, and no instruction in a document can add a word that the document does
not contain.

A name counts whole and in its parts (PostgreSQL: postgresql, postgre, sql), and two adjacent words count as the
compound they form: roll back, roll-back and rollback support each other.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from engine.extraction.languages import ENGLISH, language
from engine.extraction.spelling import TWO_LETTERS, form, start, written_out
from engine.extraction.stems import stemmer
from engine.text import MARK, clean_line

KEYWORD_CHARS = 60  # also the schema's maxLength: an unbounded string is where small models loop
MOST_WORDS = 6  # longer is a sentence, not a keyword
NEAR, NEAREST = 10, 2  # words within which a keyword's words must occur together, in a short text and in a long one
SHORT_WORDS = 400  # words of a text in which NEAR applies; a longer text brings words together by chance
SHORTEST_HALF = 2  # letters of the shorter part of a compound

# What models read as the end of a turn, in the templates of the common families (ChatML, Llama, Mistral, Gemma, Phi,
# Granite).
TEMPLATE_TOKENS = re.compile(
    r"<\s*\|[^<>|\s]{1,40}\|\s*>|<\|[^<>\s]{0,40}>|<\uff5c[^<>]{1,60}\uff5c>"
    r"|\[/?\s*(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\s*\]|<</?SYS>>"
    r"|</?(?:start_of_turn|end_of_turn|bos|eos|s|think|tool_call|tool_response)>",
    re.IGNORECASE,
)

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?", re.UNICODE)
_SIGNS = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc", "'") | dict.fromkeys("‐‑‒–—−", "-") | {"\u00ad": None})
_MARKS = dict.fromkeys(map(ord, "™®©"), " ")  # between two words there may be nothing else
_GREEK_NAMES = """
alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi
omega
"""
_GREEK = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _GREEK_NAMES.split(), strict=True))
# not in a Greek word; beside a Latin letter too: TGFβ
_GREEK_LETTER = re.compile(
    r"([A-Za-z])?(?<![\u0370-\u03ff\u1f00-\u1fff])([α-ωΑ-Ω])(?![\u0370-\u03ff\u1f00-\u1fff])(?=([A-Za-z\d])?)"
)
# both begin with what is rare: a search from there takes a tenth of the time
_DOTTED = re.compile(r"\.(?<=[A-Za-z]\.)(?<![\w.][A-Za-z]\.)(?:[A-Za-z]\.)+(?:[A-Za-z](?!\w))?")
_V = re.compile(r"[vV](?<![a-z0-9]v)(?<![A-Za-z0-9]V)\.? ?(?=\d+\.\d)")
_VERSION = re.compile(r"\bversion (?=\d+\.\d)", re.I)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])(?![A-Z]s(?![a-z]))")  # not in APIs
_BURMESE = frozenset(map(chr, range(0x1000, 0x10A0)))
_KHMER = frozenset(map(chr, range(0x1780, 0x1800)))
# a blank that some writers leave out: API 网关, 로드 밸런서
_BESIDE_DENSE = re.compile(r"(?<=[\u3040-\u9fff\uac00-\ud7a3]) (?=\w)|(?<=\w) (?=[\u3040-\u9fff\uac00-\ud7a3])")
# what elision and the Arabic article put before a word: l'annuaire, الطلبات
_PREFIXED = re.compile(r"\b(?:[cdjlmnst]|qu|dell|all|nell|sull|dall)'(?=\w{2})|\b[وبكف]?ال(?=\w{3})", re.I)
_INITIALS = re.compile(r"(?:^|\s)(?:[^\W\d_]\.){2,}$")  # the U.S.
_EDGE = " \t\"'`“”‘’«»*•·,;:=|<>"
_SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an the of and or in on at to for from by with without as is are be this that its into over via per vs "
        "de la le les des du der die das und el los las y e da do di",
    )
)


def tidy(raw: str) -> str | None:
    """The keyword in a form that can be stored. None if it contains control characters or template tokens, is too
    long, or has no letter."""
    if len(raw) > 4 * KEYWORD_CHARS or TEMPLATE_TOKENS.search(raw):
        return None
    flat = clean_line(unicodedata.normalize("NFC", raw), 4 * KEYWORD_CHARS)
    if (MARK in flat and MARK not in raw) or not flat.isprintable():
        return None
    flat = flat.strip(_EDGE)
    if flat.endswith(".") and not flat[:-1].endswith(".") and not _INITIALS.search(flat):
        flat = flat[:-1].strip(_EDGE)
    if not 2 <= len(flat) <= KEYWORD_CHARS and not (len(flat) == 1 and ord(flat) > 0x2E80):
        return None
    words = flat.casefold().split()
    if len(words) > MOST_WORDS or not any(c.isalpha() for c in flat) or len(words) > len(set(words)) + 1:
        return None
    if len(words) == 2 and words[0] == words[1]:  # the beginning of a loop
        return None
    return flat


class _Places:
    """The positions of each word of a text. A name has those of its parts, and ends where its last part ends."""

    def __init__(self, plain: str) -> None:
        self.of: dict[str, list[int]] = {}
        self.by_start: dict[str, list[str]] = {}
        length = 0
        for match in _WORD.finditer(plain):
            whole = match[0]
            self._add(whole.casefold(), length)
            if not (whole.islower() or whole.istitle() or whole.isupper()) and len(parts := _parts(whole)) > 1:
                for part in parts:
                    self._add(part, length)
                    length += 1
                self._add(whole.casefold(), length - 1)
            else:
                length += 1
        self.near = NEAR if length <= SHORT_WORDS else max(NEAREST, NEAR * SHORT_WORDS // length)

    def _add(self, word: str, place: int) -> None:
        spots = self.of.get(word)
        if spots is None:
            self.of[word] = [place]
            self.by_start.setdefault(start(word), []).append(word)
        else:
            spots.append(place)


class Ground:
    """A text as evidence for keywords. Its words are indexed when a keyword does not occur literally; only words that
    a keyword asks for are stemmed.

    Chat-template tokens are not evidence: they are commands to a model, not words of a document.
    """

    def __init__(self, text: str) -> None:
        if "<" in text or "[" in text:
            text = TEMPLATE_TOKENS.sub(" ", text)
        self._plain = _plain(text)
        self._text = _folded(self._plain)

    @cached_property
    def _places(self) -> _Places:
        return _Places(self._plain)

    def supports(self, keyword: str) -> bool:
        """Whether the text contains the keyword, literally or by stems of its words that occur near each other."""
        if self._literal(keyword):
            return True
        if "" != (whole := "".join(_words(keyword))) != keyword and self._spots(whole):
            return True
        wanted = [w for w in dict.fromkeys(_words(keyword)) if w.casefold() not in _SMALL]
        dense = [w for w in wanted if _dense(w[0])]
        if not wanted or not all(w.casefold() in self._text for w in dense):
            return False
        wanted = [w for w in wanted if w not in dense]
        if not wanted:
            return True
        places = self._all_spots(wanted)
        return bool(places) and (len(places) == 1 or _near(places, self._places.near))

    def _all_spots(self, wanted: list[str]) -> list[list[int]]:
        """Positions of each word; two words that the text writes as one share a position. Empty if any word is
        missing."""
        places: list[list[int]] = []
        at = 0
        while at < len(wanted):
            spots, taken = self._spots(wanted[at]) or self._halves(wanted[at]) or self._apart(wanted[at]), 1
            if at + 1 < len(wanted) and (not spots or not self._spots(wanted[at + 1])):
                joined = self._spots(wanted[at] + wanted[at + 1])
                spots, taken = (joined, 2) if joined else (spots, 1)
            if not spots:
                return []
            places.append(spots)
            at += taken
        return places

    def _halves(self, word: str) -> list[int]:
        """Where adjacent words form this word: roll back for rollback, HTTP/2 for http2, U.S. for US."""
        word = word.casefold()
        for cut in range(1, len(word)):
            if not (first := self._places.of.get(word[:cut]) if cut < 3 else self._spots(word[:cut])):
                continue
            rest = word[cut:]
            # A single letter counts as a part only in an abbreviation, in e-mail, and next to a digit.
            if min(cut, len(rest)) < SHORTEST_HALF and not (
                len(word) == 2 or word[cut - 1].isdigit() != rest[0].isdigit() or self._literal(f"{word[:cut]}-{rest}")
            ):
                continue
            after = set(self._spots(rest))
            if both := [spot for spot in first if spot + 1 in after]:
                return both
        return []

    def _apart(self, word: str) -> list[int]:
        """Where the parts of a name are near each other: keep alive for keepAlive."""
        parts = _parts(word)
        if len(parts) < 2:
            return []
        places = [self._spots(part) for part in parts]
        return min(places, key=len) if all(places) and _near(places, self._places.near) else []

    def _literal(self, keyword: str) -> bool:
        """Whether the text contains the keyword literally: between word borders where the script has words, anywhere
        otherwise."""
        needle = _folded(_plain(keyword))
        at = self._text.find(needle) if needle else -1
        while at >= 0:
            end = at + len(needle)
            before = self._text[at - 1] if at else " "
            after = self._text[end] if end < len(self._text) else " "
            if _border(before, needle[0]) and _border(needle[-1], after):
                return True
            at = self._text.find(needle, at + 1)
        return False

    def _spots(self, word: str) -> list[int]:
        """Where a form of this word occurs: by English rules, otherwise by stems of the text's own language."""
        word = word.casefold()
        if spots := self._alike(word, form):
            return spots
        if TWO_LETTERS.search(word) and (spots := self._alike(word, written_out)):
            return spots
        return self._alike(word, own) if (own := self._own_stem) else []

    def _alike(self, word: str, form_of: Callable[[str], str]) -> list[int]:
        wanted = form_of(word)
        spots: list[int] = []
        for begin in {start(word), start(wanted), word[:2]}:
            for other in self._places.by_start.get(begin, ()):
                if form_of(other) == wanted:
                    spots.extend(self._places.of[other])
        return sorted(spots)

    @cached_property
    def _own_stem(self) -> Callable[[str], str] | None:
        """The stemmer of the text's language, if it is not English and there is one."""
        name = language(list(self._places.of))
        of = None if name == ENGLISH else stemmer(name)
        # twice: the end of a stem may be taken for a case's, as that of system in Polish
        return None if of is None else lambda word: of(of(word))


@dataclass(frozen=True, slots=True)
class Grounded:
    """`kept` in the order proposed; `dropped` counts keywords the text does not support, `unfit` items that are not
    keywords."""

    kept: tuple[str, ...]
    dropped: int
    unfit: int


def ground(proposed: Iterable[str], text: Ground) -> Grounded:
    """Tidy, check and dedupe (by case) the keywords that a model proposes."""
    kept: dict[str, str] = {}
    dropped = unfit = 0
    for raw in proposed:
        keyword = tidy(raw)
        if keyword is None:
            unfit += 1
        elif not text.supports(keyword):
            dropped += 1
        else:
            kept.setdefault(keyword.casefold(), keyword)
    return Grounded(tuple(kept.values()), dropped, unfit)


def _folded(plain: str) -> str:
    folded = " ".join(plain.casefold().split())
    return folded if folded.isascii() else _BESIDE_DENSE.sub("", folded)


def _plain(text: str) -> str:
    """With one sign for every apostrophe, dash and width of a letter; a lone Greek letter by its name, U.S.A. as USA,
    v2.0 as 2.0."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_MARKS)).translate(_SIGNS)
        text = _GREEK_LETTER.sub(_named, text)
    if "'" in text or not text.isascii():  # the keyword l'annuaire is ASCII where its text is not
        text = _PREFIXED.sub(" ", text)
    return _V.sub(" ", _DOTTED.sub(lambda match: match[0].replace(".", ""), text))


def _named(letter: re.Match[str]) -> str:
    """A Greek letter by its name, apart from the letters beside it."""
    name = _GREEK.get(letter[2].lower(), letter[2])
    return f"{f'{letter[1]} ' if letter[1] else ''}{name}{' ' if letter[3] else ''}"


def _words(text: str) -> list[str]:
    """The words of a keyword as written: max_tokens and key-word are split, maxTokens is not; version 2.0 as 2.0."""
    return _WORD.findall(_VERSION.sub("", _plain(text)))


def _parts(word: str) -> list[str]:
    """The lower-case words that make up a mixed-case name."""
    return [part.casefold() for part in _CAMEL.split(word)]


def _border(left: str, right: str) -> bool:
    """Whether a word may end between these two characters."""
    if not (left.isalnum() and right.isalnum()):
        return True
    return _dense(left) or _dense(right)


def _dense(letter: str) -> bool:
    """Whether a script has no spaces between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) or attaches endings
    (Korean)."""
    return ord(letter) > 0x2E80 or "\u0e00" <= letter <= "\u0eff" or letter in _BURMESE or letter in _KHMER


def _near(places: list[list[int]], reach: int) -> bool:
    """Whether one occurrence of each lies within `reach` words of an occurrence of the rarest."""
    places = sorted(places, key=len)
    for spot in places[0]:
        for others in places[1:]:
            i = bisect_left(others, spot - reach)
            if i == len(others) or others[i] > spot + reach:
                break
        else:
            return True
    return False
