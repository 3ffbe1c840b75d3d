"""The stored record of an extraction: written once, folded into the roll-ups in the same transaction."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Arm = Literal["treatment", "control"]
SeenArm = Literal["treatment", "control", "shadow"]  # shadow: answers that were stored and not served
Method = Literal["llm", "frequency"]


class Extraction(Struct, frozen=True):
    """One document extracted once.

    `arm` is where routing put it; `method` is what served the keywords. An LLM *attempt* (`attempted`) is a document
    that asked the LLM or was rejected by an open breaker. It *failed* when `error` is set; `method` is then frequency
    (`fallback`). A document that gave up waiting for a model to load (`error` is "loading") is not an attempt. A cache
    hit is not an attempt. `ms` is what the document took: our queue and the calls where a client waits for it, the
    calls alone for bulk work (load, batch, shadow). `queue_ms` is the part of `ms` that was our queue. A `shadow`
    record holds an LLM answer that was stored and not served.
    """

    at: float
    document_id: str
    arm: Arm
    method: Method
    stage: int
    epoch: int
    attempted: bool = False
    cached: bool = False
    lookup: bool = False  # the cache was asked
    fallback: bool = False
    skipped: bool = False  # too short for the LLM
    shadow: bool = False
    error: str | None = None  # an ErrorKind of engine.extraction.llm
    message: str | None = None
    ms: float = 0.0
    queue_ms: float = 0.0
    keywords: int = 0
    proposed: int = 0  # keywords the LLM gave
    ungrounded: int = 0  # of which dropped
    server: str | None = None
    short: bool = False  # the LLM gave fewer keywords than the plan's minimum, and frequency topped them up
    answer: str | None = None  # the model's first words, of an answer that could not be used
    tries: int = 0  # calls to the LLM; 0 where none was made, and in rows of an older version
    backfill: bool = False  # from a job that does not count for a gate, a bake or the A/B test
