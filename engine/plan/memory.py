"""Remembers which store a plan last ran with, beside the plan and in the user's state folder, so a rollback need not
guess.

A plan that is being edited may not parse, or may name a different store than the engine still running under it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import msgspec

from engine import files
from engine.decoding import decode

BESIDE = ".rollout-store"


class RememberedRun(msgspec.Struct, frozen=True):
    """`plan` and `store` are absolute paths."""

    plan: str
    store: str
    at: float
    pid: int


def remember(plan: Path, store: Path, pid: int) -> None:
    """Best effort: if neither folder is writable, only this memory is lost."""
    ran = RememberedRun(os.path.realpath(plan), os.path.realpath(store), time.time(), pid)
    for path in _places(plan):
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write_whole(path, msgspec.json.encode(ran), 0o644, durable=False)


def recall(plan: Path) -> tuple[Path, ...]:
    """The stores that the plan ran with, most recent first."""
    runs = []
    for path in _places(plan):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            # others may write to the plan's folder: a pipe there must not hold a rollback
            ran = decode(files.read(path, 10_000).content, RememberedRun)
            if ran.plan == os.path.realpath(plan) and "\0" not in ran.store:
                runs.append(ran)
    runs.sort(key=lambda ran: -ran.at)
    return tuple(dict.fromkeys(Path(ran.store) for ran in runs))


def _places(plan: Path) -> tuple[Path, ...]:
    ran = os.path.realpath(plan)  # Path.resolve fails on links that lead in a circle
    beside = Path(ran).parent / BESIDE
    name = hashlib.sha256(ran.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    try:
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    except RuntimeError:  # a user without a home
        return (beside,)
    return beside, home / "rollout" / "plans" / f"{name}.json"
