"""The report as Markdown, made from the elements of the HTML report; a drawing becomes its description.

It is readable as plain text too. Texts from people and machines are escaped, never markup."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.report.elements import Element
from engine.report.html import body
from engine.report.model import RolloutReport

_ACTS = re.compile(r"([\\`*\[\]<>|~])|(?<!\w)(_)|(_)(?!\w)|(&)(?=#?\w+;)|(!)(?=\[)")
_STARTS = re.compile(r"^[ \t]*((?:\d+(?=[.)]))?)([#+\-=>.)])", re.MULTILINE)

HEADINGS = {f"h{level}": "#" * level for level in range(1, 5)}
PARAGRAPHS = frozenset({"p", "figcaption", "footer"})
BOLD = frozenset({"strong", "b"})
LEFT_OUT = frozenset({"nav", "a", "summary"})  # as blocks: for finding one's way in the page
TICKS = {"done": "[x]", "open": "[ ]", "failed": "[!]"}  # by the label that a screen reader says


def markdown(story: RolloutReport) -> str:
    return "\n\n".join(_blocks(body(story))) + "\n"


def _blocks(element: Element) -> list[str]:
    """An element as paragraphs, headings, lists and tables, in order."""
    tag, kind = element.tag, element.get("class")
    if tag in LEFT_OUT:
        return []
    if tag in HEADINGS:
        return [f"{HEADINGS[tag]} {_inline(element).strip()}"]
    if tag in PARAGRAPHS:
        mark = {"headline": "**", "prompt": "*"}.get(kind or "", "")
        return [mark + _lines(_inline(element)) + mark]
    if tag in ("ul", "ol"):
        return _list(element)
    if tag == "dl":
        names, values = element.iter("dt"), element.iter("dd")
        return ["\n".join(f"- {_inline(n)}: {_inline(v)}" for n, v in zip(names, values, strict=True))]
    if tag == "table":
        return [_table([[_inline(cell) for cell in row] for row in element.iter("tr")])]
    if tag == "pre":
        return [f"```\n{element.text}\n```"]
    if tag == "blockquote":
        return ["> " + _lines(_inline(element)).replace("\n", "\n> ")]
    if tag == "svg":
        return [_lines(_escaped(element.findtext("desc", "")))]
    return [block for child in element for block in _blocks(child)]


def _list(element: Element) -> list[str]:
    """Items that hold paragraphs become these; others a list."""
    items = list(element)
    if any(child.tag in PARAGRAPHS for item in items for child in item):
        return [block for item in items for child in item for block in _blocks(child)]
    signs = [f"{number}." if element.tag == "ol" else "-" for number in range(1, len(items) + 1)]
    return ["\n".join(f"{sign} {_lines(_inline(item), '  ')}" for sign, item in zip(signs, items, strict=True))]


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.strip().replace("\n", " ") or " " for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _inline(element: Element) -> str:
    """What is inside an element, as one piece of text."""
    parts = [_escaped(element.text)]
    for child in element:
        parts += [_marked(child), _escaped(child.tail)]
    return "".join(parts)


def _marked(element: Element) -> str:
    """A part of a line: a time in full, a side note in brackets, a mark in capitals."""
    kinds = element.get("class", "").split()
    if element.tag == "time":
        return element.get("datetime", "")
    if element.tag == "code":
        return f"`{element.text}`"
    if "tick" in kinds:
        return TICKS[element.get("aria-label", "")] + " "
    inside = _inline(element)
    if element.tag == "small":
        return f" ({inside.strip()})"
    if "mark" in kinds:
        return f"**{inside.upper()}**"
    if element.tag in BOLD:
        return f"**{inside.rstrip()}**" + " " * inside.endswith(" ")
    return inside


def _escaped(text: str | None) -> str:
    return _ACTS.sub(lambda match: "\\" + match[0], (text or "").replace("\u00a0", " "))


def _lines(text: str, indent: str = "") -> str:
    """Several lines as one paragraph or list item, none of which begins a heading or a list."""
    return _STARTS.sub(r"\1\\\2", text.strip()).replace("\n", f"\n{indent}")
