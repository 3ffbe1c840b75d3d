"""Subtitles in SubRip and WebVTT: what is spoken, in paragraphs, without numbers, times and the names of speakers."""

from __future__ import annotations

import re

from engine.parsing.inline import heading, unescaped
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

MARK = pattern(
    r"WEBVTT\b|(?:\d{1,6}[ \t]*\n)?(?:\d{1,3}:)?\d\d:\d\d[,.]\d{1,3} +--> +(?:\d{1,3}:)?\d\d:\d\d[,.]\d{1,3}"
)
_TIMES = pattern(r"^[ \t]*(?:\d{1,3}:)?\d\d:\d\d[,.]\d{1,3} +--> ")
_CUE_TAG = pattern(r"</?[a-z][^<>]{0,80}>|\{\\[^{}]{1,60}\}|<\d\d:[\d:.]{1,12}>", re.I)
_SOUND = pattern(r"\[[^\[\]\n]{1,80}\]|\([A-Z][A-Z .'-]{2,60}\)|♪+")
_SPEAKER = pattern(r"^(?:[-–] ?)?(?:[A-Z][A-Z .'-]{1,30}: )?")
_PAUSE = 12  # cues of a paragraph


def parse(text: str) -> Raw:
    blocks: list[Block] = []
    cue: list[str] = []
    cues = 0
    lines = text.lstrip().split("\n")
    title = ""
    if lines[0].startswith("WEBVTT"):
        title = heading(lines[0][6:].strip(" -\t"))
        lines = lines[1:]
    spoken = False
    for line in [*lines, ""]:
        if _TIMES.match(line):
            spoken = True
            cues += 1
        elif not line.strip():
            spoken = False
            if cue and (cues >= _PAUSE and cue[-1].endswith((".", "?", "!"))):
                blocks.append(Block("text", " ".join(cue)))
                cue, cues = [], 0
        elif spoken and (words := _SPEAKER.sub("", _SOUND.sub("", _CUE_TAG.sub("", line)).strip())):
            if not cue or cue[-1] != words:  # captions that roll repeat a line
                cue.append(unescaped(words))
    if cue:
        blocks.append(Block("text", " ".join(cue)))
    return Raw(Format.SUBTITLES, blocks, title)
