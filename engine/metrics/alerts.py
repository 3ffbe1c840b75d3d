"""The plan's triggers as Prometheus alert rules, for a team whose pager hangs on Prometheus.

The engine acts by itself and does not need them. They are the plan to the letter, on the counters of /metrics, and hold their tongue
below `min_n` documents; the engine's own rules see more (see `rollout triggers list`).
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.plan.durations import format_duration
from engine.plan.model import Trigger, TriggerSettings

_ENGINE = """\
      - alert: RolloutEngineSilent
        expr: absent(current_rollout_percentage)
        for: 1m
        labels:
          severity: critical
        annotations:
          summary: No rollout engine answers.
          description: >-
            Without one every document goes to frequency, and no trigger is watched. `rollout status` says more.
      - alert: RolloutHeldBack
        expr: current_rollout_percentage < decided_rollout_percentage
        for: 1m
        labels:
          severity: high
        annotations:
          summary: 'In force are {{ $value }} %, less than was decided.'
          description: >-
            The keyed switch is out or the triggers were not evaluated for too long. `rollout status` says which.
"""
_BLIND = """\
      - alert: RolloutBlind
        expr: rollout_blind_seconds >= {after}
        labels:
          severity: high
        annotations:
          summary: 'The triggers have had no figures for {{{{ $value | humanizeDuration }}}}.'
          description: >-
            No LLM document ends, or the store takes no writes: nothing watches the LLM. After {step} it goes one stage down.
"""


def alert_rules(triggers: Sequence[Trigger], settings: TriggerSettings) -> str:
    """A rules file (YAML): the triggers on error rate, mean time and cache hits that are switched on, and three on the engine."""
    blind = _BLIND.format(after=round(settings.blind_after_s), step=format_duration(settings.blind_step_down_s))
    rules = [_rule(trigger, settings.min_n) for trigger in triggers if trigger.enabled]
    return "groups:\n  - name: keyword_extraction_rollout\n    rules:\n" + "".join(rules) + _ENGINE + blind


def _rule(trigger: Trigger, min_n: int) -> str:
    # Triggers of the same metric differ in how long they last: that is their window, and their `for`.
    over = f"[{max(60, round(trigger.for_s))}s]"
    measured = {
        "error_rate": ("keyword_extraction_errors_total", "keyword_extraction_attempts_total", 1.0),
        "latency_mean": (
            'keyword_extraction_duration_seconds_sum{method="llm"}',
            'keyword_extraction_duration_seconds_count{method="llm"}',
            0.001,
        ),
        "cache_hit_rate": ("keyword_extraction_cache_hits_total", "keyword_extraction_cache_lookups_total", 1.0),
    }  # fmt: skip
    limit = trigger.above if trigger.above is not None else trigger.below
    if trigger.metric not in measured or limit is None:
        return ""
    part, whole, scale = measured[trigger.metric]
    sign = (">" if trigger.above is not None else "<") + ("=" if trigger.inclusive else "")
    name = "Rollout" + "".join(word.capitalize() for word in trigger.id.replace("-", "_").split("_"))
    return f"""\
      - alert: {name}
        expr: >-
          sum(increase({part}{over})) / sum(increase({whole}{over})) {sign} {limit * scale:g}
          and sum(increase({whole}{over})) >= {min_n}
        for: {round(trigger.for_s)}s
        labels:
          severity: {trigger.severity}
          trigger: {trigger.id}
          action: {trigger.action}
        annotations:
          summary: {_quoted(trigger.text)}
          description: >-
            Now {{{{ $value | humanize }}}}, limit {limit * scale:g}. `rollout triggers why {trigger.id}` says more.
"""


def _quoted(text: str) -> str:
    """A YAML scalar in single quotes; braces would be a template to Prometheus."""
    return "'" + text.replace("{", "(").replace("}", ")").replace("'", "''") + "'"
