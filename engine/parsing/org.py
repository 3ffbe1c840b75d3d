"""Org mode: headings with their tags and states, blocks, drawers, links."""

from __future__ import annotations

import re

from engine.parsing.ends import Ends
from engine.parsing.inline import heading, unescaped
from engine.parsing.model import Format, Paragraphs, Raw
from engine.patterns import pattern

MARK = pattern(r"(?:^|\n)[ \t]*#\+(?:title|author|options|startup|begin_\w+|setupfile|property|export_\w+)\b", re.I)
_HEADING = pattern(r"^(\*{1,12})[ \t]+(.*?)(?:[ \t]+:[\w@#%:]{1,100}:)?[ \t]*$")
_STATE = pattern(
    r"^(?:(?:TODO|DONE|NEXT|WAITING|CANCELL?ED|HOLD|STARTED|IN-PROGRESS|COMMENT)\s+)?(?:\[#\w\]\s*)?(?:COMMENT\s+)?"
)
_COUNT = pattern(r"\s*\[\d{0,4}(?:/\d{0,4}|%)\]")
_BLOCK = pattern(r"^[ \t]*#\+begin_(\w+)\b.*$", re.I)
_BLOCK_END = pattern(r"^[ \t]*#\+end_(\w+)", re.I)
_KEYWORD = pattern(r"^[ \t]*#\+(\w[\w-]{0,40})(?:\[.{0,80}?\])?:[ \t]*(.*)$")
_DRAWER = pattern(r"^[ \t]*:(?!end:)[\w-]{1,60}:[ \t]*$", re.I)
_DRAWER_END = pattern(r"^[ \t]*:end:[ \t]*$", re.I)
_PLANNED = pattern(r"^[ \t]*(?:(?:SCHEDULED|DEADLINE|CLOSED|CLOCK):[ \t]*[\[<].*)$")
_ITEM = pattern(r"^[ \t]*(?:[-+]|\d{1,4}[.)])[ \t]+(?:\[[ xX-]\][ \t]+)?(.*)$")
_TABLE_RULE = pattern(r"^[ \t]*\|[-+|]*$")
_LINK = pattern(r"\[\[[^\[\]\n]{1,500}\]\[([^\[\]]{1,300})\]\]")
_BARE_LINK = pattern(r"\[\[([^\[\]\n]{1,500})\]\]|<(?:https?|mailto|file):[^<>\s]{1,400}>")
_TIME = pattern(r"[<\[]\d{4}-\d\d-\d\d[^<>\[\]\n]{0,60}[>\]]")
_NOTE = pattern(r"\[fn:[^\[\]\n]{0,200}\]|\{\{\{[^{}\n]{0,200}\}\}\}|@@[\w-]{1,20}:[^@\n]{0,300}@@|\\\\$")
_CODE = pattern(r"(?<![\w=~])([=~])(\S(?:[^\n]{0,150}?\S)?)\1(?![\w=~])")
_STRESS = pattern(r"(?<![\w*/+_])([*/+_])(?=\S)([^\n]{0,200}?\S)\1(?![\w*/+_])")
_CODE_BLOCKS = ("src", "example", "export", "comment", "latex", "html")
_DROPPED = ("export", "comment", "latex", "html")


def parse(text: str) -> Raw:
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._ends = Ends(self._lines, _BLOCK_END)
        self._next = 0  # the line after the one that is read
        self._out = Paragraphs(words)
        self._title = ""
        self._language = ""

    def read(self) -> Raw:
        while self._next < len(self._lines):
            line = self._lines[self._next]
            self._next += 1
            self._line(line, line.strip())
        return Raw(Format.ORG, self._out.ended(), heading(words(self._title)), self._language)

    def _line(self, line: str, bare: str) -> None:
        if bare and not self._is_markup(line, bare):
            if item := _ITEM.match(line):
                self._out.item(item[1].replace(" :: ", ": "))
            else:
                self._out.line(bare)
        elif not bare:
            self._out.end()

    def _is_markup(self, line: str, bare: str) -> bool:
        """Read a line that is no part of a paragraph; False for one that is."""
        headed = _HEADING.match(line) if line[0] == "*" else None
        if headed:
            self._out.end()
            self._heading(headed)
        elif bare[0] == "#":
            self._out.end()
            if block := _BLOCK.match(line):
                self._block(block[1].lower())
            elif keyword := _KEYWORD.match(line):
                self._keyword(keyword[1].lower(), keyword[2])
        elif bare[0] == ":" and _DRAWER.match(line):
            self._out.end()
            self._skip_drawer()
        elif bare == ":" or bare.startswith(": "):
            self._out.add("code", bare[1:])
        elif _PLANNED.match(line) or _TABLE_RULE.match(line):
            self._out.end()
        elif bare[0] == "|":
            self._out.end()
            self._row(bare)
        else:
            return False
        return True

    def _heading(self, match: re.Match[str]) -> None:
        self._out.add("heading", heading(words(_COUNT.sub("", _STATE.sub("", match[2])))), len(match[1]))

    def _block(self, kind: str) -> None:
        """Code, or what is left out; the lines of any other block are read like those outside."""
        if kind not in _CODE_BLOCKS:
            return
        begin, end = self._next, self._ends.after(kind, self._next)
        if kind not in _DROPPED and end > begin:
            self._out.add("code", "\n".join(self._lines[begin:end]))
        self._next = max(begin, end + 1)

    def _keyword(self, name: str, value: str) -> None:
        if name == "title":
            self._title = f"{self._title} {value}" if self._title else value
        elif name in ("subtitle", "description", "caption") and value.strip():
            self._out.add("text", words(value))
        elif name == "language":
            self._language = value.strip()

    def _skip_drawer(self) -> None:
        for at in range(self._next, min(len(self._lines), self._next + 101)):
            if _DRAWER_END.match(self._lines[at]):
                self._next = at + 1
                return

    def _row(self, bare: str) -> None:
        cells = [cell.strip() for cell in words(bare.strip("|")).split("|")]
        self._out.add("text", " | ".join(cell for cell in cells if cell))


def words(text: str) -> str:
    """A line without marks: links become their words; verbatim text becomes Markdown's inline code."""
    if "[" in text or "<" in text:
        text = _TIME.sub("", _BARE_LINK.sub("", _LINK.sub(r"\1", text)))
    text = _NOTE.sub("", text)
    if "=" in text or "~" in text:
        text = _CODE.sub(r"`\2`", text)
    return unescaped(_STRESS.sub(r"\2", text))
