"""A game day's scenario, from its file in `scenarios/`: what goes wrong and when, the right response, and the par.

Times ending in `_s` are calendar seconds after the fault begins, except in a par, where they are the player's own.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Literal

import msgspec
from msgspec import Struct

from engine.decoding import convert

SPEED = 10.0  # how fast a game day's calendar runs, unless the player chooses

Harm = Literal["failed", "slow", "llm", "lost", "complaints"]
"""Which documents are harmed: LLM calls that failed, LLM calls that took longer than `slow_ms`, documents that got LLM
keywords, documents that were not stored, users who complained."""

SCREENS = (
    *("Live", "Triggers", "Evidence", "Trends", "Servers", "Errors by kind", "Requests", "Request"),
    *("Incident", "Inbox", "Rollback", "Gate", "Log", "Decision", "Docs", "Quality review"),
)
"""By their titles: where most faults show."""

Deed = Literal["fault", "promote", "complaint", "kill", "fill"]


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happens. `fact` is the debrief's sentence for it."""

    after_s: float
    fact: str
    deed: Deed = "fault"
    fault: str = ""
    value: float = 0.0
    server: int | None = None  # None: all servers
    who: str = ""
    text: str = ""
    from_bp: int = 0  # happens only at this percentage or above


class Share(Struct, frozen=True, forbid_unknown_fields=True):
    """From `after_s` on, this share of all documents is harmed while no person acts; triggers do act."""

    after_s: float
    share: float


class Par(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds of the player's own time, from when the fault can be seen."""

    notice_s: float
    act_s: float


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """`right`: what a good on-call does, any of them; empty: nothing. `fine`: safe, but not the best. `wrong`: costs
    points.

    They name kinds of decisions in the log, plus two acts that are not in it: `start` (an engine) and `room`
    (freeing disk space). `screens`: where the fault shows, by title.
    """

    title: str
    minutes: float  # calendar minutes: how long the shift lasts
    fault_after_s: float  # calendar seconds: how long the shift is quiet
    visible_s: float  # how long it takes until the screens can show it
    harm: Harm
    truth: str
    best: str
    par: Par
    stage: int = 3
    slow_ms: float = 3000.0
    right: tuple[str, ...] = ("rollback",)
    fine: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ("promote", "undo_rollback", "resume")
    screens: tuple[str, ...] = SCREENS
    steps: tuple[Step, ...] = ()
    untouched: tuple[Share, ...] = ()
    name: str = ""

    @property
    def lasts_s(self) -> float:
        return self.minutes * 60


def names() -> tuple[str, ...]:
    """Every scenario, in the order of their files' names."""
    folder = files("engine.gameday") / "scenarios"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def load(name: str) -> Scenario:
    """Raises ValueError, with a sentence, if the name is unknown."""
    if name not in names():
        raise ValueError(f"There is no scenario {name[:40]!r}; known: {', '.join(names())}.")
    text = (files("engine.gameday") / "scenarios" / f"{name}.toml").read_text(encoding="utf-8")
    return msgspec.structs.replace(convert(tomllib.loads(text), Scenario), name=name)
