"""Reads a document once, by its format, into a title, a body and headings, without boilerplate.

Both methods see the result of `parse`. The formats' parsers produce blocks; boilerplate is dropped from the blocks, for
every format alike.
"""

from __future__ import annotations

import re

from engine.parsing import boilerplate, changelog, detect, fields, labels, parsers, titles
from engine.parsing.inline import unescaped
from engine.parsing.model import MARKUP, Block, Format, Parsed, Raw
from engine.parsing.sampling import sample
from engine.patterns import pattern
from engine.text import MARK

MOST_HEADINGS = 400

_ABOUT = pattern(rf"^(?:Present|Attendees|Participants|Apologies|Regrets|Absent|(?i:{'|'.join(fields.SURE)})):", re.M)
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
    suffix = titles.suffix(name)
    text, kind = _detected(text, suffix)
    if kind is Format.PLAIN and not titles.says_what_it_is(name) and not _may_hold_boilerplate(text):
        is_table = suffix in titles.TABLES
        return Parsed(kind, titles.of_plain(text, name)[: titles.LONGEST], text, named_by_file=is_table)
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


def assemble(raw: Raw, name: str) -> Parsed:
    """Make a document of blocks: drop boilerplate, and for a change log its verbs."""
    blocks, speakers = boilerplate.without(raw.blocks)
    file = titles.named(name)
    title = titles.first(raw, blocks, file)
    if raw.format is Format.PLAIN and file.is_changelog:
        blocks = changelog.entries(blocks)
    is_changelog = raw.format is Format.CHANGELOG
    if raw.format in MARKUP and changelog.is_changelog(title, blocks):
        blocks, is_changelog = changelog.content(blocks), True
    if is_changelog:
        title = titles.of_changelog(title, raw, file)
    else:
        blocks = labels.without(blocks, speakers)
        title = titles.of_project(title, blocks, file)
    title = titles.shortened(title)
    headings = tuple(dict.fromkeys(block.text for block in blocks if block.kind == "heading"))[:MOST_HEADINGS]
    named_by_file = bool(title) and title == file.base and raw.format in titles.NAMED_BY_FILE
    return Parsed(raw.format, title, _rendered(blocks), headings, raw.language, file.project, named_by_file)


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


__all__ = ["Format", "Parsed", "content", "parse", "sample"]
