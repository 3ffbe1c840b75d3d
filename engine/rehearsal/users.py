"""How people use search results: look, click, rate, and rarely complain."""

from __future__ import annotations

import random
from itertools import count
from typing import Literal

from msgspec import Struct

VISITORS = 200  # enough that none exceeds the feedback rate limit
RATES = 0.2  # of visits are followed by a rating
# of visits without a hit end in a complaint though nothing is wrong: less than one per calendar week
GRUMBLE = 2e-5
ANGER = 0.5  # the same if all keywords are about something else

COMPLAINTS = (
    "the search finds words that are not in the document",
    "I searched for the exact title and it is not on the first page",
    "results were better last week",
    "half of the tags on this page have nothing to do with it",
    "this page comes up for everything now",
)


class Experience(Struct, frozen=True):
    """`liked`: share of visits that find what they seek. `bad`: share of keywords that are about something else."""

    liked: float = 0.8
    bad: float = 0.0


class Reaction(Struct, frozen=True, omit_defaults=True):
    """The fields of one piece of feedback. `value`: a rating, 1..5."""

    id: str
    kind: Literal["impression", "click", "rating", "complaint"]
    document: str
    source: str
    value: float | None = None
    text: str = ""


def experience(by_llm: bool, hallucinate: float = 0.0) -> Experience:
    """The LLM's keywords satisfy more visits (0.92 against 0.8), unless it hallucinates. Where nothing is wrong, more
    than the plan's 80 % are satisfied in every stage with an LLM arm."""
    if not by_llm:
        return Experience()
    return Experience(0.92 * (1 - 0.7 * hallucinate), hallucinate)


class Users:
    def __init__(self, seed: int = 7, visit: str = "visit") -> None:
        self._chance = random.Random(f"{seed}/users")
        self._visit = visit
        self._number = count(1)

    def visit(self, document: str, experience: Experience) -> list[Reaction]:
        """Let one person make one search that shows the document."""
        chance = self._chance
        name = f"{self._visit}-{next(self._number)}"
        source = f"visitor {chance.randrange(VISITORS)}"
        liked = chance.random() < experience.liked
        did = [Reaction(name, "impression", document, source)]
        if liked:
            did.append(Reaction(f"{name}-click", "click", document, source))
        if chance.random() < RATES:
            value = float(chance.choice((4, 5, 5) if liked else (1, 2, 3)))
            did.append(Reaction(f"{name}-rating", "rating", document, source, value))
        if not liked and chance.random() < GRUMBLE + ANGER * experience.bad**2:
            did.append(Reaction(f"{name}-complaint", "complaint", document, source, text=chance.choice(COMPLAINTS)))
        return did
