"""Draws the documents a person reviews: random, and reproducible from the stored seed.

A document's place in the draw depends only on the seed and its id, not on the order of the store's list or on documents
outside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

Order = tuple[Literal["llm", "frequency"], Literal["llm", "frequency"]]


def draw(ids: Iterable[str], k: int, seed: int) -> tuple[str, ...]:
    """At most `k` distinct ids, equally likely, in random order; () for k <= 0."""
    ranked = sorted((_ticket(seed, "draw", document_id), document_id) for document_id in set(ids))
    return tuple(document_id for _, document_id in ranked[: max(0, k)])


def blind_order(document_id: str, seed: int) -> Order:
    """The method shown first in a blind review; the same for every reviewer of the sample."""
    return ("llm", "frequency") if _ticket(seed, "blind", document_id)[0] % 2 else ("frequency", "llm")


def _ticket(seed: int, use: str, document_id: str) -> bytes:
    text = f"{seed}\0{use}\0{document_id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()
