"""A palette's named styles as the terminal gets them, so that a canvas needs no compositor to reach it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from console.terminal.diff import Cell, Style, cells_of


class PaletteStyles:
    """`style_of` gives the terminal's style for a name, as Textual would write it; `clean` is the output filter."""

    def __init__(self, style_of: Callable[[str], Style], clean: Callable[[str], str]) -> None:
        self._style_of = style_of
        self._clean = clean
        self._known: dict[str, Style] = {}

    def row(self, chars: list[str], styles: list[str]) -> tuple[list[Cell], bool]:
        """A canvas's row in cells, and whether one of them has another number of characters than one."""
        cells, uneven, x = list[Cell](), False, 0
        for name, run in groupby(styles):
            end = x + len(list(run))
            style = self._known.get(name)
            if style is None:
                style = self._known[name] = self._style_of(name)
            more, even = cells_of(self._clean("".join(chars[x:end])), style)
            cells += more
            uneven = uneven or not even
            x = end
        return cells, uneven
