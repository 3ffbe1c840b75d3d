"""Decodes bytes: by their byte-order mark, as UTF-8, as the document declares, or by a guess, which is marked as
one."""

from __future__ import annotations

import codecs
import contextlib
import re
from typing import NamedTuple

from engine.parsing.lists import lists
from engine.patterns import pattern

_LISTS = lists("encoding")
SURE = 0.6  # likeness above which a guess is accepted
SAMPLED = 40_000  # bytes that a guess examines
DECLARED_IN = 4096  # bytes searched for a declaration
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_DECLARED = pattern(
    rb"<meta[^<>]{0,200}?charset\s*=\s*[\"']?\s*([\w:.-]{2,40})"
    rb"|<\?xml[^<>]{0,100}?encoding\s*=\s*[\"']([\w:.-]{2,40})|^[^\n]{0,40}coding[:=][ "
    rb"\t]*([\w.-]{2,40})|^content-type:[^\n]{0,100}(?:\n[ \t][^\n]{0,100})?charset=\"?([\w.-]{2,40})",
    re.I | re.M,
)
_ESCAPED = {b"\x1b$": "iso2022_jp", b"\x1b(": "iso2022_jp"}
_WIDER: dict[str, str] = _LISTS["wider"]
_LIKELY: list[str] = _LISTS["likely"]
_KANA = pattern("[\u3041-\u3096\u30a1-\u30fc]")
_HAN = pattern("[\u4e00-\u9fff]")
_FULL_WIDTH = pattern("[\u3000-\u303f\uff01-\uff5e]")
# the codec of an encoding's first level, and the first bytes of that
_FIRST_LEVEL = {"gb18030": ("gb2312", 0xB0, 0xD7), "big5": ("big5", 0xA4, 0xC6)}
_HANGUL = pattern("[\uac00-\ud7a3]")
_HANGUL_IN_WORD = pattern("[a-z][\uac00-\ud7a3]|[\uac00-\ud7a3](?=[a-z])")
_SIGN_IN_WORD = pattern(r"[^\W\d_][“”„«»§©®°¿¡€×](?=[^\W\d_])")
_HIGH = pattern("(?s)(^|.)(?=([^\\x00-\\x7f]))")
_MIXED = pattern("[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z]")  # as Latin-1: letters of two alphabets in one word
_FREQUENT: dict[str, str] = _LISTS["frequent"]
_ALPHABETS = {name: group["letters"] for group in _LISTS["alphabets"] for name in group["encodings"]}
_ACCENTED = {name: tuple(frozenset(a + a.upper() + "İ" * ("ı" in a)) for a in of) for name, of in _ALPHABETS.items()}
_SIGNS = frozenset("“”‘’–—…«»°§·©®×¿¡„€ºª№\u00a0")
_RARER: dict[str, float] = _LISTS["rarer"]
_RAREST = 0.06
_UTF_8 = ("utf-8", "utf8")


class Decoded(NamedTuple):
    """`guessed`: neither a mark nor the bytes prove the encoding, or some bytes were replaced."""

    text: str
    encoding: str
    guessed: bool = False


def decode(raw: bytes) -> Decoded:
    """Decode a text. Never raises: any bytes are some text."""
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            text = raw.decode(encoding, "replace")
            return Decoded(text, encoding.removesuffix("-sig"), "\ufffd" in text)
    if wide := _wide(raw):
        return Decoded(raw.decode(wide, "replace"), wide, True)
    if raw.isascii():
        return _ascii(raw)
    with contextlib.suppress(UnicodeDecodeError):
        return Decoded(raw.decode("utf-8"), "utf-8")
    declared = _declared(raw)
    return _as_declared(raw, declared) or _broken_or_old(raw, declared)


def _ascii(raw: bytes) -> Decoded:
    if any(mark in raw for mark in _ESCAPED):
        with contextlib.suppress(UnicodeDecodeError):
            return Decoded(raw.decode("iso2022_jp"), "iso2022_jp", True)
    return Decoded(raw.decode("ascii"), "utf-8")


def _as_declared(raw: bytes, declared: str) -> Decoded | None:
    """The text as it declares its encoding. None if it declares none or the bytes refute it, and for UTF-8, tried
    before."""
    if not declared or declared in _UTF_8:
        return None
    try:
        text = raw.decode(declared, "replace")
    except (LookupError, UnicodeError):
        return None
    return Decoded(text, declared, "\ufffd" in text) if text.count("\ufffd") * 50 <= len(text) else None


def _broken_or_old(raw: bytes, declared: str) -> Decoded:
    """UTF-8 with damaged bytes, or text in a code page."""
    text = raw.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    if bad * 2 <= sum(1 for letter in text if letter > "\x7f") - bad or declared in _UTF_8:
        return Decoded(text, "utf-8", True)
    encoding = _guess(raw)
    return Decoded(raw.decode(encoding, "replace"), encoding, True)


