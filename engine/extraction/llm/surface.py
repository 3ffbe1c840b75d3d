"""Turns keywords as a model writes them into the document's own words.

Models write lists in every form: `- connection pool`, `2. circuit breaker`, `**x**`, `Prometheus - exported by the
gateway`, `a, b` in one string. This module removes the form and keeps the content, in the document's own spelling.
What the document itself writes that way (`--flag`, `__init__`, `C#`) is not form. Pure; the caller grounds the
result.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from engine.extraction.languages import ENGLISH, FUNCTION_WORDS, language
from engine.extraction.words import AUXILIARIES, BEFORE_VERBS, DETERMINERS, FUNCTION, TECHNOLOGIES_BY_NAME, VERBS
from engine.text import as_seen

MOST_ITEMS = 200  # items of one list that are examined
LONGEST = 2_000  # characters of one item that are examined
PHRASE_WORDS = 4  # the prompt asks for 1 to 4 words; a longer item with a verb is a sentence
_OCCURRENCES = 20  # occurrences of a keyword that show how the document spells it

_BULLET = re.compile(
    r"\s*(?:\\item|[-*+•‣◦▪●○·–—>→✓✔]+|[(\[]?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4}|[IVX]{1,4})[.)\]:]|\[[ xX]\])\s+"
)
_ORDINAL = re.compile(
    r"^\s*(?:[\u2460-\u24ff\u2776-\u2793]\s*|\\item\s+|\d{1,2}[.)](?=[^\W\d])|[（(]\d{1,2}[）)]\s*|\d{1,2}[、．）]\s*)"
)
_FOOTNOTE = re.compile(r"\s*(?:\[\d{1,3}\]|\(\d{1,3}\s?[x×]?\)|[\u00b9\u00b2\u00b3\u2070-\u2079]{1,3})$")
_HASH = re.compile(r"^#(?=[^\W\d_])")
_TAGS = re.compile(r"</?[a-zA-Z][\w-]{0,20}(?:\s[^<>]{0,80})?/?>")
_LINK = re.compile(r"!?\[([^\[\]]{1,80})\]\([^()\s]{1,300}\)")
_WRAPPED = re.compile(r"^(\*\*\*|\*\*|\*|__|_|~~|`{1,3}|==)(.+)\1$", re.DOTALL)
_SCORE = re.compile(
    r"\s*(?:[:=|,]\s*|\(\s*|\[\s*|\s)(?:score\s*[:=]?\s*)?(?:[01]?[.,]\d{1,4}|\d{1,3}\s?%|\d{1,2}/\d{1,2})\s*[)\]]?$"
)
_AFTER = re.compile(r"\s+[-–—=|]{1,3}>?\s+|\s*(?:->|=>|→|—)\s*|:\s+|\s+[(\[{]|\t+|\s*[:：]\s*(?=[\"'*`])")
_JOINED = re.compile(r"\s*[;\n|、；，،؛•·]\s*|\s*,(?!\d)\s*|(?<!\d),\s*|\s+/\s+")
_ARTICLE = re.compile(r"^(?:the|an?|and|or)\s+(?=\S)", re.IGNORECASE)
_EDGES = " \t\r\n\"'`“”‘’«»„‚「」『』*•·,،;؛；:=|。．"
_STARS = " \t★☆⭐✓✔✅"
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">", "（": "）", "【": "】", "「": "」", "《": "》"}
_MARKUP = "#*_`\"'(-+>• \t[“‘"
_NOTHING = frozenset((
    "none", "n/a", "na", "null", "nil", "nan", "nothing", "unknown", "undefined", "empty", "true", "false", "etc",
    "etc.", "...",
))  # fmt: skip
# names of the answer's parts, not of a document's subject; kept only next to a content word
FILLERS = frozenset((
    "answer", "descriptive", "document", "documentation", "example", "guide", "introduction", "item", "keyword",
    "keywords", "list", "overview", "phrase", "result", "section", "string", "summary", "technical", "term", "terms",
    "text", "topic", "topics", "word", "words",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Surfaced:
    """`items` in the proposed order; `unfit` counts items without a keyword: stop words, sentences, numbers."""

    items: tuple[str, ...]
    unfit: int


class Surface:
    """A text as the reference for spelling. `supports` returns whether the text contains a keyword in any form of
    its words."""

    def __init__(self, text: str, supports: Callable[[str], bool]) -> None:
        self._supports = supports
        lines = (" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines())
        self._flat = "\n".join(line for line in lines if line)
        self._low = _lower(self._flat).replace("\n", " ")

    def read(self, proposed: Iterable[str]) -> Surfaced:
        items: list[str] = []
        unfit = 0
        for raw in proposed:
            for part in self._parts(_plain(raw)):
                item = self._best(part)
                if item:
                    items.append(item)
                else:
                    unfit += 1
            if len(items) >= MOST_ITEMS:
                break
        return Surfaced(tuple(items), unfit)

    def _parts(self, raw: str) -> list[str]:
        """The keywords joined in one string, unless the document writes them that way."""
        if not _JOINED.search(raw) or self.occurrences(raw.strip(_EDGES), 1):
            return [raw]
        bare = _unbracketed(raw)
        head = _AFTER.split(bare, maxsplit=1)[0]
        # "Prometheus - collects, stores and shows": one keyword's explanation
        if head and head != bare and "," not in head:
            return [bare]
        return [part for part in _JOINED.split(bare) if part.strip(_EDGES)][:MOST_ITEMS]

    def _best(self, part: str) -> str:
        """The form of one item that the document supports, most literal first; "" if the item is not a keyword."""
        forms: list[str] = []
        written = ""
        for form in _forms(part):
            if form and form not in forms:
                forms.append(form)
                if self.occurrences(form, 1):
                    written = form
                    break
        form = written or next((form for form in forms[::-1] if self._supports(form)), "")
        form = form or (forms[-1] if forms else "")
        if not form or self._empty(form) or sentence_like(form):
            return ""
        return self.spelling(form)

    def _empty(self, form: str) -> bool:
        """Whether all its words are stop words or name the answer's own parts."""
        low = form.casefold()
        words = re.findall(r"[^\W_]+(?:['’][^\W_]+)?", low)
        if low in _NOTHING or not words:
            return True
        if not all(word in self._stop or word in FILLERS for word in words):
            return False
        return not (form[0].isupper() and self._named(form)) or all(word in FILLERS for word in words)

    def _named(self, form: str) -> bool:
        """Whether the document uses a stop word as a name: "Go", "IT"."""
        return form.casefold() in TECHNOLOGIES_BY_NAME or any(
            self._flat[at : at + len(form)] == form and not self._begins_sentence(at)
            for at in self.occurrences(form, _OCCURRENCES)
        )

    @cached_property
    def _stop(self) -> frozenset[str]:
        name = language(re.findall(r"[^\W\d_]+", self._low[:8000]))
        return frozenset(FUNCTION) | (
            FUNCTION_WORDS.get(name, frozenset()) if name and name != ENGLISH else frozenset()
        )

    def spelling(self, form: str) -> str:
        """The document's own spelling, from the middle of a sentence if it occurs there."""
        places = self.occurrences(form, _OCCURRENCES)
        spelt = [(self._flat[at : at + len(form)].replace("\n", " "), self._begins_sentence(at)) for at in places]
        if not spelt or any(written == form for written, _ in spelt):
            return form
        inside = [written for written, begins in spelt if not begins]
        if inside:
            return max(inside, key=inside.count)
        first = spelt[0][0]
        plain = first[:1].isupper() and first[1:] == first[1:].lower() and first[1:].replace(" ", "").isalpha()
        return first.lower() if plain else first

    def occurrences(self, form: str, most: int) -> list[int]:
        """Where the text contains it, in any case, between word borders."""
        needle = _lower(" ".join(form.split()))
        starts: list[int] = []
        at = self._low.find(needle) if needle else -1
        while at >= 0 and len(starts) < most:
            end = at + len(needle)
            before = self._low[at - 1] if at else " "
            after = self._low[end] if end < len(self._low) else " "
            if _border(before, needle[0]) and _border(needle[-1], after):
                starts.append(at)
            at = self._low.find(needle, at + 1)
        return starts

    def _begins_sentence(self, at: int) -> bool:
        while at > 0 and self._flat[at - 1] in _MARKUP:
            at -= 1
        return at == 0 or self._flat[at - 1] in "\n.!?:|"


