"""The second wall against untrusted text: nothing unprintable passes from a widget to the terminal.

The first is the store's door (`engine.text`). This one stands behind every widget, Textual's own included, so that a route that
somebody forgot still leads nowhere.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from engine.text import MARK


class Wall(LineFilter):
    """Each unprintable character becomes one mark, so that the line keeps its width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [s if s.control or s.text.isprintable() else Segment(_marked(s.text), s.style) for s in segments]


def _marked(text: str) -> str:
    return "".join(char if char.isprintable() else MARK for char in text)