def _wide(raw: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: of Latin text every other byte, or three of four, is zero."""
    head = raw[:4000]
    if b"\0" not in head or len(head) < 4:
        return ""
    quarter = max(1, len(head) // 4)
    zeros = [head[place::4].count(0) for place in range(4)]
    if len(raw) % 4 == 0 and (wide := _of_four(zeros, quarter)):
        return wide
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    wide = "utf-16-le" if odd > 20 * even else "utf-16-be" if even > 20 * odd else ""
    if not wide or len(raw) % 2:
        return ""
    if max(even, odd) > 1.2 * quarter:
        return wide
    text = head[: len(head) // 4 * 4].decode(wide, "replace")  # another script: only blanks and signs have zeros
    return wide if all(map(_printable, text)) else ""


def _of_four(zeros: list[int], quarter: int) -> str:
    """UTF-32, by the number of zeros at each of four places."""
    if min(zeros[2:]) > 0.9 * quarter and zeros[0] < 0.5 * quarter:
        return "utf-32-le"
    return "utf-32-be" if min(zeros[:2]) > 0.9 * quarter and zeros[3] < 0.5 * quarter else ""


def _printable(letter: str) -> bool:
    return letter.isprintable() or letter in "\r\n\t\f"


def _declared(raw: bytes) -> str:
    match = _DECLARED.search(raw[:DECLARED_IN])
    if match is None:
        return ""
    name = next(group for group in match.groups() if group).decode("ascii", "replace").lower()
    return _WIDER.get(name, name)


def _guess(raw: bytes) -> str:
    """Guess an encoding: one that decodes without error into letters of one script at their usual frequencies."""
    sample = raw[:SAMPLED]
    if len(raw) > SAMPLED:
        sample = sample[: sample.rfind(b"\n") + 1] or sample[:-1]
    scores: dict[str, float] = {}
    high = sum(1 for byte in sample if byte > 0x7F)
    latin = 3 * len(_MIXED.findall(sample.decode("latin-1"))) > high
    for encoding in _LIKELY:
        if (encoding in _FREQUENT and latin) or (encoding in _ACCENTED and not latin and high > 40):
            continue
        try:
            text = sample.decode(encoding)
        except UnicodeDecodeError as error:
            if error.end < len(sample) - 3:
                continue
            text = sample[: error.start].decode(encoding, "replace")
        scores[encoding] = _likeness(text, encoding)
    best = max(scores, key=lambda encoding: scores[encoding], default="cp1252")
    if scores.get(best, 0.0) >= SURE:
        return best
    from charset_normalizer import from_bytes

    match = from_bytes(sample, cp_isolation=_LIKELY).best()
    return match.encoding if match is not None else "cp1252"


def _likeness(text: str, encoding: str) -> float:
    """How much of the non-ASCII part looks like this encoding's usual letters, 0 to 1."""
    letters = [letter for letter in text if letter > "\x7f"]
    if not letters:
        return 0.0
    if encoding in ("cp932", "euc_jp"):
        return _japanese("".join(letters))
    if encoding in _FIRST_LEVEL:
        return 0.98 * sum(_common(letter, encoding) for letter in letters) / len(letters)
    if encoding == "cp949":
        return 0.99 * (len(_HANGUL.findall(text)) - len(_HANGUL_IN_WORD.findall(text))) / len(letters)
    return _accented(text, encoding) if encoding in _ACCENTED else _frequent(letters, encoding)


def _japanese(letters: str) -> float:
    kana, total = len(_KANA.findall(letters)), len(letters)
    if kana * 10 <= total:
        return 0.3
    return (kana + len(_HAN.findall(letters)) * 0.9 + len(_FULL_WIDTH.findall(letters))) / total


def _frequent(letters: list[str], encoding: str) -> float:
    """The share of letters that are frequent; a text in capitals alone is unlikely, and so is a rare encoding."""
    total = len(letters)
    frequent = 1.15 * sum(letter in _FREQUENT[encoding] for letter in letters) / total
    capitals = max(0, 3 * sum(map(str.isupper, letters)) - total) / total
    return min(1.0, frequent) - 0.3 * capitals - (0.02 if encoding in ("koi8_u", "iso8859_5") else 0.0)


def _accented(text: str, encoding: str) -> float:
    """The share of non-ASCII letters that one language of the encoding uses; a capital within a word does not count."""
    high = _HIGH.findall(text)
    signs = sum(1 for _, letter in high if letter in _SIGNS) - len(_SIGN_IN_WORD.findall(text))
    plain = [letter for before, letter in high if not (before.islower() and letter.isupper())]
    most = max(sum(letter in alphabet for letter in plain) for alphabet in _ACCENTED[encoding])
    weight = 0.8 if encoding in ("cp850", "cp852", "mac_roman") and signs > most else 1.0
    return weight * (most + signs) / max(1, len(high)) - _RARER.get(encoding, _RAREST)


def _common(letter: str, encoding: str) -> bool:
    """Whether it is punctuation or a character of the first level, which is sorted by frequency."""
    if _FULL_WIDTH.match(letter) or letter in "“”‘’…—·":
        return True
    codec, first, last = _FIRST_LEVEL[encoding]
    try:
        written = letter.encode(codec)
    except UnicodeEncodeError:
        return False
    return len(written) == 2 and first <= written[0] <= last
