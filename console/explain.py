"""What a row of a screen is, in two lines, from the glossary and the plan's vocabulary; pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from engine.plan.durations import format_duration
from engine.plan.model import Message
from engine.plan.vocabulary import METRICS
from engine.view.model import ConditionView, DecisionView, ItemView, TaskKind, TriggerView

Explained = tuple[str, str]  # what it is called, what it is

ACTIONS = {
    "to_zero": "takes the percentage to 0 %",
    "previous_stage": "goes back one stage",
    "halve": "halves the percentage",
    "pause": "holds promotion; the percentage stays",
    "investigate": "asks people to look",
}
VERDICTS = {
    "ok": "It has enough data, and its condition is false.",
    "breach": "Its condition is true: the timer counts down to the action.",
    "insufficient": "Too little data to judge, good or bad: its timer is paused.",
    "blind": "Nothing was observed for two minutes: its timer is paused.",
    "muted": "A more severe trigger is counting down, so this one waits.",
    "locked": "A trigger has fired: nothing is judged until a person resumes.",
    "disabled": "The plan disables it.",
}
CHECKS = {
    "manual": "a person signs it (s), with a note",
    "llm": "c checks that the LLM service is healthy, has the model and answers in time",
    "http": "c checks that an address answers as the plan requires",
    "command": "c runs a command, which must exit with 0",
    "metric": "c compares a figure with the plan's",
    "backup": "c takes a backup and verifies it",
    "notify": "c checks that a message was delivered",
    "rollback_drill": "c does a dry run of a rollback",
    "rehearsal": "c looks for a passed rehearsal, and lists the game days played",
    "triggers": "c checks that the triggers are armed, and how they would have acted",
}
DECISIONS = {
    "promote": "promote", "hold": "hold, resume", "resume": "hold, resume", "rollback": "roll back",
    "trigger": "trigger", "restore": "restore", "proof": "proof", "sign": "checklist item",
    "check": "checklist item", "lease": "lease", "epoch": "epoch",
}  # fmt: skip
TASKS: dict[TaskKind, str] = {
    "acknowledge": "an alarm is active: K shows everyone that you have it",
    "resume": "a rollback locked promotion: a person records the cause and resumes",
    "release": "someone holds promotion: it stays blocked until a person resumes",
    "promote": "the gate is open: a person may take the next step",
    "approve": "the next step needs more than one person",
    "item": "a checklist item of this stage is open",
    "overruled": "an item was signed although its check failed",
    "reason": "a rollback has no recorded reason yet",
    "blind": "documents go to the LLM, but nothing is observed",
    "backtest": "the triggers changed and have no backtest yet",
    "review": "a sample of documents is waiting for review",
    "complaint": "users complained: read what they wrote",
    "message": "a message of the plan is due, or was not delivered",
    "monitoring": "the plan asks people to check the figures at set times",
}
DUE = {
    "daily": "every day during its stages",
    "weekly": "every week during its stages",
    "before": "before the rollout",
    "gate": "at each stage gate",
    "rollback": "after a rollback",
    "hold": "when promotion is held",
    "after": "when the rollout is complete",
    "stage": "when one of its stages begins",
}
CURVES = {
    "error_rate": METRICS["error_rate"].meaning,
    "latency_mean": METRICS["latency_mean"].meaning,
    "cache_hit_rate": METRICS["cache_hit_rate"].meaning,
    "llm_share": "share of all documents that went to the LLM",
    "documents": "documents processed per time step, by either method",
    "latency_quantiles": "50 %, 95 % and 99 % of the documents took at most this long, on a logarithmic scale",
}
CHART = (
    ("dashed line", "A trigger's threshold and what it does. The trigger also needs time and data before it acts."),
    ("thin line", "The other arm at the same time. If both rise, the cause is not the LLM."),
    ("▲ ▼", "The percentage was raised or lowered here."),
)
MOMENTS = {
    "first": "the first document that failed or was too slow: the incident began no later than this",
    "seen": "a trigger started counting; its figure then, n, and the worst value that the data does not rule out",
    "fired": "a trigger's timer ran out and it acted automatically",
    "decision": "a decision from the log: who did what, and why",
    "proof": "0 % was observed, not only decided: no LLM call started after it",
    "complaint": "a user complained",
    "look": "a person opened or closed a console",
    "message": "a message was sent, or could not be delivered",
}
REVIEWED = (
    ("which list is better", "Your judgement of the whole list: a, b or e. It counts once for each reviewer."),
    ("relevant", "Marks (r) that keywords miss what the document is about."),
    ("nothing invented", "Marks (i) that a keyword is not supported by the document."),
    ("right number", "Marks (n) that there are not 10 to 15 keywords; counted automatically; you can correct it."),
)
DRAWN = (
    ("sample", "LLM documents of this stage, drawn by a seed: every reviewer judges the same ones."),
    ("blind", "Both lists in random order and without names, until you have judged all of them."),
    ("search quality", "Whether a search finds a document by its keywords. MRR is the mean of 1 / rank."),
)
TRIAL = (
    ("control, LLM", "The mean of each group. A document counts once, by its first extraction."),
    ("interval", "The true change lies in it with the declared certainty, however often you look."),
    ("p", "Read once, at the declared end: earlier looks find differences that do not exist."),
    ("limits", "What must not get worse, whatever else improves: one broken limit fails the test."),
)
WRITTEN = (
    ("report", "What has happened so far, from the log and the figures. w, i, l and a add what only people know."),
    ("metrics by stage", "Each stage's figures against the target of its gate: ✔ met, ✖ missed, · unknown."),
)
REQUEST = (
    ("request", "One document sent to the LLM: the result, how long it took, and how many tries."),
    ("dropped", "Keywords from the LLM that the document does not support; they were not served."),
)
DEEPER = {  # the screens that Enter opens, by title
    "Servers": (("server", "An address of the plan's LLM service, with its requests and errors in the last hour."),),
    "Errors by kind": (("kind", "Errors with one cause, counted together. Docs: how many documents they hit."),),
    "Requests": REQUEST,
    "Request": REQUEST,
    "Counted": (("counted", "What this condition of the gate is computed from, since the stage began."),),
}
WORST = "The bound beside it is the worst value these documents do not rule out."
BOUND = "Judged by the bound, the worst value that these documents do not rule out: few documents rarely pass."


@cache
def glossary() -> dict[str, str]:
    """Each term and its meaning, in the order of engine/glossary.toml."""
    return tomllib.loads((files("engine") / "glossary.toml").read_text(encoding="utf-8"))


def terms(*names: str) -> list[Explained]:
    """The glossary's entries for these names, without those it lacks."""
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
    lapsed = " It was signed before a rollback or a model change and must be signed again." if i.lapsed else ""
    needed = "" if i.required else " The gate does not wait for it."
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
        ("methods", "How many documents got keywords from the LLM, and how many by word frequency."),
    ]


