"""The text of a document whose store keeps no texts but where they are: read there, and taken only if it is still the
same text."""

from __future__ import annotations

from console.upload import sources
from engine.routing.admission import admitted
from engine.store.documents import Document
from engine.text import clean_line, digest

NOT_KEPT = "The text is not kept."


def text_of(document: Document) -> tuple[str, str]:
    """(text, "") or ("", why there is none, as a sentence)."""
    if document.text:
        return document.text, ""
    place = document.source
    if place is None:
        return "", NOT_KEPT
    span = (place.start, place.end, place.line) if place.end else None
    trouble = ""
    for source in sources.documents(place.uri, span=span):
        text = admitted(source.text)
        if text and digest(text) == document.digest:
            return text, ""
        if source.id == place.uri:  # the file's; that of a row says that another text is there now
            trouble = trouble or source.trouble
    where = clean_line(place.uri, 300)
    if trouble:
        return "", f"The text is at {where}, which cannot be read: {clean_line(trouble, 300)}."
    return "", f"The text was at {where}, which has changed since."
