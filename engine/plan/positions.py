"""The position of each key in a TOML text: for line numbers in error messages, and for changing one value in place.

tomllib has already parsed the text, so this scanner only locates; it does not validate.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from msgspec import Struct, field

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_INDEX = re.compile(r"\[([^\[\]]*)\]")
_ESCAPE = re.compile(r'\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[btnfr"\\])')
_SIMPLE = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


class SourceSpan(NamedTuple):
    """A value: its first line (counted from 1), and its start and end in the text."""

    line: int
    start: int
    end: int


class Places(Struct):
    """`values`: each key and array element. `sections`: each `[header]`, its line and the end of its own keys."""

    values: dict[Path, SourceSpan] = field(default_factory=dict)
    sections: dict[Path, SourceSpan] = field(default_factory=dict)

    def line(self, path: Path) -> int | None:
        """The line of a key, or of the table it would be in; None for the file as a whole."""
        while path:
            span = self.values.get(path) or self.sections.get(path)
            if span:
                return span.line
            path = path[:-1]
        return None


def dotted(path: Path) -> str:
    """`stages[2].percent`, with keys quoted where TOML requires it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + key_text(part)
    return text


def key_text(key: str) -> str:
    if _BARE.fullmatch(key):
        return key
    plain = key.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in plain) + '"'


def parts(text: str) -> Path:
    """The path of `stages[2].percent` or `triggers[error_critical].for`; an id in brackets stays a string.

    ValueError if it is not a path.
    """
    path: list[str | int] = []
    at = 0
    while at < len(text):
        bracket = _INDEX.match(text, at)
        if bracket and path:
            inside = bracket[1].strip()
            path.append(int(inside) if re.fullmatch(r"(?a:\d{1,6})", inside) else inside)
            at = bracket.end()
            continue
        if path:
            if text[at] != ".":
                break
            at += 1
        try:
            key, at = _key(text, at)
        except (ValueError, IndexError):
            break
        path.append(key)
    else:
        if path:
            return tuple(path)
    raise ValueError(f'"{text}" is not the name of a key; write it like llm.model or stages[2].percent')


def find_places(text: str) -> Places:
    """`text` must be valid TOML."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.places = Places()
        self.arrays: dict[Path, int] = {}
        self._lines = [match.end() for match in re.finditer("\n", text)]

    def scan(self) -> Places:
        section: Path = ()
        self.places.sections[()] = SourceSpan(1, 0, 0)
        while self._skip_blank():
            if self.text[self.at] == "[":
                section = self._header()
            else:
                self._pair(section)
                self._extend(section)
        return self.places

    def _header(self) -> Path:
        start = self.at
        array = self.text.startswith("[[", start)
        self.at += 2 if array else 1
        path: Path = ()
        *outer, last = self._keys("]")
        for key in outer:
            path = self._current((*path, key))
        path = (*path, last)
        if array:
            self.arrays[path] = self.arrays.get(path, -1) + 1
            self.places.values.setdefault(path, SourceSpan(self._line(start), start, start))
            path = (*path, self.arrays[path])
        self.at += 2 if array else 1
        self.places.sections[path] = SourceSpan(self._line(start), start, self.at)
        self._extend(path)
        return path

    def _current(self, path: Path) -> Path:
        return (*path, self.arrays[path]) if path in self.arrays else path

    def _pair(self, table: Path) -> None:
        start = self.at
        keys = list(self._keys("="))
        self.at += 1
        for depth in range(1, len(keys)):
            self.places.values.setdefault((*table, *keys[:depth]), SourceSpan(self._line(start), start, start))
        self._value((*table, *keys), self._line(start))

    def _keys(self, closing: str) -> Iterator[str]:
        while self.text[self.at] != closing:
            if self.text[self.at] in " \t.":
                self.at += 1
            else:
                key, self.at = _key(self.text, self.at)
                yield key

    def _value(self, path: Path, line: int | None = None) -> None:
        while self.text[self.at] in " \t":
            self.at += 1
        start = self.at
        opening = self.text[start]
        if opening in "\"'":
            self.at = _string_end(self.text, start)
        elif opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\r\n":
                self.at += 1
            self.at = start + len(self.text[start : self.at].rstrip())
        self.places.values[path] = SourceSpan(line or self._line(start), start, self.at)

    def _array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self._skip_blank() and self.text[self.at] != "]":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._value((*path, index))
            index += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while self._skip_blank() and self.text[self.at] != "}":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._pair(path)
        self.at += 1

    def _skip_blank(self) -> bool:
        """Returns False at the end of the text."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                newline = self.text.find("\n", self.at)
                self.at = len(self.text) if newline < 0 else newline
            elif self.text[self.at] in " \t\r\n":
                self.at += 1
            else:
                return True
        return False

    def _extend(self, section: Path) -> None:
        """The section extends to the end of this line, its comment included."""
        newline = self.text.find("\n", self.at)
        end = len(self.text) if newline < 0 else newline + 1
        self.places.sections[section] = self.places.sections[section]._replace(end=end)

    def _line(self, at: int) -> int:
        return bisect_right(self._lines, at) + 1


def _key(text: str, at: int) -> tuple[str, int]:
    """A bare or quoted key that starts at `at`, and its end."""
    if text[at] in "\"'":
        end = _string_end(text, at)
        inside = text[at + 1 : end - 1]
        return (_ESCAPE.sub(_unescape, inside) if text[at] == '"' else inside), end
    bare = _BARE.match(text, at)
    if bare is None:
        raise ValueError(text)
    return bare[0], bare.end()


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1]
    return _SIMPLE[code] if code in _SIMPLE else chr(int(code[1:], 16))


def _string_end(text: str, at: int) -> int:
    quote = text[at]
    if text.startswith(quote * 3, at):
        at = _closing(text, at + 3, quote * 3) + 3
        # Up to two quotes may come right before the closing three.
        for _ in range(2):
            at += text.startswith(quote, at)
        return at
    return _closing(text, at + 1, quote) + 1


def _closing(text: str, at: int, quotes: str) -> int:
    stop = _stops(quotes)
    while (match := stop.search(text, at)) is not None:
        if match[0] == quotes:
            return match.start()
        at = match.end()
    raise ValueError(text)


@cache
def _stops(quotes: str) -> re.Pattern[str]:
    """The closing quotes, or an escape, which a basic string has and a literal one has not."""
    return re.compile(rf"{quotes}|\\." if quotes[0] == '"' else quotes, re.DOTALL)
