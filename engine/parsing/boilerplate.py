"""Text that is not a document's content: credits, sponsors, licences, navigation, tables of contents, encoded bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.parsing import fields
from engine.parsing.labels import names_of
from engine.parsing.lists import either, lists
from engine.parsing.model import Block
from engine.parsing.template import is_template
from engine.patterns import pattern

_LISTS = lists("boilerplate")
FEW = 200  # characters of prose; with less, apparent boilerplate is kept

# Sections about the people and the money behind a project, or that repeat its headings.
_SECTION = pattern(
    rf"(?:{either(_LISTS['whose'])}\s+){{0,3}}(?:{either(_LISTS['supporting'])}\s+){{0,2}}{either(_LISTS['sections'])}"
    rf"(?:\s+(?:and|&|/)\s+{either(_LISTS['sections_after_and'])})*"
    r"(?:\s(?:to|of|for|in|behind) (?:this|the|our|it)?\s?[\w -]{0,30})?[.:!]?",
    re.I,
)
_LICENCE = pattern(either(_LISTS["licence"]))  # searched in lower case: ignoring case takes five times as long
# Every match contains one of these; searching for them is a hundred times faster.
_LEGAL_WORDS = tuple(_LISTS["legal_words"])
_COPYRIGHT = pattern(r"\W{0,4}(?:(?:portions )?copyright\b|copyright ?©|\(c\) ?(?:19|20)\d\d|© ?)", re.I)
_FURNITURE = pattern(rf"\W{{0,3}}{either(_LISTS['links'])}\W{{0,3}}|{either(_LISTS['footers'])}", re.I)
_NAMES = pattern(
    r"(?:[A-ZÀ-Þ][\w.'’-]{0,20} ){1,3}[A-ZÀ-Þ][\w'’-]{1,20}(?: \([^()]{1,40}\)| <[^<>]{1,60}>)?(?:,|;|\n| and |\.?$)"
)
_ADDRESSED = pattern(r"\W{0,4}[A-ZÀ-Þ][\w .,'’-]{1,60}[ \t]{1,20}[<(][^<>()\s]{1,60}@[^<>()\s]{2,80}[>)].{0,60}$")
# What is known of a document, not its subject: - Start Date: 2024-01-01. Some of the names may begin a sentence too.
_ABOUT = pattern(
    rf"\W{{0,4}}(?:(?P<sure>{'|'.join([*fields.SURE, *_LISTS['fields']])})|{either(_LISTS['fields_of_one_value'])})"
    r"\W{0,3}:(?=\W|$)\W{0,4}(?P<value>.{0,300})$",
    re.I,
)
_NAMED = pattern(r"\W{0,4}(?:feature name|title|summary|subject)\W{0,3}:\W{1,4}(\S.{1,200})$", re.I)
# A bar of links to translations: English | 简体中文 | Português Brasileiro.
_LANGUAGE = pattern(
    rf"\b{either(_LISTS['languages'])}\b|{either(_LISTS['languages_without_blanks'])}"
)  # sought in lower case
SHORT = 100  # characters of a value
_CODED = pattern(r"[A-Za-z0-9+/=_-]{60,}\s*")
MINIFIED = 400  # characters of a line that may be a minified program's


def is_section(heading: str) -> bool:
    """Whether a heading opens a part that is not about the subject."""
    return len(heading) <= 80 and _SECTION.fullmatch(heading.strip()) is not None


def is_licence(text: str) -> bool:
    if not any(map(text.__contains__, _LEGAL_WORDS)):
        return False
    return _LICENCE.search(" ".join(text[:4000].lower().split())) is not None or (
        len(text) < 400 and _COPYRIGHT.match(text) is not None
    )


def grants(text: str) -> bool:
    """Whether a text grants a licence, rather than only naming a copyright."""
    return _LICENCE.search(" ".join(text[:4000].lower().split())) is not None


def is_people(text: str) -> bool:
    """A paragraph that is little more than six or more names separated by commas, or of three or more lines with an
    address in each."""
    if "@" in text and len(lines := text.split("\n")) >= 3 and all(map(_ADDRESSED.match, lines)):
        return True
    if len(text) > 20_000 or text.count(",") + text.count("\n") < 5:
        return False
    names = [match[0] for match in _NAMES.finditer(text)]
    return len(names) >= 6 and 10 * sum(map(len, names)) > 7 * len(text)


def _opens_people(block: Block) -> bool:
    """A line of text that is the label of a list of people: "Attendees:"."""
    return block.kind == "text" and len(block.text) < 40 and block.text.endswith(":") and is_section(block.text)


def is_about(text: str) -> bool:
    """Whether each line is a field about the document: its date, status, authors."""
    if ":" not in text[:60] or len(text) > 2000:
        return False
    for line in text.split("\n"):
        field = _ABOUT.match(line)
        if field is None or (not field["sure"] and len(field["value"].split()) > 4):
            return False
    return True


def _names_a_field(block: Block) -> bool:
    """Whether a block is a field of a person or date whose value is in the next block."""
    field = _ABOUT.match(block.text) if block.kind != "heading" else None
    return field is not None and bool(field["sure"]) and not field["value"].strip()


def named(text: str) -> str:
    """The title that a field gives: - Feature Name: pool_sizes."""
    field = _NAMED.match(text.split("\n", 1)[0])
    return field[1].strip("`*_ ") if field else ""


def is_language_bar(text: str) -> bool:
    """Whether a short paragraph consists of little but three or more names of languages."""
    if len(text) > 600:
        return False
    names = _LANGUAGE.findall(text.lower())
    return len(names) >= 3 and 10 * _letters("".join(names)) > 6 * _letters(text)


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def is_furniture(line: str) -> bool:
    """Whether a short line belongs to a web site's frame."""
    return len(line) <= 240 and _FURNITURE.fullmatch(line.strip()) is not None


