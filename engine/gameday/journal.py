"""A game day's own notes, next to its store: one line per moment. Everything else is read from the store."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from engine import files
from engine.decoding import decode

NAME = "gameday.jsonl"

Kind = Literal["ready", "begun", "step", "start", "back", "look", "room", "refused"]


class JournalEntry(Struct, frozen=True, omit_defaults=True):
    """`at` is the calendar's, `real` the machine's epoch seconds. `step`: the number of a scenario's step. `start`: the
    player starts an engine; `back`: it runs. `refused`: a colleague could not promote."""

    real: float
    at: float
    kind: Kind
    text: str = ""
    step: int = -1


def note(folder: Path, moment: JournalEntry) -> None:
    """Append; if the disk refuses, only the line is lost."""
    with contextlib.suppress(OSError):
        descriptor = files.open_regular(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(moment) + b"\n")


def read(folder: Path) -> tuple[JournalEntry, ...]:
    """Oldest first; () if there are none."""
    entries: list[JournalEntry] = []
    with contextlib.suppress(OSError):
        for line in files.read(folder / NAME).content.splitlines():
            with contextlib.suppress(msgspec.MsgspecError):
                entries.append(decode(line, JournalEntry))
    return tuple(entries)


def first(moments: tuple[JournalEntry, ...], kind: Kind) -> JournalEntry | None:
    return next((moment for moment in moments if moment.kind == kind), None)
