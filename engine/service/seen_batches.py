"""Which batches of workers and gateways the triggers have seen: one that is sent again brings no new attempts."""

from __future__ import annotations

from collections import deque

SENDERS = 1000  # each process has its own name, so the oldest are forgotten
BATCHES = 64  # of each: it has few under way at once


class SeenBatches:
    def __init__(self) -> None:
        self._numbers: dict[str, deque[int]] = {}  # by sender, the latest last

    def is_new(self, sender: str, number: int) -> bool:
        """Whether this is the first time that the batch arrives."""
        known = self._numbers[sender] = self._numbers.pop(sender, deque(maxlen=BATCHES))
        while len(self._numbers) > SENDERS:
            del self._numbers[next(iter(self._numbers))]
        if number in known:
            return False
        known.append(number)
        return True
