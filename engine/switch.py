"""What routers obey now: asked before every LLM call, cached by nobody.

Four things must agree before a call is made, cheapest veto first: no rollback is under way in this process, the triggers were
evaluated lately (the lease), the keyed switch `armed` is there (a stat, 2 us), and the control row says so (a prepared read, 3 us).
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from engine.clock import Clock
from engine.store.folder import Folder


class Permit(Struct, frozen=True):
    """The percentage in force for this document, and why it is not the decided one ("" when it is)."""

    percent_bp: int
    decided_bp: int
    epoch: int
    shadow: bool
    why: str

    @property
    def open(self) -> bool:
        """Whether any LLM call may be made now (a served one at this percentage, a shadow one, or one by hand)."""
        return not self.why


class Switch:
    """Owned by the engine's loop; `evaluated` is called by the monitor after each evaluation of the triggers."""

    def __init__(self, folder: Folder, conn: sqlite3.Connection, clock: Clock, lease_s: float, ceiling_bp: int) -> None:
        self._folder = folder
        self._conn = conn
        self._clock = clock
        self._lease_s = lease_s
        self.ceiling_bp = ceiling_bp
        self._evaluated = -1e18
        self._zeros = 0  # rollbacks in force but not yet in the control row
        self.generation = 0  # grows with every rollback, so that an arming under way can see that it is too late
        self.fenced = False

    def evaluated(self) -> None:
        self._evaluated = self._clock.real()

    @property
    def lease_age_s(self) -> float:
        """Real seconds since the triggers were last evaluated."""
        return self._clock.real() - self._evaluated

    @property
    def lease_valid(self) -> bool:
        return self.lease_age_s <= self._lease_s

    def zero(self) -> None:
        """0 % from this instruction on, whatever the control row says; until `recorded`."""
        self._zeros += 1
        self.generation += 1

    def recorded(self) -> None:
        """The rollback is in the control row now, which takes over."""
        self._zeros -= 1

    def read(self) -> Permit:
        """Never raises: a store that cannot be read is 0 %."""
        try:
            row = self._conn.execute("SELECT percent_bp, epoch FROM control WHERE id = 1").fetchone()
            decided, epoch = row or (0, 0)
        except sqlite3.Error as error:
            return Permit(0, 0, 0, False, f"the store cannot be read ({error})")
        why = self._veto()
        if why:
            return Permit(0, decided, epoch, False, why)
        return Permit(min(decided, self.ceiling_bp), decided, epoch, True, "")

    def _veto(self) -> str:
        if self._zeros:
            return "a rollback is under way"
        if self.fenced:
            return "another engine has taken over"
        if not self.lease_valid:
            return f"the triggers were not evaluated for {self.lease_age_s:.0f} s"
        if not self._folder.is_armed():
            return "the armed file is not there"
        return ""

    def may_call(self) -> bool:
        """The last question before a send; see the module's first line."""
        return not self._veto()
