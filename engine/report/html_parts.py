"""What the report's HTML sections are made of: headings, times, tables, captioned drawings."""

from __future__ import annotations

from collections.abc import Sequence

from engine.plan.durations import iso
from engine.report.elements import Child, Element, el
from engine.report.timeline import moment_of

SHORT = 10  # rows: such a table is not cut where a printed page ends
Content = list[Child]


def tile(name: str, value: Child, evidence: str = "") -> Element:
    """A figure with its evidence, in a list of figures."""
    small = el("small", evidence.replace(" %", "\u00a0%")) if evidence else None
    return el("div", el("dt", name), el("dd", value, small))


def when(at: float, seconds: bool = False) -> Element:
    return el("time", moment_of(at, seconds), datetime=iso(at))


def table(caption: str, head: Sequence[Child], rows: Sequence[Sequence[Child]]) -> Element:
    """The first cell of a row is its header. On narrow pages the table scrolls."""
    body = [
        el("tr", *(el("th", cell, scope="row") if not at else el("td", cell) for at, cell in enumerate(row)))
        for row in rows
    ]
    made = el(
        "table",
        el("caption", caption),
        el("thead", el("tr", *(el("th", cell, scope="col") for cell in head))),
        el("tbody", *body),
        class_="short" if len(rows) <= SHORT else "long",
    )
    return scrolling(made, caption)


def figure_of(title: str, about: str, drawing: Element) -> Element:
    return el("figure", el("figcaption", el("b", title), f" {about}"), scrolling(drawing, title, "drawing"))


def scrolling(wide: Element, name: str, kind: str = "") -> Element:
    """What keeps its width on a narrow page, and scrolls there, by keyboard too."""
    return el("div", wide, class_=f"scroll {kind}".strip(), tabindex="0", role="region", aria_label=name)
