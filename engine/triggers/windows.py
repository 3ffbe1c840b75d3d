"""The LLM attempts since the last change of percentage, in memory: what triggers judge.

A window is the difference of two running totals, kept per second: adding costs O(1) and any window O(log n), at any
traffic. After a restart it is rebuilt from the store (`add` and `look_up`, oldest first, in today's monotonic time);
the rows of the last six hours, or since the last change of percentage, are enough. A gap in the rows is a gap in the
windows.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

from engine.plan.model import Trigger, TriggerSettings
from engine.triggers.cusum import CAP, Cusum, Design, Level, detectors, early_threshold, is_around, target_threshold

HOUR = 3600.0
SECONDS_KEPT = 21_600  # the most steps a running total keeps
FRESH_S = 60.0  # a fault whose last sign is older may be over,
HEALED_DOCUMENTS = 15  # if this many documents since show nothing of it


class WindowTotals(Struct, frozen=True):
    """Attempts and lookups of the last `span_s` seconds. `ms`, `ms_squares`: sums over the `fresh` calls only."""

    span_s: float
    n: int
    k: int
    fresh: int = 0
    ms: float = 0.0
    ms_squares: float = 0.0
    lookups: int = 0
    hits: int = 0
    unsent: int = 0  # of the failures: the breaker was open or the queue full
    # seen by an engine that was late itself:
    unjudged: int = 0  # failures, which are no attempts here
    untimed: int = 0  # answers, which are no fresh calls


class Attempts(Struct, frozen=True):
    """The attempts as seen at one moment; made by `RecentAttempts.at`."""

    t: float
    n: int  # since the last change of percentage
    k: int
    windows: dict[float, WindowTotals]  # by span in seconds
    last: WindowTotals  # the last 100 attempts
    slow: WindowTotals  # the last 50 fresh calls
    latest: WindowTotals  # those of the last minute, at least the last 15 fresh calls
    failures_in_row: int
    failures_span_s: float  # between the first and the last of them
    burst: int  # length of the last run of failures that has ended
    burst_ago_s: float
    clean_in_row: int
    clean_s: float  # since the last failure, or since the start without one
    unjudged_s: float  # since the last call that an engine which was late could not judge; infinite without one
    levels: dict[Design, Level]
    per_min: float  # LLM documents a minute over the last hour, with one assumed at the start: what detectors expect
    seen_per_min: float  # the same, without any assumption
    unjudged_in_row: int = 0  # failed calls since the last attempt, seen by an engine that was late itself


class RecentAttempts:
    """Takes every LLM attempt and lookup; read at each evaluation; `reset` when the percentage changes."""

    def __init__(self, rules: Iterable[Trigger], settings: TriggerSettings, start: float) -> None:
        rules = tuple(rules)
        self.spans = tuple(sorted({rule.for_s for rule in rules if rule.for_s > 0}))
        designs = {design for rule in rules for design in detectors(rule) if design}
        self._cusums = {design: Cusum(design) for design in sorted(designs)}
        self._around = {design: is_around(design) for design in self._cusums}
        self._last_n, self._slow_n = settings.fallback_n, settings.latency_fallback_n
        self._horizon = max((*self.spans, HOUR)) + 60
        self._attempts = _Totals(self._horizon)
        self._lookups = _Totals(self._horizon)
        self._unsent = _Totals(self._horizon)
        self._unjudged = _Totals(self._horizon)
        self.reset(start)

    def reset(self, t: float) -> None:
        """The percentage changed at t: nothing from before counts."""
        self._start = t
        self._attempts.clear()
        self._lookups.clear()
        self._unsent.clear()
        self._unjudged.clear()
        self._last_unjudged = -math.inf
        self._last: deque[tuple[float, bool]] = deque(maxlen=self._last_n)
        self._last_k = 0
        self._slow: deque[tuple[float, float]] = deque(maxlen=self._slow_n)
        self._n = self._k = 0
        self._failures = self._clean = self._burst = self._unjudged_in_row = 0
        self._burst_end = t
        self._first_failure = self._last_failure = t
        self._rate_at, self._per_min, self._seen_per_min = -math.inf, 0.0, 0.0
        self._caps: list[tuple[Cusum, float]] = [(cusum, math.inf) for cusum in self._cusums.values()]
        for cusum in self._cusums.values():
            cusum.reset()

    def add(self, t: float, ok: bool, ms: float | None = None, fresh: bool = True, sent: bool = True) -> None:
        """One LLM attempt that ended at t. `ms` counts only if `fresh`; an attempt stopped by an open breaker has
        none, and was not `sent`.
        """
        if not sent:
            self._unsent.add(t, 1, 0, 0, 0.0, 0.0)
        self._n += 1
        self._unjudged_in_row = 0
        last = self._last
        if len(last) == self._last_n:
            self._last_k -= not last[0][1]
        last.append((t, ok))
        timed = ms if fresh and ms is not None and math.isfinite(ms) else None
        if timed is None:
            self._attempts.add(t, 1, not ok, 0, 0.0, 0.0)
        else:
            self._attempts.add(t, 1, not ok, 1, timed, timed * timed)
            self._slow.append((t, timed))
        if ok:
            self._clean += 1
            if self._failures > 1:
                self._burst, self._burst_end = self._failures, self._last_failure
            self._failures = 0
        else:
            self._k += 1
            self._last_k += 1
            if not self._failures:
                self._first_failure = t
            self._failures += 1
            self._clean, self._last_failure = 0, t
        if t - self._rate_at >= 10:
            self._retune(t)
        for cusum, cap in self._caps:
            cusum.add(t, ok, cap)

    @property
    def n(self) -> int:
        """Attempts since the last `reset`."""
        return self._n

    @property
    def per_min(self) -> float:
        """LLM documents a minute over the last hour, as of the last attempt or evaluation."""
        return self._per_min

    def look_up(self, t: float, hits: int, lookups: int = 1) -> None:
        """Cache lookups on the LLM arm."""
        self._lookups.add(t, lookups, hits, 0, 0.0, 0.0)

    def discard(self, t: float, answered: bool) -> None:
        """What an engine that was late saw of a call: a failure that may be its own, or an answer whose time says
        nothing."""
        self._unjudged.add(t, not answered, answered, 0, 0.0, 0.0)
        self._last_unjudged = t
        self._unjudged_in_row += not answered

    def _retune(self, t: float) -> None:
        """Measure traffic over the last hour (one document a minute is assumed at the start) and set the CUSUMs'
        caps.
        """
        span = max(0.0, min(HOUR, t - self._start))
        n = self._attempts.window(t, span).n if span else 0
        self._rate_at, self._per_min, self._seen_per_min = t, (n + 1) / (span + 60) * 60, n / (span + 60) * 60
        high = early_threshold(self._per_min) + CAP, target_threshold(self._per_min) + CAP
        self._caps = [(cusum, high[0] if self._around[design] else high[1]) for design, cusum in self._cusums.items()]

    def window(self, t: float, span_s: float) -> WindowTotals:
        """The last `span_s` seconds before t (to the second)."""
        attempts = self._attempts.window(t, span_s)
        asked = self._lookups.window(t, span_s)
        discarded = self._unjudged.window(t, span_s)
        return WindowTotals(
            span_s=span_s,
            n=attempts.n,
            k=attempts.k,
            fresh=attempts.fresh,
            ms=attempts.ms,
            ms_squares=attempts.ms_squares,
            lookups=asked.n,
            hits=asked.k,
            unsent=self._unsent.window(t, span_s).n,
            unjudged=discarded.n,
            untimed=discarded.k,
        )

    def _fresh(self, t: float, n: int) -> WindowTotals:
        """The last n fresh calls."""
        calls = [*islice(self._slow, max(0, len(self._slow) - n), None)]
        ms = [sample_ms for _, sample_ms in calls]
        span = max(0.0, t - calls[0][0]) if calls else 0.0
        return WindowTotals(span, len(ms), 0, len(ms), math.fsum(ms), math.fsum(x * x for x in ms))

    def at(self, t: float) -> Attempts:
        """Everything `evaluate` needs, for all rules."""
        self._retune(t)
        last = self._last
        minute = self.window(t, FRESH_S)
        last_s = max(0.0, t - last[0][0]) if last else 0.0
        return Attempts(
            t=t,
            n=self._n,
            k=self._k,
            windows={span: self.window(t, span) for span in self.spans},
            last=WindowTotals(
                last_s,
                len(last),
                self._last_k,
                unsent=self._unsent.window(t, last_s).n,
                unjudged=self._unjudged.window(t, last_s).n,
            ),
            slow=self._fresh(t, self._slow_n),
            latest=minute if minute.fresh >= HEALED_DOCUMENTS else self._fresh(t, HEALED_DOCUMENTS),
            failures_in_row=self._failures,
            failures_span_s=self._last_failure - self._first_failure if self._failures else 0.0,
            burst=self._burst,
            burst_ago_s=max(0.0, t - self._burst_end),
            clean_in_row=self._clean,
            clean_s=max(0.0, t - self._last_failure),
            unjudged_s=t - self._last_unjudged,
            levels={design: cusum.level(t) for design, cusum in self._cusums.items()},
            per_min=self._per_min,
            seen_per_min=self._seen_per_min,
            unjudged_in_row=self._unjudged_in_row,
        )


Sums = tuple[int, int, int, float, float]  # attempts, failures, fresh answers, their ms and ms squared


class _Totals:
    """Running totals by the second (coarser when a rule looks back further than six hours)."""

    def __init__(self, horizon_s: float) -> None:
        self._horizon = horizon_s
        self._step = max(1.0, math.ceil(horizon_s / (SECONDS_KEPT + 60)))
        self.clear()

    def clear(self) -> None:
        # Each entry holds the totals up to the end of its second; the first is the zero before them.
        self._times: list[float] = [-math.inf]
        self._totals: list[Sums] = [(0, 0, 0, 0.0, 0.0)]

    def add(self, t: float, n: int, k: int, fresh: int, ms: float, squares: float) -> None:
        times, totals = self._times, self._totals
        before = totals[-1]
        total = (before[0] + n, before[1] + k, before[2] + fresh, before[3] + ms, before[4] + squares)
        second = t // self._step * self._step
        if second <= times[-1]:
            totals[-1] = total
            return
        times.append(second)
        totals.append(total)
        if len(times) > 2 * SECONDS_KEPT or (len(times) > 512 and times[len(times) // 2] < t - self._horizon):
            self._trim(t)

    def _trim(self, t: float) -> None:
        keep = max(1, bisect_left(self._times, t - self._horizon) - 1)
        base = self._totals[keep - 1]
        self._times = [-math.inf, *islice(self._times, keep, None)]
        self._totals = [(0, 0, 0, 0.0, 0.0), *(_less(total, base) for total in islice(self._totals, keep, None))]

    def window(self, t: float, span_s: float) -> WindowTotals:
        end = self._totals[-1]
        start = self._totals[bisect_left(self._times, t - span_s) - 1] if self._times[-1] >= t - span_s else end
        n, k, fresh, ms, squares = _less(end, start)
        return WindowTotals(span_s, n, k, fresh, ms, max(0.0, squares))


def _less(total: Sums, base: Sums) -> Sums:
    """What was added since `base`."""
    n, k, fresh, ms, squares = base
    return total[0] - n, total[1] - k, total[2] - fresh, total[3] - ms, total[4] - squares
