"""Grounding: a keyword stays only if the document supports it, word by word, by stem; what is not a keyword at all goes too.

Supported means: the keyword stands in the text as it is (any language, any script), or each of its words that means something has
its stem there and they occur near each other. So "keyword extraction" is supported by "extracting keywords", not by "keyword" on
one page and "extraction" on another, and no instruction in a document can add a word that the document does not contain.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import snowballstemmer

from engine.extraction.keywords import stem
from engine.extraction.languages import ENGLISH, language
from engine.text import MARK, clean_line

KEYWORD_CHARS = 60  # also the schema's maxLength: an unbounded string is where small models loop
MOST_WORDS = 6  # longer is a sentence, not a keyword
NEAR = 24  # words within which a keyword's words must occur together

# What models read as the end of a turn, in the templates of the common families (ChatML, Llama, Mistral, Gemma, Phi, Granite).
TEMPLATE_TOKENS = re.compile(
    r"<\s*\|[^<>|\s]{1,40}\|\s*>|<\|[^<>\s]{0,40}>|<\uff5c[^<>]{1,60}\uff5c>"
    r"|\[/?\s*(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\s*\]|<</?SYS>>"
    r"|</?(?:start_of_turn|end_of_turn|bos|eos|s|think|tool_call|tool_response)>",
    re.IGNORECASE,
)

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?", re.UNICODE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BURMESE = frozenset(map(chr, range(0x1000, 0x10A0)))
_KHMER = frozenset(map(chr, range(0x1780, 0x1800)))
_EDGE = " \t\"'`“”‘’«»*•·,;:=|<>"
_SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an the of and or in on at to for from by with without as is are be this that its into over via per vs "
        "de la le les des du der die das und el los las y e da do di",
    )
)


def tidy(raw: str) -> str | None:
    """The keyword in a form that may be stored, or None when it is none: control characters, template tokens, too long, no letter."""
    if len(raw) > 4 * KEYWORD_CHARS or TEMPLATE_TOKENS.search(raw):
        return None
    flat = clean_line(unicodedata.normalize("NFC", raw), 4 * KEYWORD_CHARS)
    if (MARK in flat and MARK not in raw) or not flat.isprintable():
        return None
    flat = flat.strip(_EDGE)
    if flat.endswith(".") and not flat[:-1].endswith("."):
        flat = flat[:-1].strip(_EDGE)
    if not 2 <= len(flat) <= KEYWORD_CHARS and not (len(flat) == 1 and ord(flat) > 0x2E80):
        return None
    words = flat.casefold().split()
    if len(words) > MOST_WORDS or not any(c.isalpha() for c in flat) or len(words) > len(set(words)) + 1:
        return None
    if len(words) == 2 and words[0] == words[1]:  # the beginning of a loop
        return None
    return flat


class Ground:
    """A text as evidence for keywords. Building it costs one pass; stems are taken only of words that a keyword asks for.

    Chat-template tokens are no evidence: they are orders to a model, not words of a document.
    """

    def __init__(self, text: str) -> None:
        if "<" in text or "[" in text:
            text = TEMPLATE_TOKENS.sub(" ", text)
        self._text = _folded(text)
        self._places: dict[str, list[int]] = {}
        self._begins: dict[str, list[str]] = {}
        self._words = _words(text)
        for place, word in enumerate(self._words):
            spots = self._places.get(word)
            if spots is None:
                self._places[word] = [place]
                self._begins.setdefault(word[:3], []).append(word)
            else:
                spots.append(place)

    def supports(self, keyword: str) -> bool:
        """Whether the text holds the keyword, itself or by the stems of its words near each other."""
        if self._literal(keyword):
            return True
        wanted = [w for w in dict.fromkeys(_words(keyword)) if w not in _SMALL]
        dense = [w for w in wanted if _dense(w[0])]
        if not wanted or not all(w in self._text for w in dense):
            return False
        wanted = [w for w in wanted if w not in dense]
        if not wanted:
            return True
        places = []
        for word in wanted:
            spots = self._spots(word)
            if not spots:
                return False
            places.append(spots)
        return len(places) == 1 or _near(places, NEAR)

    def _literal(self, keyword: str) -> bool:
        """In the text as it is: between word borders where the script has words, anywhere where it has none."""
        needle = _folded(keyword)
        at = self._text.find(needle)
        while at >= 0:
            end = at + len(needle)
            before = self._text[at - 1] if at else " "
            after = self._text[end] if end < len(self._text) else " "
            if _border(before, needle[0]) and _border(needle[-1], after):
                return True
            at = self._text.find(needle, at + 1)
        return False

    def _spots(self, word: str) -> list[int]:
        """Where a word with this stem stands: by English stems, else by those of the text's own language."""
        return self._stemmed(word, stem) or (self._stemmed(word, own) if (own := self._own_stem) else [])

    def _stemmed(self, word: str, stem_of: Callable[[str], str]) -> list[int]:
        wanted = stem_of(word)
        found: list[int] = []
        for other in self._begins.get(word[:3], ()):
            if stem_of(other) == wanted:
                found.extend(self._places[other])
        return sorted(found)

    @cached_property
    def _own_stem(self) -> Callable[[str], str] | None:
        """The stemmer of the text's language where that is another than English and there is one."""
        name = language(self._words)
        if name is None or name == ENGLISH or name not in snowballstemmer.algorithms():
            return None
        stemmer = snowballstemmer.stemmer(name)
        return lambda word: str(stemmer.stemWord(word))


@dataclass(frozen=True, slots=True)
class Grounded:
    """`kept` in the order proposed; `dropped` counts what the text does not support, `unfit` what is no keyword at all."""

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


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _words(text: str) -> list[str]:
    """Words in lower case; the parts of identifiers (max_tokens, maxTokens, key-word) are words."""
    return [w.casefold() for w in _WORD.findall(_CAMEL.sub(" ", unicodedata.normalize("NFKC", text)))]


def _border(left: str, right: str) -> bool:
    """Whether a word may end between these two characters."""
    if not (left.isalnum() and right.isalnum()):
        return True
    return _dense(left) or _dense(right)


def _dense(letter: str) -> bool:
    """Of a script that puts no spaces between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) or hangs endings on them (Korean)."""
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
