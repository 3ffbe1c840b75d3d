"""The keywords that a model proposes, unchecked, and the lists they are collected in."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.extraction.llm.failure import ErrorKind
from engine.extraction.llm.surface import MOST_ITEMS


@dataclass(frozen=True, slots=True)
class Proposal:
    """A model's proposal, unchecked. `kind` and `flaw` say why it is incomplete (None and "" if it is complete);
    `strange` counts items that are not strings; `cut`: the text ends in the middle; `whole`: it is JSON with its
    closing bracket."""

    descriptive: tuple[str, ...] = ()
    technical: tuple[str, ...] = ()
    flaw: str = ""
    kind: ErrorKind | None = None
    strange: int = 0
    cut: bool = False
    whole: bool = False

    @property
    def count(self) -> int:
        return len(self.descriptive) + len(self.technical)


@dataclass(slots=True)
class KeywordLists:
    """Lists of keywords collected so far. `seen`: the answer had a place for keywords, even an empty one."""

    descriptive: list[str] = field(default_factory=list)
    technical: list[str] = field(default_factory=list)
    strange: int = 0
    seen: bool = False

    @property
    def filled(self) -> bool:
        return bool(self.descriptive or self.technical)

    def add(self, group: str, item: str) -> None:
        items = self.technical if group == "technical" else self.descriptive
        self.seen = True
        if len(items) < MOST_ITEMS and item.strip():
            items.append(item)

    def proposal(self, cut: bool = False) -> Proposal:
        return Proposal(
            descriptive=tuple(self.descriptive),
            technical=tuple(self.technical),
            flaw="the answer's JSON is cut" if cut else "",
            kind=ErrorKind.cut if cut else None,
            strange=self.strange,
            cut=cut,
            whole=not cut,
        )
