"""Numerals three rows high, readable across a room. Digits are drawn; other characters sit on the baseline."""

from __future__ import annotations

from rich.cells import cell_len

from console.widgets.canvas import Canvas

ROWS = 3
WIDTH = 3
LINES = ("█▀█▀█ ▀▀█▀▀██ ██▀▀█▀▀▀▀██▀██▀█", "█ █ █ █▀▀ ▀█▀▀█▀▀██▀█  ██▀█▀▀█", "█▄█▄█▄█▄▄▄▄█  █▄▄██▄█  ██▄█▄▄█")
ASCII = (" _     _  _     _  _  _  _  _ ", "| |  | _| _||_||_ |_   ||_||_|", "|_|  ||_  _|  | _||_|  ||_| _|")


def width(text: str) -> int:
    """The width of `text` in cells."""
    return sum(_cells(char) for char in text)


def _cells(char: str) -> int:
    """A digit and the space after it; a point needs space too, or it would touch the next digit."""
    return WIDTH + 1 if char.isascii() and char.isdigit() else 2 if char == "." else cell_len(char)


def put(c: Canvas, x: int, y: int, text: str, style: str) -> int:
    """Draw `text` with its top left at (x, y). Returns the x after it."""
    lines = ASCII if c.ascii else LINES
    for char in text:
        if char.isascii() and char.isdigit():
            start = int(char) * WIDTH
            for row, line in enumerate(lines):
                c.put(x, y + row, line[start : start + WIDTH], style)
        else:
            c.put(x, y + ROWS - 1, "▄" if char == "." and not c.ascii else char, style)
        x += _cells(char)
    return x