def is_coded(text: str) -> bool:
    """Base64, hexadecimal, a minified program: long runs with hardly a word between blanks."""
    if len(text) < 60:
        return False
    sample = text[:4000]
    if _CODED.fullmatch(sample.split("\n", 1)[0].strip()) and any(map(str.isdigit, sample)):
        return True
    blanks = sample.count(" ") + sample.count("\n")
    if not sample.isascii():  # Chinese writes without blanks
        return False
    return (len(sample) > MINIFIED and blanks * 20 < len(sample)) or (
        len(sample) > MINIFIED and sum(map(sample.count, ";{}()=")) * 12 > len(sample) and "\n" not in sample
    )


def without(blocks: Sequence[Block]) -> tuple[list[Block], frozenset[str]]:
    """The blocks that are content, and the names of people listed in the others. If hardly anything would be left, a
    document about authors or a licence stays whole."""
    sieve = _Sieve(has_title=sum(block.kind == "heading" and block.level == 1 for block in blocks) == 1)
    for block in blocks:
        sieve.read(block)
    sieve.end_people()
    kept = sieve.kept
    program = sum(len(block.text) for block in kept if block.kind == "code") >= FEW
    if all(block.kind == "heading" for block in kept) or (not program and _size(kept) < min(FEW, _size(blocks) // 4)):
        return [block for block in blocks if not is_coded(block.text)] or list(blocks), frozenset()
    return kept, names_of(sieve.listed)


class _Sieve:
    """One pass over a document's blocks."""

    def __init__(self, has_title: bool) -> None:
        self.kept: list[Block] = []
        self.listed: list[Block] = []  # in sections about people
        self._has_title = has_title  # one heading of the first level: the document's own
        self._closed = 0  # level of the heading whose section is being dropped
        self._people: list[Block] = []  # in a row: content if there are fewer than three
        self._field = False  # the block before was a field's name alone: Author:
        self._listing = False  # in a list that a label such as "Attendees:" opens

    def read(self, block: Block) -> None:
        self._listing = (self._listing and block.kind in ("item", "person")) or _opens_people(block)
        if self._listing:
            self.listed.append(block)
            self._field = block.kind == "text"
        elif self._field and block.kind in ("text", "item") and len(block.text) < SHORT:
            self._field = False
        else:
            self._field = _names_a_field(block)
            if block.kind == "person":
                self._people.append(block)
                self.listed.append(block)
            else:
                self.end_people()
                self._content(block)

    def end_people(self) -> None:
        if len(self._people) < 3 and not self._closed:
            self.kept += self._people
        self._people = []

    def _content(self, block: Block) -> None:
        if block.kind == "heading":
            self._heading(block)
        elif not (self._closed or _is_boilerplate(block)):
            self.kept.append(block)
        elif self._closed or is_people(block.text):
            self.listed.append(block)

    def _heading(self, block: Block) -> None:
        if self._closed and block.level > self._closed:
            return
        self._closed = block.level if is_section(block.text) else 0
        is_title = self._has_title and block.level == 1
        if not self._closed and (is_title or not is_template(block.text)):
            self.kept.append(block)


def _is_boilerplate(block: Block) -> bool:
    text = block.text
    if block.kind == "code":
        return is_coded(text)
    return is_licence(text) or is_people(text) or is_language_bar(text) or is_about(text) or is_coded(text)


def _size(blocks: Sequence[Block]) -> int:
    return sum(len(block.text) for block in blocks if block.kind in ("text", "item"))
