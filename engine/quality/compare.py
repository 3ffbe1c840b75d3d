"""Compares two exports: number of keywords, how many the documents support, how much the methods agree.

An export is a JSON list of `{"file", "id", "keywords", "text"?}`. Keywords are compared by stem: "keyword extraction"
and "extracting keywords" are one. Grounding needs the text; without it, it is unknown, not 100 %.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from engine.decoding import UNREADABLE, json_decoder
from engine.experiment.effects import Interval, fixed_interval, single, wilson
from engine.experiment.moments import Counts, Moments
from engine.extraction.grounding import Ground
from engine.extraction.keywords import stem_phrase
from engine.text import clean_line, rate_percent

WANTED = (10, 15)  # the rollout plan's appropriate number of keywords per document
_EXAMPLES = 5


class ExportRow(Struct, frozen=True):
    """One exported document; other fields of the export are ignored."""

    keywords: tuple[str, ...]
    id: str | int = ""
    file: str = ""
    text: str = ""

    @property
    def key(self) -> str:
        """The document's id, or else its file: what documents are matched by."""
        return str(self.id) or self.file


class KeywordStats(Struct, frozen=True):
    """One method's keywords for a document. `duplicates`: same stem as another; `ungrounded`: None without a text."""

    count: int
    duplicates: int
    grounded: float | None
    ungrounded: tuple[str, ...] | None


class DocumentComparison(Struct, frozen=True):
    """A document in either export. `overlap` is shared / all, by stem (Jaccard); None unless it is in both."""

    id: str
    file: str
    llm: KeywordStats | None
    frequency: KeywordStats | None
    shared: tuple[str, ...]
    only_llm: tuple[str, ...]
    only_frequency: tuple[str, ...]
    overlap: float | None


class MethodSummary(Struct, frozen=True):
    """`grounded` and `in_range` with 95 % intervals (Wilson); `in_range`: documents with 10 to 15 keywords."""

    documents: int
    keywords: int
    mean_count: float | None
    in_range: Interval | None
    grounded: Interval | None
    duplicates: int
    vocabulary: int  # distinct keywords over all documents, by stem


class Example(Struct, frozen=True):
    kind: Literal["most alike", "least alike", "ungrounded"]
    id: str
    file: str
    llm: tuple[str, ...]
    frequency: tuple[str, ...]


class Overall(Struct, frozen=True):
    """`overlap` and `count_difference` (LLM - frequency): means over documents in both exports, with 95 % intervals."""

    both: int
    llm: MethodSummary
    frequency: MethodSummary
    overlap: Interval | None
    count_difference: Interval | None
    sentence: str


class Comparison(Struct, frozen=True):
    overall: Overall
    documents: tuple[DocumentComparison, ...]
    examples: tuple[Example, ...]
    notes: tuple[str, ...]


_rows = json_decoder(list[ExportRow], strict=False)


def read_rows(body: bytes, name: str) -> tuple[ExportRow, ...]:
    """The rows of an export; `name` is the file's, for the error. ValueError is a sentence."""
    try:
        return tuple(_rows.decode(body))
    except UNREADABLE as error:
        raise ValueError(
            f"{name} is not an export ({error}); write one with `rollout export --method llm --output {name}`."
        ) from None


class ComparedDocument(Struct, frozen=True):
    """A document in the store: both methods' keywords (`llm` None if it has none) and the text."""

    llm: tuple[str, ...] | None
    frequency: tuple[str, ...]
    text: str


