"""Perl's plain old documentation, alone or within a program."""

from __future__ import annotations

import html
import re

from engine.parsing.inline import heading, replaced_inside_out
from engine.parsing.model import Block, Format, Raw
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
_ESCAPES = {"lt": "<", "gt": ">", "verbar": "|", "sol": "/"}


def parse(text: str) -> Raw:
    blocks: list[Block] = []
    title = ""
    naming = skipping = program = False
    begun = ""  # the format of a =begin region
    first = MARK.search(text)
    if first is None:
        return Raw(Format.POD, [Block("text", text)])
    if (
        first.start() > 0
        and (before := text[: first.start()].strip())
        and not before.startswith(("This file", "If you"))
    ):
        blocks.append(Block("code", before))
    for paragraph in re.split(r"\n[ \t]*\n", text[first.start() :].lstrip("\n")):
        command = _COMMAND.match(paragraph.lstrip("\n"))
        name = command[1] if command else ""
        if program and not command:
            blocks.append(Block("code", paragraph))
            continue
        program = name == "cut"
        if name == "begin" and command is not None:
            begun = command[2].strip().partition(" ")[0]
        elif name == "end":
            begun = ""
        elif begun and not begun.startswith(":"):
            continue
        elif command is not None and name.startswith("head"):
            level = int(name[4:] or 1) if name[4:].isdigit() else 1
            written = heading(words(command[2]))
            naming = level == 1 and written.upper() == "NAME"
            skipping = level == 1 and _SKIPPED.fullmatch(written) is not None
            if written and not (skipping or naming):
                blocks.append(Block("heading", written.capitalize() if written.isupper() else written, level + 1))
        elif skipping or name in ("over", "back", "cut", "encoding", "for", "pod"):
            continue
        elif command is not None:
            item = words(command[2]).strip().removeprefix("*").strip()
            if name == "item" and item and not re.fullmatch(r"\d{1,3}[.)]?", item):
                blocks.append(Block("item", item))
        elif naming:
            title = title or heading(words(" ".join(paragraph.split())))
            naming = False
        elif paragraph[:1] in (" ", "\t"):
            blocks.append(Block("code", paragraph))
        elif written := words(paragraph).strip():
            blocks.append(Block("text", written))
    return Raw(Format.POD, blocks, title)


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
