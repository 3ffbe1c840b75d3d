"""What must hold in every rollout, checked from outside the engine: by requests on the wire, answers and files.

The log and the documents are checked in `records`.
"""

from __future__ import annotations

import bisect
import hashlib
import math
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from engine.plan.model import Plan
from engine.rollout.state import DOWN
from engine.routing import buckets
from engine.routing.switch import Permit
from engine.store import log
from engine.text import normal
from engine.view.model import View

FULL_BP = 10_000
NOTICED_S = 1.5  # the engine looks at its files once a second
Read = Callable[[Callable[[sqlite3.Connection], Any]], Any]


class Broken(AssertionError):
    """An invariant does not hold: its name and what was seen."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


class Request(Struct, frozen=True):
    """A request that generates, as it arrived at a server. `document` is the id; "" for a preload, which has none."""

    number: int
    path: str
    document: str


class Observer:
    """`limit_bp` is the most that may be in force by what people did and were answered."""

    def __init__(self, plan: Plan, read: Read, now: Callable[[], float]) -> None:
        self.checked: Counter[str] = Counter()
        self.broken: Broken | None = None
        self.raises = 0  # asked for so far
        self.asked: dict[str, tuple[str, int]] = {}  # request id -> (kind, epoch seen)
        self.removals: list[int] = []  # revs at which a person removed the armed file while the LLM was on
        self.troubled_at = -1e12  # calendar seconds: when something was last wrong with servers, disk, engine or users
        self.answered_well: list[float] = []  # calendar seconds: when a server answered a document as it should
        self.ticked_at = 0.0  # the machine's seconds: when the engine's last tick ended
        self.documents: dict[str, str] = {}  # document id -> digest of the text last acknowledged
        self.unanswered: dict[str, set[str]] = {}  # digests of texts that were sent and not acknowledged
        self._read = read
        self._now = now
        self._lease_s = plan.trigger_settings.lease_s
        self._shadowed = {stage.number for stage in plan.stages if stage.shadow_bp}
        self._limit_bp = FULL_BP
        self._silent = False  # a rollback to 0 % is in force, and no one has asked for more since
        self._raised_from = -1  # the latest epoch from which a raise was made
        self._raising: dict[str, int] = {}  # request id of a raise under way -> the epoch its person saw
        self._on_no_disk = ""  # request id of the last rollback, if it was answered and its record is on no disk
        self._swap = (-math.inf, 0, 0)  # when the store was last replaced; the stage and basis points until then
        self.swaps = 0
        self._gone: set[str] = set()  # request ids in the log of the store that was last replaced
        self._last_request = 0
        self._cut = 0  # LLM requests up to this number were cut by a rollback
        self._arms: dict[tuple[str, int], str] = {}  # of a document in an epoch, as it was last routed

    def holds(self, name: str, fact: bool, what: str) -> None:
        """Note the first that does not hold; the rollout's driver raises it, for the engine would catch it here."""
        self.checked[name] += 1
        if not fact and self.broken is None:
            self.broken = Broken(name, what)

    def check(self) -> None:
        if self.broken is not None:
            raise self.broken

    # -- what people do and are answered -------------------------------------------------------------------------------

    def asks_up(self, request_id: str, kind: str, epoch: int) -> None:
        self.raises += 1
        self.asked[request_id] = (kind, epoch)
        self._raising[request_id] = epoch

    def answered_up(self, request_id: str, done: bool) -> None:
        """The raise ended. A rollback that came while it was under way has taken it out of `_raising`."""
        epoch = self._raising.pop(request_id, None)
        if epoch is not None and done:
            self._silent = False
            self._limit_bp = FULL_BP
            self._raised_from = max(self._raised_from, epoch)

    def answered_down(
        self, request_id: str, recorded: bool, to_zero: bool, asked_at: int, stalled: bool, swaps: int
    ) -> None:
        """An engine answered that a rollback is in force. `asked_at` and `swaps` are the epoch and the number of swapped
        stores when it was asked; `stalled`: whether the disk answers nothing."""
        query = "SELECT kind, percent_to, epoch FROM decision WHERE request_id = ?"
        row = self._read(lambda conn: conn.execute(query, (request_id,)).fetchone())
        self._on_no_disk = request_id if stalled and row is None else ""
        # an engine frozen between the record and its answer can't know that the store with the record is gone
        gone = swaps != self.swaps and request_id in self._gone
        self.holds("a recorded rollback is in the log", row is not None or not recorded or gone, request_id)
        if row is None and not to_zero:
            return  # where it landed is known once it is recorded
        kind, to_bp, epoch = row or ("rollback", 0, None)
        self.holds(
            "a rollback is answered by a rollback", kind in DOWN, f"the answer's request {request_id} is a {kind}"
        )
        self.lowered(to_bp, None if epoch is None else max(epoch, asked_at))
        if self._silent:
            self._cut = self._last_request

    def lowered(self, to_bp: int, epoch: int | None = None) -> None:
        """A rollback is in force. `epoch`: what its record led to; who saw that one has decided after it, though the
        answer may be slower."""
        if epoch is not None and self._raised_from >= epoch:
            return
        self._raising = {name: seen for name, seen in self._raising.items() if epoch is not None and seen >= epoch}
        self._limit_bp = min(self._limit_bp, to_bp)
        self._silent = to_bp == 0

    def armed_removed(self) -> None:
        state = self._read(log.read_state)
        if state.percent_bp:
            self.removals.append(state.rev)
        self.lowered(0)

    # -- what the servers see ------------------------------------------------------------------------------------------

    def requested(self, request: Request, view: View | None) -> None:
        self._last_request = request.number
        asked = bool(self._raising)
        what = f"{request.path} for {request.document or 'no document'}"
        self.holds("no LLM request after a rollback is in force", not self._silent or asked, what)
        age_s = self._now() - self.ticked_at
        self.holds("no LLM request without a live monitor", age_s <= self._lease_s, f"{what}: {age_s:.0f} s")
        state = self._read(log.read_state)
        self.holds("no LLM request in Preparation", state.stage > 0, what)
        stage_before, bp_before = self._before_it_sees_the_swap()
        if not request.document or state.stage in self._shadowed or stage_before in self._shadowed:
            return
        bucket = buckets.bucket(state.pins.salt, request.document)
        limit = FULL_BP if asked else min(max(state.percent_bp, bp_before), self._limit_bp)
        over = f"{what}: bucket {bucket}, {limit / 100:g} %"
        self.holds("no document beyond the percentage reaches the LLM", bucket < limit, over)
        if view is not None and view.rev == state.rev:
            self.holds(
                "a screen never shows less exposure than there is",
                asked or bucket < view.effective_bp,
                f"{over}, shown {view.effective_bp / 100:g} %",
            )

    def llm_answered(self, number: int) -> None:
        self.holds("a rollback cuts the calls in flight", number > self._cut, f"request {number} was answered")

    # -- documents -----------------------------------------------------------------------------------------------------

    def sent(self, document_id: str, text: str) -> None:
        """It may be stored though its answer never comes."""
        self.unanswered.setdefault(document_id, set()).add(digest(text))

    def acknowledged(self, document_id: str, text: str) -> None:
        self.documents[document_id] = digest(text)
        self.unanswered[document_id].discard(digest(text))

    def routed(self, document_id: str, arm: str, permit: Permit) -> None:
        """Between two changes of the percentage a document may fall back to frequency (the armed file is gone), but
        never move to the LLM.

        During a lapse of the lease the percentage in force is 0, whatever is decided: it falls and returns within one
        epoch, and documents follow it. What must hold then is that none goes to the LLM.
        """
        if permit.decided_bp and not permit.percent_bp and "not evaluated" in permit.why:
            self.holds("no document goes to the LLM in a lapse", arm == "control", repr(document_id))
            return
        was = self._arms.get((document_id, permit.epoch), arm)
        self._arms[document_id, permit.epoch] = arm
        self.holds(
            "a document moves to the LLM only with the percentage",
            (was, arm) != ("control", "treatment"),
            f"{document_id!r} in epoch {permit.epoch}",
        )

    def well_since_trouble(self, until: float) -> int:
        """Documents that a server answered as it should since something was last wrong."""
        before = bisect.bisect_right(self.answered_well, self.troubled_at)
        return max(0, bisect.bisect_right(self.answered_well, until) - before)

    # -- the disk ------------------------------------------------------------------------------------------------------

    def power_goes(self) -> None:
        """A rollback that is recorded by now must survive, whatever the disk did when it was answered."""
        query = "SELECT 1 FROM decision WHERE request_id = ?"
        if self._on_no_disk and self._read(lambda conn: conn.execute(query, (self._on_no_disk,)).fetchone()):
            self._on_no_disk = ""

    def power_lost(self, armed: bool) -> None:
        """No document and no decision that was acknowledged is gone.

        A rollback in force is another thing than a recorded one, and its answer names which it is (`answered_down` holds
        that). A disk that answers nothing takes neither the row nor the removal of the armed file, so after a power cut
        what was durable is in force: no program can do better, and to hold the answer back until the disk works would
        leave people without one exactly then. Only if the armed file is there again has that happened.
        """
        if armed and self._on_no_disk:
            self._silent, self._limit_bp, self._cut = False, FULL_BP, 0
        self._on_no_disk = ""

    def before_swap(self) -> None:
        """The engine obeys what it has read until its next look at the files."""
        state = self._read(log.read_state)
        self._swap = (self._now(), state.stage, state.percent_bp)
        self.swaps += 1
        self._gone = {name for (name,) in self._read(lambda conn: conn.execute("SELECT request_id FROM decision"))}

    def _before_it_sees_the_swap(self) -> tuple[int, int]:
        """(stage, basis points) that may still be in force though another database is there; (-1, 0) later."""
        at, stage, percent_bp = self._swap
        return (stage, percent_bp) if self._now() - at <= NOTICED_S else (-1, 0)

    def swapped(self) -> None:
        """What the backup has is all that can be asked of it; what is acknowledged from now on must be in it."""
        there = self._read(lambda conn: dict(conn.execute("SELECT document_id, text FROM document_text")))
        self.documents = {name: digest(there[name]) for name in self.documents if name in there}
        self._arms.clear()  # epochs of the backup may have been used before
        self.removals.clear()


def digest(text: str) -> str:
    return hashlib.sha256(normal(text).encode()).hexdigest()
