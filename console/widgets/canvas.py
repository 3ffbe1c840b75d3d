"""A grid of cells that a screen is painted on: text with the *names* of styles, no colours, no terminal.

As plain data, canvases can be compared cell by cell (so that only changes go over a slow line), printed as a text
screenshot, and tested without a terminal. Text is cleaned here again: nothing unprintable gets into a cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.cells import cell_len, get_character_cell_size

from engine.text import clean_line

Span = tuple[str, str]  # text, style name
STOPS = (",", ".", ";", ":", ")")

ASCII = str.maketrans(
    "━─╌┄│┃┌┐└┘├┤┊╭╮╰╯┬┴╱█▇▆░▒●○◆◇■□▲▼▸▶◂▏▌✔✖✗‖·…→←↑↓×≤≥±–—“”‘’Σµ",
    "=---||++++++:++++++/###.:@o*o#.!v>><||+xx=.~><^vx<>~--\"\"''Su",
)


def in_ascii(text: str) -> str:
    """`text` in ASCII, with the same width; a character without an equivalent becomes a question mark."""
    return "".join(c if c <= "\x7f" else "?" * get_character_cell_size(c) for c in text.translate(ASCII))


@lru_cache(4096)
def printable(text: str) -> str:
    """`text` without anything that could control a terminal; usually unchanged."""
    return text if text.isprintable() else clean_line(text.replace("\n", " ").replace("\t", " "), 4000)


def fit(text: str, width: int, end: str = "…") -> str:
    """`text` cut to `width` cells; an ellipsis shows that it was cut."""
    if width <= 0:
        return ""
    text = printable(text)
    if text.isascii():
        return text if len(text) <= width else text[: width - 1] + end
    if cell_len(text) <= width:
        return text
    used, kept = 0, []
    for char in text:
        used += get_character_cell_size(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + end


UNITS = frozenset({"%", "s", "ms", "min", "points"})


def _words(text: str) -> list[str]:
    """The parts of a text that stay on one line: a figure keeps its unit."""
    words: list[str] = []
    for word in text.split(" "):
        if word.rstrip(".,:;)") in UNITS and words and words[-1][-1:].isdigit():
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken at spaces if possible, not between a figure and its unit."""
    text = printable(text).lstrip(" ")
    if cell_len(text) <= width:
        return [text]
    lines: list[str] = []
    line, used = "", 0
    for word in _words(text):
        size = cell_len(word)
        while size > width > 0:  # a word longer than a line is cut
            if line:
                lines.append(line)
                line, used = "", 0
            head = fit(word, width + 1, "")[: width or 1] or word[:1]
            while len(head) > 1 and (cell_len(head) > width or word[len(head) :] in STOPS):
                head = head[:-1]  # no line begins with a comma
            lines.append(head)
            word = word[len(head) :]
            size = cell_len(word)
        if used and used + 1 + size > width:
            lines.append(line)
            line, used = word, size
        else:
            line = f"{line} {word}" if used else word
            used += size + (1 if used else 0)
    if line or not lines:
        lines.append(line)
    return lines


