"""Which documents a person reviews: random, and the same again from the stored seed.

A document's place in the draw depends on the seed and its id alone, so the order in which a store lists documents, and
documents outside the list, change nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

Order = tuple[Literal["llm", "frequency"], Literal["llm", "frequency"]]


def draw(ids: Iterable[str], k: int, seed: int) -> tuple[str, ...]:
    """At most `k` distinct ids, each as likely as any other, in random order; () for k <= 0."""
    ranked = sorted((_ticket(seed, "draw", document_id), document_id) for document_id in set(ids))
    return tuple(document_id for _, document_id in ranked[: max(0, k)])


def blind_order(document_id: str, seed: int) -> Order:
    """Which method is shown first when names are hidden; the same for every reviewer of the sample."""
    return ("llm", "frequency") if _ticket(seed, "blind", document_id)[0] % 2 else ("frequency", "llm")


def _ticket(seed: int, use: str, document_id: str) -> bytes:
    text = f"{seed}\0{use}\0{document_id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()