def evidence(verdict: str) -> list[Explained]:
    """One line of what a trigger saw."""
    seen = "What the trigger saw at that minute: its figure, n documents, and how far its timer had run."
    return [("evidence", seen), *([(verdict, VERDICTS[verdict])] if verdict in VERDICTS else [])]


def deeper(title: str) -> list[Explained]:
    return [*DEEPER.get(title, ())]


def decision(d: DecisionView) -> list[Explained]:
    return [*terms(DECISIONS.get(d.kind, "")), *terms("decision")]


def task(kind: TaskKind) -> list[Explained]:
    return [("waits for you", _sentence(TASKS[kind]))] if kind in TASKS else []


def message(m: Message) -> list[Explained]:
    sender = "The engine sends it" if m.automatic else "A person sends it (s)"
    about = f"A message for {m.audience}, due {DUE[m.when]}. {sender}; its text below has the current figures."
    return [(m.id, about)]


def command(text: str) -> list[Explained]:
    about = "A command line of the plan for this stage. r asks, runs it on this machine as you, and keeps its output."
    return [(text, about)]


def chart(titles: Iterable[tuple[str, str]]) -> list[Explained]:
    """Each curve, given as metric and title, then what every chart has."""
    return [*((title, _sentence(CURVES[metric])) for metric, title in titles if metric in CURVES), *CHART]


def moment(kind: str) -> list[Explained]:
    return [("this moment", _sentence(MOMENTS[kind]))] if kind in MOMENTS else []


def judgement(drawn: bool) -> list[Explained]:
    return [*(REVIEWED if drawn else DRAWN)]


def trial(primary: str) -> list[Explained]:
    """The rows and columns of an A/B test."""
    decides = "The primary metric: it alone decides the test. The others are context."
    return [*([(primary, decides)] if primary else []), *TRIAL]


def _sentence(text: str) -> str:
    """Without Markdown, which a terminal shows as it is. An identifier keeps its letters."""
    plain = text.replace("`", "").replace("*", "")
    first = plain[0] if "_" in plain.split(maxsplit=1)[0] else plain[0].upper()
    return first + plain[1:] + ("" if plain.endswith(".") else ".")