def sentence_like(form: str) -> bool:
    """Whether an item makes a statement instead of naming something: "it retries requests", "the gateway keeps a
    pool of connections"."""
    words = re.findall(r"[^\W_]+(?:['’][^\W_]+)?", form.casefold())
    if not words:
        return False
    if len(words) >= 3 and words[0] in (DETERMINERS | BEFORE_VERBS | AUXILIARIES):
        return True
    inner = words[1:] if len(words) > PHRASE_WORDS else words[1:-1]
    return any(word in AUXILIARIES or word in BEFORE_VERBS for word in inner) or (
        len(words) > PHRASE_WORDS and any(word in VERBS for word in inner)
    )


def unbulleted(line: str) -> str:
    """The line without the bullet or number in front; "--flag" and "3.11" have none."""
    while (mark := _BULLET.match(line)) and mark.end() < len(line):
        line = line[mark.end() :]
    while line[:1] and unicodedata.category(line[0]) in ("So", "Sk", "Mn", "Cf"):  # an emoji
        line = line[1:].lstrip()
    return line


def head(item: str) -> str:
    """The part before an explanation: "Prometheus" of "Prometheus - collects figures"."""
    return _AFTER.split(item, maxsplit=1)[0]


def split(joined: str) -> list[str]:
    """The items of a list written as one string."""
    return [part.strip() for part in _JOINED.split(_unbracketed(joined)) if part.strip(_EDGES)]


