"""What a worker's pipeline obeys: its lease, read before every call."""

from __future__ import annotations

from engine.rollout.state import State
from engine.routing.switch import Permit
from engine.worker.keeper import Keeper


class LeasedSwitch:
    """Answers like `engine.routing.switch.Switch`. A worker makes no shadow calls."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def read(self) -> Permit:
        terms = self._keeper.now()
        return Permit(terms.percent_bp if terms.open else 0, terms.percent_bp, terms.epoch, False, self._why())

    def _why(self) -> str:
        terms = self._keeper.now()
        return "" if terms.open else terms.why or "the engine permits no call"

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
