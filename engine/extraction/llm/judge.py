"""Which parts of a model's answer may be used: judged against its piece of the document, merged over the pieces, within
the plan's limits.

Pure. A model's output stays untrusted until `judge` has checked it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from engine.extraction import chunks, grounding
from engine.extraction.keywords import Keywords, stem_phrase
from engine.extraction.llm import answer, placeholders
from engine.extraction.llm.failure import ErrorKind, Fault
from engine.extraction.llm.proposal import Proposal
from engine.extraction.llm.protocol import ModelReply
from engine.extraction.llm.surface import Surface
from engine.extraction.words import TECHNOLOGIES, TECHNOLOGIES_BY_NAME
from engine.plan.model import Llm

SALVAGE_LEAST = 3  # keywords from a truncated answer that still make it usable
ENOUGH = 10  # keywords in a truncated answer for which a second call is not worthwhile: the plan asks for 10 to 15

_IDENTIFIER = re.compile(r"[\d_/\\.:@#+]|[a-z][A-Z]|^-|^[A-Z]{2,}s?$|\b[A-Z]{2,}\b")


class PieceEvidence:
    """One piece of a document as evidence: what it supports and how it spells it."""

    def __init__(self, piece: str) -> None:
        self.ground = grounding.Ground(piece)
        self.surface = Surface(piece, self.ground.supports)


@dataclass(frozen=True, slots=True)
class PieceKeywords:
    """Grounded keywords of one piece, best first; `dropped` of the `proposed` keywords were not grounded. `flaw`:
    what is wrong with the answer."""

    descriptive: tuple[str, ...]
    technical: tuple[str, ...]
    proposed: int
    dropped: int
    flaw: Fault | None
    salvaged: bool = False  # taken from a truncated answer

    @property
    def salvageable(self) -> bool:
        return len(self.descriptive) + len(self.technical) >= SALVAGE_LEAST


def judge(reply: ModelReply, evidence: PieceEvidence) -> PieceKeywords:
    """The keywords of an answer that its piece of the document supports, or what is wrong with the answer."""
    proposal = answer.parse(reply.text)
    descriptive, technical = map(placeholders.without, (proposal.descriptive, proposal.technical))
    surfaced = evidence.surface.read(descriptive), evidence.surface.read(technical)
    grounded = [grounding.ground(one.items, evidence.ground) for one in surfaced]
    kept = sum(len(one.kept) for one in grounded)
    dropped = sum(one.dropped for one in grounded)
    supported = grounded[0].kept, grounded[1].kept
    if not technical:  # one list without a name for either half
        supported = _halves(grounded[0].kept)
    cut = proposal.cut or (reply.kind is not None and not proposal.whole)
    flaw: Fault | None = None
    if cut and kept >= ENOUGH:
        pass
    elif kept and cut:
        flaw = Fault(reply.kind or ErrorKind.cut, reply.flaw or proposal.flaw)
    elif not kept:
        flaw = _useless(reply, proposal, [item for one in surfaced for item in one.items], dropped)
    if flaw is not None:
        flaw.answer = answer.opening(reply.text)
    return PieceKeywords(
        descriptive=supported[0],
        technical=supported[1],
        proposed=kept + dropped,
        dropped=dropped,
        flaw=flaw,
        salvaged=cut,
    )


def _useless(reply: ModelReply, proposal: Proposal, items: Sequence[str], dropped: int) -> Fault:
    """Why an answer contains no usable keyword."""
    begins = answer.first_words(reply.text)
    if not reply.text.strip() and reply.thought:
        why = f"the answer is empty; the model spent it on thinking{_because(reply)}"
        return Fault(ErrorKind.thinking, why)
    if reply.kind is not None and reply.kind is not ErrorKind.cut:
        return Fault(reply.kind, reply.flaw + (f"; it begins {begins}" if reply.text.strip() else ""))
    if proposal.kind is not None:
        return Fault(proposal.kind, proposal.flaw + _because(reply))
    if placeholders.all_of(proposal.descriptive + proposal.technical):
        return Fault(
            ErrorKind.placeholder, f"the model repeats the prompt's form instead of keywords; it begins {begins}"
        )
    if dropped:
        some = ", ".join(f'"{item}"' for item in items[:3])
        return Fault(ErrorKind.ungrounded, f"the document supports none of the {dropped} keywords proposed: {some}")
    if proposal.count or proposal.strange:
        return Fault(ErrorKind.unfit, f"nothing in the answer is a keyword; it begins {begins}")
    return Fault(ErrorKind.no_keywords, f"the answer has no keyword; it begins {begins}")


def _because(reply: ModelReply) -> str:
    return f"; {reply.flaw}" if reply.flaw else ""


def _halves(keywords: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split one list into descriptive and technical keywords: an identifier or a known name is technical."""
    technical = tuple(
        k
        for k in keywords
        if _IDENTIFIER.search(k) or k.casefold() in TECHNOLOGIES or k.casefold() in TECHNOLOGIES_BY_NAME
    )
    return tuple(k for k in keywords if k not in technical), technical


def merged(pieces: Sequence[PieceKeywords], config: Llm) -> Keywords:
    """Merge the pieces and both lists into one ranking, each spread evenly over it; a keyword in both lists counts as
    technical.

    Otherwise a document about ideas would list its second name before its third idea.
    """
    technical = chunks.merge([piece.technical for piece in pieces], stem_phrase)[: config.max_technical]
    named = {stem_phrase(keyword) for keyword in technical}
    descriptive = chunks.merge([piece.descriptive for piece in pieces], stem_phrase)
    descriptive = [keyword for keyword in descriptive if stem_phrase(keyword) not in named][: config.max_descriptive]
    placed = [((i + 0.5) / len(some), keyword) for some in (descriptive, technical) for i, keyword in enumerate(some)]
    ranked = [keyword for _, keyword in sorted(placed, key=itemgetter(0))][: config.max_total]
    return Keywords(tuple(ranked), tuple(keyword for keyword in technical if keyword in ranked))
