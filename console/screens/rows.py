"""A selection in a list: what is selected stays so when the list changes, and the part of the list that is on screen."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


class Rows:
    def __init__(self) -> None:
        self.at = 0
        self.top = 0
        self._on: Hashable = None  # what is selected; None: whatever is in row `at`

    def move(self, by: int, count: int) -> None:
        self.at = max(0, min(count - 1, self.at + by))
        self._on = None

    def place(self, at: int) -> None:
        self.at = at
        self._on = None

    def hold(self, keys: Sequence[Hashable]) -> None:
        """The list is now of these: the cursor goes where what it was on went. A key must never act on another line than was seen."""
        if self._on is not None and self._on in keys:
            self.at = keys.index(self._on)
        self.at = max(0, min(self.at, len(keys) - 1))
        self._on = keys[self.at] if keys else None

    def window(self, count: int, room: int) -> range:
        """Indexes to draw, the selected one among them."""
        self.at = max(0, min(self.at, count - 1))
        if self.at < self.top:
            self.top = self.at
        elif self.at >= self.top + room:
            self.top = self.at - room + 1
        self.top = max(0, min(self.top, max(0, count - room)))
        return range(self.top, min(count, self.top + room))
