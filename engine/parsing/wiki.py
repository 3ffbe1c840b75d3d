"""Pages of wikis: MediaWiki, and the markup of Jira and Confluence. Without templates, references, categories and
macros."""

from __future__ import annotations

import re

from engine.parsing.inline import heading, replaced_inside_out, unescaped
from engine.parsing.model import Block, Format, Paragraphs, Raw
from engine.patterns import pattern

_SECTION = pattern(r"^(={1,6})[ \t]*([^=\n][^\n]{0,200}?)[ \t]*\1[ \t]*$", re.M)
_IN_A_LINE = pattern(r"'''\w|^\{\{\w|\w \[\[\w", re.M)  # [[alone]] is an anchor of AsciiDoc
_MARKS_IN_A_LINE = ("'''", "{{", " [[")  # each match has one
_LINK = pattern(r"\[\[(?:[^\[\]|\n]{0,200}\|)?([^\[\]|\n]{1,200})\]\]")
_HEADLINE = pattern(r"^h([1-6])\.[ \t]+(\S[^\n]{0,200})$", re.M)
_MACRO = pattern(r"\{(?:code|noformat|panel|quote|toc|info|note|warning|tip|color|anchor)(?::[^{}\n]{0,200})?\}")
_CODE = pattern(r"\{(code|noformat)(?::[^{}\n]{0,200})?\}(.{0,20000}?)\{\1\}", re.S)
_TEMPLATE = pattern(r"\{\{[^{}]{0,2000}\}\}")
_NESTED = 4  # templates within templates that are taken out
_REFERENCE = pattern(r"<ref\b[^<>]{0,200}/>|<ref\b[^<>]{0,200}>(?:[^<]|<(?!/ref>)){0,2000}</ref>", re.I)
_COMMENT = pattern(r"<!--.{0,5000}?-->", re.S)
_LISTING = pattern(r"<(syntaxhighlight|source|pre|nowiki)\b[^<>]{0,200}>((?:[^<]|<(?!/\1>)){0,20000})</\1>", re.I)
_OTHER_PAGE = pattern(  # categories, pictures, the page in other languages
    r"\[\[:?(?:category|kategorie|catégorie|categoría|categoria|категория|file|image|datei|fichier|archivo|media"
    r"|[a-z]{2,3}):(?:[^\[\]\n]|\[\[[^\[\]\n]{0,200}\]\]){0,500}\]\]",
    re.I,
)
_ADDRESS = pattern(r"\[(?:https?|ftp)://[^\s\[\]]{1,500}(?:[ \t]+([^\[\]\n]{1,200}))?\]")
_LABELLED = pattern(r"\[([^\[\]|\n]{1,200})\|[^\[\]\n]{1,500}\]")
_PERSON = pattern(r"\[~[^\[\]\n]{1,80}\]")
_PICTURE = pattern(r"!(?=\S)[^!\n]{1,200}\.\w{2,5}(?:\|[^!\n]{0,100})?!")
_MONOSPACE = pattern(r"\{\{([^{}\n]{1,120})\}\}")
_TAG = pattern(r"</?[A-Za-z][^<>]{0,500}>")
_STRESS = pattern(r"'{2,5}|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|(?<!\w)[_+](?=\w)|(?<=\w)[_+](?!\w)")
_SUBJECT = pattern(r"'''([^'\n]{2,100})'''")
_BULLET = pattern(r"^(?:[*#:;]+|-)[ \t]+")
_RULE = pattern(r"^(?:-{4,}|\{\||\|[-}+]).*$")
_ATTRIBUTES = pattern(r"(?:[\w-]{1,40}=(?:\"[^\"]{0,200}\"|[^\s\"]{1,200})\s*)+")  # of a cell, for browsers
_CELL = pattern(r"^[|!]+[ \t]*|[ \t]*(?:\|\||!!|\|)[ \t]*$")


def is_wiki(head: str) -> bool:
    """Whether a text has headings that only a wiki's page has, and another of its marks."""
    if ("\nh" in head or head.startswith("h")) and _HEADLINE.search(head):
        return True
    if "{code" in head or "{noformat}" in head:
        return _CODE.search(head) is not None
    if not any(map(head.__contains__, _MARKS_IN_A_LINE)):
        return False
    return _IN_A_LINE.search(head) is not None and _SECTION.search(head) is not None


def parse(text: str) -> Raw:
    jira = _HEADLINE.search(text) is not None or _CODE.search(text) is not None
    return _of_jira(text) if jira else _of_mediawiki(text)


def _of_mediawiki(text: str) -> Raw:
    text = _REFERENCE.sub("", _COMMENT.sub("", text))
    text = replaced_inside_out(_TEMPLATE, "", text, _NESTED)
    text = _OTHER_PAGE.sub("", text)
    subject = _SUBJECT.search(text.partition("\n==")[0])
    blocks = _with_code(text, _LISTING, _SECTION)
    return Raw(Format.WIKI, blocks, heading(subject[1]) if subject else "")


def _of_jira(text: str) -> Raw:
    return Raw(Format.WIKI, _with_code(text, _CODE, _HEADLINE))


def _with_code(text: str, code: re.Pattern[str], headed: re.Pattern[str]) -> list[Block]:
    blocks: list[Block] = []
    at = 0
    for listing in code.finditer(text):
        blocks += _sections(text[at : listing.start()], headed)
        if inside := unescaped(listing[2]).strip("\n"):
            blocks.append(Block("code", inside))
        at = listing.end()
    return blocks + _sections(text[at:], headed)


def _sections(text: str, headed: re.Pattern[str]) -> list[Block]:
    blocks: list[Block] = []
    at = 0
    for section in headed.finditer(text):
        blocks += _lines(text[at : section.start()])
        at = section.end()
        # == is a section's; the page's own title is not part of its text
        level = int(section[1]) if section[1].isdigit() else max(2, len(section[1]))
        if words := heading(_plain(section[2])):
            blocks.append(Block("heading", words, level))
    return blocks + _lines(text[at:])


def _lines(text: str) -> list[Block]:
    blocks = Paragraphs()
    for line in text.split("\n"):
        bare = line.strip()
        bullet = _BULLET.match(bare)
        if not bare or _RULE.match(bare):
            blocks.end()
        elif bare.startswith(("|", "! ", "!!")) and (cells := _cells(bare)):
            blocks.add("text", cells)
        elif bullet:
            blocks.add("item", _plain(bare[bullet.end() :]))
        elif words := _plain(bare):
            blocks.line(words)
    return blocks.ended()


def _cells(row: str) -> str:
    cells = (_plain(cell) for cell in re.split(r"\|\||!!|\|", _CELL.sub("", row)))
    return " | ".join(cell for cell in cells if any(map(str.isalpha, cell)) and not _ATTRIBUTES.fullmatch(cell))


def _plain(text: str) -> str:
    """A line without marks; what a wiki writes as code between backticks."""
    if "[" in text:
        text = _PERSON.sub("", _LINK.sub(r"\1", text))
        text = _LABELLED.sub(r"\1", _ADDRESS.sub(lambda link: link[1] or "", text))
    if "{" in text:
        text = _MACRO.sub(" ", _MONOSPACE.sub(r"`\1`", text))
    if "!" in text:
        text = _PICTURE.sub("", text)
    if "<" in text:
        text = _TAG.sub("", text)
    return unescaped(_STRESS.sub("", text)).strip()
