"""Catalogues of a program's messages (gettext): the translations, or where there are none, the messages."""

from __future__ import annotations

import re

from engine.parsing.inline import heading, unescaped
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

MARK = pattern(r"(?:^|\n)msgid \"[^\n]*\"[ \t]*\n(?:\"[^\n]*\"[ \t]*\n)*(?:msgid_plural [^\n]*\n)?msgstr")
_ENTRY = pattern(r"^(msgid|msgid_plural|msgstr(?:\[\d\])?|msgctxt) \"(.*)\"[ \t]*$")
_MORE = pattern(r"^\"(.*)\"[ \t]*$")
_FIELD = pattern(r"^(Project-Id-Version|Language): *(\S.*?)[ \t]*$", re.M)
_ESCAPE = pattern(r"\\(.)")
_ESCAPES = {"n": "\n", "t": " ", "r": "", '"': '"', "\\": "\\"}
_PLACEHOLDER = pattern(
    r"%(?:\([\w.]{1,60}\)|\d\$)?[-+ #0]?\d{0,3}(?:\.\d)?[a-zA-Z]|\{\{?[\w.!:]{0,60}\}?\}|&(?=[A-Za-z]\w)|<[^<>]{1,200}>"
)


def parse(text: str) -> Raw:
    blocks: list[Block] = []
    fields: dict[str, str] = {}
    entry: dict[str, str] = {}
    name = ""

    def flush() -> None:
        if not entry.get("msgid") and "msgid" in entry:
            fields.update((field[1], field[2]) for field in _FIELD.finditer(entry.get("msgstr", "")))
        elif written := _PLACEHOLDER.sub(" ", entry.get("msgstr") or entry.get("msgstr[0]") or entry.get("msgid", "")):
            blocks.append(Block("text", unescaped(" ".join(written.split()))))
        entry.clear()

    for line in text.split("\n"):
        if match := _ENTRY.match(line):
            if match[1] in ("msgctxt", "msgid") and "msgid" in entry:
                flush()
            name = match[1]
            entry[name] = _written(match[2])
        elif name and (match := _MORE.match(line)):
            entry[name] += _written(match[1])
        else:
            name = ""
    flush()
    project = fields.get("Project-Id-Version", "")
    return Raw(
        Format.CATALOGUE,
        [block for block in blocks if block.text],
        "" if project.startswith(("PACKAGE", "VERSION")) else heading(project),
        fields.get("Language", ""),
    )


def _written(quoted: str) -> str:
    return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), quoted) if "\\" in quoted else quoted
