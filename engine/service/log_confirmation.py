"""Finds whose memory outside the store confirms a log: this user's, or another user's whose engine may have raised."""

from __future__ import annotations

import os
import sqlite3

from msgspec import Struct

from engine.plan.model import Plan
from engine.service.access import may_run_an_engine
from engine.store.folder import Folder
from engine.store.head_memory import RememberedHead, memories_of_others
from engine.store.log_continuity import AddedDecisions, MissingHead, examine


class LogConfirmation(Struct, frozen=True):
    """`confirmed_by`: uid of the user whose memory has the log's last raise. Nothing was found if it and `finding` are
    None."""

    finding: MissingHead | AddedDecisions | None
    confirmed_by: int | None


def confirm(
    conn: sqlite3.Connection, plan: Plan | None, folder: Folder, known: RememberedHead | None
) -> LogConfirmation:
    """Compare a log whose chain verifies with `known`, what this user remembers. The user whose engine ran last
    confirms it; where this user remembers nothing, the others' memories count. Without a plan, no other's does."""
    finding = examine(conn, known)
    if finding is None and known is not None:
        return LogConfirmation(None, os.geteuid())
    others = {
        uid: examine(conn, theirs)
        for uid, theirs in memories_of_others(folder.path)
        if plan is not None and may_run_an_engine(plan, folder, uid)
    }
    witness = next((uid for uid, one in others.items() if one is None), None)
    if witness is not None:
        return LogConfirmation(None, witness)
    return LogConfirmation(finding or next(iter(others.values()), None), None)
