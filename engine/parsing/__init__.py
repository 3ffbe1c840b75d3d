"""Documents: read once, by format, into a title, a body and headings, without what is not their content.

Both methods see what `parse` returns. The formats' parsers make blocks; boilerplate is dropped from the blocks, whatever the format.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from engine.parsing import boilerplate, changelog, plain
from engine.parsing.detect import detect
from engine.parsing.inline import heading
from engine.parsing.model import Block, Format, Parsed, Raw

TITLE_CHARS = 300
MOST_HEADINGS = 400
PARSED_CHARS = 400_000  # of a longer text: its beginning and end, and slices spread evenly between, an eighth each

_GENERIC = re.compile(
    r"(?:change[ -_]?logs?|changes|history|release[ -_]?notes?|releases|news|what'?s new|read[ -_]?me|index|introduction|overview|unreleased|home|documentation|contributing|.{0,30}\bv?\d+\.\d+(?:\.\d+)?\b.{0,40}|version history|release history)",
    re.I,
)
_FILE = re.compile(r"(?:change|readme|read_me|history|release|news|contributing|index|todo|upgrad|install)", re.I)
_NO_PROJECT = frozenset(
    [
        "doc",
        "docs",
        "documentation",
        "package",
        "packages",
        "src",
        "lib",
        "site",
        "site-packages",
        "dist",
        "dist-packages",
        "main",
        "master",
        "node_modules",
        "share",
        "usr",
        "home",
        "tmp",
        "work",
        "templates",
        "content",
        "contents",
        "pages",
        "en",
        "posts",
        "blog",
        "www",
        "html",
        "man",
        "data",
        "files",
        "documents",
        "texts",
        "input",
        "corpus",
        "stdin",
        "var",
        "opt",
        "srv",
        "mnt",
    ]
)
_VERSIONED = re.compile(r"[-_@]v?\d[\w.+-]*$|\.(?:dist|egg)-info$")
_ENDING = re.compile(r"[.!?…:;,]\s*$")


def parse(text: str, name: str = "") -> Parsed:
    """The document in a text. `name`: a file's or a document's, whose ending and folder may say more. Never raises."""
    suffix = _suffix(name)
    kind = detect(text, suffix)
    if kind is Format.PLAIN and not _may_hold_boilerplate(text):
        return Parsed(kind, plain.title(text)[:TITLE_CHARS], text)
    if kind is not Format.HTML:
        text = sample(text)
    return assemble(_read(text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"), kind, suffix), name)


def _read(text: str, kind: Format, suffix: str) -> Raw:
    """By the format's parser, imported when it is needed."""
    if kind is Format.MARKDOWN:
        from engine.parsing import markdown

        return markdown.parse(text)
    if kind is Format.HTML:
        from engine.parsing import page

        return page.parse(text)
    if kind is Format.RST or kind is Format.ASCIIDOC:
        from engine.parsing import asciidoc, frontmatter, rst

        front = frontmatter.read(text)
        raw = (rst if kind is Format.RST else asciidoc).parse(text[front.end :])
        return raw._replace(title=front.title or raw.title, language=front.language or raw.language)
    if kind is Format.ROFF or kind is Format.MAN_PAGE:
        from engine.parsing import roff

        return roff.parse(text) if kind is Format.ROFF else roff.parse_printed(text)
    if kind is Format.MAIL:
        from engine.parsing import mail

        return mail.parse(text)
    if kind is Format.MEMO:
        from engine.parsing import memo

        return (
            memo.parse_pep(text)
            if re.match(r"\s*[A-Z][\w-]{1,30}: ?\S", text) and not re.match(r"\s*(?:Internet|INTERNET)", text)
            else memo.parse_rfc(text)
        )
    if kind is Format.SOURCE:
        from engine.parsing import source

        return source.parse(text, suffix if suffix in source.SUFFIXES else "")
    if kind is Format.LOG:
        from engine.parsing import log

        return log.parse(text)
    return changelog.parse(text) if kind is Format.CHANGELOG else plain.parse(text)


def assemble(raw: Raw, name: str = "") -> Parsed:
    """A document from its blocks: without boilerplate, its changes without their verbs."""
    blocks = boilerplate.without(raw.blocks)
    project = _project(name)
    title = raw.title
    changes = raw.format is Format.CHANGELOG
    if raw.format in (
        Format.MARKDOWN,
        Format.RST,
        Format.ASCIIDOC,
        Format.PLAIN,
        Format.HTML,
    ) and changelog.is_changelog(title, blocks):
        blocks, changes = changelog.content(blocks), True
        if _GENERIC.fullmatch(title):
            title = (
                f"{project} changelog"
                if project
                else ("Changelog" if any(map(str.isdigit, title)) or title.lower() == "unreleased" else title)
            )
    if project and title and _GENERIC.fullmatch(title) and not changes:
        title = f"{project}: {title}"
    title = " ".join(title.split())[:TITLE_CHARS]
    headings = tuple(dict.fromkeys(block.text for block in blocks if block.kind == "heading"))[:MOST_HEADINGS]
    return Parsed(raw.format, title, _rendered(blocks), headings, raw.language, project)


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
    return "opyright" in text or "icense" in text or "ICENSE" in text or "©" in text


def _suffix(name: str) -> str:
    if not name:
        return ""
    base = name.rsplit("/", 1)[-1]
    at = base.rfind(".")
    return base[at:].lower().split(":", 1)[0] if at > 0 else ""


def _project(name: str) -> str:
    """The folder of a README or change log, without its version; "" where the name does not say."""
    if "/" not in name or "://" in name:
        return ""
    path = PurePosixPath(name)
    if not _FILE.match(path.name):
        return ""
    for part in reversed(path.parts[:-1]):
        bare = _VERSIONED.sub("", part)
        if len(bare) > 1 and bare.lower() not in _NO_PROJECT and not bare.startswith("."):
            return bare
    return ""


def title_of(text: str, name: str = "") -> str:
    """A title for a document that was given none: its own, else its first line that says something."""
    return parse(text, name).title or heading(plain.title(text))[:TITLE_CHARS]


def sample(text: str) -> str:
    if len(text) <= PARSED_CHARS:
        return text
    part = PARSED_CHARS // 8
    step = (len(text) - part) / 7
    return "\n\n . \n\n".join(_slice(text, int(n * step), int(n * step) + part) for n in range(8))


def _slice(text: str, begin: int, end: int) -> str:
    """Without the words that are cut in two at its ends."""
    if begin:
        begin = max(begin, text.find(" ", begin, begin + 200))
    if end < len(text) and (last := text.rfind(" ", end - 200, end)) > begin:
        end = last
    return text[begin:end]


__all__ = ["Format", "Parsed", "parse", "sample", "title_of"]
