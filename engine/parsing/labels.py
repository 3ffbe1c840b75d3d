"""Labels that a document repeats: speakers in minutes, the fields of a reference. They name what follows and are
not its subject."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from engine.parsing.model import Block
from engine.patterns import pattern

OFTEN = 3  # times that a label, or a short line, begins a block
SHORT = 60  # characters of a line that may be the value of a field

_LABEL = pattern(r"\W{0,4}([A-ZÀ-Þ][a-zß-ÿ'’]*\.?(?: [A-Za-zÀ-ÿ'’]+){0,2}) ?[:：](?:\s+|$)")
_AT_LINE = pattern(r"^([A-ZÀ-Þ][a-zß-ÿ'’]*\.?(?: [A-ZÀ-Þ][A-Za-zÀ-ÿ'’]+){0,2}): (?=\S)", re.M)
_SPEAKER = pattern(r"\W{0,4}([A-ZÀ-Þ][\wß-ÿ'’-]+(?: [A-ZÀ-Þ][\wß-ÿ'’-]+)?)(?: ?[:：](?:\s+|$)| [-–—] )")
_PERSON = pattern(r"\W{0,4}([A-ZÀ-Þ][\w'’-]+)(?: [A-ZÀ-Þ][\w.'’-]*){1,3}(?=$|,| ?[(@<\[?–-])")


def names_of(people: Iterable[Block]) -> frozenset[str]:
    """First names, as they label what each says, of blocks that list people."""
    lines = (line.strip() for block in people for line in re.split(r"[\n,;]|: ", block.text[:4000]))
    return frozenset(person[1] for line in lines if (person := _PERSON.match(line)))


def at_lines(text: str) -> frozenset[str]:
    """The labels that three or more lines of a text without markup begin with: who speaks in a transcript."""
    if text.count(":") < OFTEN:
        return frozenset()
    times = Counter(label[1] for label in _AT_LINE.finditer(text))
    return frozenset(label for label, number in times.items() if number >= OFTEN)


def without(blocks: Sequence[Block], speakers: frozenset[str] = frozenset()) -> list[Block]:
    """The blocks without labels that three or more of them begin with, and with each short line that recurs only
    once."""
    labels = Counter(label[1] for block in blocks if (label := _of(block)) is not None)
    often = {label for label, times in labels.items() if times >= OFTEN}
    lines = Counter(block.text for block in blocks if _is_short(block))
    repeated = {line for line, times in lines.items() if times >= OFTEN}
    return list(_kept(blocks, often, speakers, repeated)) if often or speakers or repeated else list(blocks)


def _kept(blocks: Sequence[Block], often: set[str], speakers: frozenset[str], repeated: set[str]) -> Iterator[Block]:
    seen: set[str] = set()
    for block in blocks:
        if block.text in repeated and _is_short(block):
            if block.text in seen:
                continue
            seen.add(block.text)
        label = _of(block)
        if label is None or label[1] not in often:
            label = _SPEAKER.match(block.text) if speakers and block.kind in ("text", "item") else None
            if label is None or label[1].split()[0] not in speakers:
                yield block
                continue
        if rest := block.text[label.end() :].strip():
            yield block._replace(text=rest)


def _of(block: Block) -> re.Match[str] | None:
    return _LABEL.match(block.text) if block.kind in ("text", "item") and ":" in block.text[:SHORT] else None


def _is_short(block: Block) -> bool:
    return len(block.text) <= SHORT and block.kind != "code" and not block.text.endswith(".")
