"""Programs: comments and docstrings are the text, the program itself is code. Licence headers and the shebang are
dropped."""

from __future__ import annotations

import re

from engine.parsing.inline import heading
from engine.parsing.lists import either, lists
from engine.parsing.model import Block, Format, Raw
from engine.parsing.template import is_template
from engine.patterns import pattern

_LISTS = lists("source")
_SHEBANG = pattern(r"^#![^\n]*\n?")
_EDITOR = pattern(rf"^\W{{0,20}}{either(_LISTS['editors'])}$", re.I)
_LEGAL = pattern(
    r"^\W*(?:spdx-|copyright\b|[\w .]{0,40}\bmay be (?:freely )?(?:distributed|used|copied) under\b"
    r"|\(c\)|©|all rights reserved|licensed (?:under|to)|released under"
    r"|(?:mit|bsd|apache|isc)[ -]licensed?\b)",
    re.I,
)
_ADDRESS = pattern(r"\bhttps?://\S+")
_DOCSTRING = pattern(r"^[ \t]*[rRuUbBfF]{0,2}(\"\"\"|''')")
_BLOCK_COMMENTS: dict[str, str] = _LISTS["block_comments"]
_HASH = pattern(r"^[ \t]*(?:#|--|;{1,3}|%|dnl\b|REM\b|\")[ \t]?(.*)$")
_SLASHES = pattern(r"^[ \t]*//[/!]?[ \t]?(.*)$")
_STAR = pattern(r"^[ \t]*\*+[ \t]?")
_USELESS = pattern(
    r"module (?:dependencies|exports|variables)|imports?|constants|globals?|types|helpers?|main|setup", re.I
)
_INLINE_TAG = pattern(
    r"\{@(?:link|linkplain|code|literal|value)\s+([^{}\n]{1,200})\}"
    r"|\{@\w{1,20}[^{}]{0,200}\}"
)
_DEFINES = pattern(
    r"^[ \t]*(?:(?:public|protected|private|internal|static|final|abstract|sealed|export|pub(?:\(\w+\))?) ){1,3}"
    r"(?:class|interface|enum|record|struct|trait|fn|type|const|@interface)\b"
    r"|^(?:async )?(?:def|class|fn|func|function|struct|enum|impl|interface|trait|sub|module|namespace)\b"
    r"|^\w[\w *]{0,80}\([^;{}]{0,400}\) ?\{"
    r"|^(?:export )?(?:default )?(?:async )?(?:function|class)\b|^(?:const|var|type)(?: \w+)* ?[({]$",
    re.M,
)
_PART = pattern(
    r"#[ \t]*define\b|(?:#\[[^\n]{0,200}\]\n)*(?:(?:export|default|async|static|inline|unsafe|pub(?:\(\w+\))?) )*"
    r"(?:func|fn|def|function|struct|enum|trait|impl|mod|type \w+ (?:struct|interface|func|=)|const|var) ?\b"
)
_DESCRIPTION = pattern(r'^[ \t]*description[ \t]*=[ \t]*"([^"\n]{8,600})"[ \t]*$')  # in Terraform
_TAGGED = pattern(r"^@(?:param|return|returns|throws|type|see|private|public|example|default|internal|deprecated)\b.*")
_SLASH_LANGUAGES = frozenset(_LISTS["slash_suffixes"])
SUFFIXES = _SLASH_LANGUAGES | frozenset(_LISTS["suffixes"])


def parse(text: str, suffix: str = "") -> Raw:
    text = _SHEBANG.sub("", text.lstrip("\ufeff"), count=1)
    slashes = suffix in _SLASH_LANGUAGES or (
        not suffix and ("\n//" in text or text.lstrip().startswith(("/*", "//", "<?php")))
    )
    reader = _Reader(text.split("\n"), _SLASHES if slashes else _HASH)
    reader.read()
    return Raw(Format.SOURCE, reader.blocks, _title(reader.blocks))


