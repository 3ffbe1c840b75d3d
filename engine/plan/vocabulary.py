"""The vocabulary of rollout.toml: units, metrics, actions, placeholders.

A field of the plan is `name: Annotated[type, Doc("what it does")]`: the loader validates with it, the reference
prints it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from msgspec import Struct


def key_of(field: str) -> str:
    """The key in rollout.toml: `bake = "2d"` and `percent = 10` there, `bake_s` and `percent_bp` here."""
    if field.endswith("_bp"):
        return "percent" if field == "percent_bp" else f"{field.removesuffix('_bp')}_percent"
    return field.removesuffix("_s")


class Part(Struct, frozen=True, forbid_unknown_fields=True, rename=key_of):
    """A table of rollout.toml."""


class Unit(StrEnum):
    """How a value is written in the file, where its Python type does not determine it."""

    duration = "duration"  # "5m" -> seconds
    percent = "percent"  # 12.5 -> basis points
    threshold = "threshold"  # "5 %", "3 s" or a number, in the unit of the metric beside it
    id = "id"  # lower case, digits, _ and -
    text = "text"  # not empty


class Doc(Struct, frozen=True):
    """What a field means and allows. `least` and `most` are in the engine's units; `pattern` applies to each string."""

    meaning: str
    least: float | None = None
    most: float | None = None
    pattern: str = ""
    example: str = ""  # without the quotes it may need in the file
    lines: bool = False  # line breaks are allowed


Seconds = Annotated[float, Unit.duration]
BasisPoints = Annotated[int, Unit.percent]
Threshold = Annotated[float, Unit.threshold]
Id = Annotated[str, Unit.id]
Title = Annotated[str, Unit.text]


class Action(StrEnum):
    """What a trigger does, strongest first. None of them raises the percentage."""

    to_zero = "to_zero"
    previous_stage = "previous_stage"
    halve = "halve"
    pause = "pause"
    investigate = "investigate"


class Severity(StrEnum):
    critical = "critical"
    high = "high"
    medium = "medium"


Mode = Literal["guarded", "literal", "early"]
Op = Literal["<", "<=", ">", ">="]
Metric = Literal[
    "error_rate", "latency_mean", "latency_p95", "cache_hit_rate", "llm_available", "complaints", "error_creep",
    "grounded_rate", "quality_score", "search_improvement", "ab_improvement", "satisfaction", "documents",
    "ab_verdict", "critical_incidents", "negative_impacts", "latency_ratio",
]  # fmt: skip


class MetricWord(NamedTuple):
    """`unit`: a rate is 0..1, a change relative (0.1 is +10 %), a flag 0 or 1. `name`: in sentences."""

    unit: Literal["rate", "change", "ms", "count", "flag", "ratio"]
    name: str
    meaning: str


METRICS: dict[str, MetricWord] = {
    "error_rate": MetricWord("rate", "error rate", "LLM attempts that ended without usable keywords / LLM attempts"),
    "latency_mean": MetricWord("ms", "mean latency", "mean wall time of a document on the LLM arm, fresh calls only"),
    "latency_p95": MetricWord("ms", "p95 latency", "95th percentile of the same"),
    "cache_hit_rate": MetricWord("rate", "cache hit rate", "hits / lookups on the LLM arm"),
    "llm_available": MetricWord("flag", "LLM service", "1 while the LLM service answers calls and probes"),
    "complaints": MetricWord("count", "complaints", "complaints about search quality since the stage began"),
    "error_creep": MetricWord(
        "flag", "error creep", "1 while a CUSUM detects that the error rate has moved from 1 % towards 6 %"
    ),
    "grounded_rate": MetricWord("rate", "grounded keywords", "LLM keywords that the document supports / LLM keywords"),
    "quality_score": MetricWord("rate", "quality score", "reviewed documents judged good / reviewed documents"),
    "search_improvement": MetricWord(
        "change", "search improvement", "search score of LLM keywords against frequency keywords on the same documents"
    ),
    "ab_improvement": MetricWord(
        "change",
        "search improvement in the A/B test",
        "search score of the A/B test's LLM arm against its control, read at its end",
    ),
    "satisfaction": MetricWord("rate", "satisfaction", "positive ratings / ratings"),
    "documents": MetricWord("count", "LLM documents", "LLM documents since the stage began"),
    "ab_verdict": MetricWord("flag", "A/B verdict", "1 if the declared A/B test ended in favour of the LLM"),
    "critical_incidents": MetricWord(
        "count", "critical incidents", "critical triggers and rollbacks since the stage began"
    ),
    "negative_impacts": MetricWord(
        "count", "negative impacts", "the same, plus metrics that the A/B test found worse than declared"
    ),
    "latency_ratio": MetricWord(
        "ratio", "latency against the frequency arm", "mean latency of the LLM arm / mean latency of the frequency arm"
    ),
}

PLACEHOLDERS: dict[str, str] = {
    "service": "the service, from the top of the file",
    "environment": "production, staging, ...",
    "stage": "number of the current stage",
    "stage_name": "its name",
    "percent": "the current percentage, such as 10 %",
    "next_stage": "name of the next stage",
    "next_percent": "its percentage",
    "error_rate": "with n and the bound, such as 0.4 % (6 of 1520, at most 0.8 %)",
    "latency_mean": "mean latency of fresh LLM calls, with n",
    "latency_p95": "95th percentile of the same",
    "cache_hit_rate": "with n",
    "methods": "documents by method",
    "documents": "LLM documents since the stage began",
    "complaints": "complaints since the stage began",
    "satisfaction": "positive ratings, with n",
    "search_improvement": "search score against frequency, with its interval",
    "quality": "what the reviewers judged",
    "ab_test": "the A/B test's verdict in words",
    "incidents": "triggers fired, rollbacks and holds since the last such message",
    "gate": "each condition of the gate: met, or exactly what is missing",
    "next": "what the engine does next if no one intervenes",
    "decision": "what was decided, such as rolled back to 0 %",
    "who": "who decided: a person, or the trigger",
    "why": "the reason given",
    "when": "when, UTC",
    "evidence": "the value, threshold, window and n behind the decision",
    "effective": "how soon it was observed, such as 0.04 s",
    "schedule": "the stages with percentage and duration",
    "results": "the table of metrics by stage",
    "lessons": "lessons learned, as written for the report",
    "contacts": "roles, phones and mail addresses",
}
