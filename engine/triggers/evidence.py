"""What an evaluation is given, and what it hands on to the next one. All of it is plain data: it can be stored and replayed."""

from __future__ import annotations

import math

from msgspec import Struct

from engine.plan.model import Metric
from engine.text import counted
from engine.triggers.measurement import Error, NoData, Sample, Stale
from engine.triggers.windows import Attempts


class Probes(Struct, frozen=True):
    """The LLM service's own answers to probes, one of which all of its `n` servers failed `failed_in_row` times."""

    failed_in_row: int = 0
    n: int = 0


class Evidence(Struct, frozen=True):
    """`samples` are of metrics that have no window of their own here: complaints, quality_score, latency_p95 ...

    `unseen` says in a few words why there are no figures just now ("no look-ups for 40 s", "the store cannot be written");
    empty while there are. `unseen_s`: for how long already. `idle`: because no document comes, and the service answers.
    """

    attempts: Attempts | NoData | Stale | Error = NoData()
    probes: Probes = Probes()
    samples: dict[Metric, Sample] = {}
    unseen: str = ""
    unseen_s: float = 0.0
    idle: bool = False


class Moment(Struct, frozen=True):
    """When, and what holds then. `monotonic` drives timers; `stages` are the stages' own percentages in basis points."""

    monotonic: float
    epoch: int
    stage: int
    percent_bp: int
    stages: tuple[int, ...]
    held: bool = False
    locked: str = ""


class Timer(Struct, frozen=True):
    """How long a rule is in breach, by its window and by its early detector; `fired` once it acted in this breach."""

    held_s: float = 0.0
    breach: bool = False
    early_s: float = 0.0
    early: bool = False
    fired: bool = False
    fired_value: float | None = None


class Timers(Struct, frozen=True):
    """Kept from one evaluation to the next, and stored, so that a restart forgets nothing. `at` is monotonic."""

    at: float | None = None
    epoch: int = -1
    rules: dict[str, Timer] = {}
    blind_s: float = 0.0
    blind_fired: bool = False

    def restored(self) -> Timers:
        """After a restart: everything as it was, but the time in between does not count."""
        return Timers(None, self.epoch, self.rules, self.blind_s, self.blind_fired)


# Silence as long as this many mean gaps between documents is no chance: e^-7, once in a thousand gaps.
GAPS = 7.0


def silence(quiet_s: float, per_min: float, waiting: int = 0) -> str:
    """What to put into `Evidence.unseen` when nothing was looked up for `quiet_s`, at `per_min` documents a minute before that.

    Empty while the silence may be chance: at one document a minute, two minutes without one are nothing unusual. While calls are
    `waiting` for an answer, documents do come.
    """
    if per_min > 0 and quiet_s * per_min / 60 < GAPS:
        return ""
    if not math.isfinite(quiet_s) or quiet_s <= 0:
        return ""
    if waiting:
        return f"no answer from the LLM service for {int(quiet_s)} s, {counted(waiting, 'call waits', 'calls wait')}"
    return f"no look-ups for {int(quiet_s)} s"
