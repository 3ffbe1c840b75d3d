"""Watched time: the trigger timers and the bakes. It is stored at every tick, so that a restart loses no timer: only
watched time counts.
"""

from __future__ import annotations

import msgspec

from engine.rollout.state import State
from engine.triggers.evidence import Timers


class Bake(msgspec.Struct, frozen=True):
    stage: int
    restart_rev: int
    entered_at: float
    baked_s: float


class Watch(msgspec.Struct, frozen=True):
    timers: Timers = Timers()
    stage: int = -1
    baked_s: float = 0.0
    restart_rev: int = 0  # of the state: a new value restarts the bake
    entered_at: float = 0.0
    before: Bake | None = None  # of the stage left last: an undo restores it
    rebake_rev: int = 0  # of the rollback from which a return is measured
    rebaked_s: float = 0.0

    def baked(self, state: State) -> float:
        """Watched seconds of the state's stage. Undoing a rollback restores those from before it, without the gap."""
        if (self.stage, self.restart_rev) == (state.stage, state.restart_rev):
            return self.baked_s
        here = (state.stage, state.restart_rev, state.entered_at)
        left = self.before
        return left.baked_s if left and (left.stage, left.restart_rev, left.entered_at) == here else 0.0

    def rebaked(self, state: State) -> float:
        """Watched seconds since the cause of the last rollback was written."""
        return self.rebaked_s if state.setback is not None and self.rebake_rev == state.setback.rev else 0.0

    def after(self, timers: Timers, state: State, bake_s: float, rebake_s: float) -> Watch:
        """Continue after a tick that added this much to the stage's bake and to the way back."""
        left = self.before
        if self.stage not in (-1, state.stage):
            left = Bake(self.stage, self.restart_rev, self.entered_at, self.baked_s)
        return Watch(
            timers=timers,
            stage=state.stage,
            baked_s=self.baked(state) + bake_s,
            restart_rev=state.restart_rev,
            entered_at=state.entered_at,
            before=left,
            rebake_rev=state.setback.rev if state.setback else 0,
            rebaked_s=self.rebaked(state) + rebake_s,
        )
