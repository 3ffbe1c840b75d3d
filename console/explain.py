"""What a row of a screen is, in two lines, from the glossary and the plan's vocabulary; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from engine.plan.durations import format_duration
from engine.plan.vocabulary import METRICS
from engine.view.model import ConditionView, DecisionView, ItemView, TaskKind, TriggerView

Explained = tuple[str, str]  # what it is called, what it is
_ROW = re.compile(r"^\| ([^|`]+?) \| ([^|]+?) \|$", re.M)

ACTIONS = {
    "to_zero": "takes the percentage to 0 %",
    "previous_stage": "goes back one stage",
    "halve": "halves the percentage",
    "pause": "holds promotion; the percentage stays",
    "investigate": "asks people to look",
}
VERDICTS = {
    "ok": "It sees enough, and all is well.",
    "breach": "It holds now: the timer counts down to the action.",
    "insufficient": "Too little data to judge, neither good nor bad: its timer waits.",
    "blind": "Nothing was observed for two minutes: its timer is frozen.",
    "muted": "A more severe trigger is counting, so this one waits.",
    "locked": "One has fired: nothing is judged until a person resumes.",
    "disabled": "The plan switches it off.",
}
CHECKS = {
    "manual": "a person signs it (s), with a note",
    "llm": "the machine checks (c) that the LLM service is healthy, has the model and answers in time",
    "http": "the machine checks (c) that an address answers as the plan requires",
    "command": "the machine runs a command (c), which must exit with 0",
    "metric": "the machine compares a figure (c) with the plan's",
    "backup": "the machine takes a backup (c) and verifies it",
    "notify": "the machine checks (c) that a message was delivered",
    "rollback_drill": "the machine makes a dry run of a rollback (c)",
    "rehearsal": "the machine looks (c) for a rehearsal that was passed; it quotes the game days too",
    "triggers": "the machine checks (c) that the triggers are armed, and how they would have acted",
}
DECISIONS = {
    "promote": "promote",
    "hold": "hold, resume",
    "resume": "hold, resume",
    "rollback": "roll back",
    "trigger": "trigger",
    "restore": "restore",
    "proof": "proof",
    "sign": "checklist item",
    "check": "checklist item",
    "lease": "lease",
}
TASKS: dict[TaskKind, str] = {
    "acknowledge": "an alarm is active: K shows everyone that you have it",
    "resume": "a rollback locked promotion: a person records the cause and resumes",
    "release": "someone holds promotion: it stays blocked until a person resumes",
    "promote": "the gate is open: a person may take the next step",
    "approve": "the next step needs more than one person",
    "item": "a checklist item of this stage is open",
    "overruled": "an item was signed although its check failed",
    "reason": "a rollback has no recorded reason yet",
    "blind": "documents go to the LLM and nothing is observed",
    "backtest": "the triggers changed and have no backtest yet",
    "review": "a sample of documents waits for review",
    "complaint": "users complained: read what they wrote",
    "message": "a message of the plan is due, or was not delivered",
    "monitoring": "the plan asks people to check the figures at set times",
}
WORST = "The bound beside it is the worst value these documents do not rule out."
BOUND = "Judged by the bound, the worst value that these documents do not rule out: few documents rarely pass."


@cache
def glossary() -> dict[str, str]:
    """The table in engine/README.md, which is the authority."""
    text = (files("engine") / "README.md").read_text(encoding="utf-8").partition("## Glossary")[2]
    return {name: meaning for name, meaning in _ROW.findall(text) if name not in ("term", "---")}


def terms(*names: str) -> list[Explained]:
    """Those that the glossary has."""
    return [(name, _sentence(glossary()[name])) for name in names if name in glossary()]


def condition(c: ConditionView) -> list[Explained]:
    meaning = METRICS[c.metric].meaning if c.metric in METRICS else ""
    more = f" {BOUND}" if c.bound is not None else ""
    return [
        (c.text, f"{_sentence(glossary()['condition'])}{more}"),
        *([("its figure", _sentence(meaning))] if meaning else []),
    ]


def item(i: ItemView) -> list[Explained]:
    kind = CHECKS.get(i.kind, CHECKS["manual"])
    lapsed = " It was signed before a rollback or a change of model, and is asked for again." if i.lapsed else ""
    needed = "" if i.required else " It does not hold the gate."
    return [(i.text, f"A checklist item: {kind}.{needed}{lapsed}")]


def trigger(t: TriggerView, metric: str) -> list[Explained]:
    after = f" for {format_duration(t.for_s)}" if t.for_s else ""
    does = ACTIONS.get(t.action, t.action)
    rows = [(t.id, f"A trigger: while its condition holds{after}, it {does}. {VERDICTS.get(t.verdict, '')}".strip())]
    if metric in METRICS:
        rows.append(("its figure", _sentence(METRICS[metric].meaning)))
    return rows


def gauges() -> list[Explained]:
    return [
        ("error rate", f"{_sentence(glossary()['error rate'])} {WORST}"),
        ("latency", _sentence(METRICS["latency_mean"].meaning)),
        ("cache hits", _sentence(METRICS["cache_hit_rate"].meaning)),
        ("methods", "Which keywords documents got: the LLM's, or by frequency, which counts words."),
    ]


def decision(d: DecisionView) -> list[Explained]:
    return [*terms(DECISIONS.get(d.kind, "")), *terms("decision")]


def task(kind: TaskKind) -> list[Explained]:
    return [("waits for you", _sentence(TASKS[kind]))] if kind in TASKS else []


def joined(rows: Iterable[Explained]) -> list[str]:
    return [f"{name}: {meaning}" for name, meaning in rows]


def _sentence(text: str) -> str:
    plain = text.replace("`", "")
    return plain[0].upper() + plain[1:] + ("" if plain.endswith(".") else ".")
