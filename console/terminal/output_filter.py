"""The second defence against untrusted text: nothing unprintable passes from a widget to the terminal.

The first is `engine.text`, where text enters the store. This filter follows every widget, Textual's own included, so an
overlooked path is still safe.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from console.widgets.canvas import in_ascii
from engine.text import MARK


class OutputFilter(LineFilter):
    """Replaces each unprintable character with one mark, keeping the line's width; with `ascii_only`, non-ASCII too."""

    def __init__(self, ascii_only: bool) -> None:
        super().__init__()
        self._passes = _plain if ascii_only else str.isprintable
        self._changed = in_ascii if ascii_only else _marked

    def clean(self, text: str) -> str:
        """The text as `apply` would leave it."""
        return text if self._passes(text) else self._changed(_marked(text))

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        passes = self._passes
        if all(passes(segment.text) for segment in segments):
            return segments
        return [
            s if s.control or passes(s.text) else Segment(self._changed(_marked(s.text)), s.style) for s in segments
        ]


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _marked(text: str) -> str:
    return "".join(char if char.isprintable() else MARK for char in text)
