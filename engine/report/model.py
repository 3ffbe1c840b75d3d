"""The report as data: read once from the store, rendered as Markdown or HTML.

Times are UTC epoch seconds, durations seconds, rates 0..1. Unknown is None, never 0. Texts are clean (engine.text) but
not escaped.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from engine.measures.figure import MetricValue
from engine.text import percent

Point = tuple[float, float | None]

# what the review asks for, by kind of note
QUESTIONS = {
    "well": "What worked, and should be done again?",
    "improve": "What was slow, unclear or missing?",
    "lesson": "What should the next rollout know?",
    "action": "Who does what until when?",
}
PROMPTS = {kind: f"Nothing written yet. {question}" for kind, question in QUESTIONS.items()}


class StageStory(Struct, frozen=True):
    """A stage, all its visits together. `waited_s`: waiting for people, after the bake and once the figures
    met the gate.
    """

    number: int
    name: str
    objective: str
    percent_bp: int
    entered: float | None  # None: never
    left: float | None  # None: never entered, or still there
    visits: int
    spent_s: float
    baked_s: float
    figures_s: float
    waited_s: float
    held_s: float
    bake_s: float
    documents: int
    llm_documents: int
    error_rate: MetricValue
    latency: MetricValue
    p95: MetricValue
    cache: MetricValue
    search: MetricValue
    quality: MetricValue
    satisfaction: MetricValue
    complaints: int
    signed: tuple[SignedItem, ...]
    stable: bool = False  # no stage of the plan, but the time after the last one

    @property
    def label(self) -> str:
        return "Stable" if self.stable else f"Stage {self.number}"


METRICS: tuple[tuple[str, Callable[[StageStory], MetricValue]], ...] = (
    ("Error Rate", lambda s: s.error_rate),
    ("Avg Time", lambda s: s.latency),
    ("p95 latency", lambda s: s.p95),
    ("Cache Hit Rate", lambda s: s.cache),
    ("Search Quality", lambda s: s.search),
    ("Reviewed quality", lambda s: s.quality),
    ("User Satisfaction", lambda s: s.satisfaction),
)


class SignedItem(Struct, frozen=True):
    """A checklist item and its state."""

    text: str
    state: str  # done | failed | open
    by: str
    at: float | None
    words: str


class TimelineEntry(Struct, frozen=True):
    """A line of the timeline; `count` > 1: a run of the same kind, of which `until` is the last."""

    at: float
    kind: str
    sentence: str
    stage: int
    percent_bp: int
    override: bool = False
    count: int = 1
    until: float | None = None


class LoggedDecision(Struct, frozen=True):
    """A decision and its evidence."""

    rev: int
    at: float
    kind: str
    who: str
    where: str
    sentence: str
    reason: str
    stage: int
    percent_from: int
    percent_to: int
    override: bool
    evidence: tuple[tuple[str, str], ...]
    seen: str
    hash: str


class IncidentMoment(Struct, frozen=True):
    """A moment of an incident. `kind`: first, seen, look, decision, fired, proof, complaint or message."""

    at: float
    kind: str
    sentence: str


class Incident(Struct, frozen=True):
    """A problem and the response to it. The four times are None if the store does not know them."""

    rev: int
    what: str
    stage: int
    automatic: bool
    trigger: str
    percent_from: int
    percent_to: int
    onset: float | None  # the first failure of the run that led to it
    detected: float | None  # the trigger's first breach
    decided: float
    effective: float | None  # 0 % observed
    proof: str
    cause: str  # as written by a person
    resumed: float | None
    restored: int  # documents whose frequency keywords were restored
    happened: tuple[IncidentMoment, ...] = ()
    cost: str = ""
    within: int | None = None  # the later decision whose incident this is part of, and whose moments include its own

    @property
    def change(self) -> str:
        """ "50 % to 0 %", "held at 50 %"."""
        if self.percent_to == self.percent_from:
            return f"held at {percent(self.percent_from)}"
        return f"{percent(self.percent_from)} to {percent(self.percent_to)}"

    @property
    def detect_s(self) -> float | None:
        return None if self.onset is None or self.detected is None else max(0.0, self.detected - self.onset)

    @property
    def decide_s(self) -> float | None:
        return None if self.detected is None else max(0.0, self.decided - self.detected)

    @property
    def effect_s(self) -> float | None:
        """In whole milliseconds, as its proof has it."""
        return None if self.effective is None else round(max(0.0, self.effective - self.decided), 3)


class MeasuredResult(Struct, frozen=True):
    """A result of a quality measurement or of the A/B test, in words."""

    at: float
    what: str
    sentence: str
    details: tuple[str, ...] = ()


class WrittenNote(Struct, frozen=True):
    """A note a person wrote for the report."""

    at: float
    who: str
    text: str


class Chapter(Struct, frozen=True):
    """A heading of the plan's review and the notes under it."""

    heading: str
    kind: str  # well | improve | lesson | action
    written: tuple[WrittenNote, ...]


class SentMessage(Struct, frozen=True):
    """A message and its delivery."""

    at: float
    message: str
    audience: str
    subject: str
    state: str
    tries: int
    error: str


class Curves(Struct, frozen=True):
    """By the hour (or coarser, over months; finer, over hours). `percent_bp` steps at each change."""

    start: float
    end: float
    span_s: float
    error_rate: tuple[Point, ...]
    latency_mean: tuple[Point, ...]
    latency_p95: tuple[Point, ...]
    percent: tuple[tuple[float, int], ...]
    stages: tuple[tuple[float, int], ...]  # when a stage began
    incidents: tuple[float, ...]


class Target(Struct, frozen=True):
    error_rate: float | None
    latency_ms: float | None


class Appendix(Struct, frozen=True):
    """How to reproduce this report and check that nothing in it was changed."""

    plan_digest: str
    plan_source: str
    versions: tuple[tuple[str, str], ...]
    decisions: int
    head: str
    chain: str
    commands: tuple[str, ...]


class RolloutReport(Struct, frozen=True):
    title: str
    service: str
    environment: str
    rehearsal: bool
    at: float  # the time of the store's latest entry
    began: float | None
    headline: str
    summary: tuple[str, ...]
    stage: int
    percent_bp: int
    stable: bool
    target: Target
    stages: tuple[StageStory, ...]
    timeline: tuple[TimelineEntry, ...]
    verdicts: tuple[LoggedDecision, ...]
    incidents: tuple[Incident, ...]
    overrides: tuple[LoggedDecision, ...]
    quality: tuple[MeasuredResult, ...]
    experiment: tuple[MeasuredResult, ...]
    post_rollout: tuple[SignedItem, ...]
    review: tuple[Chapter, ...]
    messages: tuple[SentMessage, ...]
    curves: Curves | None
    references: tuple[str, ...]
    appendix: Appendix
    after: StageStory | None = None  # since it was declared stable; None: it was not

    @property
    def measured(self) -> tuple[StageStory, ...]:
        """Where documents were extracted: the stages, and the time after them."""
        return self.stages if self.after is None else (*self.stages, self.after)