class _Reader:
    """One pass over the lines: comments become text, the rest is code."""

    def __init__(self, lines: list[str], line_comment: re.Pattern[str]) -> None:
        self.lines = lines
        self.blocks: list[Block] = []
        self._line_comment = line_comment
        self._next = 0  # the line after the current one
        self._comment: list[str] = []
        self._code: list[str] = []

    def read(self) -> None:
        while self._next < len(self.lines):
            line = self.lines[self._next]
            self._next += 1
            if opened := _DOCSTRING.match(line):
                self._docstring(line[opened.end() :], opened[1])
            elif mark := next(filter(line.strip().startswith, _BLOCK_COMMENTS), ""):
                self._block_comment(line.strip(), mark, _BLOCK_COMMENTS[mark])
            elif noted := self._line_comment.match(line):
                self._noted(noted[1])
            else:
                self._close_comment()
                if "description" in line and (described := _DESCRIPTION.match(line)):
                    self._close_code()
                    self.blocks.append(Block("item", described[1]))
                else:
                    self._code.append(line if line.strip() else "")
        self._close_comment()
        self._close_code()

    def _close_code(self) -> None:
        from engine.parsing.boilerplate import is_coded

        joined = "\n".join(self._code).strip("\n")
        if joined.strip() and not is_coded(joined):  # a minified program has no meaningful names
            self.blocks.append(Block("code", joined))
        self._code.clear()

    def _close_comment(self) -> None:
        written = "\n".join(self._comment).strip("\n")
        if "{@" in written:
            written = _INLINE_TAG.sub(_of_tag, written)
        for part in written.split("\n\n"):
            words = _without_legal(part).strip()
            if words and not _USELESS.fullmatch(words.rstrip(".")):
                self.blocks.append(Block("text", words))
        self._comment.clear()

    def _docstring(self, inside: str, quotes: str) -> None:
        self._close_code()
        pieces = [inside]
        while quotes not in pieces[-1] and self._next < len(self.lines):
            pieces.append(self.lines[self._next].strip())
            self._next += 1
        self._comment.append("\n".join(pieces).split(quotes)[0])
        self._close_comment()

    def _block_comment(self, bare: str, mark: str, end: str) -> None:
        self._close_code()
        pieces = [bare[2:] if end in bare[2:] else bare.lstrip("/*({-[=<!#").removeprefix("begin")]
        while end not in pieces[-1] and self._next < len(self.lines):
            line = self.lines[self._next].strip()
            self._next += 1
            pieces.append(line if line.startswith(end) else _STAR.sub("", line))
        pieces[-1] = pieces[-1].split(end)[0]
        self._comment += [
            piece for piece in pieces if not (_EDITOR.match(piece.strip()) or _TAGGED.match(piece.strip()))
        ]
        self._close_comment()

    def _noted(self, words: str) -> None:
        """A line comment; a comment for an editor is dropped."""
        if not self._comment:
            self._close_code()
        if not _EDITOR.match(words.strip()):
            self._comment.append(words)


def _of_tag(tag: re.Match[str]) -> str:
    """{@link Pool#grow() grows} as its label, or as code."""
    target, _, label = (tag[1] or "").strip().partition(" ")
    if label:
        return label if "@link" in tag[0] else f"{target} {label}"
    return f"`{target.lstrip('#').replace('#', '.')}`" if target else ""


def _without_legal(paragraph: str) -> str:
    """A comment without its legal lines; if the last of them begins a licence, only what precedes the first."""
    lines = paragraph.split("\n")
    legal = [place for place, line in enumerate(lines) if _LEGAL.match(line)]
    if not legal:
        return paragraph
    from engine.parsing.boilerplate import grants

    rest = "\n".join(lines[legal[-1] + 1 :])
    if rest and grants("\n".join(lines[legal[-1] :])) and (rest.lstrip()[:1].islower() or grants(rest)):
        return "\n".join(lines[: legal[0]])
    return "\n".join(line for line in lines if not _LEGAL.match(line))


def _title(blocks: list[Block]) -> str:
    """The first sentence of the first comment that is not a licence."""
    from engine.parsing.boilerplate import is_licence

    for place, block in enumerate(blocks[:12]):
        if block.kind == "code" and _DEFINES.search(block.text):
            break  # a later comment describes a part of the program
        if block.kind == "text" and not is_licence(block.text):
            if _describes_a_part(blocks[place + 1 : place + 2]) or (place and block.text[0].islower()):
                break
            line = " ".join(_ADDRESS.sub("", _name_line(block.text)).split())
            first = re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0]
            words = heading(first)[:200].rstrip(".")
            if is_template(words):
                break
            if len(words) > 2 and not _USELESS.fullmatch(words):
                return words
    return ""


def _describes_a_part(below: list[Block]) -> bool:
    """Whether a comment is that of the function or type below it. One of a class describes the file."""
    return bool(below) and below[0].kind == "code" and _PART.match(below[0].text) is not None


def _name_line(text: str) -> str:
    """The first line, if it is only a name: the line after it begins with a capital or an address."""
    first, _, rest = text.strip().partition("\n")
    bare, below = first.strip(), rest.strip()
    ended = below[:1].isupper() or below.startswith("http") or set(below.split("\n", 1)[0]) <= set("=-~* ")
    return bare if 2 < len(bare) <= 60 and below and ended and bare[-1] not in ",;:(" and " the " not in bare else text
