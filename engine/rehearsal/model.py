"""The model behind the simulated service: real keywords of the text in the prompt, and now and then one about
something else.

It is better for search than counting words: it reads titles, first sentences and headings as names, which is what
people search for. A text's outcome is drawn from its digest, so that the same text always gets the same outcome, at
every retry and on every server.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from engine.extraction import frequency
from engine.extraction.keywords import MAX_DESCRIPTIVE, MAX_TECHNICAL, Keywords

READ_CHARS = (
    # characters of prose; headings are read to the end. A real model reads everything, which would cost too much here
    2000
)
HEAD_CHARS = 600  # where title and first sentence are
NAME_CHARS = 60
FATES = ("error_rate", "invalid_rate", "empty_rate", "hang", "drip")

_HEADING = re.compile(
    r"^\#{1,6}[ \t]+(?P<hash>[^\n]{3,80})"  # Markdown
    r"|^(?P<ruled>[^\s=\-~*^#+].{2,70})\n(?:={3,}|-{3,}|~{3,}|\*{3,}|\^{3,})[ \t]*$",  # reStructuredText
    re.M,
)
_FENCE = re.compile(r"^(?=[^\w\s]{3})[^\n]{3,100}$", re.M)  # a line that starts with three signs
_WORD = re.compile(r"\w")
_SENTENCE = re.compile(r"(?<=[\w)])[.:](?:\s|$)")
_CUT = re.compile(r"\s+[-–—|]\s+|[:;.](?:\s|$)")
_EDGE = " \t#*`'\"=-_~<>|"

# What a model with too much web in its training invents. None is likely to occur in a text about software.
_ELSEWHERE = (
    "blockchain ledger", "quantum annealing", "kubernetes operator", "medieval poetry", "supply chain finance",
    "photosynthesis", "GraphQL federation", "monetary policy", "sourdough starter", "protein folding",
    "customer journey", "COBOL copybook", "glacier retreat", "agile ceremonies", "autonomous vehicles",
    "tax compliance", "Terraform modules", "baroque architecture", "reinforcement learning", "brand awareness",
    "serverless mesh", "marine biology", "zero-knowledge proof", "volcanic soil",
)  # fmt: skip


class SeededText(Struct, frozen=True):
    """A text and its draws: `draws` has a number in 0..1 for each of FATES, compared with a fault's
    share.
    """

    text: str
    draws: dict[str, float]
    seed: int

    def meets(self, fate: str, share: float) -> bool:
        return self.draws[fate] < share


def read(prompt: str, seed: int = 0) -> SeededText:
    """The document in a user prompt: the text between two equal lines (a fence); without a fence, the whole prompt."""
    text = _between_fences(prompt)
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), key=b"%d" % seed, digest_size=64).digest()
    draws = {fate: int.from_bytes(digest[8 * i : 8 * i + 8], "big") / 2**64 for i, fate in enumerate(FATES, start=1)}
    return SeededText(text, draws, int.from_bytes(digest[:8], "big"))


def _between_fences(prompt: str) -> str:
    for fence in _FENCE.finditer(prompt[:2000]):
        end = prompt.rfind(f"\n{fence[0]}")
        if end > fence.end():
            return prompt[fence.end() + 1 : end]
    return prompt


def keywords(reading: SeededText, hallucinate: float) -> tuple[list[str], list[str]]:
    """(descriptive, technical), best first. `hallucinate`: the share that is not from this text."""
    text = reading.text
    counted = _counted(text[:READ_CHARS])
    known: dict[str, str] = {}
    for name in [*names(text), *counted.descriptive]:
        known.setdefault(name.casefold(), name)
    technical = list(counted.technical[:MAX_TECHNICAL])
    descriptive = [name for name in known.values() if name not in technical][:MAX_DESCRIPTIVE]
    chance = random.Random(reading.seed)
    low = text[:READ_CHARS].casefold()
    elsewhere = [name for name in _ELSEWHERE if name.casefold() not in low]
    chance.shuffle(elsewhere)
    for keywords in (descriptive, technical):
        for place in range(len(keywords)):
            if chance.random() < hallucinate and elsewhere:
                keywords[place] = elsewhere.pop()
    return descriptive, technical


@lru_cache(maxsize=512)  # retries and repeats cost nothing
def _counted(text: str) -> Keywords:
    return frequency.extract(text)


def names(text: str, most: int = 6) -> list[str]:
    """The title (the first line with content), the sentence after it and the headings, as phrases of at most six
    words.
    """
    head, _, body = text[:HEAD_CHARS].partition("\n\n")
    title = [line for line in f"{head}\n{body}".splitlines() if len(_WORD.findall(line)) > 2][:1]
    first = _SENTENCE.split(" ".join(body.partition("\n\n")[0].split()), maxsplit=1)[0]
    lines = [*title, first, *[m["hash"] or m["ruled"] for m in _HEADING.finditer(text)][: 2 * most]]
    phrases: dict[str, str] = {}
    for line in lines:
        phrase = " ".join(_CUT.split(line.strip(_EDGE), maxsplit=1)[0].strip(_EDGE).split()[:6])
        if 3 <= len(phrase) <= NAME_CHARS:
            phrases.setdefault(phrase.casefold(), phrase)
    return list(phrases.values())[:most]


def answer(reading: SeededText, schema: Mapping[str, Any], hallucinate: float) -> str:
    """The keywords as JSON in the requested schema: its lists of strings, by name, within maxItems and
    maxLength.
    """
    descriptive, technical = keywords(reading, hallucinate)
    lists = _lists(schema) or {"descriptive": (MAX_DESCRIPTIVE, NAME_CHARS), "technical": (MAX_TECHNICAL, NAME_CHARS)}
    answer: dict[str, list[str]] = {}
    for name, (most, chars) in lists.items():
        known = descriptive + technical if len(lists) == 1 else technical if "tech" in name else descriptive
        answer[name] = [keyword[:chars] for keyword in known[:most]]
    return msgspec.json.encode(answer).decode()


def _lists(schema: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The schema's lists: (maximum items, maximum characters per item)."""
    properties = schema.get("properties")
    limits: dict[str, tuple[int, int]] = {}
    for name, shape in properties.items() if isinstance(properties, dict) else ():
        if isinstance(shape, dict) and shape.get("type") == "array":
            items = shape.get("items")
            chars = items.get("maxLength") if isinstance(items, dict) else None
            most = shape.get("maxItems")
            limits[str(name)] = (most if isinstance(most, int) else 15, chars if isinstance(chars, int) else NAME_CHARS)
    return limits


def tokens(texts: Sequence[str]) -> int:
    """Roughly what a tokenizer would count; never fewer than the words."""
    return sum(max(len(text) // 4, int(1.15 * len(text.split()))) + 4 for text in texts)
