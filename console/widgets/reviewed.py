"""The joint result of a sample's reviewers: progress, verdict, agreement."""

from __future__ import annotations

from console.widgets import blocks
from console.widgets.blocks import Area, below
from console.widgets.canvas import Canvas, Span, wrapped
from engine.quality.review import Flaw, Sample, Summary

FLAW_KEYS: tuple[tuple[str, Flaw, str, str], ...] = (
    ("r", "relevant", "relevant", "not relevant"),
    ("i", "grounded", "nothing invented", "something invented"),
    ("n", "count", "right number", "wrong number"),
)


MARKS = {"winner": "which is better", "relevant": "relevance", "grounded": "invention", "count": "number"}


def together(c: Canvas, area: Area, sample: Sample, summary: Summary, done: bool) -> None:
    """`done`: this reviewer has judged all; a blind sample hides the methods until then."""
    many = len(sample.documents)
    title = f"sample of {many}, seed {sample.seed}, {'blind' if sample.blind else 'open'}"
    rows = max(1, len(summary.reviewers)) + blocks.frame_rows(c)
    inner = blocks.panel(c, Area(area.x, area.y, area.width, min(rows, area.height)), title)
    for row, (name, count) in enumerate(sorted(summary.reviewers.items())[: inner.height]):
        c.put(inner.x, inner.y + row, name, "text", 20)
        blocks.meter(c, inner.x + 21, inner.y + row, 20, count / many, "accent")
        c.put(inner.x + 42, inner.y + row, f"{count}/{many}", "dim")
    if not summary.reviewers:
        c.put(inner.x, inner.y, "No judgements yet.", "dim")
    area = below(area, rows)
    if sample.blind and not done:
        note = (
            "Once you have judged all documents, this shows which method made which list, and the others' judgements."
        )
        c.block(area.x, area.y, area.width, 3, note, "dim")
        return
    lines: list[Span] = [(summary.verdict.sentence, "strong")]
    if summary.winners:
        won = summary.winners
        better = (
            f"LLM better {won.get('llm', 0)}, frequency better {won.get('frequency', 0)}, equal {won.get('same', 0)}. "
        )
        lines.append(
            (better + ", ".join(f"{summary.flaws[flaw]} {bad}" for _, flaw, _, bad in FLAW_KEYS) + ".", "text")
        )
    area = _sentences(c, area, "answers", lines)
    agreed: list[Span] = [(summary.agreement.sentence, "text")]
    agreed += [(f"{MARKS[name]}: {mark.sentence}", "dim") for name, mark in summary.by_mark.items() if mark.documents]
    _sentences(c, area, "agreement", agreed)


def _sentences(c: Canvas, area: Area, title: str, lines: list[Span]) -> Area:
    """A panel of sentences, at most two rows each. Returns the area below it."""
    frame = blocks.frame_rows(c)
    width = area.width - (4 if frame == 2 else 0)
    rows = min(area.height, frame + sum(min(2, len(wrapped(text, width))) for text, _ in lines))
    if rows <= frame:
        return area
    inner = blocks.panel(c, Area(area.x, area.y, area.width, rows), title)
    used = 0
    for text, style in lines:
        if used < inner.height:
            used += c.block(inner.x, inner.y + used, inner.width, min(2, inner.height - used), text, style)
    return below(area, rows)
