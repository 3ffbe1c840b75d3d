"""A gate as selectable lines: conditions, checklist items, approvals, and what else is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from console.widgets import words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, fit
from engine.view.model import ConditionView, GateView, ItemView

STATUS_WIDTH = 19
HOW = {  # conditions that people meet, by metric: what to do
    "quality_score": "screen 5: judge the rest, check what you marked (f), or draw more (d)",
    "search_improvement": "measured every few hours on documents with both methods' keywords; m on 5 does it now",
    "satisfaction": "ratings come from `rollout feedback rating` and POST /v1/feedback",
    "ab_verdict": "6 shows the test. It is read once, at its declared end; then only o overrides it",
    "ab_improvement": "from the A/B test, on documents as served; 6 shows it",
}
ITEM = {"done": ("✔", "ok"), "failed": ("✖", "bad")}


class ChecklistLine(NamedTuple):
    """A title, or a line below one."""

    title: str = ""
    condition: ConditionView | None = None
    item: ItemView | None = None
    text: str = ""
    done: bool = False


def lines(gate: GateView) -> list[ChecklistLine]:
    """In screen order: conditions, checklist, approvals, what else is missing."""
    out: list[ChecklistLine] = []
    if gate.conditions:
        met = sum(c.met is True for c in gate.conditions)
        out.append(ChecklistLine(f"conditions · {met} of {len(gate.conditions)} met"))
        out += [ChecklistLine(condition=c) for c in gate.conditions]
    if gate.items:
        done = sum(i.state == "done" for i in gate.items)
        out.append(ChecklistLine(f"checklist · {done} of {len(gate.items)} done"))
        out += [ChecklistLine(item=i) for i in gate.items]
    if gate.approvals_needed > 1 or gate.approvals:
        out.append(ChecklistLine(f"approvals · {len(gate.approvals)} of {gate.approvals_needed}"))
        by = f"approved by {', '.join(gate.approvals)}" if gate.approvals else "no approvals yet: a approves"
        out.append(ChecklistLine(text=by, done=len(gate.approvals) >= gate.approvals_needed))
    if gate.others:
        out.append(ChecklistLine("also missing"))
        out += [ChecklistLine(text=m) for m in gate.others]
    return out


def first_open(lines: Sequence[ChecklistLine]) -> int:
    """The initial selection: the first unsigned item, else the first unmet condition."""
    items = (i for i, line in enumerate(lines) if line.item is not None and line.item.state != "done")
    unmet = (i for i, line in enumerate(lines) if line.condition is not None and line.condition.met is not True)
    return next(items, next(unmet, 0))


def sign(condition: ConditionView) -> tuple[str, str]:
    """A condition's mark and style. One that only needs more documents is open, not failed."""
    return ("○", "warn") if condition.lacks_samples else words.mark(condition.met)


def lacks(condition: ConditionView) -> str:
    """What is missing, without the condition's own text, which is on the same line; "" if nothing is."""
    return condition.missing.removeprefix(f"{condition.text}: ")


