"""Keys typed under the first frame, each read with its time, for the screen that continues on that frame.

They are read as they come: left on the line, they would arrive as one lump, which counts as a paste.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import NamedTuple

MOST_BYTES = 4096


class TimedInput(NamedTuple):
    at: float  # monotonic seconds, the clock of Textual's events
    data: bytes


class FirstKeys:
    """Reads a terminal in a thread until `stop`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.reads: list[TimedInput] = []  # so far
        self._wakes, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="first-keys", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            ready = select.select([self._descriptor, self._wakes], [], [])[0]
            if self._wakes in ready:
                return
            try:
                data = os.read(self._descriptor, MOST_BYTES)
            except OSError:
                return
            if not data:
                return
            self.reads.append(TimedInput(time.monotonic(), data))

    def stop(self) -> list[TimedInput]:
        """What was read; the second time, nothing. From here on, someone else may read the terminal."""
        wake, self._wake = self._wake, -1
        if wake >= 0:
            os.write(wake, b".")
            self._thread.join()
            os.close(wake)
            os.close(self._wakes)
        reads, self.reads = self.reads, []
        return reads
