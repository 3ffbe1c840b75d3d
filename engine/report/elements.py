"""HTML and SVG as trees: no markup is written manually, so every text and attribute is escaped."""

from __future__ import annotations

from xml.etree import ElementTree as ET

Element = ET.Element
Child = Element | str | None


def el(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """An element. `class_` is `class`, `stroke_width` is `stroke-width`; None attributes are left out."""
    made = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            text = value if isinstance(value, str) else f"{value:.6g}"
            made.set(name.rstrip("_").replace("_", "-") if name != "viewBox" else name, text)
    for child in children:
        add(made, child)
    return made


def add(parent: Element, child: Child) -> None:
    """Append an element, or text at the end."""
    if child is None:
        return
    if isinstance(child, str):
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + child
        else:
            parent.text = (parent.text or "") + child
    else:
        parent.append(child)


def page(root: Element) -> str:
    """The whole document as text. HTML does not escape style sheets; ours is a file of the product."""
    return "<!DOCTYPE html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"
