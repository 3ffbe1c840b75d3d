"""The inbox as a console shows it: the engine's tasks with the key that leads to each, and what only a console can
know."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from console.link import EngineSnapshot
from console.tasks import KEYS
from console.widgets import words
from engine.plan.durations import clock
from engine.view.model import TaskView, View

ACTIONS = {  # behind the key
    "e": "app.on_gate('resume')", "p": "app.on_gate('promote')", "2": "app.go(2)", "3": "app.go(3)",
    "5": "app.go(5)", "8": "app.go(8)", "9": "app.go(9)",
    "9 tab": "app.work('commands')", "v": "app.proof", "K": "app.acknowledge",
}  # fmt: skip
SLEEP = "nothing: go back to sleep"
LEAST_FOLDED = 3  # checklist items; fewer are listed


class WaitingRow(NamedTuple):
    """One line of the inbox. `when` counts down, or shows when it fell due."""

    key: str
    sentence: str
    when: str
    action: str
    task: TaskView | None = None
    folds: bool = False  # an open checklist item; one whose check failed is read for itself
    tasks: int = 1  # how many are behind this row

    @property
    def text(self) -> str:
        return f"{self.when} · {self.sentence}" if self.when else self.sentence


def rows(snapshot: EngineSnapshot, rehearsal: bool = False) -> list[WaitingRow]:
    """What waits for a person, most pressing first."""
    v = snapshot.view
    out: list[WaitingRow] = []
    if snapshot.liveness.state == "dead" and not rehearsal:
        out.append(WaitingRow("E", "start the engine: nothing runs", "", "app.start_engine"))
    elif snapshot.liveness.state == "frozen" and snapshot.liveness.remedy:
        out.append(WaitingRow("", snapshot.liveness.remedy.removesuffix("."), "", ""))
    if v is not None:
        failed = {item.id for item in v.gate.items if item.state == "failed"}
        out += [_row(task, v, failed) for task in v.inbox or ()]
    return out


def folded(rows: Sequence[WaitingRow], spare: int = 0) -> list[WaitingRow]:
    """The open checklist items as one row, so that they do not hide the other tasks; the first `spare` items are below
    it. As they are if there are no other tasks."""
    items = [row for row in rows if row.folds]
    if len(items) < LEAST_FOLDED or len(items) == len(rows):
        return list(rows)
    first = rows.index(items[0])
    whole = items[0]._replace(sentence=f"checklist: {len(items)} items open", task=None, folds=False, tasks=len(items))
    listed = [item._replace(tasks=0) for item in items[:spare]]  # the row above counts them
    return [*rows[:first], whole, *listed, *(row for row in rows[first:] if not row.folds)]


def listed(snapshot: EngineSnapshot) -> bool:
    """Whether anyone knows what waits: an engine of an older version lists no tasks."""
    return snapshot.view is not None and snapshot.view.inbox is not None


def badge(snapshot: EngineSnapshot, rehearsal: bool = False) -> str:
    """The count for the footer; "?" while no one knows."""
    waiting = rows(snapshot, rehearsal)
    return str(len(waiting)) if waiting or listed(snapshot) else "?"


def empty(snapshot: EngineSnapshot) -> str:
    """The text of an empty inbox. It suggests sleep only while an engine is watching and nothing is pending."""
    v = snapshot.view
    if v is not None and v.as_of:
        return "not recorded for the past"
    if v is None or not listed(snapshot):
        return "unknown: this engine is too old to list tasks; the gate (2) shows what is missing"
    if not snapshot.fresh:
        return "nothing in the engine's last answer; it is not responding"
    if v.health == "alert" or words.worst(v) is not None:
        return "nothing: the triggers act automatically; R is faster"
    return SLEEP


def _row(task: TaskView, v: View, failed: Set[str]) -> WaitingRow:
    key, folds = KEYS.get(task.kind, ""), task.kind == "item" and task.id not in failed
    return WaitingRow(key[:1], task.sentence, _when(task, v), ACTIONS.get(key, ""), task, folds)


def _when(task: TaskView, v: View) -> str:
    if task.not_before is not None and task.not_before > v.at:
        return f"{clock(task.not_before - v.at)} left"
    return "" if task.due is None or task.due > v.at else f"since {words.hour(task.due, v.at)}"


def heights(rows: Sequence[int], room: int) -> list[int]:
    """How many lines each of the first rows gets of `room`, when each wants as many as given: one each first, the most
    pressing are shown whole with what is left. Fewer than `rows` when they do not all fit; the last line is then for
    "and N more"."""
    shown = len(rows) if len(rows) <= room else max(0, room - 1)
    spare = room - shown - (1 if shown < len(rows) else 0)
    out = []
    for wanted in rows[:shown]:
        extra = min(max(0, wanted - 1), spare)
        out.append(1 + extra)
        spare -= extra
    return out
