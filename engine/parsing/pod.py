"""Perl's plain old documentation, alone or within a program."""

from __future__ import annotations

import html
import re

from engine.parsing.inline import heading, replaced_inside_out
from engine.parsing.model import Block, Format, Paragraphs, Raw
from engine.patterns import pattern

MARK = pattern(r"(?:^|\n)=(?:head[1-4]|pod|encoding|over|item|begin)\b")
_COMMAND = pattern(r"^=(\w+)[ \t]*(.*)", re.S)
_NESTED = pattern(r"\b([A-Z])(<{2,6})[ \t\n]((?:[^>]|>(?!>))*?)[ \t\n]>{2,6}")
_FORMAT = pattern(r"\b([A-Z])<([^<>]{0,400})>")
_SKIPPED = pattern(
    r"(?:(?:see also|authors?|copyright|licen[cs]e|acknowledge?ments?|credits|history|maintainers?|contributors?"
    r"|reporting bugs|support)(?:\W+(?:and|&)?\s*(?:copyright|licen[cs]e|contributors?|authors?|acknowledge?ments?))*)",
    re.I,
)
_NUMBER = pattern(r"\d{1,3}[.)]?")
_ESCAPES = {"lt": "<", "gt": ">", "verbar": "|", "sol": "/"}


def parse(text: str) -> Raw:
    first = MARK.search(text)
    if first is None:
        return Raw(Format.POD, [Block("text", text)])
    reader = _Reader()
    before = text[: first.start()].strip()
    if not before.startswith(("This file", "If you")):
        reader.out.add("code", before)
    for paragraph in re.split(r"\n[ \t]*\n", text[first.start() :].lstrip("\n")):
        reader.read(paragraph)
    return Raw(Format.POD, reader.out.blocks, reader.title)


class _Reader:
    """One pass over the paragraphs."""

    def __init__(self) -> None:
        self.out = Paragraphs()
        self.title = ""
        self._naming = False  # in the section NAME, whose text is the title
        self._skipping = False  # in a section about people or licences
        self._program = False  # after =cut
        self._region = ""  # the format of a =begin region

    def read(self, paragraph: str) -> None:
        command = _COMMAND.match(paragraph.lstrip("\n"))
        name, rest = (command[1], command[2]) if command else ("", "")
        if self._program and not command:
            self.out.add("code", paragraph)
            return
        self._program = name == "cut"
        if name in ("begin", "end"):
            self._region = rest.strip().partition(" ")[0] if name == "begin" else ""
        elif self._region and not self._region.startswith(":"):
            return
        elif name.startswith("head"):
            self._heading(name, heading(words(rest)))
        elif not self._skipping and command is None:
            self._text(paragraph)
        elif not self._skipping and name == "item":
            item = words(rest).strip().removeprefix("*").strip()
            self.out.add("item", "" if _NUMBER.fullmatch(item) else item)

    def _heading(self, name: str, written: str) -> None:
        level = int(name[4:] or 1) if name[4:].isdigit() else 1
        self._naming = level == 1 and written.upper() == "NAME"
        self._skipping = level == 1 and _SKIPPED.fullmatch(written) is not None
        if not (self._skipping or self._naming):
            self.out.add("heading", written.capitalize() if written.isupper() else written, level + 1)

    def _text(self, paragraph: str) -> None:
        if self._naming:
            self.title = self.title or heading(words(" ".join(paragraph.split())))
            self._naming = False
        elif paragraph[:1] in (" ", "\t"):
            self.out.add("code", paragraph)
        else:
            self.out.add("text", words(paragraph).strip())


def words(text: str) -> str:
    """A paragraph without formatting codes; C<code> as Markdown's inline code."""
    if "<" not in text:
        return text
    text = _NESTED.sub(_formatted, text)
    return replaced_inside_out(_FORMAT, _formatted, text, 3)


def _formatted(code: re.Match[str]) -> str:
    kind, inside = code[1], code[code.re.groups]
    if kind == "E":
        return _ESCAPES.get(inside) or html.unescape(f"&{inside};" if not inside.isdigit() else f"&#{inside[:6]};")
    if kind in "XZ":
        return ""
    if kind == "L":
        shown, bar, _ = inside.partition("|")
        if bar:
            return shown
        page, _, section = inside.partition("/")
        return "" if "://" in inside else (page or section.strip('"'))
    if kind in "CF" and inside.strip() and "`" not in inside and "\n" not in inside:
        return f"`{inside.strip()}`"
    return inside
