"""What people should see of a running engine that is not a decision: events, and faults of its own."""

from __future__ import annotations

import logging
import traceback
from collections import Counter, deque
from collections.abc import Callable

from engine.clock import Clock
from engine.text import clean_line

REPEAT_S = 60.0
EVENTS = 50


class FaultLog:
    """Internal faults in a log, each in full once: a fault on every tick would fill the disk."""

    def __init__(self, log: logging.Logger, redact: Callable[[str], str]) -> None:
        self._log = log
        self._redact = redact
        self._times: Counter[str] = Counter()  # by where they come from

    def add(self, error: BaseException) -> str:
        """Log a fault the first time in full, then at the 10th, 100th, ... time; return where it comes from."""
        place = "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
        self._times[place] += 1
        times = self._times[place]
        if times == 1:
            self._log.error("%s", self._redact("".join(traceback.format_exception(error))))
        elif times == 10 ** (len(str(times)) - 1):
            words = self._redact(str(error))
            self._log.error("%s: %s (the same as above, now %d times)", type(error).__name__, words, times)
        return place


class Notices:
    """The latest events, for the log and every console."""

    def __init__(self, clock: Clock, log: logging.Logger, redact: Callable[[str], str]) -> None:
        self._clock = clock
        self._log = log
        self._redact = redact
        self._faults = FaultLog(log, redact)
        self._recent: dict[str, float] = {}  # events of the last minute, and when
        self.events: deque[tuple[float, str]] = deque(maxlen=EVENTS)

    def event(self, sentence: str, about: str = "") -> None:
        """A repeat, in the same words or on the same subject (`about`), is shown once a minute, so it does not push out
        other events."""
        now, about = self._clock.real(), about or sentence
        self._recent = {text: at for text, at in self._recent.items() if now - at < REPEAT_S}
        if about in self._recent or (self.events and self.events[-1][1] == sentence):
            return
        self._recent[about] = now
        self._log.info("%s", sentence)
        self.events.append((self._clock.now(), sentence))

    def trouble(self, error: BaseException) -> None:
        place = self._faults.add(error)
        words = f"{type(error).__name__}: {clean_line(self._redact(str(error)))}"
        self.event(f"The engine had trouble: {words}. Details in engine.log.", place)
