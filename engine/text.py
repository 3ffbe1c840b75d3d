"""Cleans untrusted text where it enters: documents, LLM answers, names, reasons.

Control characters (C0, C1), bidirectional overrides and invisible format characters can control a terminal or disguise
a line. They become a middle dot. Tabs and newlines become spaces in a line and are kept in a block.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_UNPRINTABLE = re.compile(rf"\n|{_UNSAFE.pattern}")
# What a reader does not see: soft hyphens, joints, marks of direction. In Thai, Khmer and their neighbours a blank
# without width ends a word.
_UNSEEN = re.compile(
    "[\u00ad\u200c-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
    "|(?<![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b"
)
_SPACE = re.compile(r"\s+")
MARK = "·"


def clean_line(text: str, limit: int = 500) -> str:
    """One printable line of at most `limit` characters; an ellipsis marks a cut."""
    if len(text) <= limit and text.isprintable() and "  " not in text:  # as most are
        return text.strip()
    flat = _UNSAFE.sub(MARK, _SPACE.sub(" ", text[: limit * 8])).strip()
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def clean_block(text: str, limit: int) -> str:
    """Printable text that keeps its lines, at most `limit` characters."""
    if text.isprintable():  # a text of one line
        return text[:limit]
    flat = text[:limit].replace("\r\n", "\n").replace("\r", "\n")
    return _UNSAFE.sub(MARK, flat)


def unprintable(text: str) -> Iterator[str]:
    """The line breaks, and the characters that cleaning replaces, in order."""
    return (match[0] for match in _UNPRINTABLE.finditer(text))


def unfit_id(name: str, limit: int) -> str:
    """Why a name cannot be an id, as the end of a sentence; "" when it can. An id is kept exactly as it is given: one
    that had to be cleaned or cut would be another document's too.
    """
    if not name.strip():
        return "it is empty"
    if len(name) > limit:
        return f"it has {len(name):,} characters; the limit is {limit}"
    if name != name.strip():
        return "it begins or ends with a space"
    if name.isascii() and name.isprintable():
        return ""
    odd = next((char for char in name if char != " " and (char.isspace() or _UNSAFE.match(char))), "")
    return f"it holds the invisible character U+{ord(odd):04X} at place {name.index(odd) + 1}" if odd else ""


def clean_output(text: str) -> str:
    """Text for a terminal or a pipe: keeps lines and tabs, no other control characters."""
    return text if text.isprintable() else _UNSAFE.sub(MARK, text)


def as_seen(text: str) -> str:
    """The text as its reader sees it: a word in one piece, whatever invisible characters divide it."""
    return text if text.isascii() else _UNSEEN.sub("", text)


def normal(text: str) -> str:
    """NFC, so that different encodings of a word compare equal."""
    return unicodedata.normalize("NFC", text)


def digest(text: str) -> str:
    """16 bytes in hex that identify a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 document", "30,807 documents"; `many`: the plural, if it is more than an added s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(bp: int) -> str:
    """Basis points as decided or planned: 10000 -> "100 %", 1250 -> "12.5 %". Exact: no rounding, no trailing zeros."""
    return f"{bp / 100:g} %"


def rate_percent(rate: float, places: int | None = None, *, signed: bool = False) -> str:
    """A measured share in three significant digits, at most two decimals: "5.6 %", "0.83 %", "16.2 %", "100 %".

    With `places`, exactly that many decimals, so that columns line up. Rounded half to even.
    """
    value, sign = rate * 100, "+" if signed else ""
    if places is not None:
        return f"{value:{sign}.{places}f} %"
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    figure = f"{value:{sign}.{digits}f}"
    return f"{figure.rstrip('0').rstrip('.') if digits else figure} %"


def rate_beside(rate: float, places: int, target: float | None) -> str:
    """`rate_percent`, with up to two more decimals where it would read like the target that it is not: 19.7 % misses a
    target of > 20 %, "20 %" does not seem to."""
    for more in (0, 1, 2):
        if target is None or rate == target or _rounded(rate, places + more) != _rounded(target, places + more):
            break
    return rate_percent(rate, places + more)


def _rounded(rate: float, places: int) -> str:
    return f"{rate * 100:.{places}f}"


def milliseconds(ms: float) -> str:
    """A latency: "840 ms", "1.24 s", "120 s"."""
    size = abs(ms)
    return f"{ms:.0f} ms" if size < 999.5 else f"{ms / 1000:.2f} s" if size < 99_995 else f"{ms / 1000:.0f} s"


def took(ms: float) -> str:
    """ "0.4 ms", "38 ms", "4.2 s": one way to write how long something took, wherever it is shown."""
    return f"{ms / 1000:.1f} s" if ms >= 999.5 else f"{ms:.0f} ms" if ms >= 1 else f"{ms:.1f} ms"


def reason_of(error: BaseException) -> str:
    """ "/srv/store/lock: Permission denied": the system's message without the errno."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def spoken(sentence: str, name: str = "") -> str:
    """A whole sentence: a capital first and one full stop. A person's name at the start keeps its spelling."""
    text = sentence if name and sentence.startswith(name) else sentence[:1].upper() + sentence[1:]
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def without(text: str, begin: str, end: str) -> str:
    """The text without anything between the two marks, in any case; an opening mark without an end stays."""
    low = text.lower()
    if len(low) != len(text):  # a letter with a longer lower case: positions would not match
        low = text
    begin, end = (begin, end) if low is text else (begin.lower(), end.lower())
    kept, at = [], 0
    while (start := low.find(begin, at)) >= 0 and (stop := low.find(end, start)) >= 0:
        kept.append(text[at:start])
        at = stop + len(end)
    return "\n\n".join([*kept, text[at:]]) if kept else text