def complete(
    llm: Sequence[ExportRow], frequency: Sequence[ExportRow], kept: Mapping[str, ComparedDocument]
) -> tuple[tuple[ExportRow, ...], tuple[ExportRow, ...], tuple[str, ...]]:
    """Both exports, completed from the store: missing texts, and the other method's keywords for documents in only one.

    The plan's two exports contain different documents, so their keywords cannot be compared; the store has both. The
    notes list what was added.
    """
    by_llm, by_frequency = _index(llm), _index(frequency)
    notes = []
    more_llm = [
        ExportRow(known.llm, key, row.file, known.text)
        for key, row in by_frequency.items()
        if key not in by_llm and (known := kept.get(key)) is not None and known.llm is not None
    ]
    more_frequency = [
        ExportRow(known.frequency, key, row.file, known.text)
        for key, row in by_llm.items()
        if key not in by_frequency and (known := kept.get(key)) is not None
    ]
    if more_llm or more_frequency:
        notes.append(
            f"Added from the store: frequency keywords for {len(more_frequency)} documents and LLM keywords for "
            f"{len(more_llm)}."
        )
    texts = sum(_has_more_text(row, kept) for row in (*by_llm.values(), *by_frequency.values()))
    if texts:
        notes.append(f"Added from the store: the text of {texts} rows without one, to check their keywords against.")
    completed_llm = (*(_with_text(row, kept) for row in by_llm.values()), *more_llm)
    completed_frequency = (*(_with_text(row, kept) for row in by_frequency.values()), *more_frequency)
    return completed_llm, completed_frequency, tuple(notes)


def _has_more_text(row: ExportRow, kept: Mapping[str, ComparedDocument]) -> bool:
    """Whether the store has the text that this row lacks."""
    known = kept.get(row.key)
    return not row.text and known is not None and bool(known.text)


def _with_text(row: ExportRow, kept: Mapping[str, ComparedDocument]) -> ExportRow:
    return replace(row, text=kept[row.key].text) if _has_more_text(row, kept) else row


def compare(
    llm: Iterable[ExportRow],
    frequency: Iterable[ExportRow],
    notes: Sequence[str] = (),
    each: Callable[[Collection[str]], Iterable[str]] = iter,
) -> Comparison:
    """Compare two exports. If a document occurs twice in one, the first row counts. All text in the result is
    printable. `each` gives the documents' keys one by one, and may show how far it is.
    """
    sides = _index(llm), _index(frequency)
    documents, stems = [], (set[str](), set[str]())
    for key in each(dict.fromkeys([*sides[0], *sides[1]])):
        first, second = sides[0].get(key), sides[1].get(key)
        document, folded = _document(key, first, second)
        documents.append(document)
        for seen, more in zip(stems, folded, strict=True):
            seen.update(more)
    summaries = (
        _summary([document.llm for document in documents if document.llm], len(stems[0])),
        _summary([document.frequency for document in documents if document.frequency], len(stems[1])),
    )
    both = [document for document in documents if document.llm and document.frequency]
    overlap = _mean([document.overlap for document in both if document.overlap is not None])
    counts = _mean([d.llm.count - d.frequency.count for d in both if d.llm and d.frequency])
    sentence = _sentence(len(both), summaries, overlap)
    overall = Overall(len(both), summaries[0], summaries[1], overlap, counts, sentence)
    return Comparison(overall, tuple(documents), _examples(documents), (*notes, *_notes(documents, both, sides)))


def _index(rows: Iterable[ExportRow]) -> dict[str, ExportRow]:
    by_key: dict[str, ExportRow] = {}
    for row in rows:
        by_key.setdefault(row.key, row)
    return by_key


def _fold(row: ExportRow | None) -> dict[str, str]:
    """Stem -> keyword as shown; a keyword without letters or digits is its own stem."""
    folded: dict[str, str] = {}
    for shown in _shown(row):
        folded.setdefault(stem_phrase(shown) or shown, shown)
    return folded


def _shown(row: ExportRow | None) -> list[str]:
    """The row's keywords, printable, without blank ones."""
    cleaned = (clean_line(keyword, 80) for keyword in (row.keywords if row is not None else ()))
    return [keyword for keyword in cleaned if keyword]


def _document(
    key: str, first: ExportRow | None, second: ExportRow | None
) -> tuple[DocumentComparison, tuple[Iterable[str], Iterable[str]]]:
    text = (first.text if first is not None else "") or (second.text if second is not None else "")
    ground = Ground(text) if text else None
    a, b = _fold(first), _fold(second)
    every = len(a.keys() | b.keys())
    row = first or second
    comparison = DocumentComparison(
        id=clean_line(key, 200),
        file=clean_line(row.file if row is not None else "", 200),
        llm=_keywords(first, a, ground),
        frequency=_keywords(second, b, ground),
        shared=tuple(shown for stem, shown in a.items() if stem in b),
        only_llm=tuple(shown for stem, shown in a.items() if stem not in b) if second is not None else (),
        only_frequency=tuple(shown for stem, shown in b.items() if stem not in a) if first is not None else (),
        overlap=len(a.keys() & b.keys()) / every if first is not None and second is not None and every else None,
    )
    return comparison, (a, b)


