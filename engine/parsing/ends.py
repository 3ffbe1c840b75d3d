"""The lines that end blocks, found once for a document: a search from each beginning would take the square of its
length."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence


class Ends:
    """`mark`: matches an ending line; its group 1 is the name of what it ends, in any case."""

    def __init__(self, lines: Sequence[str], mark: re.Pattern[str]) -> None:
        self._places: dict[str, list[int]] = {}
        for place, line in enumerate(lines):
            if match := mark.match(line):
                self._places.setdefault(match[1].lower(), []).append(place)

    def after(self, name: str, at: int) -> int:
        """The index of the first line from `at` that ends `name`; -1 if there is none."""
        places = self._places.get(name.lower(), ())
        first = bisect_left(places, at)
        return places[first] if first < len(places) else -1
