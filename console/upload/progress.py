"""A progress line on a terminal: how far a long command is, how fast, and how long it will take."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

from engine.text import rate_percent

EVERY_S = 0.1
WIDTH = 24


class Progress:
    """Counts documents, and how much of `total` is done, in bytes or documents (0: unknown, so no bar). Writes nothing
    unless `shown`."""

    def __init__(
        self, label: str, total: int, out: TextIO, *, shown: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._label, self._total, self._out, self._shown, self._clock = label, total, out, shown, clock
        self._began = self._drawn = clock()
        self._bytes = self._done = 0

    def step(self, size: int, done: int) -> None:
        self._bytes += size
        self._done = done
        now = self._clock()
        if self._shown and now - self._drawn >= EVERY_S:
            self._drawn = now
            self._write(self.line(now))

    def end(self) -> None:
        if self._shown:
            self._write("")

    def line(self, now: float) -> str:
        took = max(now - self._began, 1e-9)
        text = f"{self._done:,} documents, {self._done / took:,.0f}/s"
        if not self._total:
            return f"{self._label}  {text}"
        share = min(1.0, self._bytes / self._total)
        full = round(share * WIDTH)
        left = f", {_clock_time(took / share - took)} left" if share > 0 else ""
        return f"{self._label} [{'#' * full}{'-' * (WIDTH - full)}] {rate_percent(share, 0):>5}  {text}{left}"

    def _write(self, line: str) -> None:
        self._out.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
        self._out.flush()


def _clock_time(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
