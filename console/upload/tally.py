"""What happened to the documents of one load: counts and reasons, as a sentence, as remarks and as data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from console.upload import inputs, sources
from console.upload.uploader import Answer
from engine.text import clean_line, counted

NAMED = 10  # documents listed per problem
KNOWN = 1_000_000  # ids among which one given twice is noticed
REASONS = 5  # listed causes of fallback
_FIGURE = re.compile(r"\d+")


class Tally:
    """Counts of what happened to the documents."""

    def __init__(self, passed_over: Mapping[str, list[str]]) -> None:
        self.llm = self.frequency = self.cached = self.fallback = self.unchanged = self.failed = self.empty = 0
        self.guessed: dict[str, str] = {}  # document -> the encoding it was read with
        self.passed_over = {  # extension -> files
            clean_line(ending): [clean_line(name) for name in names] for ending, names in passed_over.items()
        }
        self.troubles: dict[str, list[str]] = {}  # reason -> documents
        self._ids: set[int] = set()
        self._twice: dict[str, None] = {}
        self._fallbacks: dict[str, tuple[str, int]] = {}  # reason without its figures -> (reason, count)

    @property
    def done(self) -> int:
        return self.llm + self.frequency

    def count(self, answer: Answer) -> None:
        if answer["method"] == "llm":
            self.llm += 1
        else:
            self.frequency += 1
        self.cached += bool(answer["cached"])
        if answer["fallback"]:
            self.fallback += 1
            kind = _FIGURE.sub("", answer["note"])
            why, times = self._fallbacks.get(kind, (clean_line(answer["note"]), 0))
            self._fallbacks[kind] = (why, times + 1)

    @property
    def fallbacks(self) -> list[tuple[str, int]]:
        """(reason, count), the most frequent first."""
        return sorted(self._fallbacks.values(), key=lambda cause: -cause[1])

    def sent(self, source: sources.Source) -> None:
        """Note an id that came before: the document sent last replaces the other. A file's path comes once."""
        if not source.named:
            return
        key = hash(source.id)  # less memory than the id
        if key in self._ids:
            self._twice[clean_line(source.id)] = None
        elif len(self._ids) < KNOWN:
            self._ids.add(key)

    def skip(self, name: str, why: str) -> None:
        if why == sources.EMPTY:
            self.empty += 1
        else:
            self.failed += 1
        self.troubles.setdefault(clean_line(why), []).append(clean_line(name))

    def sentence(self, took: float) -> str:
        return (
            f"{counted(self.done, 'document')} in {took:.1f} s ({self.done / took:.0f}/s): "
            f"{self.llm:,} by LLM ({self.cached:,} from the cache), "
            f"{self.frequency:,} by frequency ({self.fallback:,} as fallback), {self.unchanged:,} unchanged, "
            f"{f'{self.empty:,} empty, ' if self.empty else ''}{self.failed:,} failed."
        )

    def remarks(self) -> Iterator[str]:
        for why, times in self.fallbacks[:REASONS]:
            yield f"fallback, {times} document{'' if times == 1 else 's'}: {why}"
        for why, names in self.troubles.items():
            yield f"skipped {listed(names)}: {why}"
        if self._twice:
            yield f"ids given more than once, of which the store keeps one document: {listed([*self._twice])}"
        if self.guessed:
            guesses = [f"{name} ({encoding})" for name, encoding in self.guessed.items()]
            yield f"encoding guessed, check the text: {listed(guesses)}"
        for ending, names in sorted(self.passed_over.items()):
            yield f"passed over {listed(names)}: {inputs.why_passed_over(ending)}"

    def data(self, took: float) -> dict[str, Any]:
        return {
            "seconds": round(took, 3),
            "llm": self.llm,
            "frequency": self.frequency,
            "cached": self.cached,
            "empty": self.empty,
            "guessed": self.guessed,
            "passed_over": self.passed_over,
            "fallback": self.fallback,
            "fallbacks": {why: times for why, times in self.fallbacks},
            "unchanged": self.unchanged,
            "failed": self.failed,
            "skipped": [f"{name}: {why}" for why, names in self.troubles.items() for name in names],
        }


def listed(names: list[str]) -> str:
    """The first `NAMED` names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
