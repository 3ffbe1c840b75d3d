"""What is wrong with a plan, for the person who edits it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from engine.plan.positions import Path

Report = Callable[[Path, str], None]
"""Receives the place of a mistake and a sentence: what is wrong and what is allowed."""


class PlanProblem(Struct, frozen=True):
    """One mistake. `place` is "" and `line` None for the file as a whole."""

    place: str
    line: int | None
    message: str


class PlanError(Exception):
    """Everything wrong with the plan at `source`; as text, one mistake per line, with file and line number."""

    def __init__(self, source: str, problems: list[PlanProblem]) -> None:
        super().__init__(source, problems)
        self.source = source
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """One line each: "rollout.toml:41, stages[2].percent: 150 is outside 0 to 100; give a percentage such as
        25"."""
        return [
            self.source
            + (f":{problem.line}" if problem.line else "")
            + (f", {problem.place}" if problem.place else "")
            + f": {problem.message}"
            for problem in self.problems
        ]
