"""The terminal's content, cell by cell, so that only differences are sent: over a slow line every byte costs time.

Textual sends a widget's changed spans with full colours, and the whole screen when the screen changes (17 KB at 80x24).
This module reads its output as text in cells, compares it with what the terminal already shows, and writes the
difference with the fewest moves and colour changes. Everything else (titles, modes, answers) passes unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, groupby
from typing import NamedTuple, Protocol

from rich.cells import get_character_cell_size

_TOKENS = re.compile(
    r"\x1b\[(?P<y>\d+);(?P<x>\d+)H"
    r"|\x1b\[(?P<sgr>[\d;]*)m"
    r"|(?P<line>\r?\n)"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<mode>\x1b\[[?<=>][\d;$]*[A-Za-z]|\x1b\[[\d;]*t|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1bP(?:[^\x1b]|\x1b\x1b|\x1b[^\\])*\x1b\\|\x07)"
    r"|(?P<other>\x1b.?|.)",
    re.DOTALL,
)
_ALTERNATE = "\x1b[?1049"
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"  # a frame that the terminal shows atomically (synchronized output)
NEAR = 4  # this many unchanged cells cost less to rewrite than to skip
MANY = 10  # this many blanks cost more to write than to erase and skip
# how an attribute ends
_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "8": "28", "9": "29", "53": "55"}


class Style(NamedTuple):
    """A cell's look in SGR parameters; "" is the terminal's own colour."""

    attributes: frozenset[str]
    fore: str
    back: str


Cell = tuple[str, Style]  # what it shows, and how
Rows = list[tuple[list[str], list[str]]]  # characters and names of styles, a pair of lists a row
PLAIN = Style(frozenset(), "", "")
_UNKNOWN: Cell = ("\0", PLAIN)


class CellStyles(Protocol):
    """What rows of names look like; see `console.terminal.palette_styles`."""

    def row(self, chars: list[str], styles: list[str]) -> tuple[list[Cell], bool]: ...


class _Run(NamedTuple):
    """Text from one cell on, in the styles it has."""

    x: int
    y: int
    cells: list[Cell]
    uneven: bool  # whether a cell has another number of characters than one


class Frame:
    """`diff` reduces Textual's output to what the terminal still needs. Sizes in cells, positions from 0.

    `erases`: the terminal erases with the current background (terminfo's `bce`), so blanks need not be written.
    """

    def __init__(self, erases: bool = False) -> None:
        self._erases = erases
        self._rows: dict[int, list[Cell]] = {}  # y -> (character, style) for each cell, from the left
        self._uneven: set[int] = set()  # rows that may contain wide or combined characters
        self._at: tuple[int, int] | None = None  # the terminal's cursor; None if uncertain
        self._style: Style | None = None  # the style it writes in
        self._begun = False  # whether a frame has begun of which nothing is sent yet
        self._drawn: tuple[Rows, object] | None = None  # by `draw`, if nothing was written since

    def forget(self) -> None:
        """Assume nothing about the terminal: the next frame is sent whole."""
        self._rows.clear()
        self._uneven.clear()
        self._at = self._style = self._drawn = None

    def diff(self, data: str) -> str:
        """What to send to the terminal for a frame."""
        out: list[str] = []
        rest: tuple[int, int] | None = None  # the cursor's resting place, for the terminal's own pop-ups
        for part in _parts(data):
            if isinstance(part, _Run):
                rest = self._drawn = None
                if part.uneven:
                    self._uneven.add(part.y)
                self._write(part.x, part.y, part.cells, out)
            elif isinstance(part, str):
                self._pass_on(part, out)
            else:
                rest = part
        if rest is not None and out and self._at != rest:
            self._move(*rest, out)
        if out and self._begun:
            self._begun = False
            out.insert(0, _BEGIN)
        return "".join(out)

    def draw(self, rows: Rows, styles: CellStyles, rest: tuple[int, int], atomic: bool) -> str:
        """What to send so that the terminal shows these rows, with the cursor at `rest`: as `diff` for what Textual
        writes, but from cells to cells, and without a look at rows that are as at the last time. `atomic`: the terminal
        shows a frame at once. `rows` must not change afterwards."""
        out: list[str] = []
        before = self._drawn[0] if self._drawn is not None and self._drawn[1] is styles else []
        if len(before) != len(rows):
            before = []
        for y, row in enumerate(rows):
            if before and before[y] == row:
                continue
            cells, uneven = styles.row(*row)
            if uneven:
                self._uneven.add(y)
            self._write(0, y, cells, out)
        self._drawn = rows, styles
        if not out:
            return ""
        if self._at != rest:
            self._move(*rest, out)
        return "".join([_BEGIN, *out, _END] if atomic else out)

    def _pass_on(self, sequence: str, out: list[str]) -> None:
        """Send it, except for the ends of a frame in which nothing was sent."""
        if sequence == _BEGIN:
            self._begun = True
        elif sequence == _END and self._begun:
            self._begun = False
        else:
            if _clears(sequence):
                self.forget()
            out.append(sequence)

    def _write(self, x: int, y: int, cells: list[Cell], out: list[str]) -> None:
        """Send the cells that differ from the terminal's."""
        row, end = self._rows.setdefault(y, []), x + len(cells)
        row += [_UNKNOWN] * (end - len(row))
        old = row[x:end]
        if old == cells:
            return
        # never send part of a wide or combined character: terminals differ in how they show it
        whole = y in self._uneven and any(len(char) != 1 for char, _ in chain(cells, old))
        for first, last in [(0, len(cells))] if whole else _differing(old, cells):
            self._send(x + first, y, cells[first:last], out)
        row[x:end] = cells
        if whole:
            self._at = None
            if x and old[0][0] == "":
                row[x - 1] = _UNKNOWN
            if end < len(row) and row[end][0] == "":
                row[end] = _UNKNOWN

    def _send(self, x: int, y: int, cells: list[Cell], out: list[str]) -> None:
        """Write all of these cells, from here on."""
        for cell, same in groupby(cells):
            char, style = cell
            count = len(list(same))
            if self._at != (x, y):
                self._move(x, y, out)
            wanted, plain = style, char == " " and not style.attributes
            if plain and self._style is not None and not _blank(self._style).attributes:
                # nothing else shows on blanks, and the next text may need it unchanged
                wanted = self._style._replace(back=style.back)
            if wanted != self._style:
                out.append(_change(self._style, wanted))
                self._style = wanted
            if plain and count > MANY and self._erases:
                out.append(f"\x1b[{count}X")  # the cursor stays where it is
            else:
                out.append(char * count)
                self._at = (x + count, y)
            x += count

    def _move(self, x: int, y: int, out: list[str]) -> None:
        at = self._at
        if at is not None and at[1] == y and at[0] < x:
            out.append("\x1b[C" if x - at[0] == 1 else f"\x1b[{x - at[0]}C")
        elif x == 0:
            out.append(f"\x1b[{y + 1}H")
        else:
            out.append(f"\x1b[{y + 1};{x + 1}H")
        self._at = (x, y)


def _parts(data: str) -> Iterator[_Run | tuple[int, int] | str]:
    """A frame's runs of text, cursor positions, and other sequences, in order."""
    x = y = begin = 0
    style, cells, uneven = PLAIN, list[Cell](), False
    for token in _TOKENS.finditer(data):
        kind = token.lastgroup
        if kind == "sgr":
            style = _parsed(token["sgr"])
            continue
        if kind == "text":
            more, even = cells_of(token["text"], style)
            if not cells:
                begin, uneven = x, False
            uneven = uneven or not even
            cells += more
            x += len(more)
            continue
        if cells:
            yield _Run(begin, y, cells, uneven)
            cells = []
        if kind == "x":
            x, y = int(token["x"]) - 1, int(token["y"]) - 1
            yield x, y
        elif kind == "line":
            x, y = 0, y + 1
        else:
            yield token[0]
    if cells:
        yield _Run(begin, y, cells, uneven)


def _clears(sequence: str) -> bool:
    """Whether the terminal may show anything after it: another screen, or a sequence that is not known."""
    match = _TOKENS.match(sequence)
    return sequence.startswith(_ALTERNATE) or match is None or match.lastgroup == "other"


@lru_cache(512)  # a screen repeats a few texts: blanks, rules, labels
def cells_of(text: str, style: Style) -> tuple[tuple[Cell, ...], bool]:
    """One pair per cell, and whether every cell holds one character. A wide character is followed by an empty cell;
    combining marks join the cell before."""
    blank = (" ", _blank(style))
    if text.isascii():
        return tuple([blank if char == " " else (char, style) for char in text]), True
    cells: list[Cell] = []
    for char in text:
        wide = get_character_cell_size(char)
        if wide == 0 and cells:
            before, its = cells[-1]
            cells[-1] = (before + char, its)
            continue
        cells.append(blank if char == " " else (char, style))
        if wide == 2:
            cells.append(("", style))
    return tuple(cells), all(len(char) == 1 for char, _ in cells)


def _differing(old: list[Cell], new: list[Cell]) -> list[tuple[int, int]]:
    """(first, last + 1) of the runs that differ; runs closer than `NEAR` are merged."""
    runs: list[tuple[int, int]] = []
    first = last = -1
    for i, pair in enumerate(new):
        if pair != old[i]:
            if first < 0:
                first = i
            elif i - last > NEAR:
                runs.append((first, last + 1))
                first = i
            last = i
    runs.append((first, last + 1))
    return runs


@lru_cache(4096)
def _change(old: Style | None, new: Style) -> str:
    """The shortest sequence from one style to another."""
    everything = [*sorted(new.attributes), *filter(None, (new.fore, new.back))]
    whole = f"\x1b[{';'.join(['0', *everything])}m" if everything else "\x1b[m"
    if old is None:
        return whole
    ended = {_OFF.get(attribute, "0") for attribute in old.attributes - new.attributes}
    if "0" in ended:
        return whole
    kept = {attribute for attribute in old.attributes if _OFF.get(attribute) not in ended}  # bold and dim end together
    parts = sorted(ended) + sorted(new.attributes - kept)
    if new.fore != old.fore:
        parts.append(new.fore or "39")
    if new.back != old.back:
        parts.append(new.back or "49")
    partial = f"\x1b[{';'.join(parts)}m" if parts else ""
    return partial if len(partial) < len(whole) else whole


@lru_cache(4096)
def _blank(style: Style) -> Style:
    """The part of a style that shows on a blank: usually only the background."""
    return style if style.attributes & {"4", "5", "7", "9", "21", "53"} else Style(frozenset(), "", style.back)


def style_of(written: str) -> Style:
    """The style of the first text in Textual's output."""
    return next((run.cells[0][1] for run in _parts(written) if isinstance(run, _Run)), PLAIN)


@lru_cache(4096)
def _parsed(sgr: str) -> Style:
    """The style in SGR parameters as Textual writes them, always from a reset."""
    attributes, fore, back = set(), "", ""
    numbers = iter(sgr.split(";") if sgr else ())
    for number in numbers:
        if number in ("38", "48"):
            kind = next(numbers, "5")
            colour = ";".join((number, kind, *(next(numbers, "0") for _ in range(3 if kind == "2" else 1))))
            fore, back = (colour, back) if number == "38" else (fore, colour)
        elif number[:1] in ("3", "9") and len(number) == 2:
            fore = "" if number == "39" else number
        elif (number[:1] == "4" and len(number) == 2) or (number[:2] == "10" and len(number) == 3):
            back = "" if number == "49" else number
        elif number not in ("", "0"):
            attributes.add(number)
    return Style(frozenset(attributes), fore, back)
