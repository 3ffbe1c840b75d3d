"""What goes to the engine and what comes back."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Method = Literal["auto", "llm", "frequency"]


class Document(Struct, frozen=True, omit_defaults=True):
    """`id` decides the arm and stays the same when the text changes."""

    id: str
    text: str
    title: str = ""
    method: Method = "auto"


class Extraction(Struct, frozen=True):
    """Keywords, stored by the engine. `fallback`: the LLM failed and these are frequency keywords. `stored`: False when
    a gateway without its engine made them."""

    id: str
    keywords: tuple[str, ...]
    descriptive: tuple[str, ...]
    technical: tuple[str, ...]
    method: str
    cached: bool = False
    fallback: bool = False
    epoch: int = 0
    ms: float = 0.0
    note: str = ""
    stored: bool = True


class Failure(Struct, frozen=True):
    """A document of a batch without keywords. `code` is for programs, `error` for people; `status` 0: no answer."""

    id: str
    status: int
    code: str
    error: str
    retry_after_s: float | None = None


class RolloutError(Exception):
    """The message is a sentence."""

    def __init__(self, sentence: str, code: str, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class Unavailable(RolloutError):
    """No keywords now: the engine is gone, late, too busy, or cannot store. The same request may succeed later."""


class Rejected(RolloutError):
    """The engine does not take this request: its id, its text, or the token. Sending it again changes nothing."""
