"""Played game days: a file with one line each, in the player's state folder and in a rollout's store, as evidence
for its checklist."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine import files
from engine.decoding import decode
from engine.gameday.debrief import Debrief
from engine.plan.durations import iso
from engine.rehearsal import record
from engine.text import clean_line, counted

NAME = "gamedays.jsonl"


def keep(folder: Path, debrief: Debrief) -> bool:
    """Append to the folder's file; False if it cannot be written."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = files.open_regular(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(debrief) + b"\n")
        return True
    return False


def read(*folders: Path) -> list[Debrief]:
    """All results without repeats, oldest first; skips unreadable lines."""
    best: dict[str, Debrief] = {}
    for folder in folders or (record.home(),):
        with contextlib.suppress(OSError):
            for line in files.read(folder / NAME).content.splitlines():
                with contextlib.suppress(msgspec.MsgspecError):
                    one = decode(line, Debrief)
                    best[one.id] = one
    return sorted(best.values(), key=lambda one: one.at)


def evidence(played: Iterable[Debrief]) -> str:
    """The evidence for a checklist: "game days: 3 people passed (alice, bo, carol), last 2026-11-29T02:10:00Z"; ""
    if no one did."""
    passed = [one for one in played if one.score.passed]
    if not passed:
        return ""
    people = sorted({clean_line(one.who, 40) for one in passed})
    shown = ", ".join(people[:6]) + (" ..." if len(people) > 6 else "")
    last = max(one.at for one in passed)
    return f"game days: {counted(len(people), 'person', 'people')} passed ({shown}), last {iso(last)}"
