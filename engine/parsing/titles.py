"""A document's title: what its format declares, its first heading or line, its file's name, its project's."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from engine.parsing import boilerplate, changelog, plain
from engine.parsing.inline import heading
from engine.parsing.lists import either, lists
from engine.parsing.model import MARKUP, Block, Format, Raw
from engine.parsing.template import is_template
from engine.patterns import pattern

LONGEST = 300  # characters
_LISTS = lists("titles")
_GENERIC = pattern(either(_LISTS["generic"]), re.I)
_CHANGES = pattern(r"change|history|news", re.I)
_FILE = pattern(r"(?:change|readme|read_me|history|release|news|contributing|index|todo|upgrad|install)", re.I)
_NO_PROJECT = frozenset(_LISTS["no_project"])
_BUILD_FILES = frozenset(_LISTS["build_files"])
TABLES = frozenset((".csv", ".tsv"))
_VERSIONED = pattern(r"[-_@]v?\d[\w.+-]*$|\.(?:dist|egg)-info$")
_NUMBERED = pattern(r"^\d[\d.]{0,12}[-_ ](?=[^\W\d])")  # 0012-pool-sizes.md  # 0012-pool-sizes.md
_README = pattern(r"read[-_]?me\b", re.I)
_MANUAL = pattern(r"[\w.:+-]{1,60}\(\d\w{0,4}\)")
NAMED_BY_FILE = (Format.SOURCE, Format.SETTINGS, Format.CATALOGUE, Format.SUBTITLES, Format.LATEX, Format.BIBLIOGRAPHY)
_SECTION = pattern(rf"(?:key |main |core )?{either(_LISTS['sections'])}[:.!?]?", re.I)
_TEXT_ENDINGS = frozenset((".md", ".mdx", ".markdown", ".rst", ".txt", ".adoc", ".asciidoc", ".html", ".org"))
_WORDS = pattern(r"[^\W\d](?:[^\W_]|[ .]){2,60}")
_LONG = 70  # characters: a first line with more is no title


class FileName(NamedTuple):
    """What a file's name and folder tell."""

    base: str
    words: str  # the name as a title, if it is made of words: "Static files" of docs/static-files.md
    project: str  # the folder of a README or change log, without its version; "" if the path does not show it

    @property
    def is_changelog(self) -> bool:
        return _CHANGES.match(self.base) is not None

    @property
    def is_readme(self) -> bool:
        return _README.match(self.base) is not None


def named(name: str) -> FileName:
    return FileName(_base(name), _words(name), _project(name))


def says_what_it_is(name: str) -> bool:
    """Whether a file's name says that it is a README or a change log."""
    base = _base(name)
    return bool(_README.match(base) or _CHANGES.match(base))


def suffix(name: str) -> str:
    """The ending of a file's name, or the one that its whole name means."""
    base = _base(name)
    if base in _BUILD_FILES:
        return ".mk"
    if base == ".env":
        return ".conf"
    at = base.rfind(".")
    return base[at:].lower().split(":", 1)[0] if at > 0 else ""


def of_plain(text: str, name: str) -> str:
    """The first line; if that is a sentence, the file's name if it is made of words; a table's is the file's name."""
    if suffix(name) in TABLES:  # whose first line is the names of columns
        return _words(name) or _base(name)
    line = plain.title(text)
    return _several(_words(name)) or line if line.endswith(".") else line


def first(raw: Raw, blocks: list[Block], file: FileName) -> str:
    """The title that the document declares or begins with."""
    top = raw.blocks[0] if raw.blocks else None
    field = boilerplate.named(top.text) if top is not None and top.kind in ("text", "item") else ""
    title = raw.title or field or _chosen(raw, blocks, file)
    if raw.format is Format.PLAIN and title.endswith("."):  # a sentence
        of_changes = f"{file.project} changelog" if file.project and file.is_changelog else title
        return _several(file.words) or of_changes
    return title


def of_changelog(title: str, raw: Raw, file: FileName) -> str:
    """The project's name, for a change log whose title every change log may have."""
    if raw.format is Format.CHANGELOG:
        return f"{file.project} changelog" if file.project and not raw.title else title
    is_sentence = title.endswith(".")
    if not (_GENERIC.fullmatch(title) or (file.project and (is_sentence or changelog.is_kind(title)))):
        return title
    if file.project:
        return f"{file.project} changelog"
    return "Changelog" if any(map(str.isdigit, title)) or title.lower() == "unreleased" else title


def of_project(title: str, blocks: list[Block], file: FileName) -> str:
    """The title with the project's name, if every project may have a document of that title."""
    if not file.project:
        return title
    if file.is_readme:
        title = _of_readme(title, file, blocks)
    return f"{file.project}: {title}" if title and _GENERIC.fullmatch(title) else title


