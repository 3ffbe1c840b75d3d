"""RFCs and Internet drafts: the text between page breaks."""

from __future__ import annotations

import re

from engine.parsing.inline import heading
from engine.parsing.lists import either, lists
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern
from engine.text import MARK

_LISTS = lists("memo")
PAGE_END = pattern(r"^\S.{0,100}\[Page \w{1,6}\][ \t]*$", re.M)
HEADER = pattern(
    r"Network Working Group|Internet Engineering Task Force|Request for Comments: ?\d|Internet[- ]Draft\b"
    r"|INTERNET[- ]DRAFT|Independent Submission|Internet Architecture Board"
    r"|DNSOP Working Group|Internet Research Task Force|^RFC \d+\b",
    re.M,
)
_PAGE_TOP = pattern(r"^(?:RFC[ -]?\d+|Internet[- ]Draft|INTERNET[- ]DRAFT)\b.{0,100}\b(?:19|20)\d\d[ \t]*$")
_DRAFT = pattern(r"\s*<?draft-")
_CONTENTS_LINE = pattern(
    r"^\s*(?:(?:\d+|[A-Z]|Appendix [A-Z])\.?(?:\d+\.?)*\s+)?.{1,70}?(?:\s?\.){3,}\s*\d*\s*$"
    r"|^\s*(?:[\d.]+|Appendix \w)\s+\S.{0,70}\s{3,}\d{1,3}$"
)
_NUMBERED = pattern(
    r"^ {0,3}(?:\d{1,2}(?:\.\d{1,2}){0,4}\.?|Appendix [A-Z][.:]?|[A-Z]\.(?:\d{1,2}\.?)*)[ \t]+(\S.{0,80})$"
)
_SKIPPED = pattern(either(_LISTS["skipped"]), re.I)
_UNHEADED = pattern(rf"^ {{0,3}}{either(_LISTS['unnumbered'])}[ \t]*$", re.I)


def parse_rfc(text: str) -> Raw:
    """An RFC or Internet-Draft: its title, and its paragraphs without page headers and formal sections."""
    lines = _without_pages(text)
    title, start = _rfc_title(lines) if HEADER.search("\n".join(lines[:40])) else ("", 0)
    blocks: list[Block] = []
    paragraph: list[str] = []
    skipping = False

    def flush() -> None:
        if paragraph and not skipping:
            written = "\n".join(paragraph)
            blocks.append(Block("code" if _is_figure(written) else "text", "\n".join(map(str.strip, paragraph))))
        paragraph.clear()

    for line in lines[start:]:
        bare = line.strip()
        if not bare:
            flush()
            continue
        if (
            not paragraph
            and not bare.endswith((".", ","))
            and ((numbered := _NUMBERED.match(line)) or _UNHEADED.match(line))
            and not _CONTENTS_LINE.match(line)
        ):
            words = numbered[1] if numbered else bare
            flush()
            skipping = _SKIPPED.fullmatch(words.strip()) is not None and words.lower() != "abstract"
            if not skipping and words.lower() != "abstract":
                blocks.append(Block("heading", heading(words), 2))
        elif not _CONTENTS_LINE.match(line):
            paragraph.append(line)
    flush()
    return Raw(Format.MEMO, blocks, title)


def _without_pages(text: str) -> list[str]:
    """The lines without the last line of each page and the first of the next; a paragraph split between pages is
    joined."""
    kept: list[str] = []
    turned = False
    for line in text.replace("\f", "\n").split("\n"):
        bare = line.rstrip()
        if bare.endswith("]") and PAGE_END.match(bare):
            while kept and not kept[-1].strip():
                kept.pop()
            turned = True
        elif turned and (not bare or bare == MARK or _PAGE_TOP.match(bare)):
            continue
        else:
            if turned and kept:
                ended = (
                    kept[-1].rstrip().endswith((".", ":", "?", "!"))
                    or not bare[:1].isspace()
                    or not bare.strip()[:1].islower()
                )
                if ended:
                    kept.append("")
                turned = False
            kept.append(bare)
    return kept


def _rfc_title(lines: list[str]) -> tuple[str, int]:
    """The centred lines after the header, which ends with an empty line; and the index where the text begins."""
    at = _skipped(lines, _skipped(lines, _skipped(lines, 0, filled=False), filled=True), filled=False)
    words: list[str] = []
    while at < min(len(lines), 60) and len(words) < 4 and lines[at].startswith(" ") and lines[at].strip():
        if _UNHEADED.match(lines[at]):
            break
        if not _DRAFT.match(lines[at]):
            words.append(lines[at].strip())
        at += 1
    title = heading(" ".join(words))
    return (title, at) if title and len(title) <= 200 else ("", 0)


def _skipped(lines: list[str], at: int, filled: bool) -> int:
    """The index after lines that are all filled, or all empty."""
    while at < len(lines) and bool(lines[at].strip()) == filled:
        at += 1
    return at


def _is_figure(paragraph: str) -> bool:
    signs = sum(map(paragraph.count, "|+-_=/\\<>{}:;[]"))
    letters = sum(map(str.isalpha, paragraph))
    return signs * 3 > letters
