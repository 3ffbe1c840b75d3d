"""The plan's triggers as Prometheus alert rules, for teams that page from Prometheus.

The engine acts without them. Rates and latency follow the plan literally, from the counters of /metrics, and need
`min_n` documents; the engine's own rules see more (`rollout triggers list`). What has no counter (complaints, probes,
the CUSUM) comes from the engine's gauges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.plan.durations import format_duration
from engine.plan.model import Trigger, TriggerSettings
from engine.rollout.actions import LOWERING

_BY = "(job, instance, service)"  # one alert for each engine; `service` is empty where no target has that label
# As in the engine, nothing is an alarm at 0 %, where an action has nothing to lower. Within the hour, so that its own
# rollback does not end the alert.
_USED = "\n          and on (job, instance) max_over_time(current_rollout_percentage[1h]) > 0"
_ENGINE = """\
      - alert: RolloutEngineSilent
        expr: >-
          absent(current_rollout_percentage)
          or (max_over_time(current_rollout_percentage[1h]) unless current_rollout_percentage)
        for: 1m
        labels:
          severity: critical
        annotations:
          summary: 'No rollout engine answers at {{ $labels.instance }}.'
          description: >-
            Without an engine no document is extracted and no trigger is evaluated. Run `rollout status` on its
            machine.
      - alert: RolloutRefusesDocuments
        expr: rollout_refusing_documents > 0
        for: 1m
        labels:
          severity: critical
        annotations:
          summary: 'Every document gets 503 from the rollout engine at {{ $labels.instance }}.'
          description: >-
            Its store takes no document: a full, failing or stuck disk. `rollout status` gives the cause.
      - alert: RolloutHeldBack
        expr: current_rollout_percentage < decided_rollout_percentage
        for: 1m
        labels:
          severity: high
        annotations:
          summary: 'Effective rollout is {{ $value | printf "%.4g" }} %, below the decided percentage \
({{ $labels.instance }}).'
          description: >-
            The armed file is missing, or the triggers were not evaluated for too long. `rollout status` shows which.
"""
_BLIND = """\
      - alert: RolloutBlind
        expr: rollout_blind_seconds >= {after}
        labels:
          severity: high
        annotations:
          summary: 'The triggers have had no figures for {{{{ $value | humanizeDuration }}}} \
({{{{ $labels.instance }}}}).'
          description: >-
            No LLM document completes, or the store cannot be written, so nothing watches the LLM. After {step} the
            engine steps down one stage.
"""


class _Counters(NamedTuple):
    """A trigger's metric as a quotient of two counters of /metrics; `scale` converts the plan's limit to its unit."""

    part: str
    whole: str
    scale: float
    unit: str


_QUOTIENTS = {
    "error_rate": _Counters("keyword_extraction_errors_total", "keyword_extraction_attempts_total", 1.0, "ratio"),
    "latency_mean": _Counters(
        'keyword_extraction_duration_seconds_sum{method="llm"}',
        'keyword_extraction_duration_seconds_count{method="llm"}',
        0.001,
        "seconds",
    ),
    "cache_hit_rate": _Counters(
        "keyword_extraction_cache_hits_total", "keyword_extraction_cache_lookups_total", 1.0, "ratio"
    ),
}
_VALUE = {
    "ratio": "{{ $value | humanizePercentage }}",
    "seconds": "{{ $value | humanizeDuration }}",
    "count": '{{ $value | printf "%.4g" }}',
}


def alert_rules(triggers: Sequence[Trigger], settings: TriggerSettings) -> str:
    """A rules file (YAML): every enabled trigger, and four alerts about the engine."""
    blind = _BLIND.format(after=round(settings.blind_after_s), step=format_duration(settings.blind_step_down_s))
    rules = [_rule(trigger, settings.min_n) for trigger in triggers if trigger.enabled]
    return "groups:\n  - name: keyword_extraction_rollout\n    rules:\n" + "".join(rules) + _ENGINE + blind


def _rule(trigger: Trigger, min_n: int) -> str:
    name = "Rollout" + "".join(word.capitalize() for word in trigger.id.replace("-", "_").split("_"))
    expression, description = _expression(trigger, min_n)
    return f"""\
      - alert: {name}
        expr: >-
          {expression}
        for: {round(trigger.for_s)}s
        labels:
          severity: {trigger.severity}
          trigger: {trigger.id}
          action: {trigger.action}
        annotations:
          summary: {_quoted(trigger.text)}
          description: >-
            {description} at {{{{ $labels.instance }}}}. `rollout triggers why {trigger.id}` explains it.
"""


def _expression(trigger: Trigger, min_n: int) -> tuple[str, str]:
    """(expression, what its value means): the plan literally if /metrics counts it, otherwise the engine's own
    gauge.
    """
    limit = trigger.above if trigger.above is not None else trigger.below
    sign = (">" if trigger.above is not None else "<") + ("=" if trigger.inclusive else "")
    counters = _QUOTIENTS.get(trigger.metric)
    if counters is not None and limit is not None:
        # Triggers on the same metric differ in duration, which is both their window and their `for`.
        over = f"[{max(60, round(trigger.for_s))}s]"
        limit *= counters.scale
        whole = f"sum by {_BY} (increase({counters.whole}{over}))"
        quotient = f"sum by {_BY} (increase({counters.part}{over})) / {whole}"
        return (
            f"{quotient} {sign} {limit:g}\n          and {whole} >= {min_n}",
            f"Now {_VALUE[counters.unit]}, threshold {_limit(limit, counters.unit)},",
        )
    used = _USED if trigger.action in LOWERING else ""
    if trigger.metric == "llm_available":
        value = f"max by {_BY} (keyword_extraction_llm_available) == 0"
        return value + used, "No server of the LLM service answers probes"
    where = f'{{trigger="{trigger.id}"}}'
    if limit is None:
        value = f"max by {_BY} (rollout_trigger_firing{where}) == 1"
        return value + used, "The engine's own detector is above its threshold"
    value = f"max by {_BY} (rollout_trigger_value{where}) {sign} {limit:g}"
    return value + used, f"Now {_VALUE['count']}, threshold {limit:g},"


def _limit(value: float, unit: str) -> str:
    return f"{value * 100:g} %" if unit == "ratio" else f"{value:g} s"


def _quoted(text: str) -> str:
    """A YAML scalar in single quotes, without braces, which Prometheus would expand."""
    return "'" + text.replace("{", "(").replace("}", ")").replace("'", "''") + "'"