def paragraphs(text: str, width: int) -> list[str]:
    """Wrap each line of a text on its own, keeping its indentation."""
    out: list[str] = []
    for line in text.split("\n"):
        indent = " " * min(len(line) - len(line.lstrip(" ")), width // 2)
        out += [indent + part for part in wrapped(line.strip(" "), width - len(indent))]
    return out


class Canvas:
    """`chars[y][x]` is a cell's character ("" right of a wide one), `styles[y][x]` the name of its style."""

    __slots__ = ("ascii", "chars", "height", "spare", "styles", "width", "zones")

    def __init__(self, width: int, height: int, ascii_only: bool = False) -> None:
        self.width = max(1, width)
        self.height = max(1, height)
        self.ascii = ascii_only
        self.chars: list[list[str]] = [[" "] * self.width for _ in range(self.height)]
        self.styles: list[list[str]] = [["text"] * self.width for _ in range(self.height)]
        self.spare = 0  # rows above the keys that a notice takes
        self.zones: list[tuple[int, int, int, int, str]] = []  # x, y, width, height, action for a click

    def put(self, x: int, y: int, text: str, style: str = "text", width: int | None = None) -> int:
        """Write from (x, y), at most `width` cells, clipped to the canvas. Returns the x after it."""
        room = self.width - x if width is None else min(width, self.width - x)
        if not 0 <= y < self.height or room <= 0 or x < 0 or not text:
            return x
        text = fit(text, room)
        if self.ascii:
            text = in_ascii(text)
        if text.isascii():
            size = len(text)
            self.chars[y][x : x + size] = text
        else:
            cells: list[str] = []
            for char in text:
                wide = get_character_cell_size(char)
                if wide == 0:
                    if cells:
                        cells[-1 if cells[-1] else -2] += char
                    continue
                cells.append(char)
                if wide == 2:
                    cells.append("")
            size = len(cells)
            self.chars[y][x : x + size] = cells
        self.styles[y][x : x + size] = [style] * size
        return x + size

    def spans(self, x: int, y: int, parts: Iterable[Span], width: int | None = None) -> int:
        """Write pieces of different styles in a row. Returns the x after the last."""
        end = self.width if width is None else min(self.width, x + width)
        for text, style in parts:
            if x >= end:
                break
            x = self.put(x, y, text, style, end - x)
        return x

    def right(self, x: int, y: int, text: str, style: str = "text") -> int:
        """Write so that the text ends before `x`. Returns the x where it begins."""
        start = max(0, x - cell_len(printable(text)))
        self.put(start, y, text, style, x - start)
        return start

    def fill(self, x: int, y: int, width: int, style: str, char: str = " ") -> None:
        start, end = max(0, x), min(self.width, x + width)
        if 0 <= y < self.height and start < end:
            self.chars[y][start:end] = [char] * (end - start)
            self.styles[y][start:end] = [style] * (end - start)

    def bar(self, y: int, text: str, style: str) -> int:
        """A row in one style, as wide as the screen. Returns the x after the text."""
        self.fill(0, y, self.width, style)
        return self.put(1, y, text, style)

    def tint(self, y: int, style_of: dict[str, str], x: int, width: int) -> None:
        """Change styles in a row by name (a selected line, a header)."""
        end = min(self.width, x + width)
        row = self.styles[y]
        for column in range(x, end):
            row[column] = style_of.get(row[column], style_of.get("*", row[column]))

    def block(self, x: int, y: int, width: int, height: int, text: str, style: str = "text") -> int:
        """Write wrapped text. The last row shows if more was cut. Returns the rows used."""
        lines = wrapped(text, width)
        shown = lines[:height]
        if len(lines) > height and shown:
            shown[-1] = (
                fit(shown[-1] + " …", width) if cell_len(shown[-1]) < width - 1 else fit(shown[-1], width - 1, "") + "…"
            )
        for row, line in enumerate(shown):
            self.put(x, y + row, line, style, width)
        return len(shown)

    def rule(self, x: int, y: int, width: int, title: str = "", style: str = "line") -> None:
        """A rule with a title: the top of a panel."""
        self.fill(x, y, width, style, "-" if self.ascii else "─")
        if title:
            self.put(x, y, f"{title} ", "head", width)

    def zone(self, x: int, y: int, width: int, height: int, action: str) -> None:
        """A click in this area runs `action`."""
        self.zones.append((x, y, width, height, action))

    def at(self, x: int, y: int) -> str:
        """The action under a click, or ""."""
        for left, top, width, height, action in reversed(self.zones):
            if left <= x < left + width and top <= y < top + height:
                return action
        return ""

    def blank(self, y: int, rows: int) -> bool:
        """Whether nothing is written in these rows."""
        return all(char == " " for row in self.chars[y : y + rows] for char in row)

    def open(self, y: int, rows: int) -> None:
        """Make room for rows: what is below `y` moves down, and clicks on it too."""
        self.chars[y:y] = [[" "] * self.width for _ in range(rows)]
        self.styles[y:y] = [["text"] * self.width for _ in range(rows)]
        self.zones = [(x, top + rows if top >= y else top, w, h, act) for x, top, w, h, act in self.zones]
        self.height += rows

    def text(self) -> str:
        """The screen as plain text, for a chat or a file."""
        return "\n".join("".join(row).rstrip() for row in self.chars) + "\n"


def changed(old: Canvas, new: Canvas, gap: int = 14) -> list[tuple[int, int, int]]:
    """(y, first, last + 1) of each run of cells that differ; runs closer than `gap` are merged, because a cursor move
    costs bytes too."""
    runs: list[tuple[int, int, int]] = []
    for y in range(new.height):
        a, b, s, t = old.chars[y], new.chars[y], old.styles[y], new.styles[y]
        if a == b and s == t:
            continue
        start = last = -1
        for x in range(new.width):
            if a[x] != b[x] or s[x] != t[x]:
                if start < 0:
                    start = x
                elif x - last > gap:
                    runs.append(_whole(y, start, last + 1, old, new))
                    start = x
                last = x
        runs.append(_whole(y, start, last + 1, old, new))
    return runs


def _whole(y: int, start: int, end: int, *canvases: Canvas) -> tuple[int, int, int]:
    """Never cut a wide character in two."""
    while start > 0 and any(c.chars[y][start] == "" for c in canvases):
        start -= 1
    while end < canvases[0].width and any(c.chars[y][end] == "" for c in canvases):
        end += 1
    return y, start, end


def columns(width: int, weights: Sequence[float], gap: int = 2) -> list[tuple[int, int]]:
    """(x, width) of columns that share `width` by weight with `gap` between them."""
    total, free = sum(weights), width - gap * (len(weights) - 1)
    out: list[tuple[int, int]] = []
    x, used = 0, 0.0
    for weight in weights:
        used += weight
        end = round(free * used / total) + gap * len(out)
        out.append((x, end - x))
        x = end + gap
    return out
