"""What an evaluation takes, and what it passes to the next one. All plain data: it can be stored and replayed."""

from __future__ import annotations

import math

from msgspec import Struct, structs

from engine.plan.model import Metric
from engine.text import counted
from engine.triggers.measurement import Error, NoData, Sample, Stale
from engine.triggers.windows import Attempts


class Probes(Struct, frozen=True):
    """Health probes of the LLM service's `n` servers; all servers failed the last `failed_in_row` rounds."""

    failed_in_row: int = 0
    n: int = 0


class Evidence(Struct, frozen=True):
    """`samples`: metrics without a window here, such as complaints, quality_score and latency_p95.

    `unseen`: why figures are missing right now ("no LLM documents for 40 s", "the store cannot be written"), ""
    while there are. `unseen_s`: for how long. `idle`: no documents arrive although the service answers.
    """

    attempts: Attempts | NoData | Stale | Error = NoData()
    probes: Probes = Probes()
    samples: dict[Metric, Sample] = {}
    unseen: str = ""
    unseen_s: float = 0.0
    idle: bool = False


class Moment(Struct, frozen=True):
    """The time and the state at it. `monotonic` drives timers; `stages` are the stages' percentages in basis points."""

    monotonic: float
    epoch: int
    stage: int
    percent_bp: int
    stages: tuple[int, ...]
    held: bool = False
    locked: str = ""


class Timer(Struct, frozen=True):
    """How long a rule has been in breach, by its window and by its early detector; `fired`: it acted in this breach."""

    held_s: float = 0.0
    breach: bool = False
    early_s: float = 0.0
    early: bool = False
    fired: bool = False
    fired_value: float | None = None


class Timers(Struct, frozen=True):
    """Passed from one evaluation to the next, and stored so they survive a restart. `at` is monotonic."""

    at: float | None = None
    epoch: int = -1
    rules: dict[str, Timer] = {}
    blind_s: float = 0.0
    blind_fired: bool = False
    percent_bp: int = 0  # in force at that evaluation

    def restored(self) -> Timers:
        """The timers after a restart: unchanged, but the time in between does not count."""
        return structs.replace(self, at=None)

    def changed(self, at: float, epoch: int, percent_bp: int) -> Timers:
        """The timers under another percentage, which judges its own documents only. A raise keeps what a breach has
        lasted, or promoting during an alert would postpone its rollback; the first judgement without a breach clears
        it."""
        raised = 0 < self.percent_bp < percent_bp
        kept = {name: Timer(timer.held_s) for name, timer in self.rules.items() if timer.held_s} if raised else {}
        return Timers(at, epoch, kept)


# Silence this many mean gaps long is not chance: e^-7, once in a thousand gaps.
GAPS = 7.0


def silence(quiet_s: float, per_min: float, waiting: int = 0) -> str:
    """The text for `Evidence.unseen` after `quiet_s` without a lookup, at `per_min` documents a minute before that.

    "" while the silence may be chance: at one document a minute, two minutes without one are normal. `waiting` calls
    show that documents do arrive.
    """
    if per_min > 0 and quiet_s * per_min / 60 < GAPS:
        return ""
    if not math.isfinite(quiet_s) or quiet_s <= 0:
        return ""
    if waiting:
        return f"no answer from the LLM service for {int(quiet_s)} s, {counted(waiting, 'call waits', 'calls wait')}"
    return f"no LLM documents for {int(quiet_s)} s"
