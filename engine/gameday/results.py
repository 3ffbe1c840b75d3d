"""Played game days: a file with one line each, in the player's state folder and in a rollout's store, as evidence
for its checklist."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.gameday.debrief import Debrief
from engine.plan.durations import iso
from engine.rehearsal import json_lines, record
from engine.text import clean_line, counted

NAME = "gamedays.jsonl"


def keep(folder: Path, debrief: Debrief) -> bool:
    """Append to the folder's file; False if it cannot be written."""
    return json_lines.append(folder / NAME, debrief, make_folder=True)


def read(*folders: Path) -> list[Debrief]:
    """All results without repeats, oldest first; skips unreadable lines."""
    played = [one for folder in folders or (record.home(),) for one in json_lines.read(folder / NAME, Debrief)]
    return sorted({one.id: one for one in played}.values(), key=lambda one: one.at)


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
