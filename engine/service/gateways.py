"""The engine's side of gateways: documents that clients sent to another process, just now.

They are live evidence: each reaches the triggers as it arrives, before it is stored. A document is answered there once
it is committed here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.service.jobs import JobHost, NoJob, by_frequency, is_sound
from engine.service.seen_batches import SeenBatches
from engine.store import gateways
from engine.trial import ledger
from engine.worker.messages import DocumentBatch, DocumentReceipt, ExtractedDocument

if TYPE_CHECKING:
    import sqlite3


class GatewayDesk:
    def __init__(self, engine: JobHost) -> None:
        self._engine = engine
        self._seen = SeenBatches()

    async def take(self, batch: DocumentBatch) -> DocumentReceipt:
        """Store a gateway's documents and show its attempts to the triggers; returns when they are committed. NoJob for
        what no gateway of this version sends."""
        engine = self._engine
        now, permit = engine.clock.now(), engine.switch.read()
        items = [self._stamped(item, now) for item in batch.items]
        if self._seen.is_new(batch.worker, batch.number):
            for item in items:
                engine.monitor.observations.add(item.record, here=False, starved=item.starved)
        overtaken = []
        for place, item in enumerate(items):
            record, document = by_frequency(item.record, item.document, item.asked, permit, engine.plan.salt)
            if document is not item.document:
                overtaken.append(place)
                items[place] = replace(item, record=record, document=document)
        records = [item.record for item in items]
        written = [item.document for item in items if item.document is not None]

        def change(conn: sqlite3.Connection) -> None:
            if gateways.keep(conn, batch.worker, batch.number, now, records, written):
                ledger.fold(conn, records)

        await asyncio.wrap_future(engine.writer.bulk(change))
        return DocumentReceipt(tuple(overtaken))

    @staticmethod
    def _stamped(item: ExtractedDocument, now: float) -> ExtractedDocument:
        """Stamp ages with times of the engine's clock."""
        if not is_sound(item.record, item.document):
            raise NoJob("document", "A gateway's document cannot be stored: its id, its text or a figure is invalid.")
        at, document = now - item.age_s, item.document
        return replace(
            item,
            record=replace(item.record, at=at, backfill=False),
            document=None if document is None else replace(document, at=at),
        )
