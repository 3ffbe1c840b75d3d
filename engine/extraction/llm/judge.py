"""What of a model's answer may be used: judged against its piece of the document, merged over the pieces, within the plan's limits.

Pure. What the model wrote stays untrusted until `judge` has seen it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.extraction import chunks, grounding
from engine.extraction.keywords import Keywords, stem_phrase
from engine.extraction.llm import answer
from engine.extraction.llm.failure import ErrorKind, Fault
from engine.extraction.llm.protocol import Reply
from engine.plan.model import Llm

SALVAGE_LEAST = 3  # keywords saved from a broken answer that make it usable after all


@dataclass(frozen=True, slots=True)
class Found:
    """Grounded keywords of one piece, best first; `dropped` of the `proposed` were not. `flaw`: what is wrong with the answer."""

    descriptive: tuple[str, ...]
    technical: tuple[str, ...]
    proposed: int
    dropped: int
    flaw: Fault | None

    @property
    def salvageable(self) -> bool:
        return len(self.descriptive) + len(self.technical) >= SALVAGE_LEAST


def judge(reply: Reply, ground: grounding.Ground) -> Found:
    proposal = answer.parse(reply.text)
    descriptive = grounding.ground(proposal.descriptive, ground)
    technical = grounding.ground(proposal.technical, ground)
    kept = len(descriptive.kept) + len(technical.kept)
    dropped = descriptive.dropped + technical.dropped
    flaw: Fault | None = None
    if not reply.text.strip():
        thought = "; the model spent it on thinking" if reply.thought else ""
        flaw = Fault(ErrorKind.empty, f"the answer is empty{thought}")
    elif reply.flaw or proposal.flaw:
        flaw = Fault(ErrorKind.invalid, reply.flaw or proposal.flaw)
    elif not kept and dropped:
        flaw = Fault(ErrorKind.ungrounded, f"the document supports none of the {dropped} keywords proposed")
    elif not kept:
        flaw = Fault(ErrorKind.empty, "the answer has no keyword")
    return Found(descriptive.kept, technical.kept, kept + dropped, dropped, flaw)


def merged(pieces: Sequence[Found], config: Llm) -> Keywords:
    """One ranking over the pieces and both lists, taken in turn; what is in both counts as technical."""
    technical = chunks.merge([piece.technical for piece in pieces], stem_phrase)[: config.max_technical]
    named = {stem_phrase(keyword) for keyword in technical}
    descriptive = chunks.merge([piece.descriptive for piece in pieces], stem_phrase)
    descriptive = [keyword for keyword in descriptive if stem_phrase(keyword) not in named][: config.max_descriptive]
    ranked: list[str] = []
    for i in range(max(len(descriptive), len(technical))):
        ranked += descriptive[i : i + 1] + technical[i : i + 1]
    ranked = ranked[: config.max_total]
    return Keywords(tuple(ranked), tuple(keyword for keyword in technical if keyword in ranked))