def put(c: Canvas, area: Area, line: ChecklistLine, now: float, acts: bool = True) -> None:
    """One line in the first row of `area`: mark, text, and its state on the right; with `acts` also the key to
    press."""
    x, y, width, _ = area
    if line.title:
        c.rule(x, y, width, line.title)
    elif line.condition is not None:
        of = line.condition
        mark, style = sign(of)
        name = min(max(width // 2, width - 33), 48)
        c.spans(x, y, [(f" {mark} ", style), (of.text, "text")], name)
        at = c.put(x + name + 1, y, of.sentence, "dim", width - name - 1)
        more = lacks(of).removeprefix(of.sentence).lstrip("; ")  # the figure is beside it
        if more and width >= 100:
            c.put(at + 2, y, f"○ {more}", "warn", x + width - at - 2)
    elif line.item is not None:
        item = line.item
        mark, style = ITEM.get(item.state, ("○", "warn" if item.required else "dim"))
        room = STATUS_WIDTH if width < 100 else width // 3
        c.spans(x, y, [(f" {mark} ", style), (item.text, "dim" if item.state == "done" else "text")], width - room - 1)
        c.put(x + width - room, y, _status(item, now, room, acts), "dim", room)
    else:
        c.spans(x, y, [(" ✔ ", "ok") if line.done else (" ○ ", "warn"), (line.text, "text")], width)


def _status(item: ItemView, now: float, room: int, acts: bool) -> str:
    """Who did it and when, or the key to press."""
    optional = "" if item.required else " · optional"
    if item.state == "done":
        if room <= STATUS_WIDTH:
            return _narrow(item, now, room)
        by = f"{item.by or 'a check'} {words.hour(item.at, now) if item.at else ''}"
        return by + (f" · {item.note or item.evidence}" if item.note or item.evidence else "")
    if not acts:
        return item.state + optional
    if item.state == "failed":
        return item.evidence if room > STATUS_WIDTH and item.evidence else "failed · c again"
    if item.lapsed:
        return "lapsed · s signs" if item.kind == "manual" else "lapsed · c checks"
    return ("s signs" if item.kind == "manual" else "c checks · s signs") + optional


def _narrow(item: ItemView, now: float, room: int) -> str:
    """Who did it, cut if need be so that the time or the date fits."""
    when = words.brief_hour(item.at, now) if item.at else ""
    return f"{fit(item.by or 'a check', room - len(when) - 1)} {when}".rstrip()


def heading(line: ChecklistLine) -> str:
    """A line's subject: in the plan's words, where it is the plan's."""
    of = line.condition or line.item
    if of is None and line.text:
        return "met" if line.done else "missing"
    return of.text if of is not None else ""


def detail(line: ChecklistLine, now: float, acts: bool) -> list[tuple[str, str]]:
    """(text, style) about a line: the finding, then its state and what to do."""
    if line.condition is not None:
        of = line.condition
        if not of.missing:
            return [(of.sentence or words.NO_DATA, "text")]
        missing = (f"missing: {lacks(of)}", "warn")
        return [missing, (HOW[of.metric], "dim")] if of.metric in HOW else [missing]
    if line.item is not None:
        return _item_detail(line.item, now, acts)
    return [(line.text, "text" if line.done else "warn")] if line.text else []


def _item_detail(item: ItemView, now: float, acts: bool) -> list[tuple[str, str]]:
    known = " · ".join(text for text in (item.evidence, item.note and f"note: {item.note}") if text)
    signed = f"{item.state}, {item.by} at {words.hour(item.at, now)}" if item.at and item.by else item.state
    if item.state == "done":
        how = "x withdraws it"
    elif item.kind == "manual":
        how = "s signs it"
    else:
        how = f"c runs its check ({item.kind.replace('_', ' ')}), s signs it manually"
    state = ("; ".join([signed, *([how] if acts else []), *([] if item.required else ["not required"])]), "dim")
    return [(known, "bad" if item.state == "failed" else "text"), state] if known else [state]


def paragraphs(c: Canvas, area: Area, texts: Sequence[tuple[str, str]]) -> int:
    """Stacked texts, as far as there is room. Returns the rows used."""
    used = 0
    for text, style in texts:
        if used < area.height:
            used += c.block(area.x, area.y + used, area.width, area.height - used, text, style)
    return used


def selectable(lines: Sequence[ChecklistLine], at: int, by: int) -> int:
    """The nearest line from `at` in direction `by` that isn't a title."""
    step: Callable[[int], int] = (lambda i: i + 1) if by >= 0 else (lambda i: i - 1)
    start = at
    while 0 <= at < len(lines) and lines[at].title:
        at = step(at)
    if 0 <= at < len(lines):
        return at
    return selectable(lines, start, -by or -1) if any(not line.title for line in lines) else 0
