"""Front matter: YAML between ---, TOML between +++. It gives a document's title and language; the rest concerns its
site."""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.parsing.inline import heading
from engine.patterns import pattern

LONGEST = 20_000  # characters of front matter
_YAML = pattern(r"\s{0,20}---[ \t]*\n")
_YAML_END = pattern(r"^(?:---|\.\.\.)[ \t]*$", re.M)
_TOML = pattern(r"\s{0,20}\+\+\+[ \t]*\n")
_TOML_END = pattern(r"^\+\+\+[ \t]*$", re.M)
_KEY = pattern(r"^[\w.-]{1,60}\s{0,4}[:=]", re.M)
_SETTING = pattern(
    r"^[ ]{0,1}(title|sidebar_label|lang|language|locale|description|subject)[ \t]*[:=][ \t]*(.*)$", re.M | re.I
)


class Front(NamedTuple):
    title: str = ""
    language: str = ""
    description: str = ""
    end: int = 0  # where the document begins; 0 without front matter


def read(text: str) -> Front:
    for begin, end in ((_YAML, _YAML_END), (_TOML, _TOML_END)):
        opened = begin.match(text)
        if opened is None:
            continue
        closed = end.search(text, opened.end(), opened.end() + LONGEST)
        if closed is None:
            continue
        settings = text[opened.end() : closed.start()]
        if settings.strip() and not _KEY.search(settings):  # a paragraph between two rules
            continue
        return _front(settings, closed.end())
    return Front()


def _front(settings: str, end: int) -> Front:
    values: dict[str, str] = {}
    for match in _SETTING.finditer(settings):
        values.setdefault(match[1].lower(), _value(match[2].strip(), settings, match.end()))
    return Front(
        heading(values.get("title") or values.get("sidebar_label") or values.get("subject") or ""),
        values.get("lang") or values.get("language") or values.get("locale") or "",
        values.get("description", ""),
        end,
    )


def _value(raw: str, settings: str, at: int) -> str:
    """A scalar: quoted, plain, or folded over the indented lines below it."""
    if (raw[:1] in ("|", ">") and len(raw) <= 2) or not raw:
        lines = []
        for line in settings[at + 1 :].split("\n"):
            if line.strip() and not line.startswith((" ", "\t")):
                break
            lines.append(line.strip())
        folded = " ".join(" ".join(lines).split())
        return folded if raw else ""
    if raw[0] in "\"'":
        closed = raw.find(raw[0], 1)
        while closed > 0 and raw[closed - 1] == "\\":
            closed = raw.find(raw[0], closed + 1)
        if closed > 0:
            return raw[1:closed].replace("\\" + raw[0], raw[0]).replace("''", "'")
    return re.sub(r"\s+#\s.*$", "", raw)
