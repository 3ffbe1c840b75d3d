"""The prose of a document's body, without code, tags, addresses and directives; and the text of an HTML page.

Every expression here runs in time linear in the text: no repetition can restart at each of its own characters.
"""

from __future__ import annotations

import re
import unicodedata

from engine.parsing.inline import unescaped
from engine.text import as_seen, without

_TYPESET = re.compile("[\ufb00-\ufb06\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")  # ﬁ, full-width letters
# letters of mathematics: an unknown alone, or a word set in them
_MATHEMATICAL = re.compile(
    "([\U0001d400-\U0001d7ff]+|[\u2102\u210d\u2113\u2115\u2119\u211a\u211d\u2124])([\u2070-\u209c]*)(-(?=[a-z]))?"
)
_DIVIDED = re.compile(r"(?<![^\W\d_])([^\W\d_A-Z]{2,20})-\n[ \t]{0,40}([^\W\d_A-Z]{2,20})(?![^\W\d_])")
_WORD = re.compile(r"[^\W\d_]+")
# treated as one, or the search for the next line's first letter would rescan all of them at each
_EMPTY_LINES = re.compile(r"\n\s*\n")
_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})[^\n]*$", re.M)
_TAG = re.compile(r"</?[A-Za-z!][^<>]{0,400}>")
_CLOSING_TAG = re.compile(r"</[A-Za-z]")
_ADDRESSES = {  # by a string that each match contains: searching for that is ten times faster
    "](": re.compile(r"\]\([^()\s]{1,400}\)"),
    "://": re.compile(r"\b(?:https?|ftp|file)://[^\s<>]+"),
    "www.": re.compile(r"\bwww\.[^\s<>]+"),
}
_DIRECTIVES = {  # of reStructuredText: a directive, a field, a role
    "::": re.compile(r"\n[ \t]*\.\. [\w:+-]+::.*"),
    ":": re.compile(r"\n[ \t]*:[\w -]+:"),
    ":`": re.compile(r":[\w+-]{1,30}(?::[\w+-]{1,30})?:(?=`)"),
}
_CODE_LINE = re.compile(r"^(?:[ \t]*(?:>>>|\.\.\.|\$|#!) [^\n]*|(?: {4}|\t)[^\n]*(?:[;{}]|[=(]\S*\)?:?)[ \t]*)$", re.M)
_MAY_BE_CODE = re.compile(r"\n(?: {4}|\t|>>> |\$ )")
# Four words or more in capitals are a heading or a clause of a licence; they count as words, not acronyms.
_SHOUTED = re.compile(r"[A-Z](?<![\w'’-][A-Z])[A-Z'’-]++(?:(?:[ \t,;]++\n?|\n)[ \t]*+[A-Z][A-Z'’-]*+(?!\w)){3,}")
# of a news agency's report: where it is from, at the beginning of a line, and who wrote it and took the picture
_DATELINE = re.compile(
    r"^[A-Z][A-Z.' ]{2,30}(?:, [A-Z][a-z.]+(?: [A-Z][a-z.]+)?(?: \(\w{2,12}\))?| \((?:[A-Z]{2,5}|Reuters|Xinhua|dpa)\))"
    r" (?:--?|[–—]) ",
    re.M,
)
_CREDIT = re.compile(
    r"\((?:Additional )?[Rr]eporting by [^()]{3,300}\)"
    r"|(?<!\w)[A-Z][\w.'-]{1,20}(?: [A-Z][\w.'-]{1,20}){1,2} ?/ ?(?:Getty Images|Reuters|REUTERS)(?!\w)"
    r"|REUTERS/[A-Z][\w.'-]{1,20} [A-Z][\w.'-]{1,20}"
)
_CREDITED = ("eporting by", "/Reuters", "/REUTERS", "REUTERS/", "Getty Images")
_LONG_WORD = re.compile(r"[A-Z]{8}")
_TWO_CAPITALS = re.compile("[A-Z][A-Z]")
_CODED = re.compile(
    r"(?<![\w+/])(?=[A-Za-z+/]{0,39}\d)[A-Za-z0-9+/]{40,}=*(?:\n(?=[A-Za-z+/]*\d)[A-Za-z0-9+/]+=*(?!\S))?"
)  # base64, a digest
_CODED_CHARS = 40
_ARMOURED = re.compile(r"-----BEGIN ([A-Z][A-Z0-9 ]{2,40})-----[^-]*+-----END \1-----")  # a key, a certificate
_MARKS = (*"`~<[:", "www.")  # whatever _without_markup removes has one
_DASHES = (" - ", " -- ", " – ", " — ")
_FEW = 200  # characters of prose; with less, code is read too


