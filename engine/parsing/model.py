"""A parser's output: blocks in order, and the document assembled from them."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Literal, NamedTuple

from msgspec import Struct

from engine.patterns import pattern


class Format(StrEnum):
    PLAIN = "plain"
    MARKDOWN = "markdown"
    RST = "rst"
    ASCIIDOC = "asciidoc"
    HTML = "html"
    ROFF = "roff"
    MAN_PAGE = "man page"  # as printed by `man`
    MAIL = "mail"
    MEMO = "memo"  # an RFC, or a text under header fields: a PEP, a package's metadata, a ticket
    CHANGELOG = "changelog"  # Debian's or GNU's; a change log in a markup language has that language's format
    SOURCE = "source"
    LOG = "log"
    NOTEBOOK = "notebook"  # Jupyter's
    ORG = "org"
    TEXINFO = "texinfo"  # its source, or as printed for Info readers
    POD = "pod"  # Perl's
    LATEX = "latex"
    CATALOGUE = "catalogue"  # gettext's
    SUBTITLES = "subtitles"
    SETTINGS = "settings"  # YAML, JSON, TOML, INI
    WIKI = "wiki"  # MediaWiki's, Jira's
    DIFF = "diff"
    CALENDAR = "calendar"  # iCalendar's, and vCard's addresses
    RTF = "rtf"
    BIBLIOGRAPHY = "bibliography"  # BibTeX's


MARKUP = frozenset((Format.MARKDOWN, Format.RST, Format.ASCIIDOC, Format.PLAIN, Format.HTML))  # what people write in

Kind = Literal["heading", "text", "item", "person", "code"]


class Block(NamedTuple):
    """A piece of a document. `level`: a heading's; 1 is the document's own. A `person` is a list item that names
    one."""

    kind: Kind
    text: str
    level: int = 0


class Paragraphs:
    """Blocks in the making: lines are gathered into a paragraph or list item until something else comes. `words`:
    makes plain text of a format's marks."""

    def __init__(self, words: Callable[[str], str] = str) -> None:
        self.blocks: list[Block] = []
        self.open: list[str] = []  # lines of the paragraph or item
        self.is_item = False
        self._words = words

    def line(self, text: str) -> None:
        self.open.append(text)

    def item(self, first: str) -> None:
        """Begin a list item; lines after it continue it."""
        self.end()
        self.open.append(first)
        self.is_item = True

    def end(self) -> None:
        if self.open and (text := self._words("\n".join(self.open)).strip()):
            self.blocks.append(Block("item" if self.is_item else "text", text))
        self.open.clear()
        self.is_item = False

    def add(self, kind: Kind, text: str, level: int = 0) -> None:
        """A block after what is open; none for an empty text."""
        self.end()
        if text:
            self.blocks.append(Block(kind, text, level))

    def ended(self) -> list[Block]:
        self.end()
        return self.blocks


class Raw(NamedTuple):
    """What a format's parser returns, before boilerplate is dropped. `title`: as the format declares it; "" if only
    the blocks show it."""

    format: Format
    blocks: list[Block]
    title: str = ""
    language: str = ""
    logo: str = ""  # the name on a picture at the top


class Parsed(Struct, frozen=True):
    """A document without what is not its content.

    `body` is light Markdown for every format: headings with #, code between fences, paragraphs. `language`: as the
    document declares it ("de"), else "". `project`: the subject of a change log or README, if its path shows it.
    `named_by_file`: the title is only the file's name, which is not content.
    """

    format: Format
    title: str
    body: str
    headings: tuple[str, ...] = ()
    language: str = ""
    project: str = ""
    named_by_file: bool = False

    @property
    def content(self) -> str:
        """What a method reads: the title, and the body below it."""
        if (
            self.named_by_file or self.title.removesuffix("…") in self.body[: len(self.title) + 40]
        ):  # a quick check that most texts pass
            return self.body
        title = _letters(self.title)
        if not title or title in _letters(self.body[: 3 * len(self.title) + 100]):
            return self.body
        return f"# {self.title}\n\n{self.body}"

    @property
    def text(self) -> str:
        """The body without heading marks, as a person reads it."""
        return _HEADING_MARK.sub("", self.body)


_HEADING_MARK = pattern(r"^#{1,6} ", re.M)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))
