"""Marks inside a line of Markdown, and clean-up of every format's titles. All expressions are bounded: each reads a
line once."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from engine.parsing.lists import either, lists
from engine.patterns import pattern

_LISTS = lists("inline")
_NUMBER = pattern(
    rf"^(?:{either(_LISTS['chapters'])}"
    r" [\dA-Z]{1,4}\.?\d{0,3}\s*[.:–—-]\s+"
    r"|第 ?[\d一二三四五六七八九十]{1,4} ?[章節节部][ :：.、]{0,3}(?=\S)|[A-Z](?:\.\d{1,3}){1,5}\.\s+"
    r"|\d{1,2}(?:\.\d{1,3}){0,5}\.\s+"
    r"|\d{1,2}(?:\.\d{1,3}){1,5}\s+(?=[^\W\d]))",
    re.I,
)
_LONG_NUMBER = pattern(r"&#[0-9]{8,}|&#[xX][0-9A-Fa-f]{7,}")
_LINKED_IMAGE = pattern(
    r"\[\s{0,4}!\[[^\[\]]{0,200}\](?:\([^()\s]{0,500}[^()]{0,100}\)"
    r"|\[[^\[\]]{0,100}\])?\s{0,4}\](?:\([^()]{0,600}\)|\[[^\[\]]{0,100}\])?"
)
_IMAGE = pattern(r"!\[([^\[\]]{0,200})\](?:\(((?:[^()]|\([^()]{0,100}\)){0,600})\)|\[[^\[\]]{0,100}\])")
_LINK = pattern(
    r"\[((?:[^\[\]]|\[[^\[\]]{0,100}\]){1,300})\](?:\((?:[^()]|\([^()]{0,200}\)){0,600}\)|\[[^\[\]]{0,100}\])"
)
_PAGE_LINK = pattern(r"!?\[\[(?:[^\[\]|\n]{1,200}\|)?([^\[\]|\n]{1,200})\]\]")  # of Obsidian and other wikis
_FOOTNOTE = pattern(r"\[\^[^\[\]]{1,60}\]")
_AUTOLINK = pattern(r"<(?:https?|mailto|ftp):[^<>\s]{1,500}>|<[\w.+-]{1,60}@[\w.-]{1,80}>")
_TAG = pattern(r"</?[A-Za-z][^<>]{0,500}>")
_ATTRIBUTES = pattern(r"[ \t]*\{[ ]?[:#.][^{}\n]{0,100}\}")  # {#anchor .class}, {: .note}, { #anchor }
_TEMPLATE = pattern(r"\{\{[^{}\n]{0,300}\}\}|\{%[^{}\n]{0,300}%\}|\{/\*[^\n]{0,300}\*/\}|\{[*!>][^{}\n]{0,300}[*!]\}")
# Each begins with its mark and looks back from there: searching for a mark is ten times as fast as for the text before
# it.
_SHORTCODE = pattern(r":(?<![\w:]:)[a-z][a-z0-9_+-]{1,40}:(?![\w:])")  # :rocket:
_STRESS = pattern(r"[*~](?:(?<=\*)(?:(?<![\w*]\*)\*{0,2}(?=[^\s*])|(?<=[^\s*]\*)\*{0,2}(?![\w*]))|(?<=~)~)")
_STRESSED_WORDS = pattern(r"__(?<!\w__)([^\s_][^_\n]{0,200}\s[^_\n]{0,200})__(?!\w)")  # not __init__
_UNDERSCORED = pattern(r"_(?<!\w_)([A-Za-z][^_\n]{0,100})_(?!\w)")
_CODE_MARKS = pattern(r"(`{1,2})[ ]?([^`\n]{1,200}?)[ ]?\1")
_PICTURES = pattern("[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3]+")
_LOGO = pattern(r"\s*\b(?:logo(?:type)?|banner|icon|image|header|screenshot|badge)\b.*$", re.I)
_BADGE_ADDRESS = pattern(either(_LISTS["badge_addresses"]), re.I)
_BADGE = pattern(rf"\b{either(_LISTS['badges'])}\b", re.I)


def unnumbered(text: str) -> str:
    """A heading without its number: "Write-Ahead Logging" of "30.3. Write-Ahead Logging"."""
    return _NUMBER.sub("", text)


def is_prose(text: str) -> bool:
    """Whether indented or unfilled lines read like sentences: most of their words consist of letters."""
    written = text.split()
    return len(written) > 12 and sum(word.isalpha() for word in written) * 10 > 7 * len(written)


def unescaped(text: str) -> str:
    """Text with its character references decoded. Drops numbers beyond Unicode (html.unescape raises at 4,300
    digits)."""
    return html.unescape(_LONG_NUMBER.sub(" ", text)) if "&" in text else text


def inline(text: str) -> str:
    """A line of Markdown without marks: links become their words; pictures, tags and anchors go. Inline code keeps
    its quotes."""
    if "[" in text:
        text = _unlinked(text)
    if "<" in text:
        text = _outside_code(text)
    if "{" in text:
        text = _ATTRIBUTES.sub("", _TEMPLATE.sub("", text))
    if "*" in text or "~~" in text or "__" in text:
        text = _STRESS.sub("", _STRESSED_WORDS.sub(r"\1", text))
    if ":" in text:
        text = _SHORTCODE.sub("", text)
    return unescaped(text)


def _unlinked(text: str) -> str:
    """Text without pictures and footnotes, and with the words of its links."""
    if "![" in text:
        text = _IMAGE.sub("", _LINKED_IMAGE.sub("", text))
    if "[[" in text:
        text = _PAGE_LINK.sub(lambda link: "" if link[0][0] == "!" else link[1], text)
    if "[^" in text:
        text = _FOOTNOTE.sub("", text)
    return replaced_inside_out(_LINK, r"\1", text, 2) if "](" in text or "][" in text else text


def _outside_code(text: str) -> str:
    """Text without tags, except between backticks, where a tag is the subject."""
    if "`" not in text:
        return _TAG.sub(" ", _AUTOLINK.sub("", text))
    parts = text.split("`")
    return "`".join(part if place % 2 else _TAG.sub(" ", _AUTOLINK.sub("", part)) for place, part in enumerate(parts))


def heading(text: str) -> str:
    """A heading's words: no marks, no code quotes, no emoji, no ¶."""
    bare = inline(text)
    if "_" in bare:
        bare = _UNDERSCORED.sub(r"\1", bare)
    if "`" in bare:
        bare = _CODE_MARKS.sub(r"\2", bare)
    if not bare.isascii():
        bare = _PICTURES.sub(" ", bare.replace("¶", " "))
    bare = " ".join(bare.replace("\\", "").split())
    return bare.strip(" #=*-_`~^•\t") if not bare.endswith(("C#", "F#")) else bare.strip(" =*-_`~^\t")


def picture_name(text: str) -> str:
    """The name on a logo, for a README without another heading. Badges do not count."""
    for match in _IMAGE.finditer(text):
        name = _LOGO.sub("", heading(match[1])).strip(" :-")
        if name and not _BADGE.search(name) and not _BADGE_ADDRESS.search(match[2] or ""):
            return name
    return ""


def replaced_inside_out(mark: re.Pattern[str], by: str | Callable[[re.Match[str]], str], text: str, depth: int) -> str:
    """Marks that stand in one another: the innermost first, `depth` times at most."""
    for _ in range(depth):
        before, text = text, mark.sub(by, text)
        if text == before:
            break
    return text
