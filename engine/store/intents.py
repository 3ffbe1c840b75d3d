"""A rollback left as a file, for an engine that does not answer."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine import files
from engine.decoding import UNREADABLE, decode
from engine.text import clean_line

INTENT_BYTES = 64 * 1024


class Intent(msgspec.Struct, frozen=True):
    """A rollback that could not reach the engine; applied before anything else when it starts."""

    request_id: str
    at: float
    actor: dict[str, object]
    reason: str
    seen: str = ""
    pressed: float | None = None  # when R was pressed, on the machine's monotonic clock
    to_stage: int | None = None  # the requested stage; if the engine does not answer, 0 % applies regardless
    target_bp: int = 0  # set by an engine for its own rollback, in force and not yet recorded
    owner: int = -1  # uid that owns the file, whatever its content says; -1 if unknown


def read(path: Path) -> Intent:
    """An unreadable file still counts: it asks for 0 %, and its name gives the request id."""
    request = clean_line(path.name.removeprefix("rollback-").removesuffix(".intent"), 64)
    try:
        kept = files.read(path, INTENT_BYTES)
        return replace(decode(kept.content, Intent), request_id=request, owner=kept.owner)
    except (OSError, *UNREADABLE):
        return Intent(request, 0.0, {"name": "unknown"}, "a rollback intent that could not be read")
