"""Which documents are accepted, and the ways of refusing one."""

from __future__ import annotations

from engine.parsing.damage import mended
from engine.text import as_seen, clean_block, clean_line, normal, unfit_id

ID_LIMIT = 512
TEXT_LIMIT = 10_000_000


class Busy(Exception):
    """Too much bulk work is queued. Has a sentence and a retry time."""

    def __init__(self, sentence: str, after_s: float) -> None:
        super().__init__(sentence)
        self.after_s = after_s


class Refused(Exception):
    """A document that cannot be accepted, or a method that may not be used now. The message is a sentence."""


class LlmBarred(Refused):
    """The document asks for the LLM, which may not be called now; later it may."""


class Unusable(Refused):
    """A document that cannot be accepted as it is, because of its id or its text."""


def check(document_id: str, text: str) -> None:
    """Unusable for an id or a text that cannot be accepted."""
    if unfit := unfit_id(document_id, ID_LIMIT):
        raise Unusable(
            f"A document's id is one line of visible text, and {clean_line(document_id, 60)!r} is not: {unfit}. "
            "Nothing was stored; send it under another id."
        )
    if len(text) > TEXT_LIMIT:
        raise Unusable(f"The document has {len(text):,} characters; the limit is {TEXT_LIMIT:,}. Split it.")


def admitted(text: str) -> str:
    """A document's text as it is stored and as both methods read it."""
    return clean_block(normal(as_seen(mended(text))), TEXT_LIMIT)
