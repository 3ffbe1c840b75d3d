"""The tokens of a text: words, identifiers, numbers and breaks; and what the shape of one tells in any language."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from typing import TypeVar

MAX_WORDS = 5
MAX_CHARS = 60  # characters of a keyword
CACHED = 50_000  # tokens of which something is remembered

# Vowel marks of scripts from Hebrew to Khmer, which Python's re does not count as letters.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0981-\u0dff\u0e31-\u0e3a\u0e47-\u0e4e"
    "\u0eb1-\u0ebc\u0ec8-\u0ecd\u0f71-\u0f84\u102b-\u103e\u17b4-\u17d3"
)
_MARKED = re.compile(f"[{_MARKS}]")


_DIVIDED = r"-[ \t]*\n\s*[a-z]+"  # a word hyphenated at the end of a line: neither half is a word
# a line of code, an empty one, one that does not continue in lower case, or is a setting in a config file
_NEW_LINE = r"\n(?:\t\s*+|[ \t]*+\n\s*+|\s*+(?=[^\sa-z]|[a-z][\w.-]*+(?::|\s*+=| {3})\s))"


_ABBREVIATED = "Capt|Cllr|Cpl|Ft|Gov|Hon|Jr|Lt|Mt|Rep|Rev|Sen|Sgt|Sr|St|Supt"  # what a full stop does not end


def _tokens(letter: str) -> re.Pattern[str]:
    return re.compile(
        # Each alternative starts with a different character, so that a mismatch fails fast.
        r"[A-Za-z]++(?=[ ,])|"  # a word followed by a blank or comma: three tokens of four, matched a fifth faster
        r"\d{1,3}(?:,\d{3})++(?!\w|,\d)|"  # 12,345
        rf"(?:(?:[A-Z]\.){{2,}}|(?:{_ABBREVIATED})\.)(?=[\s,;:)-])|"  # U.S. and St. John
        rf"{letter}++(?:{_DIVIDED}"
        # words, max_tokens, Cargo.toml, std::io, HTTP/2, foo(), C++
        rf"|(?:(?:[-‐‑.'’/@&]|::|->|_+){letter}++)*(?:\(\)|\+\+|#(?!\w))?)"
        r"|[,.;:!?)]++(?=\s)"
        r"|__\w+__"  # __init__
        r"|--(?<![\w-]--)[A-Za-z][A-Za-z0-9]*(?:[-_.][A-Za-z0-9]+)*"  # --flag
        r"|\.(?<![^\s(\"'`]\.)[A-Za-z]\w+(?:[./-]\w+)*"  # .NET, .venv/bin
        r"|/(?<![^\s(\"'`]/)(?=[\w.-]+/\w)[A-Za-z]\w*(?:[./@-]+\w+)+"  # /etc/hosts, /v1/extract
        rf"|{_NEW_LINE}"
        r"|\t\s*+|   (?<=\S   )\s*+"  # the next column of a table
        r"|[^\w\s](?:(?!--[A-Za-z]|(?<=[(\"'`])(?:\.[A-Za-z]|/[A-Za-z][\w.-]*/)\w)[^\w\s])*|_+"
    )


_PLAIN = _tokens(r"[^\W_]")
_WITH_MARKS = _tokens(rf"(?:[^\W_]|[{_MARKS}])")
_ACROSS_LINES = re.compile(_DIVIDED)
_BREAK = re.compile(_NEW_LINE)

IDENTIFIER = re.compile(
    r"^--|^[./]\w|_|::|->|\(\)$|\+\+$|#$|[a-z][A-Z]|^v?\d+(?:\.\d+)+\w*$|\w\.[A-Za-z]\w*$|^[A-Z]+\d*/|/\d"
    r"|[A-Za-z]\d|\d[A-Za-z]|^[A-Z]\.[A-Z]\."
)
ACRONYM = re.compile(r"[A-Z][A-Z0-9]{1,5}s?(?:[-/&][A-Z0-9]{1,6})*")
_NUMBER = re.compile(
    r"[\d.,:/-]+(?:st|nd|rd|th|s|am|pm|AM|PM|[mckn]?m|[mk]?g|[mn]?s|[kKMGT]i?[bB]|[KMGT]i|[kMG]?Hz|[kx%])?"
)  # 1.5, 2nd, 10am, 5GHz; but 3D and 5G are names
_NAMELESS = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=[A-F]*\d)(?=\d*[A-F])[0-9A-F]{16,}"
    r"|\d{4}-\d\d-\d\dT\d\d|[\d.]+Z|0[xX][0-9a-fA-F]+|(?=[a-f]*\d)[0-9a-f]{8,}|(?=\d*[a-f]+\d+[a-f]|\d+[a-f]+\d)[0-9a-f]{6,7}"
)  # 2026-11-25T08, 07.123Z, 0x2f, 4f1c9a02


_OF_ANY_PROGRAM = frozenset(("--help", "--version"))
_PLACEHOLDERS = ("my-", "your-", "my_", "your_")  # project my-project

Fact = TypeVar("Fact")

Words = tuple[str, ...]
# an occurrence: its words in the form that is compared, its text, the index of its first token
Span = tuple[Words, str, int]


class Known(dict[str, Fact]):
    """What is known of each token, looked up once. Bounded: a document can hold any number of tokens, and one token
    can be a whole document."""

    def __init__(self, ask: Callable[[str], Fact]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, token: str) -> Fact:
        answer = self._ask(token)
        if len(token) <= MAX_CHARS:
            if len(self) >= CACHED:
                self.clear()
            self[token] = answer
        return answer


def is_ordinary(token: str) -> bool:
    """Letters alone, none of them a capital but the first: not a number, identifier or acronym. Most words
    that have not been seen before are ordinary."""
    return token.isalpha() and (token.islower() or (token[0].isupper() and token[1:].islower()))


def shape(token: str) -> str:
    """The letter that any language gives: break, number, identifier, capital; otherwise n."""
    first = token[0]
    if 1 < len(token) <= MAX_CHARS and is_ordinary(token):
        return "c" if first.isupper() else "n"
    if _is_break(token):
        return "."
    if _NUMBER.fullmatch(token):
        return "." if "," in token else "#"  # 12,345 is an amount, not part of a name
    if _names_nothing(token):
        return "."
    if len(token) == 1:
        return "n"
    if IDENTIFIER.search(token) or ACRONYM.fullmatch(token):
        return "." if "@" in token else "i"
    return "c" if first.isupper() else "n"


def _names_nothing(token: str) -> bool:
    """Whether a token is a hash, a time, a placeholder, or one small letter."""
    if len(token) == 1:
        return not (token.isupper() or ord(token) > 0x2E80)
    return bool(_NAMELESS.fullmatch(token)) or token.startswith(_PLACEHOLDERS) or token in _OF_ANY_PROGRAM


def _is_break(token: str) -> bool:
    """Whether a token is punctuation, a new line, an initial, or longer than any keyword."""
    if "\n" in token or len(token) > MAX_CHARS or (len(token) == 2 and token[1] == "."):
        return True
    return not (token[0].isalnum() or (len(token) > 3 and token.lstrip("-_./")[:1].isalnum()))


def _written(chunk: str) -> tuple[str, ...]:
    """The tokens of what is between white space."""
    return (chunk,) if chunk.isalpha() else tuple(_PLAIN.findall(f"{chunk} "))


_CHUNKS = Known(_written)


def tokenise(text: str) -> list[str]:
    """Split a text into words, identifiers, and breaks: punctuation, and lines that start a new block. Only white
    space lies between two tokens."""
    if not text.isascii() and _MARKED.search(text):
        return _WITH_MARKS.findall(text)
    if "\t" in text or "   " in text or ("\n" in text and _ACROSS_LINES.search(text)):
        return _PLAIN.findall(text)
    # Only breaks contain white space, so each chunk between blanks is a dictionary lookup; this halves the time.
    tokens: list[str] = []
    begun = 0
    for new_line in _BREAK.finditer(text) if "\n" in text else ():
        tokens += chain.from_iterable(map(_CHUNKS.__getitem__, text[begun : new_line.start()].split()))
        tokens.append(new_line[0])
        begun = new_line.end()
    tokens += chain.from_iterable(map(_CHUNKS.__getitem__, text[begun:].split()))
    return tokens
