"""Search terms: words of any script, with C, C++ and C# kept apart; and words that differ by one typing error.

FTS5's own tokenizer splits Devanagari at its vowel signs and treats a run of Chinese as one word, so texts and queries
are both converted to these terms first. A run of a script without spaces becomes its pairs of characters; a query for
it matches the same pairs in sequence.
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import cache

# marks that `\w` does not match, with which scripts from Hebrew to Khmer write vowels
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963"
    "\u0981-\u0983\u09bc-\u09d7\u0a01-\u0a03\u0a3c-\u0a51\u0a81-\u0a83\u0abc-\u0acd"
    "\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bd7\u0c00-\u0c04\u0c3e-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6"
    "\u0d00-\u0d03\u0d3b-\u0d57\u0dca-\u0ddf"
)
_UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u109f\u1780-\u17d3\u3005\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_SIGNS = {"c++": "cplusplus", "c#": "csharp", "f#": "fsharp", "j#": "jsharp", ".net": "dotnet"}
_ASCII_SPACES = bytes(code if code > 127 or chr(code).isalnum() else 32 for code in range(256))
_ASCII_SIGN = re.compile(r"c\+\+|[cfj]#|\.net")
MOST_TERMS = 32  # of a query


@cache
def _term() -> re.Pattern[str]:
    """Compiled on use: a console that starts searches nothing, and compiling takes longer than painting it."""
    return re.compile(
        rf"(?P<sign>(?<![^\W_])(?:c\+\+|[cfj]\#|\.net\b))|(?P<unspaced>[{_UNSPACED}]+)"
        rf"|(?P<word>(?:(?![{_UNSPACED}])[^\W_][{_MARKS}]*)+)"
    )


def terms(text: str) -> list[str]:
    """The terms in text order; each is one token to FTS5."""
    result: list[str] = []
    for part in _term().finditer(unicodedata.normalize("NFKC", text).lower()):
        if part["unspaced"]:
            result += _pairs(part[0])
        else:
            result.append(_SIGNS.get(part[0]) or _spelled(part[0]))
    return result


def indexed(text: str) -> str:
    """A text as it is stored in the index."""
    if text.isascii():  # most are, and no rule below for other scripts applies
        lower = text.lower()
        if not (_may_be_sign(lower) and _ASCII_SIGN.search(lower)):
            return b" ".join(lower.encode().translate(_ASCII_SPACES).split()).decode()
    return " ".join(terms(text))


def _may_be_sign(lower: str) -> bool:
    return "+" in lower or "#" in lower or ".net" in lower


def queried(text: str) -> list[str]:
    """FTS5 phrases for a query, one per word: a word, or the pairs of a run of characters without spaces."""
    phrases: dict[str, None] = {}
    for part in _term().finditer(unicodedata.normalize("NFKC", text).lower()):
        if part["unspaced"]:
            run = _pairs(part[0])
            phrases[f'"{" ".join(run[:-1] if len(run) > 1 else run)}"'] = None
        else:
            phrases[f'"{_SIGNS.get(part[0]) or _spelled(part[0])}"'] = None
    return list(phrases)[:MOST_TERMS]


def _pairs(run: str) -> list[str]:
    """Pairs, and the last character alone, so that each character starts a term."""
    return [_spelled(run[at : at + 2]) for at in range(len(run))]


def _spelled(word: str) -> str:
    """A word with its marks as letters: FTS5 would split it at each mark."""
    if word.isascii() or not any(unicodedata.category(letter)[0] == "M" for letter in word):
        return word
    return "".join(f"{ord(letter):x}" if unicodedata.category(letter)[0] == "M" else letter for letter in word)


def one_error_from(word: str) -> set[str]:
    """Every spelling that is one typing error away, in Latin letters and those of the word's own script."""
    letters = _alphabet(word)
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    spellings = {start + rest[1:] for start, rest in cuts if rest}
    spellings |= {start + rest[1] + rest[0] + rest[2:] for start, rest in cuts if len(rest) > 1}
    spellings |= {start + letter + rest[1:] for start, rest in cuts if rest for letter in letters}
    spellings |= {start + letter + rest for start, rest in cuts for letter in letters}
    return spellings - {word}


def _alphabet(word: str) -> set[str]:
    """Scripts lie in blocks of 128 characters."""
    blocks = {ord(letter) // 128 for letter in word} - {0}
    own = (chr(code) for block in blocks for code in range(block * 128, block * 128 + 128))
    return set(string.ascii_lowercase) | {letter for letter in own if letter.isalpha() and letter == letter.lower()}


def one_error_apart(one: str, other: str) -> bool:
    """Whether one letter was left out, added or changed, or two neighbours were swapped."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    begin = 0
    while begin < min(len(one), len(other)) and one[begin] == other[begin]:
        begin += 1
    rest, others = one[begin:], other[begin:]
    is_changed = rest[1:] == others[1:]
    is_longer = rest[1:] == others
    is_shorter = rest == others[1:]
    is_swapped = rest[:2] == others[1:2] + others[:1] and rest[2:] == others[2:]
    return is_changed or is_longer or is_shorter or is_swapped
