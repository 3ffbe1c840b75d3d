"""LaTeX: sections, paragraphs and captions, without the preamble, mathematics, references and bibliographies."""

from __future__ import annotations

import re
import unicodedata

from engine.parsing.inline import heading, replaced_inside_out
from engine.parsing.lists import either, lists
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

MARK = pattern(
    r"(?:^|\n)[ \t]*\\(?:documentclass|documentstyle|chapter|section|subsection|begin\{|usepackage)\b|\\section\*?\{"
)
_COMMENT = pattern(r"(?<!\\)%[^\n]*\n?[ \t]*")
_TITLE = pattern(r"\\title(?:\[[^\[\]]{0,200}\])?\{((?:[^{}]|\{[^{}]{0,200}\}){1,400})\}")
_LISTS = lists("latex")
_CODE, _DROPPED = frozenset(_LISTS["code"]), frozenset(_LISTS["dropped"])
_BEGIN = pattern(r"\\begin\{([\w*]{1,30})\}")
_HEADING = pattern(
    r"\\(part|chapter|section|subsection|subsubsection|paragraph|frametitle)\*?(?:\[[^\[\]]{0,200}\])?"
    r"\{((?:[^{}]|\{[^{}]{0,200}\}){1,300})\}"
)
_LEVELS: dict[str, int] = _LISTS["levels"]
_MATH = pattern(
    r"\$\$[^$]{1,2000}\$\$|(?<!\\)\$[^$\n]{1,300}(?:\n[^$\n]{1,300}){0,2}\$|\\\[.{1,2000}?\\\]|\\\(.{1,500}?\\\)", re.S
)
_LETTER_OF_NAME = pattern(r"\$([A-Za-z])\$(?=-[a-z])")  # $k$-means
_ARGUMENTS = pattern(
    rf"\\{either(_LISTS['arguments'])}"
    r"(?![A-Za-z])\*?(?:\[[^\[\]]{0,300}\]|\\\w{1,40}|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}\}){0,300}\}){0,1000}\})*"
)
_HREF = pattern(r"\\href\{[^{}]{0,400}\}\{([^{}]{0,300})\}")
_QUOTED = pattern(
    r"\\(?:texttt|code|verb|lstinline|mintinline|path|file|tt|ttfamily)(?:\[[^\[\]]{0,80}\])?\{([^{}`\n]{1,120})\}"
)
_VERB = pattern(r"\\(?:verb|lstinline)\*?([|!+@/#])([^\n`]{1,120}?)\1")
_WORDS = pattern(r"\\[A-Za-z@]{1,40}\*?(?:\[[^\[\]]{0,200}\])*\{([^{}]{0,1500})\}")
_ACCENT = pattern(r"\\([\"'`^~=.cvuHr])(?:\{\\?([A-Za-z])\}|(?<=[\"'`^~=.])\\?([A-Za-z])|[ ]([A-Za-z]))")
_ACCENTS: dict[str, str] = _LISTS["accents"]
_LETTERS: dict[str, str] = _LISTS["letters"]
_LETTER = pattern(r"\\(ss|ae|AE|oe|aa|AA|LaTeX|TeX|BibTeX|ldots|dots|o|O|l|L)(?![A-Za-z])(?:\{\}|\\? ?)")
_COMMAND = pattern(r"\\[A-Za-z@]{1,40}\*?(?:\[[^\[\]\n]{0,200}\])?|\\[^A-Za-z\s&%$#_{}]")
_ITEM = pattern(r"\\item\b(?:\[((?:[^\[\]]|\[[^\[\]]{0,60}\]){0,200})\])?")
_SKIPPED = pattern(r"(?:acknowledge?ments?|references|bibliography|contents)\W*", re.I)


def parse(text: str) -> Raw:
    title = _TITLE.search(text)
    _, begun, rest = text.partition("\\begin{document}")
    body = rest.partition("\\end{document}")[0] if begun else text
    blocks: list[Block] = []
    for code, part in _parts(body):
        if code:
            blocks.append(Block("code", part.strip("\n")))
        else:
            blocks += _prose(_COMMENT.sub("", part))
    return Raw(Format.LATEX, blocks, heading(words(_COMMENT.sub("", title[1]))) if title else "")


def _parts(text: str) -> list[tuple[bool, str]]:
    """(whether it is code, text), without the environments that are not text."""
    kept: list[tuple[bool, str]] = []
    open_ended: set[str] = set()
    at = 0
    for begin in _BEGIN.finditer(text):
        name = begin[1]
        if begin.start() < at or name in open_ended or not (name in _CODE or name in _DROPPED):
            continue
        end = text.find(f"\\end{{{name}}}", begin.end())
        if end < 0:
            open_ended.add(name)
            continue
        kept.append((False, text[at : begin.start()]))
        if name in _CODE:
            kept.append((True, text[begin.end() : end]))
        at = end + len(name) + 6
    kept.append((False, text[at:]))
    return kept


def _prose(text: str) -> list[Block]:
    blocks: list[Block] = []
    at, skipping = 0, False
    for headed in _HEADING.finditer(text):
        blocks += [] if skipping else _paragraphs(text[at : headed.start()])
        at = headed.end()
        written = heading(words(headed[2]))
        skipping = _SKIPPED.fullmatch(written) is not None
        if written and not skipping:
            blocks.append(Block("heading", written, _LEVELS[headed[1]]))
    return blocks + ([] if skipping else _paragraphs(text[at:]))


def _paragraphs(text: str) -> list[Block]:
    blocks = []
    for part in re.split(r"\n[ \t]*\n|(?=\\item\b)|\\par\b|\\\\\s", text):
        item = _ITEM.match(part)
        if item:
            part = f"{item[1]}: {part[item.end() :]}" if item[1] else part[item.end() :]
        if any(map(str.isalpha, written := words(part).strip())):
            blocks.append(Block("item" if item else "text", written))
    return blocks


def words(text: str) -> str:
    """Text without commands; code as Markdown's inline code."""
    if "\\" in text:
        text = _VERB.sub(r"`\2`", text)
        text = _QUOTED.sub(r"`\1`", _HREF.sub(r"\1", text))
        text = _ACCENT.sub(_accented, text)
        text = _LETTER.sub(lambda letter: _LETTERS[letter[1]], text)
    if "$" in text or "\\" in text:
        text = _MATH.sub(" ", _LETTER_OF_NAME.sub(r"\1", text))
    if "\\" in text:
        text = _ARGUMENTS.sub("", text)
        text = replaced_inside_out(_WORDS, r"\1", text, 4)
        text = _COMMAND.sub("", text)
        text = re.sub(r"\\([&%$#_{}])", r"\1", text)
    text = text.replace("~", " ").replace("``", '"').replace("''", '"').replace("---", " - ").replace("--", "-")
    return text.replace("{", "").replace("}", "")


def _accented(match: re.Match[str]) -> str:
    letter = match[2] or match[3] or match[4]
    return unicodedata.normalize("NFC", letter + _ACCENTS[match[1]])
