"""The review screen before a sample is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from console.widgets import blocks, checklist, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, Span
from engine.plan.model import Sampling
from engine.store.documents import Document
from engine.view.model import View


def unreviewed(
    c: Canvas, area: Area, v: View, sampling: Sampling | None, latest: Sequence[Document], acts: bool
) -> None:
    """What a review asks, how to draw a sample, search quality and the documents that samples come from. `acts`: this
    console's keys act."""
    size = sampling.documents if sampling else 20
    looks = sampling.look_for if sampling else ()
    if c.width >= blocks.BOXED:
        read, measured = blocks.beside(area._replace(height=min(area.height, 8 + len(looks))), (1, 1))
    else:
        read, measured = blocks.stack(area, (6 + len(looks), 0))
    inner = blocks.panel(c, read, "quality review", "no sample drawn in this stage", "dim")
    texts = [
        ("Two lists of keywords beside their document: which one is better, and is a list flawed?", "text"),
        *((f"· {look}", "dim") for look in looks),
        *_how_to_draw(size, acts),
        (f"So far: {v.judged.get('quality_score', 'nothing reviewed in this stage')}.", "strong"),
    ]
    checklist.paragraphs(c, inner, texts)
    _search(c, v, measured, acts)
    if c.width >= blocks.BOXED:
        _drawn_from(c, v, blocks.below(area, read.height), latest)


def _how_to_draw(size: int, acts: bool) -> list[Span]:
    if not acts:
        return [(f"A sample has {size} recent LLM documents. A read-only console can't draw one.", "text")]
    return [
        (f"d draws {size} recent LLM documents, the same for every reviewer.", "text"),
        ("D draws a blind sample: the lists in random order, without names.", "text"),
    ]


def _drawn_from(c: Canvas, v: View, area: Area, latest: Sequence[Document]) -> None:
    """A sample's pool: the latest LLM documents, without their keywords, which would spoil a blind sample."""
    if area.height < 4:
        return
    inner = blocks.panel(c, area, "latest LLM documents: samples are drawn from these")
    if not latest:
        c.put(inner.x, inner.y, "none yet: the LLM serves documents from Canary on", "dim", inner.width)
    for row, d in enumerate(latest[: inner.height]):
        stamp = f"{words.hour(d.llm_at or d.updated, v.at):<12}"
        c.spans(inner.x, inner.y + row, [(stamp, "dim"), (d.title or d.id, "text")], inner.width)


def _search(c: Canvas, v: View, area: Area, acts: bool) -> None:
    """Search quality, which needs no reviewer: the last result, or the progress of a measurement."""
    if area.height < 3:
        return
    x, y, width, rows = blocks.panel(c, area, "search quality, measured automatically")
    measured = v.judged.get(
        "search_improvement", f"Not measured yet; runs automatically{', or now with m' if acts else ''}."
    )
    used = c.block(x, y, width, min(3, rows), measured, "strong" if "search_improvement" in v.judged else "text")
    asked = "Searches each method's keywords for titles and headings; MRR is the mean of 1 / the document's rank."
    used += c.block(x, y + used, width, max(0, min(3, rows - used - 1)), asked, "dim")
    if v.measuring is not None and used < rows:
        at = c.put(x, y + used, "measuring ", "dim")
        blocks.meter(c, at, y + used, 20, v.measuring, "accent")
