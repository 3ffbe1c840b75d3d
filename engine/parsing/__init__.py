"""Reads a document once, by its format, into a title, a body and headings, without boilerplate.

Both methods see the result of `parse`. The formats' parsers produce blocks; boilerplate is dropped from the blocks, for
every format alike.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from engine.parsing import boilerplate, changelog, detect, fields, labels, parsers, plain
from engine.parsing.inline import heading, unescaped
from engine.parsing.lists import either, lists
from engine.parsing.model import Block, Format, Parsed, Raw
from engine.parsing.sampling import sample
from engine.parsing.template import is_template
from engine.patterns import pattern
from engine.text import MARK

TITLE_CHARS = 300
MOST_HEADINGS = 400

_LISTS = lists("titles")
_GENERIC = pattern(either(_LISTS["generic"]), re.I)
_CHANGES = pattern(r"change|history|news", re.I)
_FILE = pattern(r"(?:change|readme|read_me|history|release|news|contributing|index|todo|upgrad|install)", re.I)
_NO_PROJECT = frozenset(_LISTS["no_project"])
_BUILD_FILES = frozenset(_LISTS["build_files"])
_TABLES = frozenset((".csv", ".tsv"))
_ABOUT = pattern(rf"^(?:Present|Attendees|Participants|Apologies|Regrets|Absent|(?i:{'|'.join(fields.SURE)})):", re.M)
_VERSIONED = pattern(r"[-_@]v?\d[\w.+-]*$|\.(?:dist|egg)-info$")
_NUMBERED = pattern(r"^\d[\d.]{0,12}[-_ ](?=[^\W\d])")  # 0012-pool-sizes.md
_README = pattern(r"read[-_]?me\b", re.I)
_MANUAL = pattern(r"[\w.:+-]{1,60}\(\d\w{0,4}\)")
_MARKUP = (Format.MARKDOWN, Format.RST, Format.ASCIIDOC, Format.PLAIN, Format.HTML)
_NAMED_BY_FILE = (Format.SOURCE, Format.SETTINGS, Format.CATALOGUE, Format.SUBTITLES, Format.LATEX, Format.BIBLIOGRAPHY)
_SECTION = pattern(rf"(?:key |main |core )?{either(_LISTS['sections'])}[:.!?]?", re.I)
_TEXT_ENDINGS = frozenset((".md", ".mdx", ".markdown", ".rst", ".txt", ".adoc", ".asciidoc", ".html", ".org"))
_SIGNED = pattern(r"-----BEGIN PGP SIGNED MESSAGE-----\s*\n(?:\w+: [^\n]*\n){0,9}")
_SIGNATURE = pattern(r"-----BEGIN PGP SIGNATURE-----(?:[\w\s:.,+/=()]|-(?!----))*(?:-----END PGP SIGNATURE-----|\Z)")
_LATEX = pattern(
    r"\\(?:cite[a-z]{0,6}|(?:eq)?ref|emph|text(?:it|bf|sc|rm|tt)|math(?:bb|bf|cal|rm))\{"
    r"|\$(?=\S)[^$\n]{0,200}(?:[_^](?:\{|\w(?!\w))|\\[A-Za-z])[^$\n]{0,200}(?<=\S)\$(?![A-Za-z])"
)
# BBCode, the markup of forums
_FORUM_TAGS = "b|i|u|s|url|quote|code|list|size|colou?r|center|font|spoiler"
_FORUM = pattern(rf"\[/(?:{_FORUM_TAGS})\]", re.I)
_FORUM_TAG = pattern(
    rf"\[/?(?:{_FORUM_TAGS})(?:=[^\[\]\n]{{0,200}})?\]|\[img[^\[\]\n]{{0,80}}\][^\[\]\s]{{0,400}}\[/img\]", re.I
)
_OVERSTRUCK = pattern(f"(.)[\b{MARK}](?=\\1)|_[\b{MARK}](?=\\w)")  # bold and underlined, as printers overstrike
_COLOUR = pattern(f"[\x1b{MARK}]\\[[\\d;]{{0,12}}m")


def content(text: str) -> str:
    """Only the content, as `parse` returns it. Fast for plain prose, whose title it does not look for."""
    text, kind = _detected(text)
    if kind is Format.PLAIN and not _may_hold_boilerplate(text):
        return text
    return _parsed(text, kind, "", "").content


def parse(text: str, name: str = "") -> Parsed:
    """The document in a text. `name`: of the file or document; its ending and folder may help. Never raises."""
    suffix = _suffix(name)
    text, kind = _detected(text, suffix)
    base = _base(name)
    by_name = base and (_README.match(base) or _CHANGES.match(base))
    if kind is Format.PLAIN and not by_name and not _may_hold_boilerplate(text):
        return Parsed(kind, _plain_title(text, name)[:TITLE_CHARS], text, named_by_file=suffix in _TABLES)
    return _parsed(text, kind, suffix, name)


def _detected(text: str, suffix: str = "") -> tuple[str, Format]:
    """The text and its format. What markup a plain text holds is read here: no parser of its own does."""
    text = _printed(text)
    if "-----BEGIN PGP SIG" in text:
        text = _SIGNATURE.sub("", _SIGNED.sub("", text))
    kind = detect.detect(text, suffix)
    if kind is Format.PLAIN:
        text = unescaped(text)
        if "[/" in text and _FORUM.search(text):
            text = _FORUM_TAG.sub("", text).replace("[*]", "\n- ")
        if ("\\" in text or "$" in text) and _LATEX.search(text):  # as in an abstract
            from engine.parsing.latex import words

            text = words(text)
    return text, kind


def _printed(text: str) -> str:
    """The text without control codes for printers and terminals."""
    marked = MARK in text
    if "\b" in text or (marked and text.count(MARK) > 20):
        text = _OVERSTRUCK.sub("", text)
    if marked or "\x1b" in text:
        text = _COLOUR.sub("", text)
    return text


def _parsed(text: str, kind: Format, suffix: str, name: str) -> Parsed:
    if not (kind in (Format.HTML, Format.NOTEBOOK) or (kind is Format.SETTINGS and text[:1] in ("{", "["))):
        text = sample(text)  # of those, a part cannot be parsed
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    return assemble(parsers.read(text, kind, suffix), name)


def _plain_title(text: str, name: str) -> str:
    """The first line; if that is a sentence, the file's name if it is made of words; a table's is the file's name."""
    if _suffix(name) in _TABLES:  # whose first line is the names of columns
        return _stem(name) or _base(name)
    line = plain.title(text)
    return _words_of(name) or line if line.endswith(".") else line


