"""Rich Text Format: its paragraphs, without fonts, colours, pictures and the document's properties."""

from __future__ import annotations

import re

from engine.parsing import plain
from engine.parsing.model import Format, Raw
from engine.patterns import pattern

MARK = pattern(r"\{\\rtf")
_TOKEN = pattern(r"\\([a-z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-f]{2})|\\([^a-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.I)
_SIGNS = {
    "par": "\n\n", "sect": "\n\n", "page": "\n\n", "line": "\n", "row": "\n\n", "tab": "\t", "cell": " | ",
    "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•",
}  # fmt: skip
_UNREAD = frozenset((
    "fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "themedata", "datastore", "listtable",
    "listoverridetable", "rsidtbl", "generator", "header", "footer", "fldinst", "xmlnstbl", "latentstyles",
))  # fmt: skip


def parse(text: str) -> Raw:
    return plain.parse(_text(text))._replace(format=Format.RTF)


def _text(text: str) -> str:
    kept: list[str] = []
    around: list[bool] = []  # of each open group, whether it is read
    reads, skip = True, 0  # characters that stand in for one of Unicode
    for word, number, code, sign, brace, letters in _TOKEN.findall(text):
        if brace == "{":
            around.append(reads)
        elif brace:
            reads, skip = around.pop() if around else True, 0
        elif sign == "*" or word in _UNREAD:
            reads = False
        elif not reads:
            continue
        elif word == "u" and number:
            kept.append(chr(int(number) % 0x10000))
            skip = 1
        elif code or sign:
            kept += [] if skip else [bytes([int(code, 16)]).decode("cp1252", "replace") if code else _of_sign(sign)]
            skip = 0
        elif word:
            kept.append(_SIGNS.get(word, ""))
        else:
            kept.append(letters[skip:])
            skip = 0
    return "".join(kept)


def _of_sign(sign: str) -> str:
    return {"~": "\xa0", "_": "-", "-": ""}.get(sign, sign if sign in "\\{}" else "")