def prose(text: str) -> str:
    """The text without code blocks, tags, addresses and directives. Keeps the code if hardly anything else is left."""
    text = text.replace("\r", "")
    if not text.isascii():
        text = as_seen(text)
        text = _MATHEMATICAL.sub(_written, text)
        text = _TYPESET.sub(lambda letter: unicodedata.normalize("NFKC", letter[0]), text)
    if "-\n" in text:
        text = _undivided(text)
    if any(map(text.__contains__, _MARKS)):
        text = _without_markup(text)
    if _MAY_BE_CODE.search(text):
        text = _unless_little(text, _CODE_LINE.sub("", text))
    if "-----BEGIN" in text:
        text = _ARMOURED.sub(" . ", text)
    if _has_long_run(text) and any(map(_CODED.search, [word for word in text.split() if len(word) >= _CODED_CHARS])):
        text = _CODED.sub(" . ", text)
    text = _in_small_letters(_without_agency(text))
    return _EMPTY_LINES.sub("\n\n", text) if "\n" in text else text


def _without_agency(text: str) -> str:
    """Without the datelines and credits of news agencies."""
    if any(map(text.__contains__, _DASHES)):
        text = _DATELINE.sub("", text)
    return _CREDIT.sub(" . ", text) if any(map(text.__contains__, _CREDITED)) else text


def _in_small_letters(text: str) -> str:
    """With words in small letters where the text or a line of it is in capitals."""
    if text.isupper() and _is_mostly_capitals(text):
        text = text.lower()
    if _may_have_long_word(text) and _LONG_WORD.search(text):
        text = _SHOUTED.sub(lambda match: match[0].lower() if _LONG_WORD.search(match[0]) else match[0], text)
    return text


def _written(maths: re.Match[str]) -> str:
    """A word in letters of mathematics, or the 𝑘 of 𝑘-means; an unknown is none."""
    letters, _, name = maths.groups()
    return f"{unicodedata.normalize('NFKC', letters)}{name or ''}" if name or len(letters) > 1 else " . "


def _undivided(text: str) -> str:
    """The text with a word in one piece that the end of a line divides: com-pany, not end-to-end, whose parts the text
    has as words."""
    if not _DIVIDED.search(text):
        return text
    words = {word.lower() for word in _WORD.findall(_DIVIDED.sub(" ", text))}

    def joined(match: re.Match[str]) -> str:
        first, second = match[1], match[2]
        apart = first + second not in words and (first in words or second in words)
        return match[0] if apart else first + second

    return _DIVIDED.sub(joined, text)


def _has_long_run(text: str) -> bool:
    """Whether there are _CODED_CHARS without a space: looks from space to space, in steps of that length."""
    at, last = 0, len(text) - _CODED_CHARS
    while at <= last:
        space = text.rfind(" ", at, at + _CODED_CHARS)
        if space < 0:
            return True
        at = space + 1
    return False


def _is_mostly_capitals(text: str) -> bool:
    """Not where most letters have no case: a Chinese text in which only API is Latin."""
    return 2 * sum(map(str.isupper, text)) > sum(map(str.isalpha, text))


def _may_have_long_word(text: str) -> bool:
    """Whether _LONG_WORD is worth a search. Of eight capitals in a row every fourth letter has two."""
    return _TWO_CAPITALS.search(text[3::4]) is not None


def _without_markup(text: str) -> str:
    """Without fences, tags, addresses and directives."""
    if "```" in text or "~~~" in text:
        bare = _unfenced(text)
        text = bare if _unless_little(text, bare) is bare else _unfenced(text, names=True)
    if "<" in text and _CLOSING_TAG.search(text):
        for begin, end in (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"), ("<pre", "</pre>")):
            text = _unless_little(text, without(text, begin, end))
        text = unescaped(_TAG.sub(" . ", text))
    for mark, address in _ADDRESSES.items():
        if mark in text:
            text = address.sub(" . ", text)
    for mark, directive in _DIRECTIVES.items():
        if mark in text:
            text = directive.sub("\n . ", text)
    return text


def _unless_little(text: str, less: str) -> str:
    return less if len(less.strip()) >= min(_FEW, len(text) // 4) else text


def _unfenced(text: str, names: bool = False) -> str:
    """The text without what is between fences. With `names`, of that the words remain, each apart: words of a program
    that are next to each other are not a phrase."""
    kept, begun, opened, mark = [], 0, 0, ""
    for fence in _FENCE.finditer(text):
        signs = fence[1]
        if not mark:
            kept.append(text[begun : fence.start()])
            mark, opened = signs, fence.end()
        elif signs.startswith(mark):
            if names:
                kept.append(" . ".join(text[opened : fence.start()].split()))
            begun, mark = fence.end(), ""
    if not mark:
        kept.append(text[begun:])
    return "\n\n".join(kept)
