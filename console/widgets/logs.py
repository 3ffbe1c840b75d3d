"""Decisions and events as lines, newest first."""

from __future__ import annotations

from console.widgets import words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, Span
from engine.text import spoken
from engine.view.model import DecisionView, View

KIND: dict[str, tuple[str, str]] = {
    "promote": ("▲", "ok"), "rollback": ("▼", "bad"), "trigger": ("▼", "bad"), "hold": ("‖", "warn"),
    "resume": ("▸", "ok"), "undo_rollback": ("▲", "warn"), "approve": ("✔", "ok"), "sign": ("✔", "ok"),
    "revoke": ("✗", "warn"), "restore": ("◂", "warn"), "proof": ("✔", "ok"), "ack": ("✔", "ok"), "event": ("·", "dim"),
}  # fmt: skip


def lines(v: View) -> list[tuple[float, str, str]]:
    """(at, kind, sentence) of decisions and events together, newest first. Decisions keep the log's order, because a
    promotion's own checks carry a later time than the promotion."""
    recorded = {spoken(d.sentence) for d in v.log}  # some decisions are announced as an event too
    rows = [(at, 0, (at, "event", text)) for at, text in v.events if text not in recorded]
    latest = 0.0
    for d in sorted(v.log, key=lambda d: d.rev):
        latest = max(latest, d.at)
        rows.append((latest, d.rev, (d.at, d.kind, d.sentence)))
    return [line for _, _, line in sorted(rows, key=lambda row: row[:2], reverse=True)]


def tail(c: Canvas, area: Area, v: View, since: float = 0.0) -> None:
    """The newest on top, as many as fit; lines since the user last looked are bright. Rows are few here, so what was
    sent is left to the log and to Messages."""
    shown = [line for line in lines(v) if line[1] != "message"][: max(0, area.height)]
    whose = {(d.at, d.sentence): d for d in v.log} if area.width >= 120 else {}
    stamps = [words.hour(at, v.at) for at, _, _ in shown]
    width = max((len(stamp) for stamp in stamps), default=0)
    for row, ((at, kind, text), stamp) in enumerate(zip(shown, stamps, strict=True)):
        sign, style = KIND.get(kind, ("·", "text"))
        fresh = since and at > since
        parts = [
            (f"{stamp:<{width}} ", "strong" if fresh else "dim"),
            (f"{sign} ", style),
            (text, "dim" if kind == "event" else "text"),
        ]
        x = c.spans(area.x, area.y + row, parts, area.width)
        if d := whose.get((at, text)):
            why = f"because {d.reason}" if d.reason and d.reason not in text else ""
            whence = f"{d.actor} from {d.where}" if d.where and d.actor != "engine" else ""
            at_x = max(x + 3, area.x + area.width * 3 // 5)
            c.put(
                at_x,
                area.y + row,
                " · ".join(part for part in (whence, why) if part),
                "dim",
                area.x + area.width - at_x,
            )


def decision_spans(d: DecisionView, now: float) -> list[Span]:
    sign, style = KIND.get(d.kind, ("·", "text"))
    return [(f"{words.hour(d.at, now):<11} ", "dim"), (f"{sign} ", style), (d.sentence, "text")]
