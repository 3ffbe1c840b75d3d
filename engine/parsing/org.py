"""Org mode: headings with their tags and states, blocks, drawers, links."""

from __future__ import annotations

import re

from engine.parsing.ends import Ends
from engine.parsing.inline import heading, unescaped
from engine.parsing.model import Block, Format, Raw

MARK = re.compile(r"(?:^|\n)[ \t]*#\+(?:title|author|options|startup|begin_\w+|setupfile|property|export_\w+)\b", re.I)
_HEADING = re.compile(r"^(\*{1,12})[ \t]+(.*?)(?:[ \t]+:[\w@#%:]{1,100}:)?[ \t]*$")
_STATE = re.compile(
    r"^(?:(?:TODO|DONE|NEXT|WAITING|CANCELL?ED|HOLD|STARTED|IN-PROGRESS|COMMENT)\s+)?(?:\[#\w\]\s*)?(?:COMMENT\s+)?"
)
_COUNT = re.compile(r"\s*\[\d{0,4}(?:/\d{0,4}|%)\]")
_BLOCK = re.compile(r"^[ \t]*#\+begin_(\w+)\b.*$", re.I)
_BLOCK_END = re.compile(r"^[ \t]*#\+end_(\w+)", re.I)
_KEYWORD = re.compile(r"^[ \t]*#\+(\w[\w-]{0,40})(?:\[.{0,80}?\])?:[ \t]*(.*)$")
_DRAWER = re.compile(r"^[ \t]*:(?!end:)[\w-]{1,60}:[ \t]*$", re.I)
_DRAWER_END = re.compile(r"^[ \t]*:end:[ \t]*$", re.I)
_PLANNED = re.compile(r"^[ \t]*(?:(?:SCHEDULED|DEADLINE|CLOSED|CLOCK):[ \t]*[\[<].*)$")
_ITEM = re.compile(r"^[ \t]*(?:[-+]|\d{1,4}[.)])[ \t]+(?:\[[ xX-]\][ \t]+)?(.*)$")
_TABLE_RULE = re.compile(r"^[ \t]*\|[-+|]*$")
_LINK = re.compile(r"\[\[[^\[\]\n]{1,500}\]\[([^\[\]]{1,300})\]\]")
_BARE_LINK = re.compile(r"\[\[([^\[\]\n]{1,500})\]\]|<(?:https?|mailto|file):[^<>\s]{1,400}>")
_TIME = re.compile(r"[<\[]\d{4}-\d\d-\d\d[^<>\[\]\n]{0,60}[>\]]")
_NOTE = re.compile(r"\[fn:[^\[\]\n]{0,200}\]|\{\{\{[^{}\n]{0,200}\}\}\}|@@[\w-]{1,20}:[^@\n]{0,300}@@|\\\\$")
_CODE = re.compile(r"(?<![\w=~])([=~])(\S(?:[^\n]{0,150}?\S)?)\1(?![\w=~])")
_STRESS = re.compile(r"(?<![\w*/+_])([*/+_])(?=\S)([^\n]{0,200}?\S)\1(?![\w*/+_])")
_CODE_BLOCKS = ("src", "example", "export", "comment", "latex", "html")
_DROPPED = ("export", "comment", "latex", "html")


def parse(text: str) -> Raw:
    blocks: list[Block] = []
    about: dict[str, str] = {}
    paragraph: list[str] = []
    item = False
    lines = text.split("\n")
    ends = Ends(lines, _BLOCK_END)

    def flush() -> None:
        nonlocal item
        if paragraph and (written := words("\n".join(paragraph)).strip()):
            blocks.append(Block("item" if item else "text", written))
        paragraph.clear()
        item = False

    at = 0
    while at < len(lines):
        line = lines[at]
        bare = line.strip()
        at += 1
        if not bare:
            flush()
        elif line[0] == "*" and (headed := _HEADING.match(line)):
            flush()
            if title := heading(words(_COUNT.sub("", _STATE.sub("", headed[2])))):
                blocks.append(Block("heading", title, len(headed[1])))
        elif bare[0] == "#" and (opened := _BLOCK.match(line)):
            flush()
            kind = opened[1].lower()
            if kind in _CODE_BLOCKS:
                end = ends.after(kind, at)
                if kind not in _DROPPED and end > at:
                    blocks.append(Block("code", "\n".join(lines[at:end])))
                at = max(at, end + 1)
        elif bare[0] == "#":
            flush()
            if keyword := _KEYWORD.match(line):
                name = keyword[1].lower()
                if name == "title":
                    about["title"] = f"{about['title']} {keyword[2]}" if about.get("title") else keyword[2]
                elif name in ("subtitle", "description", "caption") and keyword[2].strip():
                    blocks.append(Block("text", words(keyword[2])))
                elif name == "language":
                    about["language"] = keyword[2].strip()
        elif bare[0] == ":" and _DRAWER.match(line):
            flush()
            end = at
            while end < len(lines) and end < at + 100 and not _DRAWER_END.match(lines[end]):
                end += 1
            at = end + 1 if end < len(lines) and _DRAWER_END.match(lines[end]) else at
        elif bare[0] == ":" and (bare == ":" or bare[1] == " "):
            flush()
            blocks.append(Block("code", bare[1:]))
        elif _PLANNED.match(line) or _TABLE_RULE.match(line):
            flush()
        elif bare[0] == "|":
            flush()
            if row := " | ".join(cell for cell in map(str.strip, words(bare.strip("|")).split("|")) if cell):
                blocks.append(Block("text", row))
        elif listed := _ITEM.match(line):
            flush()
            paragraph.append(listed[1].replace(" :: ", ": "))
            item = True
        else:
            paragraph.append(bare)
    flush()
    return Raw(Format.ORG, blocks, heading(words(about.get("title", ""))), about.get("language", ""))


def words(text: str) -> str:
    """A line without marks: links become their words; verbatim text becomes Markdown's inline code."""
    if "[" in text or "<" in text:
        text = _TIME.sub("", _BARE_LINK.sub("", _LINK.sub(r"\1", text)))
    text = _NOTE.sub("", text)
    if "=" in text or "~" in text:
        text = _CODE.sub(r"`\2`", text)
    return unescaped(_STRESS.sub(r"\2", text))
