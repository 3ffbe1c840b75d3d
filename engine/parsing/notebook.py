"""Jupyter notebooks: the Markdown cells are the text, the code cells code. Outputs and settings are dropped."""

from __future__ import annotations

import json
import re
from typing import Any

from engine.parsing import markdown
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

MARK = pattern(r'\s*\{(?=.*"(?:cell_type|nbformat)"\s*:).{0,300}?"(?:cells|nbformat|metadata|worksheets)"\s*:', re.S)


def parse(text: str) -> Raw | None:
    """None for JSON that is not a notebook, or is broken."""
    try:
        book = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(book, dict):
        return None
    blocks: list[Block] = []
    for cell in _cells(book):
        source = _joined(cell.get("source", cell.get("input")))
        kind = cell.get("cell_type")
        if kind == "markdown":
            blocks += markdown.parse(source).blocks
        elif kind == "heading":  # of version 3
            level = cell.get("level")
            blocks.append(Block("heading", source.strip(), level if isinstance(level, int) else 1))
        elif kind == "code" and source.strip():
            blocks.append(Block("code", source))
        elif kind == "raw" and source.strip() and not source.lstrip().startswith(("<", "\\", "---")):
            blocks.append(Block("text", source))
    about = book.get("metadata")
    title = about.get("title") if isinstance(about, dict) else ""
    return Raw(Format.NOTEBOOK, blocks, title if isinstance(title, str) else "")


def _cells(book: dict[str, Any]) -> list[dict[str, Any]]:
    sheets = book.get("worksheets")  # of version 3
    cells = book.get("cells")
    if not isinstance(cells, list) and isinstance(sheets, list):
        cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in sheet.get("cells") or ()]
    return [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []


def _joined(source: Any) -> str:
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""
