"""What is observed of the documents: recent attempts in memory, and complaints in the store. The triggers' evidence."""

from __future__ import annotations

import math
import sqlite3
from collections import deque

from engine.clock import Clock, LapseClock
from engine.cluster.lag import LoopLag
from engine.extraction.llm import ErrorKind
from engine.extraction.llm.failure import UNSENT
from engine.measures.bucket import timed
from engine.measures.origin import ORIGIN
from engine.measures.record import Extraction
from engine.metrics.exemplars import Exemplars
from engine.plan.model import Plan
from engine.rollout.state import State
from engine.service.blindness import Interruptions, SilenceDetector, Unseen
from engine.triggers.windows import RecentAttempts

REBUILD_S = 7 * 3600.0  # raw rows from which memory is rebuilt after a restart
REBUILD_ROWS = 200_000

# failures that a process sees by its own clock, or concludes from those
BY_CLOCK = frozenset({ErrorKind.timeout, ErrorKind.transport, ErrorKind.breaker_open, ErrorKind.queue_full})


class Observations:
    def __init__(self, plan: Plan, clock: Clock, conn: sqlite3.Connection, lag: LoopLag) -> None:
        self._clock = clock
        self._conn = conn
        self._lag = lag

        def attempts() -> RecentAttempts:
            return RecentAttempts(plan.triggers, plan.trigger_settings, clock.monotonic())

        self.recent = attempts()
        self.shadow = attempts()
        self.live = attempts()  # without back-fills
        self.silence = SilenceDetector(clock)
        self._interruptions = Interruptions(clock)
        self._stopped_at = -math.inf  # when what was observed was last discarded because of a stop
        self._fewest = 1 if plan.trigger_settings.mode == "literal" else plan.trigger_settings.min_n
        self.exemplars = Exemplars(dated=not isinstance(clock, LapseClock))
        self.complaints = 0  # in the current stage
        self.unjudged = 0  # measurements discarded because the engine's loop was late
        self._documents: deque[float] = deque(maxlen=4000)

    def restore(self, state: State) -> None:
        """Rebuild the attempts since the last change of percentage from the raw rows."""
        now, mono = self._clock.now(), self._clock.monotonic()
        since = max(state.changed_at, now - REBUILD_S)
        rows = self._conn.execute(
            "SELECT at, error, ms, attempted, lookup, cached, backfill FROM extraction WHERE at >= ? AND arm = "
            "'treatment' AND shadow = 0 AND epoch >= ? ORDER BY at DESC LIMIT ?",
            (since, state.epoch, REBUILD_ROWS),
        ).fetchall()
        self.recent.reset(mono - (now - since))
        self.live.reset(mono - (now - since))
        for at, error, ms, attempted, lookup, cached, backfill in reversed(rows):
            t = mono - max(0.0, now - at)
            if lookup:
                self.recent.look_up(t, cached)
            if attempted:
                answered = error is None or (error == "timeout" and ms > 0)
                self.recent.add(t, error is None, ms if answered else None, answered, error not in UNSENT)
                if not backfill:
                    self.live.add(t, error is None, ms if answered else None, answered)
        if rows:
            self.silence.sees(self.live.per_min)
        self.complained(state)

    def add(self, record: Extraction, here: bool = True, starved: bool = False) -> None:
        """Receives every record as it is made; `here`: this process made its calls, by its own clock. `starved`: the
        worker that made them was late itself."""
        t = self._clock.monotonic()
        self.exemplars.see(record, ORIGIN.get())
        if record.backfill:
            self._add_back_fill(record, t, starved)
            return
        if not record.shadow:
            self._documents.append(t)
        starved = starved or (here and record.attempted and self._starved(record))
        if starved and record.error in BY_CLOCK:
            served = record.arm == "treatment" and not record.shadow
            self._discard(self.shadow if record.shadow else self.recent, t, False)
            self.silence.passes(served, served)
            return
        if record.shadow:
            ms = record.ms if record.error is None and not starved else None
            self.shadow.add(t, record.error is None, ms, record.error is None)
            return
        if record.arm != "treatment" or not (record.lookup or record.attempted or record.skipped):
            self.silence.passes(record.arm == "treatment")
        else:
            self._add_treated(record, t, starved)

    def _add_back_fill(self, record: Extraction, t: float, starved: bool) -> None:
        """Add a back-fill's record. It protects, but is not evidence about the documents that people send."""
        if starved and record.error in BY_CLOCK:
            self._discard(self.recent, t, False)
        elif record.attempted:
            ms = None if starved else timed(record)
            self.recent.add(t, record.error is None, ms, ms is not None, record.error not in UNSENT)

    def _add_treated(self, record: Extraction, t: float, starved: bool) -> None:
        """A document of the LLM arm; of a starved process, its time does not count."""
        if record.lookup:
            self.recent.look_up(t, record.cached)
        if record.attempted:
            ms = timed(record)
            answered = ms is not None
            if starved and answered:
                ms = None
                self._discard(self.recent, t, True)
            self.recent.add(t, record.error is None, ms, answered, record.error not in UNSENT)
            self.live.add(t, record.error is None, ms, answered)
        if record.lookup or record.attempted:
            self.silence.sees(self.live.per_min)

    def _discard(self, attempts: RecentAttempts, t: float, answered: bool) -> None:
        self.unjudged += 1
        attempts.discard(t, answered)

    def _starved(self, record: Extraction) -> bool:
        """Whether the engine's loop was late for much of what this record took."""
        return self._lag.starved_over((record.ms + record.queue_ms) / 1000, self._clock.real())

    def changed(self, state: State) -> None:
        """The percentage or the stage changed: only later evidence counts."""
        self.recent.reset(self._clock.monotonic())
        self.live.reset(self._clock.monotonic())
        self.shadow.reset(self._clock.monotonic())
        self._interruptions.forget()
        self.silence.sees(self.documents_per_min() * state.percent_bp / 10_000)
        self.complained(state)

    def unwatched(self) -> None:
        """The triggers were not evaluated for a while: earlier failures no longer count."""
        self._see_whether_judged()
        self._interruptions.stopped()
        self._stopped_at = self._clock.monotonic()
        per_min = self.live.per_min
        self.recent.reset(self._clock.monotonic())
        self.live.reset(self._clock.monotonic())
        self.silence.sees(per_min)

    def counts_all(self, span_s: float) -> bool:
        """Whether no stop has taken a part of the last `span_s` seconds from what the triggers count."""
        return self._clock.monotonic() - self._stopped_at >= span_s

    def interrupted(self) -> Unseen:
        """Whether the engine stops too often for its triggers to judge anything."""
        self._see_whether_judged()
        return self._interruptions.unseen()

    def _see_whether_judged(self) -> None:
        if self.recent.n >= self._fewest:
            self._interruptions.forget()

    def complained(self, state: State) -> None:
        row = self._conn.execute(
            "SELECT count(*) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ?",
            (state.stage, state.entered_at),
        ).fetchone()
        self.complaints = row[0]

    def documents_per_min(self) -> float:
        mono = self._clock.monotonic()
        while self._documents and mono - self._documents[0] > 600:
            self._documents.popleft()
        span = min(600.0, mono - self._documents[0]) if self._documents else 0.0
        return len(self._documents) / max(span, 30.0) * 60 if self._documents else 0.0
