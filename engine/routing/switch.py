"""What routers obey: checked before every LLM call, never cached.

A call is made only while all of this holds: no rollback is under way in this process, no other engine has taken over,
the triggers were evaluated recently (the lease), the armed file is the one this engine created or accepted (a stat,
2 us), and the control row matches the verified log and still gives the document to the LLM (a prepared read, 4 us).
"""

from __future__ import annotations

import math
import sqlite3
from typing import Literal

from msgspec import Struct

from engine.clock import Clock
from engine.store.folder import Folder
from engine.store.trust import Trust

TAKEN_OVER = "another engine has taken over"


class Permit(Struct, frozen=True):
    """The percentage in force for this document, and why it is not the decided one ("" when it is)."""

    percent_bp: int
    decided_bp: int
    epoch: int
    shadow: bool
    why: str

    @property
    def open(self) -> bool:
        """Whether any LLM call may be made now (a served one at this percentage, a shadow one, or one a person
        requests)."""
        return not self.why


class Switch:
    """Owned by the engine's loop, which calls `evaluated` after each evaluation of the triggers.

    `token` is this engine's fencing token: when the store has another, this engine has been replaced and routes
    nothing.
    """

    def __init__(
        self,
        folder: Folder,
        conn: sqlite3.Connection,
        clock: Clock,
        lease_s: float,
        ceiling_bp: int,
        token: int,
        trust: Trust,
    ) -> None:
        self._folder = folder
        self._conn = conn
        self._clock = clock
        self._lease_s = lease_s
        self._token = token
        self.trust = trust
        self.armed: tuple[int, int] | None = None  # the stamp of the armed file, None after it was removed
        self.shut = ""  # why 0 % is in force regardless of the store: it was replaced under this engine
        self._evaluated = -math.inf
        # rollbacks in force and not yet in the control row: request id -> percent_bp
        self._caps: dict[str, int] = {}
        self.ceiling_bp = ceiling_bp
        self.rollback_count = 0  # grows with every rollback, so that an arming in progress can tell it is too late

    def evaluated(self) -> None:
        self._evaluated = self._clock.real()

    @property
    def lease_age_s(self) -> float:
        """Real seconds since the triggers were last evaluated."""
        return self._clock.real() - self._evaluated

    @property
    def lease_valid(self) -> bool:
        return self.lease_age_s <= self._lease_s

    def cap(self, request_id: str, percent_bp: int) -> None:
        """Cap the percentage from this instruction on, regardless of the control row, until `clear_cap`."""
        self._caps[request_id] = percent_bp
        self.rollback_count += 1

    def clear_cap(self, request_id: str) -> None:
        """The control row has the rollback now and takes over."""
        self._caps.pop(request_id, None)

    @property
    def pending(self) -> bool:
        """Whether a rollback is in force that the control row does not have yet."""
        return bool(self._caps)

    def would_lower(self, percent_bp: int) -> bool:
        """Whether `percent_bp` is below every rollback still pending."""
        return percent_bp < min(self._caps.values(), default=10_001)

    def read(self) -> Permit:
        """Never raises: a store that cannot be read is 0 %."""
        try:
            decided, epoch, token = self.trust.read(self._conn, self._token)
        except sqlite3.Error as error:
            return Permit(0, 0, 0, False, f"the store cannot be read ({error})")
        if token != self._token:
            return Permit(0, decided, epoch, False, TAKEN_OVER)
        why = self._veto()
        if why:
            return Permit(0, decided, epoch, False, why)
        return Permit(min(decided, self.ceiling_bp, *self._caps.values()), decided, epoch, True, "")

    @property
    def armed_file(self) -> Literal["in", "out", "removed", "foreign"]:
        """The armed file compared with what this engine left: "removed" is a rollback, "foreign" permits nothing."""
        stamp = self._folder.armed_stamp()
        if stamp == self.armed:
            return "out" if stamp is None else "in"
        return "removed" if stamp is None else "foreign"

    def _veto(self) -> str:
        if self.shut:
            return self.shut
        if self.trust.broken or self.trust.differs:
            return self.trust.broken or self.trust.differs
        if self._caps and min(self._caps.values()) == 0:
            return "a rollback is under way"
        if not self.lease_valid:
            return f"the triggers were not evaluated for {self.lease_age_s:.0f} s"
        armed = self._folder.armed_stamp()
        if armed is None:
            return "the armed file is missing" if self.armed else "the LLM is switched off, as after every rollback"
        if armed != self.armed:
            return "the armed file is not the one that the engine created"
        return ""

    def may_call(self, bucket: int | None = None, epoch: int | None = None) -> bool:
        """The last check before a send. `bucket` of a document on the LLM arm; None for a call that serves no routed
        document (shadow, or `--method llm`). `epoch`: only while this epoch is current."""
        permit = self.read()
        return (
            permit.open and (bucket is None or bucket < permit.percent_bp) and (epoch is None or epoch == permit.epoch)
        )
