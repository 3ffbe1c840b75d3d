"""Loads what the engine would otherwise load with the first request that needs it: an upgrade that replaces the
program's files must not break a running engine.

scipy and the exporters of OpenTelemetry are not among them. They take 64 MB and seconds, and an upgrade of the product
rarely replaces them.
"""

from __future__ import annotations

import asyncio
import importlib

AFTER_S = 5.0  # a start, and a rollback right after it, have the machine to themselves
PAUSE_S = 0.05  # between two modules, for the loop
MODULES = (
    "engine.client.connection", "engine.extraction.frequency", "engine.extraction.llm.transport",
    "engine.parsing.asciidoc", "engine.parsing.encoding", "engine.parsing.mail", "engine.parsing.page",
    "engine.server.openapi", "engine.server.page", "engine.service.checks", "engine.gameday.results",
    "engine.store.holders", "charset_normalizer", "json_repair", "prometheus_client.core", "selectolax.lexbor",
)  # fmt: skip


async def load(after_s: float = AFTER_S) -> None:
    await asyncio.sleep(after_s)
    for name in MODULES:
        await asyncio.to_thread(importlib.import_module, name)
        await asyncio.sleep(PAUSE_S)
