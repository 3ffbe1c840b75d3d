"""Which arm a document belongs to: a documented, stable hash of its id, so that every engine on every host draws the
same.

``bucket = blake2b(salt \\0 id, 8 bytes, big-endian) mod 10000``; the LLM arm is ``bucket < percent_bp``. Raising the
percentage therefore never moves a document out of the LLM arm, lowering it removes the last ones added, and a restart
changes no assignment. The hash is of the id, not the content: an edited document keeps its arm.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

BUCKETS = 10_000


def bucket(salt: str, document_id: str) -> int:
    """The document's bucket, 0..9999."""
    digest = blake2b(f"{salt}\0{document_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def arm(salt: str, document_id: str, percent_bp: int) -> Literal["treatment", "control"]:
    """A document's arm at a percentage, in basis points."""
    return arm_of(bucket(salt, document_id), percent_bp)


def arm_of(bucket: int, percent_bp: int) -> Literal["treatment", "control"]:
    return "treatment" if bucket < percent_bp else "control"


def in_shadow(salt: str, document_id: str, shadow_bp: int) -> bool:
    """A draw independent of the arm's, so that shadow documents are a fair sample of both."""
    return bucket(salt + "/shadow", document_id) < shadow_bp
