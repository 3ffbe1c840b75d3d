"""The workers that each job has now, as the engine last saw them."""

from __future__ import annotations

import sqlite3

import msgspec

from engine.store import live
from engine.view.model import WorkerView


class Crew(msgspec.Struct, frozen=True):
    """`waits`: why the job's documents wait; "" if they do not."""

    workers: int = 0
    waits: str = ""


class _Shown(msgspec.Struct):
    workers: tuple[WorkerView, ...] = ()


def crews(conn: sqlite3.Connection) -> dict[int, Crew]:
    """By job; a job without workers is not in it."""
    out: dict[int, Crew] = {}
    for worker in live.parts(conn, _Shown).workers:
        if worker.job is not None and worker.state != "ended":
            known = out.get(worker.job, Crew())
            out[worker.job] = Crew(known.workers + 1, worker.waits)
    return out
