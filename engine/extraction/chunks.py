"""Splits long documents where their structure allows, and merges the keywords of the pieces by rank and spread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

# Where a text may be cut, best place first. The cut is before the match's group "at", or after the match if it has no
# such group.
_HEADING = re.compile(r"(?m)^(?=#{1,6}[ \t]+\S|[^\n]{1,120}\n(?:={3,}|-{3,}|~{3,})[ \t]*$)")
_BREAKS = (
    _HEADING,
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"\n"),
    re.compile(r"[.!?][\"')\]]*\s+|[。！？]"),
    re.compile(r"\s+|[、，,;；]"),
)
_DENSE = re.compile(
    "[\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
    "\U0001f000-\U0001faff\U00020000-\U0003ffff]"
)
_SIGN = re.compile(r"[^\w\s]|\d|_")
_MOST = 2.4  # the most tokens one character counts as: a letter of a dense alphabet, or a sign
# added to each rank before its reciprocal: a keyword third in two pieces beats one that is first in one piece
_SPREAD = 6


def tokens(text: str) -> int:
    """How many tokens a text may have, rounded up: a letter of a Latin word a third, other alphabets' more, signs and
    digits one.

    A byte-pair tokenizer needs about a quarter per English letter; the estimate errs on the long side, since too long a
    prompt fails and a shorter piece only costs a call.
    """
    dense = len(_DENSE.findall(text))
    signs = len(_SIGN.findall(text))
    plain = len(text.encode("ascii", "ignore"))
    other = max(0, len(text) - plain - dense)
    return int(dense * 1.5 + other * 0.7 + max(0, plain - signs) / 3.5 + signs * 0.9) + 1


def split(text: str, *, max_chars: int, max_tokens: int, max_pieces: int) -> tuple[str, ...]:
    """The text in pieces of at most `max_chars` and about `max_tokens`, cut at headings, else paragraphs, lines,
    sentences, words.

    Nothing is cut off, unless there are more than `max_pieces`: then the first, the last and an even sample between.
    Pieces after the first begin with the document's title.
    """
    text = text.strip()
    if len(text) <= max_chars and len(text) * _MOST < max_tokens:  # most documents fit: nothing to count
        return (text,)
    room = max(200, min(max_chars, int(max_chars * max_tokens / max(1, _densest(text, max_chars)))))
    if len(text) <= room:
        return (text,)
    title = _title(text)
    room -= len(title) + 2 if title else 0
    parts = -(-len(text) // room)
    even = min(room, -(-len(text) // parts) + room // 20)
    pieces: list[str] = []
    at = 0
    while at < len(text):
        end = len(text) if len(text) - at <= room else _cut(text, at, at + even, at + room)
        piece = text[at:end].strip()
        if piece:
            pieces.append(piece)
        at = end
    chosen = pieces if len(pieces) <= max_pieces else _even(pieces, max_pieces)
    return tuple(p if i == 0 or not title else f"{title}\n\n{p}" for i, p in enumerate(chosen))


def _densest(text: str, window: int) -> int:
    """The token count of the densest stretch of `window` characters; of the whole text if it is shorter."""
    if len(text) <= window:
        return tokens(text) * window // max(1, len(text))
    return max(
        tokens(part) * window // len(part) for i in range(0, len(text), window) if (part := text[i : i + window])
    )


def _cut(text: str, at: int, wanted: int, most: int) -> int:
    """The best place to end a piece that begins at `at`: near `wanted`, never past `most`, never before half of it."""
    least = at + (wanted - at) // 2
    for kind in _BREAKS:
        places = [m.end() for m in kind.finditer(text, least, most) if m.end() > least]
        if places:
            return min(places, key=lambda place: abs(place - wanted))
    return most


def _title(text: str) -> str:
    first = text.split("\n", 1)[0].strip().lstrip("#").strip()
    return first if 3 <= len(first) <= 120 and not first.endswith((".", ",", ";", ":")) else ""


def _even(pieces: Sequence[str], most: int) -> list[str]:
    if most <= 1:
        return [pieces[0]]
    return [pieces[round(i * (len(pieces) - 1) / (most - 1))] for i in range(most)]


def merge(lists: Iterable[Sequence[str]], key: Callable[[str], str]) -> list[str]:
    """The keywords of several pieces in one order: by the sum of 1 / (6 + rank), so that both rank and spread count.

    `key` says which keywords are the same (their stems); the first spelling is kept. Ties keep the order of appearance.
    """
    score: dict[str, float] = {}
    spelling: dict[str, str] = {}
    for ranked in lists:
        here: set[str] = set()
        for rank, keyword in enumerate(ranked):
            same = key(keyword)
            if same in here:
                continue
            here.add(same)
            spelling.setdefault(same, keyword)
            score[same] = score.get(same, 0.0) + 1.0 / (_SPREAD + rank)
    return [spelling[k] for k in sorted(score, key=lambda k: -score[k])]
