"""Calendars and address cards (iCalendar, vCard): what an entry is called and says, without times and ids."""

from __future__ import annotations

import re

from engine.parsing.inline import heading
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

MARK = pattern(r"\s*BEGIN:V(?:CALENDAR|CARD|EVENT|TODO)\b", re.I)
_FOLDED = pattern(r"\n[ \t]")
_FIELD = pattern(
    r"^(SUMMARY|DESCRIPTION|LOCATION|COMMENT|CATEGORIES|NOTE|FN|ORG|TITLE|ROLE|X-WR-CALNAME|X-WR-CALDESC)"
    r"(?:;[^:\n]{0,300})?:(.+)$",
    re.I | re.M,
)
_ESCAPED = pattern(r"\\([nN,;\\])")
_NAMING = ("X-WR-CALNAME", "SUMMARY", "FN")  # best first


def parse(text: str) -> Raw:
    blocks: list[Block] = []
    titles: dict[str, str] = {}
    for field in _FIELD.finditer(_FOLDED.sub("", text)):
        name, value = field[1].upper(), _ESCAPED.sub(_plain, field[2]).strip()
        titles.setdefault(name, value)
        blocks += [Block("text", part.strip()) for part in value.split("\n\n") if part.strip()]
    return Raw(Format.CALENDAR, blocks, next((heading(titles[name]) for name in _NAMING if name in titles), ""))


def _plain(escape: re.Match[str]) -> str:
    return "\n" if escape[1] in "nN" else escape[1]
