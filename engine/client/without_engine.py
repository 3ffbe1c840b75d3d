"""A rollback that no engine answers: recorded here if no engine runs, left as an intent for one that is silent.

What only this needs is imported in the functions: a rollback through an engine starts without it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, structs

from engine.cluster.lease_times import OUT_S
from engine.rollout.state import Ask, Decision, State
from engine.store.folder import Folder
from engine.store.intents import Intent

if TYPE_CHECKING:
    from engine.plan.model import Plan

LOCKED_S = 0.2  # the longest wait for another writer


class RollbackResult(Struct, frozen=True):
    """What was done, and how. `ok`: 0 % is in force as far as this side can tell; the proof follows in the view.

    `engine`: it answered, it holds the store but is silent, or it is not running (then nothing can call the LLM without
    the armed file).
    """

    ok: bool
    sentence: str
    ways: tuple[str, ...]
    request_id: str
    rev: int | None = None
    engine: Literal["answered", "silent", "none"] = "silent"
    took_s: float = 0.0  # from the key to here
    instead: str = ""  # why it went to 0 % and not to the requested stage, " (...)"
    leases_end_s: float = 0.0  # without an engine: for so long after that workers outside it may still call

    @property
    def pushed(self) -> bool:
        return self.engine == "answered"


class RollbackWithoutEngine:
    """`ways` collects what was tried. `pressed`: when R was pressed, on the machine's monotonic clock."""

    def __init__(
        self,
        folder: Folder,
        plan: Callable[[], Plan | None],
        ask: Ask,
        to_stage: int | None,
        pressed: float,
        ways: list[str],
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._ask = ask
        self._to_stage = to_stage
        self._pressed = pressed
        self._ways = ways
        self._engine: Literal["silent", "none"] = "silent"
        self._rev: int | None = None

    def carry_out(self) -> RollbackResult:
        """Never raises for a store that cannot be used."""
        if self._folder.missing:
            self._engine = "none"
            self._ways.clear()  # no file to remove and no socket to call: that says nothing more
            where = self._folder.path
            return self._result(
                False, f"There is no store in {where}, so there is nothing to roll back. Give --store or --plan."
            )
        self._record()
        left = self._rev is not None or self._leave_intent()
        if not self._folder.is_surely_out():
            return self._result(False, f"Not certain: the armed file may still be there. {self._remedy(left)}")
        return self._rolled_back(left)

    def _result(self, ok: bool, sentence: str) -> RollbackResult:
        return RollbackResult(ok, sentence, tuple(self._ways), self._ask.request_id, self._rev, self._engine)

    def _record(self) -> None:
        """Commit the rollback here if no engine holds the store."""
        try:
            lock = self._folder.try_lock()
        except OSError as error:
            self._ways.append(f"the lock could not be tried ({error.strerror})")
            return
        if lock is None:
            return
        with lock:
            if pid := self._still_held():
                self._ways.append(
                    f"process {pid} runs on this store without its lock file, so nothing is written beside it"
                )
                return
            self._engine = "none"
            self._rev = self._commit()

    def _still_held(self) -> int:
        """The process that holds a removed or replaced lock file of this store; 0 for none. Its engine still
        writes."""
        from engine.store.holders import holders

        held, _ = holders(self._folder)
        return held[0] if held else 0

    def _commit(self) -> int | None:
        """The decision's number in the log; None if it could not be recorded."""
        import sqlite3

        from engine.rollout.control import roll_back, zero_instead
        from engine.store import database, log
        from engine.store.write_trouble import cause

        plan = self._plan()
        if plan is None or not self._folder.exists:
            why = "the plan cannot be read" if self._folder.exists else "no database yet"
            self._ways.append(f"not recorded here: {why}")
            return None

        def decide(state: State) -> Decision:
            odd = zero_instead(plan, self._to_stage, state.stage)
            return roll_back(plan, state, self._ask, how=f" (no engine; {odd})" if odd else " (no engine)")

        for attempt in (1, 2):
            try:
                conn = database.open_writer(self._folder, "FULL", LOCKED_S)
                try:
                    known = log.find(conn, self._ask.request_id)  # by an engine that died before it answered
                    outcome = log.commit(conn, self._ask.request_id, decide, request=known.request if known else "")
                finally:
                    conn.close()
            except sqlite3.Error as error:
                if attempt == 1 and not database.is_locked(error) and self._folder.drop_ballast():
                    continue
                self._ways.append(f"the database refused it: {cause(error, self._folder.path) or error}")
                return None
            made = outcome.state.rev > outcome.before.rev
            self._ways.append("committed by this console" if made else "recorded by the engine before it ended")
            return outcome.state.rev
        return None

    def _leave_intent(self) -> bool:
        intent = Intent(
            self._ask.request_id,
            self._ask.at,
            structs.asdict(self._ask.actor),
            self._ask.reason,
            self._ask.seen,
            pressed=self._pressed,
            to_stage=self._to_stage,
        )
        left = False
        try:
            path = self._folder.leave_intent(intent)
            self._ways.append(f"intent left for the engine in {path.parent}")
            left = True
        except OSError as error:
            self._ways.append(f"no intent could be left ({error.strerror})")
        with contextlib.suppress(OSError):
            self._folder.disarm()  # a promotion in flight may have armed again before it saw the intent
        return left

    def _remedy(self, left: bool) -> str:
        if left and self._folder.keeps_outside(self._ask.request_id):
            return (
                "The store's disk accepts no writes, so this rollback is kept outside the store. An engine run by "
                f"{self._ask.actor.name} on this machine goes to 0 % as soon as it answers or starts; an engine run "
                "by someone else does not know of it."
            )
        return f"As a user with permission, run: {self._folder.armed_removal}"

    def _rolled_back(self, left: bool) -> RollbackResult:
        from engine.rollout.control import zero_instead

        if self._rev is not None:
            recorded = ", and recorded"
        elif left:
            recorded = "; it will be recorded when " + (
                "the engine wakes" if self._engine == "silent" else "an engine starts"
            )
        else:
            recorded = "; not recorded: an engine that starts finds the armed file gone and logs that"
        odd = zero_instead(self._plan(), self._to_stage)
        instead = f" ({odd})" if odd else ""
        lasting = OUT_S if self._folder.has_workers() else 0.0
        workers = f" Workers may call for {lasting:.1f} s more: then their leases have ended." if lasting else ""
        result = self._result(True, f"Rolled back to 0 %{instead} without the engine{recorded}.{workers}")
        return structs.replace(result, instead=instead, leases_end_s=lasting)
