"""What a worker's pipeline obeys: its lease, and on the engine's machine also the armed file. Both are read before
every call."""

from __future__ import annotations

from engine.cluster.lease import LeaseTerms
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
        terms = self._keeper.now()
        why = self._why(terms)
        return Permit(0 if why else terms.percent_bp, terms.percent_bp, terms.epoch, False, why)

    def _why(self, terms: LeaseTerms) -> str:
        """Why no call may be made; "" if one may."""
        if not terms.open:
            return terms.why or "the engine permits no call"
        if self._folder is not None and not self._folder.is_armed():
            return "the armed file is missing"
        return ""

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
