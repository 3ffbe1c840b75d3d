"""What the log and the documents of a store must show, whatever happened."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from itertools import pairwise
from typing import Any

from engine.rollout.state import DOWN, UP, replay
from engine.store import documents, log
from tests.simulate.observer import Observer

# documents answered well that bring the early detector from its cap (h + 2) to h, tuned 3 % -> 8 %
WELL_CLEARS = math.ceil(2.0 / math.log(0.97 / 0.92))
RECENT_S = 3 * 3600.0  # calendar: how long after trouble an automatic step down is still its consequence


def decided(observer: Observer, conn: sqlite3.Connection, last: int = 0) -> int:
    """Every decision after `last`; the rev of the newest."""
    rows = list(log.every(conn))
    verified = log.verify(conn)
    observer.holds("the log verifies", verified.ok, verified.sentence)
    state = log.read_state(conn)
    observer.holds("a replay gives the state", replay([row.decision for row in rows]) == state, f"rev {state.rev}")
    downs = [row.rev for row in rows if row.decision.kind in DOWN]
    for before, row in pairwise(rows):
        if row.rev <= last:
            continue
        _one_decision(observer, row)
        if row.decision.percent_bp > row.percent_from:
            _a_raise(observer, before, row, downs)
    return rows[-1].rev if rows else 0


def _a_raise(observer: Observer, before: log.Row, row: log.Row, downs: list[int]) -> None:
    made = row.decision
    kind, epoch = observer.asked.get(made.request_id, ("not asked for", -1))
    observer.holds(
        "only a person raises, and from the epoch they saw",
        made.kind in UP and made.actor.kind == "person" and kind == made.kind and epoch == before.epoch,
        f"rev {row.rev}: {made.kind} by {made.actor.name} ({made.actor.kind}), asked as {kind} at epoch {epoch}, "
        f"the log was at {before.epoch}",
    )
    removal = max((rev for rev in observer.removals if rev < row.rev), default=None)
    observer.holds(
        "rm armed wins over a raise until it is recorded",
        removal is None or any(removal < rev < row.rev for rev in downs),
        f"rev {row.rev}: {made.sentence}; the armed file was removed at rev {removal}",
    )


def _one_decision(observer: Observer, row: log.Row) -> None:
    made = row.decision
    if made.kind in DOWN:
        observer.holds("a step down never raises", made.percent_bp <= row.percent_from, f"rev {row.rev}")
    if made.kind != "trigger":
        return
    trigger = made.evidence.get("trigger")
    reading: dict[str, Any] = made.evidence.get("reading") or {}
    observer.holds(
        "an automatic action has a trigger and its evidence",
        bool(trigger) and (bool(reading) or trigger == "blind"),
        f"rev {row.rev}: {made.sentence}",
    )
    # in a time lapse hours pass while a few documents are on their way, so blindness proves nothing here
    # failures of when something was wrong are evidence until the CUSUM has come down from its cap
    calm_h = (made.at - observer.troubled_at) / 3600
    clears = WELL_CLEARS if str(reading.get("rule", "")).startswith("cusum") else 1
    observer.holds(
        "a healthy service is not rolled back",
        trigger == "blind" or calm_h * 3600 < RECENT_S or observer.well_since_trouble(made.at) < clears,
        f"rev {row.rev}: {made.sentence}; nothing was wrong for {calm_h:.1f} h",
    )


def stored(observer: Observer, conn: sqlite3.Connection) -> None:
    """What was acknowledged is there, under its own id, with its own text."""
    for document_id, acknowledged in observer.documents.items():
        kept = documents.get(conn, document_id)
        observer.holds("what is acknowledged is stored", kept is not None, f"document {document_id!r} is gone")
        if kept is None:
            return
        own = {acknowledged, *observer.unanswered.get(document_id, ())}
        theirs = hashlib.sha256(kept.text.encode()).hexdigest()
        observer.holds("a document keeps its own text", theirs in own, f"document {document_id!r} has another's text")
