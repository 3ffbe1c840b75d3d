"""Undoes what programs did to a text on its way: UTF-8 read in another encoding, character references escaped twice,
NUL bytes."""

from __future__ import annotations

import re

from engine.patterns import pattern

# a letter of two to four bytes of UTF-8, each of which was read as a character of Windows-1252 or Latin-1
_LATER = "[\x80-\xbf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
_MISREAD = pattern(rf"[\xc2-\xdf]{_LATER}|[\xe0-\xef]{_LATER}{{2}}|[\xf0-\xf4]{_LATER}{{3}}")
_ESCAPED_TWICE = pattern(r"&amp;(?=(?:[A-Za-z]{2,8}|#\d{1,6}|#x[0-9A-Fa-f]{1,5});)")
_LEAST = 2  # letters misread, of which one may be two that belong there
_FOREIGN = 4  # of so many characters that are not ASCII, one may be none that was misread


def mended(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "")
    if "&amp;" in text:
        text = _ESCAPED_TWICE.sub("&", text)
    return text if text.isascii() else _read_again(text)


def _read_again(text: str) -> str:
    """The text as it was before its UTF-8 was read as Windows-1252, if that explains nearly all of what is not
    ASCII."""
    misread = _MISREAD.findall(text)
    if len(misread) < _LEAST:
        return text
    others = sum(not letter.isascii() for letter in _MISREAD.sub("", text))
    return text if others * _FOREIGN > len(misread) else _MISREAD.sub(_letter, text)


def _letter(misread: re.Match[str]) -> str:
    raw = b"".join(_byte(letter) for letter in misread[0])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return misread[0]


def _byte(letter: str) -> bytes:
    """The byte that a letter was read from: Windows-1252 leaves five without a letter, which are read as Latin-1."""
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")
