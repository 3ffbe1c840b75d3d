"""What was chosen in the menu before, newest last; kept in a file next to the theme."""

from __future__ import annotations

from collections.abc import Sequence

from console import themes

MOST = 30
KEY = "menu"


class RecentChoices:
    """Read on first use: the first paint does not wait for it."""

    def __init__(self) -> None:
        self._words: list[str] | None = None

    @property
    def words(self) -> Sequence[str]:
        if self._words is None:
            self._words = [line for line in themes.recall(KEY).split("\n") if line]
        return self._words

    def add(self, words: str) -> None:
        self._words = [*(known for known in self.words if known != words), words][-MOST:]
        themes.remember(KEY, "\n".join(self._words))
