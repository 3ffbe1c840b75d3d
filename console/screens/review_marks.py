"""What a reviewer marks on the two lists of a document, until it is sent."""

from __future__ import annotations

from engine.quality.compare import WANTED
from engine.quality.review import Flaw, Sample, SampledDocument, Side, StoredJudgement

SIDES: tuple[Side, Side] = ("first", "second")
Flaws = dict[Side, set[Flaw]]


class UnsentMarks:
    """Of the document that is open; unsent ones of other documents are kept while the console runs."""

    def __init__(self) -> None:
        self._open = (0, "")  # sample and document, as everywhere here
        self._flaws: Flaws = {}
        self._kept: dict[tuple[int, str], Flaws] = {}
        self._sent: set[tuple[int, str]] = set()  # the store may not show them yet

    def open(self, sample: Sample, shown: SampledDocument, known: StoredJudgement | None) -> None:
        """Begin with the marks given earlier, else with what the machine can count."""
        self._open = (sample.id, shown.document)
        if self._open in self._kept:
            self._flaws = self._kept[self._open]
        elif known is not None:
            self._flaws = {side: set(known.marks.flaws.get(side, ())) for side in SIDES}
        else:
            few_or_many = {side: not WANTED[0] <= len(shown.side(side)) <= WANTED[1] for side in SIDES}
            self._flaws = {side: {"count"} if few_or_many[side] else set() for side in SIDES}

    def are_of(self, sample: Sample, document: str) -> bool:
        """False until this document is read: the marks belong to another one."""
        return self._open == (sample.id, document)

    def of(self, side: Side) -> set[Flaw]:
        return self._flaws.get(side, set())

    def turn(self, side: Side, flaw: Flaw) -> None:
        self._flaws.setdefault(side, set()).symmetric_difference_update({flaw})
        self._kept[self._open] = self._flaws

    def differ_from(self, known: StoredJudgement) -> bool:
        return any(set(known.marks.flaws.get(side, ())) != flaws for side, flaws in self._flaws.items())

    def sent(self, sample: Sample, document: str) -> None:
        self._kept.pop((sample.id, document), None)
        self._sent.add((sample.id, document))

    def sent_of(self, sample: Sample) -> set[str]:
        """Documents judged here."""
        return {document for number, document in self._sent if number == sample.id}
