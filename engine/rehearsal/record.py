"""Passed rehearsals: a file with one line each, written when a rehearsal ends, as evidence for the checklist item that
requires one.

Passed means: a trigger rolled back, a person rolled back manually, and 0 % was observed for both. The record goes into
the store it was done for (that of the rollout.toml where `rollout rehearse` ran), so that another user's engine finds
it; without a store, into the user's own state folder.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import platformdirs
from msgspec import Struct

from engine.plan.durations import iso
from engine.rehearsal import json_lines
from engine.text import clean_line

NAME = "rehearsals.jsonl"


class PassedRehearsal(Struct, frozen=True):
    """`at` is epoch seconds of the machine; the proofs are those of the rehearsal's own rollbacks."""

    at: float
    who: str
    automatic: str
    by_hand: str
    decisions: int
    head: str  # of the rehearsal's log

    @property
    def sentence(self) -> str:
        who = clean_line(self.who, 60)
        return (
            f"{who} passed a rehearsal on {iso(self.at)} (by a trigger: {clean_line(self.automatic, 160)} "
            f"Manually: {clean_line(self.by_hand, 160)})"
        )


def passed(conn: sqlite3.Connection, who: str, at: float) -> PassedRehearsal | None:
    """The record for a rehearsal's store; None while one of the two proofs is missing."""
    from engine.store import log
    from engine.store.verification import verify

    lowered = {rev for (rev,) in conn.execute("SELECT rev FROM decision WHERE percent_from > percent_to").fetchall()}
    proofs: dict[bool, str] = {}
    for row in log.every(conn):
        proof = row.decision.evidence
        if row.decision.kind == "proof" and proof.get("of") in lowered and proof.get("effective_ms") is not None:
            proofs[bool(proof.get("automatic"))] = str(proof.get("sentence", ""))
    if len(proofs) < 2:
        return None
    verified = verify(conn)
    return (
        PassedRehearsal(at, who, proofs[True], proofs[False], verified.decisions, verified.head)
        if verified.ok
        else None
    )


def keep(folder: Path, record: PassedRehearsal) -> bool:
    """Append to the store's file; False if it cannot be written."""
    return json_lines.append(folder / NAME, record, make_folder=True)


def home() -> Path:
    """The folder for rehearsals without a store: this user's, on this machine."""
    return Path(platformdirs.user_state_dir("rollout-console"))


def last_passed(*folders: Path) -> PassedRehearsal | None:
    """The latest record in these folders; malformed lines are skipped."""
    passed = [one for folder in folders for one in json_lines.read(folder / NAME, PassedRehearsal)]
    return max(passed, key=lambda record: record.at, default=None)