def _keywords(row: ExportRow | None, folded: dict[str, str], ground: Ground | None) -> KeywordStats | None:
    if row is None:
        return None
    count = len(_shown(row))
    if ground is None or not folded:
        return KeywordStats(count, count - len(folded), None, None if ground is None else ())
    ungrounded = tuple(shown for shown in folded.values() if not ground.supports(shown))
    return KeywordStats(count, count - len(folded), 1.0 - len(ungrounded) / len(folded), ungrounded)


def _summary(documents: Sequence[KeywordStats], vocabulary: int) -> MethodSummary:
    counts = Moments.of(document.count for document in documents)
    in_range = sum(WANTED[0] <= document.count <= WANTED[1] for document in documents)
    checked = [document for document in documents if document.ungrounded is not None]
    distinct = sum(document.count - document.duplicates for document in checked)
    ungrounded = sum(len(document.ungrounded or ()) for document in checked)
    return MethodSummary(
        len(documents),
        sum(document.count for document in documents),
        counts.mean,
        wilson(Counts(len(documents), in_range)),
        wilson(Counts(distinct, distinct - ungrounded)),
        sum(document.duplicates for document in documents),
        vocabulary,
    )


def _mean(values: Sequence[float]) -> Interval | None:
    moments = Moments.of(values)
    if moments.mean is None:
        return None
    of = single(moments)
    return Interval(moments.mean, None, None) if of is None else fixed_interval(of)


def _examples(documents: Sequence[DocumentComparison]) -> tuple[Example, ...]:
    """A few telling documents: most and least agreement, and made-up keywords."""
    alike = sorted((d for d in documents if d.overlap is not None), key=lambda d: (-(d.overlap or 0.0), d.id))
    half = len(alike) // 2
    picked: list[tuple[Literal["most alike", "least alike", "ungrounded"], DocumentComparison]] = []
    picked += [("most alike", document) for document in alike[: min(_EXAMPLES, len(alike) - half)]]
    picked += [("least alike", document) for document in alike[::-1][: min(_EXAMPLES, half)]]
    made_up = [d for d in documents if (d.llm and d.llm.ungrounded) or (d.frequency and d.frequency.ungrounded)]
    worst = sorted(made_up, key=lambda d: (-len((d.llm and d.llm.ungrounded) or ()), d.id))
    examples = [Example(kind, d.id, d.file, d.shared + d.only_llm, d.shared + d.only_frequency) for kind, d in picked]
    for d in worst[:_EXAMPLES]:
        llm, frequency = (side.ungrounded or () if side else () for side in (d.llm, d.frequency))
        examples.append(Example("ungrounded", d.id, d.file, llm, frequency))
    return tuple(examples)


def _notes(
    documents: Sequence[DocumentComparison],
    both: Sequence[DocumentComparison],
    sides: tuple[dict[str, ExportRow], dict[str, ExportRow]],
) -> tuple[str, ...]:
    notes = []
    if documents and not both:
        notes.append("No document is in both exports, so overlap is unknown; the counts compare different documents.")
    elif len(both) < len(documents):
        notes.append(f"{len(documents) - len(both)} of {len(documents)} documents are in one export only.")
    bare = sum(1 for key in dict.fromkeys([*sides[0], *sides[1]]) if not any(s[key].text for s in sides if key in s))
    if bare:
        notes.append(f"{bare} of {len(documents)} documents have no text, so their grounding is unknown.")
    return tuple(notes)


def _sentence(both: int, summaries: tuple[MethodSummary, MethodSummary], overlap: Interval | None) -> str:
    def shown(summary: MethodSummary) -> str:
        if summary.mean_count is None:
            return "no documents"
        ground = "" if summary.grounded is None else f", {rate_percent(summary.grounded.estimate, 0)} grounded"
        return f"{summary.mean_count:.1f} keywords per document{ground}"

    alike = "" if overlap is None else f" {rate_percent(overlap.estimate, 0)} of keywords agree in {both} documents."
    return f"LLM: {shown(summaries[0])}. Frequency: {shown(summaries[1])}.{alike}"