def _words_of(name: str) -> str:
    """A file's name as words, if it has at least two: "Social contract", not "Ticket 4711"."""
    stem = _stem(name)
    return stem if sum(map(str.isalpha, stem.split())) > 1 else ""


def assemble(raw: Raw, name: str) -> Parsed:
    """Make a document of blocks: drop boilerplate, and for a change log its verbs."""
    blocks, speakers = boilerplate.without(raw.blocks)
    project = _project(name)
    first = raw.blocks[0] if raw.blocks else None
    field = boilerplate.named(first.text) if first is not None and first.kind in ("text", "item") else ""
    title = raw.title or field or _title(raw, blocks, name, project)
    if raw.format is Format.PLAIN and title.endswith("."):
        title = _words_of(name) or (f"{project} changelog" if project and _CHANGES.match(_base(name)) else title)
    changes = raw.format is Format.CHANGELOG
    if changes and not raw.title and project:
        title = f"{project} changelog"
    if raw.format is Format.PLAIN and _CHANGES.match(_base(name)):
        blocks = changelog.entries(blocks)
    if raw.format in _MARKUP and changelog.is_changelog(title, blocks):
        blocks, changes = changelog.content(blocks), True
        if _GENERIC.fullmatch(title) or (project and (changelog.is_kind(title) or title.endswith("."))):
            numbered = any(map(str.isdigit, title)) or title.lower() == "unreleased"
            title = f"{project} changelog" if project else ("Changelog" if numbered else title)
    if not changes:
        blocks = labels.without(blocks, speakers)
    if project and not changes and _README.match(base := _base(name)):
        title = _of_readme(title, base, project, blocks)
    if project and title and _GENERIC.fullmatch(title) and not changes:
        title = f"{project}: {title}"
    title = " ".join(title.split())[:TITLE_CHARS].replace(" , ", ", ")
    named_by_file = bool(title) and title == _base(name) and raw.format in _NAMED_BY_FILE
    headings = tuple(dict.fromkeys(block.text for block in blocks if block.kind == "heading"))[:MOST_HEADINGS]
    return Parsed(raw.format, title, _rendered(blocks), headings, raw.language, project, named_by_file)


