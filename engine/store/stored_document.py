"""A stored document as people and programs get it: from the HTTP API and from `rollout documents show`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from engine.plan.durations import iso
from engine.store.documents import Document


class StoredDocument(Struct, frozen=True):
    """A stored document, with the keywords of both methods."""

    id: str
    title: str
    arm: str
    method: Annotated[str, Meta(description="The method whose keywords are served now.")]
    keywords: tuple[str, ...]
    technical: tuple[str, ...]
    frequency: tuple[str, ...]
    llm: tuple[str, ...] | None
    shadow: tuple[str, ...] | None
    updated: str
    llm_at: str | None
    llm_stage: int | None
    restored: bool
    text: str | msgspec.UnsetType = msgspec.UNSET


def stored_document(d: Document, text: str | msgspec.UnsetType = msgspec.UNSET) -> StoredDocument:
    """`text` only where it was asked for."""
    return StoredDocument(
        id=d.id,
        title=d.title,
        arm=d.arm,
        method=d.method,
        keywords=d.keywords,
        technical=d.technical,
        frequency=d.frequency,
        llm=d.llm,
        shadow=d.shadow,
        updated=iso(d.updated),
        llm_at=None if d.llm_at is None else iso(d.llm_at),
        llm_stage=d.llm_stage,
        restored=d.restored,
        text=text,
    )
