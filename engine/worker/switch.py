"""What a worker's pipeline obeys: its lease, and on the engine's machine also the armed file. Both are read before
every call."""

from __future__ import annotations

from engine.rollout.state import State
from engine.routing.switch import Permit
from engine.store.folder import Folder
from engine.worker.keeper import Keeper


class LeasedSwitch:
    """Answers like `engine.routing.switch.Switch`. A worker makes no shadow calls.

    `folder`: the store's, if this worker is on the engine's machine. A rollback removes the armed file before it is
    committed. A stat sees that without waiting for the engine's push, which a machine short of CPU delays.
    """

    def __init__(self, keeper: Keeper, folder: Folder | None = None) -> None:
        self._keeper = keeper
        self._folder = folder

    def read(self) -> Permit:
        is_armed = self._folder is None or self._folder.is_armed()
        terms = self._keeper.now()  # last: this clock sees that the process was stopped in between
        why = ""
        if not terms.open:
            why = terms.why or "the engine permits no call"
        elif not is_armed:
            why = "the armed file is missing"
        return Permit(0 if why else terms.percent_bp, terms.percent_bp, terms.epoch, False, why)

    def may_call(self, bucket: int | None = None, epoch: int | None = None) -> bool:
        permit = self.read()
        return (
            permit.open and (bucket is None or bucket < permit.percent_bp) and (epoch is None or epoch == permit.epoch)
        )

    def state(self) -> State:
        """The part of the control state that a document's path reads."""
        terms = self._keeper.held.terms
        return State(
            stage=terms.stage, epoch=terms.epoch, rev=terms.rev, last_rev=terms.last_rev, percent_bp=terms.percent_bp
        )
