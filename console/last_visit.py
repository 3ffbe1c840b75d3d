"""Remembers when this person last visited a store, in a file next to the theme.

A path does not identify a store: one created there again, or a rehearsal on its own calendar, begins with another
first decision.
"""

from __future__ import annotations

from console import themes
from console.link import Link
from engine.store import log
from engine.store.folder import StoreError


def recall(link: Link) -> float:
    """The last visit in the engine's epoch seconds; 0 if this person never visited this store."""
    began, _, looked = themes.recall(_key(link)).partition(" ")
    if not looked or began != _began(link):
        return 0.0
    try:
        return float(looked)
    except ValueError:
        return 0.0


def remember(link: Link, at: float) -> None:
    began = _began(link)
    if began:
        themes.remember(_key(link), f"{began} {at}")


def _key(link: Link) -> str:
    return f"seen {link.folder.path.resolve()}"


def _began(link: Link) -> str:
    """The time of the store's first decision, which no other store shares; "" if it can't be read or has none."""
    try:
        return str(link.reader.read(log.first_at) or "")
    except StoreError:
        return ""