def shortened(title: str) -> str:
    return " ".join(title.split())[:LONGEST].replace(" , ", ", ")


def _chosen(raw: Raw, blocks: list[Block], file: FileName) -> str:
    """The first heading, if it is the document's; a logo; the file's name; the first text."""
    top = _top(raw, blocks)
    if top is not None and not (raw.logo and blocks[top].level > 1):
        return _of_heading(blocks, top, file.words)
    if raw.logo:
        return raw.logo
    if file.project and file.is_readme:
        return file.project
    if raw.format is Format.LOG:
        return ""
    if raw.format in NAMED_BY_FILE and (raw.format is Format.SOURCE or file.base):
        return file.base
    return _of_text(raw, blocks, file.words)


def _top(raw: Raw, blocks: list[Block]) -> int | None:
    """The index of the document's own heading: the first of level 1, or the first heading of all if nothing
    precedes it."""
    heads = [place for place, block in enumerate(blocks) if block.kind == "heading"]
    if not heads:
        return None
    first, of_level_1 = heads[0], [place for place in heads if blocks[place].level == 1]
    if raw.format is Format.ORG:  # whose headings are its sections
        return 0 if first == 0 and len(of_level_1) == 1 else None
    if _begins_with_sections(raw):
        return None
    if of_level_1 and raw.format is not Format.RST:
        return of_level_1[0]
    opens = first == 0 or raw.format in (Format.RST, Format.ASCIIDOC)
    return first if opens and not (raw.logo and first) else None


def _begins_with_sections(raw: Raw) -> bool:
    """Whether the headings of the first level are sections: the first of several is one of a template."""
    heads = [block.text for block in raw.blocks if block.kind == "heading" and block.level == 1]
    return len(heads) > 1 and is_template(heads[0])


def _of_heading(blocks: list[Block], top: int, stem: str) -> str:
    """The heading as a title; with the text below it if the heading is a manual page's or file's name."""
    title = blocks[top].text
    below = blocks[top + 1] if top + 1 < len(blocks) else None
    if below is not None and below.kind == "heading":
        if _MANUAL.fullmatch(title) and below.text.lower() == "name" and top + 2 < len(blocks):
            return " - ".join(part.strip() for part in re.split(r"\s+[-–—]\s+", blocks[top + 2].text, maxsplit=1))
        if stem and below.text.lower() == stem.lower():
            return f"{title}: {below.text}"
    return title


def _of_text(raw: Raw, blocks: list[Block], stem: str) -> str:
    """The first line as a title; where that is a sentence, the file's name or the sentence."""
    texts = [block for block in blocks if block.kind != "code"]
    start = next((block for block in texts if " | " not in block.text), texts[0] if texts else None)  # no table's row
    if start is None:
        return ""
    is_sentence = len(start.text) > _LONG or start.text.rstrip().endswith((".", ":"))
    if not is_sentence or start.kind == "heading" or raw.format is Format.PLAIN:
        return heading(start.text.split("\n", 1)[0])
    if stem and raw.format in MARKUP:
        return stem
    return heading(re.split(r"(?<=[.!?])\s", " ".join(start.text[:600].split()), maxsplit=1)[0])


def _of_readme(title: str, file: FileName, blocks: list[Block]) -> str:
    """The project's name, for a README that has only sections or sentences: "mutt: SMIME" of mutt/README.SMIME."""
    opening = heading(blocks[0].text.split("\n")[0]) if blocks and blocks[0].kind == "text" else None
    is_sentence = title == opening and (title.endswith((".", ",", ":")) or len(title) > 45)
    if not (is_sentence or _SECTION.fullmatch(title)):
        return title
    subject = file.base.partition(".")[2]
    is_ending = f".{subject.lower()}" in _TEXT_ENDINGS
    return f"{file.project}: {subject}" if subject and not is_ending else file.project


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _words(name: str) -> str:
    base = _base(name)
    at = base.rfind(".")
    words = re.sub(r"[-_]+", " ", _NUMBERED.sub("", base[:at])) if at > 0 else ""
    if not _WORDS.fullmatch(words) or _GENERIC.fullmatch(words) or _FILE.match(words):
        return ""
    return words if any(map(str.isupper, words)) else words.capitalize()


def _several(words: str) -> str:
    """A file's name as words, if it has at least two: "Social contract", not "Ticket 4711"."""
    return words if sum(map(str.isalpha, words.split())) > 1 else ""


def _project(name: str) -> str:
    if "/" not in name or "://" in name:
        return ""
    path = PurePosixPath(name)
    if not _FILE.match(path.name):
        return ""
    for part in reversed(path.parts[:-1]):
        bare = _VERSIONED.sub("", part)
        if len(bare) > 1 and not bare[0].isdigit() and bare.lower() not in _NO_PROJECT and not bare.startswith("."):
            return bare
    return ""