def _title(raw: Raw, blocks: list[Block], name: str, project: str) -> str:
    """Choose the title from the blocks: the first heading, if it is the document's; a logo; the file's name; the
    first text."""
    stem = _stem(name)
    top = _top(raw, blocks)
    if top is not None and not (raw.logo and blocks[top].level > 1):
        return _of_heading(blocks, top, stem)
    if raw.logo:
        return raw.logo
    if project and _README.match(_base(name)):
        return project
    if raw.format is Format.LOG:
        return ""
    if raw.format in _NAMED_BY_FILE and (raw.format is Format.SOURCE or name):
        return _base(name)
    return _of_text(raw, blocks, stem)


def _top(raw: Raw, blocks: list[Block]) -> int | None:
    """The index of the document's own heading: the first of level 1, or the first heading of all if nothing
    precedes it."""
    heads = [place for place, block in enumerate(blocks) if block.kind == "heading"]
    if not heads:
        return None
    if raw.format is Format.ORG:  # whose headings are its sections
        return 0 if heads[0] == 0 and sum(blocks[place].level == 1 for place in heads) == 1 else None
    top = [block.text for block in raw.blocks if block.kind == "heading" and block.level == 1]
    if len(top) > 1 and is_template(top[0]):  # its sections are of the first level
        return None
    if raw.format is not Format.RST:
        for place in heads:
            if blocks[place].level == 1:
                return place
    first = heads[0]
    opens = first == 0 or raw.format in (Format.RST, Format.ASCIIDOC)
    return first if opens and not (raw.logo and first) else None


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
    """The first line as a title; the file's name if that line is a sentence."""
    texts = [block for block in blocks if block.kind != "code"]
    start = next((block for block in texts if " | " not in block.text), texts[0] if texts else None)  # no table's row
    line = heading(start.text.split("\n", 1)[0]) if start is not None else ""
    if (
        start is not None
        and start.kind != "heading"
        and (len(start.text) > 70 or start.text.rstrip().endswith((".", ":")))
    ):
        if stem and raw.format in _MARKUP and raw.format is not Format.PLAIN:
            return stem
        if raw.format is not Format.PLAIN:
            return heading(re.split(r"(?<=[.!?])\s", " ".join(start.text[:600].split()), maxsplit=1)[0])
    return line


def _of_readme(title: str, base: str, project: str, blocks: list[Block]) -> str:
    """The project's name, for a README that has only sections or sentences: "mutt: SMIME" of mutt/README.SMIME."""
    first = blocks[0].text.split("\n") if blocks else [""]
    sentence = bool(blocks) and blocks[0].kind == "text" and title == heading(first[0])
    if not (_SECTION.fullmatch(title) or (sentence and (title.endswith((".", ",", ":")) or len(title) > 45))):
        return title
    subject = base.partition(".")[2]
    return f"{project}: {subject}" if subject and f".{subject.lower()}" not in _TEXT_ENDINGS else project


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _stem(name: str) -> str:
    """A file's name as a title, if it is made of words: "Static files" of docs/static-files.md."""
    base = _base(name)
    at = base.rfind(".")
    words = re.sub(r"[-_]+", " ", _NUMBERED.sub("", base[:at])) if at > 0 else ""
    if not re.fullmatch(r"[^\W\d](?:[^\W_]|[ .]){2,60}", words) or _GENERIC.fullmatch(words) or _FILE.match(words):
        return ""
    return words if any(map(str.isupper, words)) else words.capitalize()


def _rendered(blocks: list[Block]) -> str:
    parts: list[str] = []
    for block in blocks:
        if block.kind == "heading":
            parts.append(f"{'#' * min(6, max(1, block.level))} {block.text}")
        elif block.kind == "code":
            parts.append(f"```\n{block.text}\n```" if "```" not in block.text else block.text)
        elif block.kind == "item":
            parts.append(f"- {block.text}")
        else:
            parts.append(block.text)
    return "\n\n".join(part for part in parts if part)


def _may_hold_boilerplate(text: str) -> bool:
    if "opyright" in text or "icense" in text or "ICENSE" in text or "©" in text:
        return True
    return ":" in text and (_ABOUT.search(text) is not None or bool(labels.at_lines(text)))


def _suffix(name: str) -> str:
    if not name:
        return ""
    base = _base(name)
    if base in _BUILD_FILES:
        return ".mk"
    if base == ".env":
        return ".conf"
    at = base.rfind(".")
    return base[at:].lower().split(":", 1)[0] if at > 0 else ""


def _project(name: str) -> str:
    """The folder of a README or change log, without its version; "" if the path does not show it."""
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


__all__ = ["Format", "Parsed", "content", "parse", "sample"]
