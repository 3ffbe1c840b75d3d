"""A small plan, and what is wrong with one like it."""

from __future__ import annotations

import pytest

from engine.plan.load import PlanError, parse_plan

SMALL = """\
name = "Plan"
service = "docs"
environment = "test"

[llm]
url = "http://127.0.0.1:11434"
model = "m"

[[stages]]
number = 0
name = "Preparation"
objective = "Get ready"
percent = 0
duration = "1 day"
bake = "1d"

[[stages]]
number = 1
name = "Canary"
objective = "Look"
percent = 10
duration = "2-3 days"
bake = "2d"

[[stages.checklist]]
id = "box"
text = "A box"

[[stages.conditions]]
id = "errors"
text = "Few errors"
metric = "error_rate"
op = "<"
value = "1 %"

[[triggers]]
id = "error_critical"
text = "Many errors"
metric = "error_rate"
above = "5 %"
for = "5m"
action = "to_zero"
severity = "critical"

[[matrix]]
condition = "Error rate > 5%"
severity = "critical"
action = "Immediate rollback to 0%"
timeline = "< 5 min"
trigger = "error_critical"

[[messages]]
id = "hello"
audience = "team"
when = "daily"
subject = "Stage {stage}"
body = "At {percent}"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as refused:
        parse_plan(text, "rollout.toml")
    return refused.value.lines()


def only(text: str) -> str:
    (line,) = problems(text)
    return line


def swapped(old: str, new: str) -> str:
    """The small plan with one part changed; the part must occur in it."""
    assert old in SMALL
    return SMALL.replace(old, new, 1)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1
