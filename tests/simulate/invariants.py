"""What must hold in every rollout, checked from outside the engine: by requests on the wire, answers, files and the log on the disk."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from engine.plan.model import Plan
from engine.rollout.control import DOWN, UP, replay
from engine.store import documents, log
from engine.text import normal

if TYPE_CHECKING:
    from tests.simulate.servers import Request
    from tests.simulate.world import World

RECENT_S = 3 * 3600.0  # calendar: how long after trouble an automatic step down is still its consequence


class Broken(AssertionError):
    """An invariant does not hold: its name and what was seen."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


def _digest(text: str) -> str:
    return hashlib.sha256(normal(text).encode()).hexdigest()


class Observer:
    """`limit_bp` is the most that may be in force by what people and answers said; None while nothing was said yet."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.checked: Counter[str] = Counter()
        self.broken: Broken | None = None
        self.raises = 0  # asked for so far
        self.raised_from = -1  # the latest epoch from which a raise was made
        self.silent = False  # a rollback to 0 % is in force, and nobody has asked for more since
        self.limit_bp = 10_000
        self.raising: dict[str, int] = {}  # request id of a raise under way -> what the person saw as epoch
        self.asked: dict[str, tuple[str, int]] = {}  # request id -> (kind, epoch seen)
        self.acknowledgements: dict[str, str] = {}  # document id -> digest of the text last acknowledged
        self.unanswered: dict[str, set[str]] = {}  # digests of texts that were sent and not acknowledged
        self.troubled_at = -1e12  # calendar seconds: when something was last wrong with servers, disk, engine or users
        self.arms: dict[tuple[str, int], str] = {}

    def holds(self, name: str, fact: bool, what: str) -> None:
        """Note the first that does not hold; the rollout's driver raises it, for the engine would catch it here."""
        self.checked[name] += 1
        if not fact and self.broken is None:
            self.broken = Broken(name, what)

    def check(self) -> None:
        if self.broken is not None:
            raise self.broken

    # -- what people do and are answered -----------------------------------------------------------------------------------

    def asks_up(self, request_id: str, kind: str, epoch: int) -> None:
        self.raises += 1
        self.asked[request_id] = (kind, epoch)
        self.raising[request_id] = epoch

    def answered_up(self, request_id: str, done: bool) -> None:
        """The raise ended. A rollback that came while it was under way has taken it out of `raising`."""
        epoch = self.raising.pop(request_id, None)
        if epoch is not None and done:
            self.silent = False
            self.limit_bp = 10_000
            self.raised_from = max(self.raised_from, epoch)

    def lowered(self, to_bp: int, epoch: int | None = None) -> None:
        """A person was told that a rollback is in force, or removed the armed file. `epoch`: what the rollback's record led to; who
        saw that one has decided after it, though the answer may be slower."""
        if epoch is not None and self.raised_from >= epoch:
            return
        self.raising = {name: seen for name, seen in self.raising.items() if epoch is not None and seen >= epoch}
        self.limit_bp = min(self.limit_bp, to_bp)
        self.silent = to_bp == 0

    # -- what the servers see ------------------------------------------------------------------------------------------------

    def requested(self, world: World, request: Request, bucket: int | None) -> None:
        seen = f"{request.path} for {request.document or 'no document'}"
        self.holds("no LLM request after a rollback is in force", not self.silent or bool(self.raising), seen)
        row = world.read(
            lambda conn: conn.execute("SELECT percent_to, stage FROM decision ORDER BY rev DESC LIMIT 1").fetchone()
        )
        percent_bp, stage = row or (0, 0)
        shadow = 0 < stage < len(self.plan.stages) and self.plan.stages[stage].shadow_bp > 0
        self.holds("no LLM request in Preparation", stage > 0, seen)
        if bucket is not None and not self.raising:
            limit = min(percent_bp, self.limit_bp)
            self.holds(
                "no document beyond the percentage reaches the LLM",
                bucket < limit or shadow,
                f"{seen}: bucket {bucket}, {limit / 100:g} %",
            )
        view = world.engine.view if world.engine is not None else None
        if view is not None and bucket is not None and view.rev == world.engine.state.rev and not shadow:  # type: ignore[union-attr]
            self.holds(
                "a screen never shows less exposure than there is",
                view.effective_bp >= percent_bp or view.effective_bp > bucket or bool(self.raising),
                f"{seen}: the view shows {view.effective_bp / 100:g} %",
            )

    # -- documents -----------------------------------------------------------------------------------------------------------

    def sent(self, document_id: str, text: str) -> None:
        """It may be stored though its answer never comes."""
        self.unanswered.setdefault(document_id, set()).add(_digest(text))

    def acknowledged(self, document_id: str, text: str) -> None:
        self.acknowledgements[document_id] = _digest(text)
        self.unanswered[document_id].discard(_digest(text))

    def swapped(self, read: Callable[[Callable[[sqlite3.Connection], Any]], Any]) -> None:
        """What the backup has is all that can be asked of it; what is acknowledged from now on must be in it."""
        rows = read(lambda conn: conn.execute("SELECT id FROM document").fetchall())
        there = {row[0] for row in rows}
        self.acknowledgements = {name: digest for name, digest in self.acknowledgements.items() if name in there}

    def stored(self, conn: sqlite3.Connection) -> None:
        """What was acknowledged is there, under its own id, with its own text."""
        for document_id, digest in self.acknowledgements.items():
            found = documents.get(conn, document_id)
            self.holds("what is acknowledged is stored", found is not None, f"document {document_id!r} is gone")
            if found is None:
                return
            kept = hashlib.sha256(found.text.encode()).hexdigest()
            own = {digest, *self.unanswered.get(document_id, ())}
            self.holds("a document keeps its own text", kept in own, f"document {document_id!r} has another's text")

    def arm_of(self, conn: sqlite3.Connection) -> None:
        """Between two changes of the percentage a document may fall back to frequency (the armed file is gone), never move to the LLM."""
        query = "SELECT document_id, arm, epoch FROM extraction WHERE shadow = 0 ORDER BY id"
        arms: dict[tuple[str, int], str] = {}
        for document, arm, epoch in conn.execute(query):
            was = arms.get((document, epoch), arm)
            arms[document, epoch] = arm
            self.holds(
                "a document moves to the LLM only with the percentage",
                (was, arm) != ("control", "treatment"),
                f"{document!r} in epoch {epoch}",
            )

    # -- the log -------------------------------------------------------------------------------------------------------------

    def decided(self, conn: sqlite3.Connection, last: int = 0) -> int:
        """Every decision after `last`; the rev of the newest."""
        rows = list(log.every(conn))
        self.holds("the log verifies", log.verify(conn).ok, log.verify(conn).sentence)
        state = log.read_state(conn)
        self.holds("a replay gives the state", replay([row.decision for row in rows]) == state, f"rev {state.rev}")
        for before, row in pairwise(rows):
            if row.rev > last:
                self._lawful(before, row)
        return rows[-1].rev if rows else 0

    def _lawful(self, before: log.Row, row: log.Row) -> None:
        made = row.decision
        rises = made.percent_bp > row.percent_from
        if rises:
            kind, epoch = self.asked.get(made.request_id, ("nobody asked", -1))
            self.holds(
                "only a person raises, and from the epoch they saw",
                made.kind in UP and made.actor.kind == "person" and kind == made.kind and epoch == before.epoch,
                f"rev {row.rev}: {made.kind} by {made.actor.name} ({made.actor.kind}), asked as {kind} at epoch {epoch}, "
                f"the log was at {before.epoch}",
            )
        if made.kind == "trigger":
            reading: dict[str, Any] = made.evidence.get("reading") or {}
            self.holds(
                "an automatic action has a trigger and its evidence",
                bool(made.evidence.get("trigger")) and (bool(reading) or made.evidence["trigger"] == "blind"),
                f"rev {row.rev}: {made.sentence}",
            )
            # in a time lapse hours pass while a few documents are on their way, so blindness proves nothing here
            self.holds(
                "a healthy service is not rolled back",
                made.evidence["trigger"] == "blind" or made.at - self.troubled_at < RECENT_S,
                f"rev {row.rev}: {made.sentence}; nothing was wrong for {(made.at - self.troubled_at) / 3600:.1f} h",
            )
        if made.kind in DOWN:
            self.holds("a step down never raises", not rises, f"rev {row.rev}")
