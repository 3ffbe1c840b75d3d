"""A game day's own notes, next to its store: one line per moment. Everything else is read from the store."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from engine.rehearsal import json_lines

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
    json_lines.append(folder / NAME, moment)


def read(folder: Path) -> tuple[JournalEntry, ...]:
    """Oldest first; () if there are none."""
    return tuple(json_lines.read(folder / NAME, JournalEntry))


def first(moments: tuple[JournalEntry, ...], kind: Kind) -> JournalEntry | None:
    return next((moment for moment in moments if moment.kind == kind), None)
