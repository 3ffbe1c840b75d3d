"""Repeated log lines are written a few times and then counted, so that a client that causes one cannot fill the disk.

Lines that differ only in numbers count as the same. A limit on all lines together covers those that differ in words.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable

from msgspec import Struct

WINDOW_S = 60.0
ALIKE = 5  # lines of one shape in a window
ALL = 300  # lines of any shape in a window
SHAPES = 500  # shapes tracked separately; the rest share one
SHAPE_CHARS = 200
_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+")


class _Shape(Struct):
    began: float
    lines: int = 0
    dropped: int = 0
    last: str = ""


class RepeatFilter(logging.Filter):
    """Attach to a handler. `emit` writes the line with the number of omitted lines."""

    def __init__(self, emit: Callable[[logging.LogRecord], None], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._emit = emit
        self._clock = clock
        self._shapes: dict[str, _Shape] = {}
        self._all = _Shape(clock())
        self._closed = 0.0  # when expired windows were last closed
        self._lock = threading.RLock()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        with self._lock:
            now = self._clock()
            self._close(now)
            name = f"{record.name} {record.levelno} {_NUMBER.sub('0', text[:SHAPE_CHARS])}"
            if name not in self._shapes and len(self._shapes) >= SHAPES:
                name = "others"
            shape = self._shapes.setdefault(name, _Shape(now))
            if shape.lines < ALIKE and self._all.lines < ALL:
                shape.lines += 1
                self._all.lines += 1
                return True
            shape.dropped += 1
            shape.last = text
            return False

    def flush(self) -> None:
        """Report what was left out in expired windows; called now and then, since no line may follow."""
        with self._lock:
            self._close(self._clock())

    def _close(self, now: float) -> None:
        if now - self._closed < 1.0:
            return
        self._closed = now
        if now - self._all.began >= WINDOW_S:
            self._all = _Shape(now)
        over = [name for name, shape in self._shapes.items() if now - shape.began >= WINDOW_S]
        most = sorted((self._shapes.pop(name) for name in over), key=lambda shape: -shape.dropped)
        for shape in most[:ALIKE]:
            if not shape.dropped:
                break  # those that follow dropped none either
            self._emit(_line(f"{shape.dropped:,} more lines like this in {WINDOW_S:.0f} s: {shape.last[:SHAPE_CHARS]}"))
        if rest := sum(shape.dropped for shape in most[ALIKE:]):
            self._emit(_line(f"{rest:,} more lines of other kinds in {WINDOW_S:.0f} s were left out"))


def _line(text: str) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "rollout.log", "levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
    )


def fold(handlers: Iterable[logging.Handler]) -> None:
    """Fold what these handlers write."""
    for handler in handlers:
        if not any(isinstance(filter_, RepeatFilter) for filter_ in handler.filters):
            handler.addFilter(RepeatFilter(handler.emit))


def flush(handlers: Iterable[logging.Handler]) -> None:
    """See `RepeatFilter.flush`."""
    for handler in handlers:
        for filter_ in handler.filters:
            if isinstance(filter_, RepeatFilter):
                filter_.flush()