def _plain(raw: str) -> str:
    text = raw[:LONGEST]
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = "".join(c for c in as_seen(text) if not "\ud800" <= c <= "\udfff")
    return unicodedata.normalize("NFC", text)


def _forms(part: str) -> Iterator[str]:
    """An item's possible forms: without its bullet; without markup; without a score; the part before an
    explanation; the part after a label."""
    bare = _HASH.sub("", unbulleted(part).strip(), count=1)
    bare = _ARTICLE.sub("", bare, count=1)
    yield bare.strip(_EDGES)
    bare = _unwrapped(_LINK.sub(r"\1", _TAGS.sub("", bare)).strip())
    yield bare
    scored = _SCORE.sub("", bare).strip()
    if any(c.isalpha() for c in scored):
        bare = scored
    bare = _ARTICLE.sub("", _unwrapped(bare), count=1)
    yield bare
    halves = _AFTER.split(bare, maxsplit=1)
    if len(halves) == 2:
        label, content = _unwrapped(halves[0]), _unwrapped(halves[1].rstrip(")]}"))
        if content and label.casefold() in FILLERS | {"name", "tool", "tools", "technology", "tag"}:
            yield content
        elif label:
            yield label
    starless = bare.rstrip(_STARS)
    unmarked = _unwrapped(_FOOTNOTE.sub("", _ORDINAL.sub("", starless)))
    if unmarked and unmarked != bare:
        yield unmarked
    if (ended := unmarked.rstrip(" .")) and ended != unmarked:  # as the last word of a sentence
        yield ended
        unmarked = ended
    if "_" in unmarked or "-" in unmarked:  # connection_pool, which the document writes as two words
        yield " ".join(re.split(r"[-_\s]+", unmarked)).strip()


def _unwrapped(text: str) -> str:
    text = _unbracketed(text.strip())
    while wrapped := _WRAPPED.match(text):
        text = wrapped[2].strip()
    text = text.strip(_EDGES)
    return text.replace("\\_", "_") if "\\_" in text else text


def _unbracketed(text: str) -> str:
    text = text.strip()
    while len(text) > 2 and _BRACKETS.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text


def _lower(text: str) -> str:
    """The text in lower case, still one character each."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(c if len(c.lower()) != 1 else c.lower() for c in text)


def _border(left: str, right: str) -> bool:
    return not (left.isalnum() and right.isalnum()) or ord(left) > 0x2E80 or ord(right) > 0x2E80
