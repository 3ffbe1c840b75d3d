"""Logs: each message once, without its time, level, host and process."""

from __future__ import annotations

import re

from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

_TIME = (
    r"(?:\[?\d{4}[-/.]\d\d[-/.]\d\d[T _]\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,9})?(?:Z|[ ]?[+-]\d\d:?\d\d|[ ]UTC)?\]?"
    r"|\[?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[, ]+\w{3} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)?(?: \w{3,4})? \d{4}\]?"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} \d\d:\d\d:\d\d"
    r"|\[?\d\d[/.]\w{2,3}[/.]\d{4}[: ]\d\d:\d\d:\d\d[^\]\s]{0,10}\]?|\[?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]?"
    r"|\[\d\d?:\d\d(?: ?[AP]M)?\]"
    r"|\[?\d{1,2}[/.]\d{1,2}[/.]\d{2,4},? \d{1,2}:\d\d(?::\d\d)?(?: ?[AP]M)?\]?"
    r"|\[ *\d{1,7}\.\d{6}\]|\d{10}(?:\.\d+)?|[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+|\d{4}-\d\d-\d\d|ts=\S+ "
    r"|time=\"?[\dT:.Z+-]+\"?)"
)
STAMPED = pattern(rf"^\s{{0,4}}(?:\S{{1,60}} \S+ \S+ )?{_TIME}")
_ACCESS = pattern(r"^\S{1,60} \S+ \S+ \[[^\]]{10,40}\] \"(?:[A-Z]{3,8} )?([^\"\s]{0,300})[^\"]{0,300}\" \d{3}")
_LEVEL = pattern(
    r"^[\s\[(<|:-]{0,4}(?:(?:level|lvl|severity)=)?(?:trace|debug|info|notice|warn(?:ing)?|error|err"
    r"|crit(?:ical)?|fatal|panic|alert|emerg|severe|fine|[TDIWEF])(?=[\s\])>|:,])[\s\])>|:,-]{0,4}",
    re.I,
)
_HOST = pattern(r"^\s{0,3}[\w.-]{1,60} (?=[\w./@-]{1,60}(?:\[\d+\])?:)")
_PROCESS = pattern(r"^\s{0,3}\[?(?:[\w./@-]{1,60}\[\d+\]:?|(?:pid|thread|tid)[ =:]?\d+|\d{1,7})\]?[\s:-]{1,3}")
_MESSAGE = pattern(r"^.{0,300}?\bmsg=\"?([^\"\n]{1,500})")
_VARYING = pattern(
    r"0x[0-9a-fA-F]+|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-fA-F]{12,}\b|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
    r"|\d+(?:\.\d+)?(?:ms|s|us|µs|[kKMG]i?B|B|%)?\b"
)
# of a stack trace, or the rest of a message
_CONTINUED = pattern(r"[ \t]+\S|Caused by: |Traceback |[\w.$]{1,200}(?:Error|Exception)\b")
_FRAME = pattern(r"[ \t]+(?:at [\w$./<>]+\(|File \"[^\"\n]{1,300}\", line \d+|\.\.\. \d+ more)")
_THREAD = pattern(r"^\s{0,3}(?:\d{1,7} -{3} )?\[ {0,40}[\w ./:#-]{1,60}\]\s+")
_LOGGER = pattern(r"^\s{0,3}(?:[\w$]{1,60}\.){1,10}[\w$]{1,60}(?<!Exception)(?<!Error)(?:\s+[-:]+\s+|:\s+)")
_SPEAKER = pattern(r"^[ \t]*(?:[-–] )?(?:[\w.@-]{1,30}(?: [\w.@-]{1,30})?:|<[^<>\s]{1,30}>:?) +(?=\S)")
MOST = 2000  # messages


def parse(text: str) -> Raw:
    seen: dict[str, Block] = {}
    lines = [line for line in text.split("\n") if not _FRAME.match(line)]
    chat = _is_chat(lines[:60])
    for line in lines:
        if len(seen) >= MOST:
            break
        message = _said(line[:2000]) if chat else _message(line[:2000])
        if message:
            seen.setdefault(_VARYING.sub("#", message), Block("text", _VARYING.sub(" ", message)))
    return Raw(Format.LOG, list(seen.values()))


def _said(line: str) -> str:
    stamp = STAMPED.match(line)
    return (_SPEAKER.sub("", line[stamp.end() :]) if stamp else line).strip()


def _message(line: str) -> str:
    if access := _ACCESS.match(line):
        return access[1].split("?")[0]
    if match := STAMPED.match(line):
        line = line[match.end() :]
    if message := _MESSAGE.match(line):
        return message[1].strip()
    line = line.removeprefix("Caused by: ")
    for _ in range(3):
        for mark in (_LEVEL, _HOST, _THREAD, _PROCESS, _LOGGER):
            if match := mark.match(line):
                line = line[match.end() :]
    return line.strip()


def _is_chat(lines: list[str]) -> bool:
    """Whether most stamped lines begin with who speaks."""
    said = [line[stamp.end() :] for line in lines if (stamp := STAMPED.match(line))]
    return 2 * sum(_SPEAKER.match(line) is not None for line in said) > len(said)


def is_log(lines: list[str]) -> bool:
    """Most lines, and at least three, begin with a time; those of a stack trace or another continuation aside."""
    begun = [line for line in lines if line.strip() and (STAMPED.match(line) or not _CONTINUED.match(line))][:40]
    return len(begun) >= 3 and 2 * sum(1 for line in begun if STAMPED.match(line)) > len(begun)
