"""The way up: checklist, conditions, bake time, approvals, and what is in the way; promote asks, another key confirms."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console.screens.ask import Ask
from console.screens.page import LIST_KEYS, Hint, Page, Rows, key
from console.widgets import blocks, words
from console.widgets.canvas import Canvas
from engine.plan.durations import format_duration
from engine.view import ConditionView, GateView, ItemView, View

Line = tuple[str, ConditionView | ItemView | str]  # what kind of line, and of what


class Gate(Page):
    NUMBER: ClassVar[int] = 2
    TITLE: ClassVar[str] = "Gate"
    ABOUT: ClassVar[str] = "checklist, conditions, approvals; promote, hold, resume"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("s,enter", "sign", "sign the item, with a note"),
        key("c", "check_item", "have the machine check the item"),
        key("x", "revoke", "take a signature back"),
        key("a", "approve", "approve the next step"),
        key("p", "promote", "promote (asks; y confirms)"),
        key("o", "override", "promote past what is missing, with a written reason"),
        key("H", "hold", "hold: keep the gate shut"),
        key("e", "resume", "resume after a hold or an automatic rollback"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()

    def hints(self) -> tuple[Hint, ...]:
        v = self.sight.view
        if v is None or self.console.read_only:
            return ()
        line = self._selected(v)
        out: list[Hint] = []
        if line is not None and line[0] == "item" and isinstance(line[1], ItemView):
            item = line[1]
            out.append(("x", "take back", "revoke") if item.state == "done" else ("s", "sign", "sign"))
            if item.kind != "manual":
                out.append(("c", "check", "check_item"))
        if v.gate.approvals_needed:
            out.append(("a", "approve", "approve"))
        out.append(("p", "promote", "promote"))
        if v.gate.missing:
            out.append(("o", "override", "override"))
        out.append(("e", "resume", "resume") if v.held or v.locked else ("H", "hold", "hold"))
        return tuple(out)

    # -- painting ----------------------------------------------------------------------------------------------------------

    def paint(self, c: Canvas, v: View, y: int) -> None:
        gate = v.gate
        blocks.stage_line(c, y, v)
        y = self._head(c, y + 1, v, gate)
        bottom = c.height - 2
        detail_rows = 3 if c.height < 34 else 6
        lines = _lines(gate)
        room = bottom - y - detail_rows - 1
        shown = self.rows.window(len(lines), room) if lines else range(0)
        self._skip_titles(lines)
        for row, index in enumerate(shown):
            self._line(c, y + row, lines[index], index == self.rows.at)
        if shown and shown.stop < len(lines):
            c.right(c.width - 1, y + room - 1, f" {len(lines) - shown.stop} more ▼", "dim")
        self._detail(c, bottom - detail_rows, v, lines, detail_rows)

    def _head(self, c: Canvas, y: int, v: View, gate: GateView) -> int:
        if v.stable:
            c.put(1, y, "Stable: every gate is passed. Lessons and the report are what is left.", "ok")
            return y + 2
        goal = f"{words.short(gate.next_name)}, {words.percent(gate.next_percent_bp)}" if gate.next_name else "stable"
        badge, style = (" ✔ GATE OPEN ", "fine") if gate.open else (" ○ GATE SHUT ", "caution")
        x = c.put(1, y, badge, style)
        x = c.spans(x + 1, y, [("to ", "dim"), (goal, "strong"), (f"  {gate.met} of {gate.total} met", "text")])
        if gate.bake_s:
            x = c.put(x, y, "   bake ", "dim")
            blocks.meter(c, x, y, 8, gate.baked_s / gate.bake_s, "ok" if gate.baked_s >= gate.bake_s else "accent")
            c.put(x + 9, y, f"{format_duration(gate.baked_s)} of {format_duration(gate.bake_s)}", "text")
        y += 1
        rows = c.block(1, y, c.width - 2, 2, gate.sentence, "dim")
        y += rows
        for text in gate.blocked:
            c.spans(1, y, [("■ ", "bad"), (text, "bad")], c.width - 2)
            y += 1
        return y

    def _line(self, c: Canvas, y: int, line: Line, selected: bool) -> None:
        kind, of = line
        wide = c.width >= 110
        name = 52 if wide else 34
        if kind == "title":
            c.rule(1, y, c.width - 2, str(of))
            return
        if isinstance(of, ConditionView):
            sign, style = ("·", "dim") if of.met is None else ("✔", "ok") if of.met else ("✖", "bad")
            x = c.spans(1, y, [(f" {sign} ", style), (of.text, "text")], name)
            x = c.put(name + 2, y, of.sentence, "dim", c.width - name - 4)
            if of.missing and wide and x + 6 < c.width:
                eta = f", about {format_duration(of.eta_s)}" if of.eta_s else ""
                c.put(x + 2, y, f"○ {of.missing}{eta}", "warn", c.width - x - 3)
        elif isinstance(of, ItemView):
            sign, style = {"done": ("✔", "ok"), "failed": ("✖", "bad")}.get(
                of.state, ("○", "warn" if of.required else "dim")
            )
            c.spans(
                1,
                y,
                [(f" {sign} ", style), (of.text, "text" if of.state != "done" else "dim")],
                name if not wide else name + 10,
            )
            at = name + 2 if not wide else name + 12
            c.put(at, y, _who(of, self.sight.view), "dim", c.width - at - 1)
        else:
            c.spans(1, y, [(" ○ ", "warn"), (str(of), "text")], c.width - 2)
        if selected:
            c.put(0, y, "▸", "key")
            c.tint(
                y,
                {
                    "text": "select",
                    "dim": "select-dim",
                    "ok": "select-ok",
                    "warn": "select-warn",
                    "bad": "select-bad",
                    "key": "select-key",
                    "*": "select",
                },
            )

    def _detail(self, c: Canvas, y: int, v: View, lines: list[Line], rows: int) -> None:
        c.rule(1, y, c.width - 2, "")
        line = self._selected(v)
        if line is None:
            return
        of = line[1]
        texts: list[tuple[str, str]] = []
        if isinstance(of, ConditionView):
            texts = [(of.text + ": " + (of.sentence or words.NO_DATA), "text")]
            if of.missing:
                eta = f", about {format_duration(of.eta_s)} from now" if of.eta_s else ""
                texts.append((f"missing: {of.missing}{eta}", "warn"))
        elif isinstance(of, ItemView):
            how = (
                "a person signs"
                if of.kind == "manual"
                else f"the machine checks it ({of.kind.replace('_', ' ')}), or a person signs"
            )
            done = f"{of.state} by {of.by} at {words.hour(of.at, v.at)}" if of.at and of.by else of.state
            texts = [(of.text, "strong"), (f"{done}; {how}{'' if of.required else '; not required'}", "dim")]
            if of.evidence or of.note:
                texts.append(
                    (
                        " · ".join(t for t in (of.evidence, of.note and f"note: {of.note}") if t),
                        "bad" if of.state == "failed" else "text",
                    )
                )
        elif isinstance(of, str):
            texts = [(of, "text")]
        row = y + 1
        for text, style in texts:
            if row < y + 1 + rows:
                row += c.block(1, row, c.width - 2, y + 1 + rows - row, text, style)

    # -- selection ---------------------------------------------------------------------------------------------------------

    def _selected(self, v: View) -> Line | None:
        lines = _lines(v.gate)
        return lines[self.rows.at] if 0 <= self.rows.at < len(lines) and lines[self.rows.at][0] != "title" else None

    def _skip_titles(self, lines: list[Line]) -> None:
        if lines and self.rows.at < len(lines) and lines[self.rows.at][0] == "title":
            self.rows.at = min(len(lines) - 1, self.rows.at + 1)

    def action_move(self, by: int) -> None:
        v = self.sight.view
        if v is None:
            return
        lines = _lines(v.gate)
        self.rows.move(by, len(lines))
        if lines and lines[self.rows.at][0] == "title":
            self.rows.move(1 if by > 0 or self.rows.at == 0 else -1, len(lines))
        self.repaint()

    def _item(self) -> ItemView | None:
        v = self.sight.view
        line = self._selected(v) if v else None
        if line is not None and isinstance(line[1], ItemView):
            return line[1]
        self.console.say("Select a checklist item first (j, k).", "caution")
        return None

    # -- acting ------------------------------------------------------------------------------------------------------------

    def action_sign(self) -> None:
        item = self._item()
        if item is not None:
            self.console.ask_text(
                "Sign with your name",
                [item.text],
                "note (optional), then enter",
                lambda note: self.console.act("sign", item=item.id, note=note),
                yes="sign",
            )

    def action_revoke(self) -> None:
        item = self._item()
        if item is not None:
            self.console.act("revoke", item=item.id)

    def action_check_item(self) -> None:
        item = self._item()
        if item is None:
            return
        if item.kind == "manual":
            self.console.say("No machine can check this one: a person signs it (s).", "caution")
            return
        self.console.say(f"Checking: {item.text} …")
        self.console.act("check", item=item.id)

    def action_approve(self) -> None:
        self.console.act("approve")

    def action_promote(self) -> None:
        v = self.sight.view
        if v is None or not self._may(v):
            return
        if v.gate.missing:
            more = f" (and {len(v.gate.missing) - 2} more)" if len(v.gate.missing) > 2 else ""
            self.console.say(
                f"The gate is not open. Missing: {'; '.join(v.gate.missing[:2])}{more}. o promotes past it with a written reason.",
                "caution",
            )
            return
        self._ask(v, override=False)

    def action_override(self) -> None:
        v = self.sight.view
        if v is None or not self._may(v):
            return
        if not v.gate.missing:
            self._ask(v, override=False)
            return
        self._ask(v, override=True)

    def _may(self, v: View) -> bool:
        if not self.sight.fresh:
            self.console.say("Not now: these numbers are old. " + self.sight.pulse.sentence, "caution")
            return False
        if v.gate.blocked:
            self.console.say("Not now: " + "; ".join(v.gate.blocked) + ".", "caution")
            return False
        return True

    def _ask(self, v: View, override: bool) -> None:
        gate, epoch = v.gate, v.epoch
        goal = (
            f"stage {gate.next_stage} {gate.next_name}, {words.percent(gate.next_percent_bp)}"
            if gate.next_name
            else "stable"
        )
        facts = [f"From {words.percent(v.percent_bp)} to {words.percent(gate.next_percent_bp)} of documents: {goal}."]
        if override:
            facts += [f"PAST {len(gate.missing)} MISSING:", *(f"○ {m}" for m in gate.missing[:4])]
            if len(gate.missing) > 4:
                facts.append(f"  and {len(gate.missing) - 4} more")
        else:
            facts.append(
                f"All {gate.total} conditions and items are met. Error rate {words.rate(v.error_rate.value)}, latency {words.ms(v.latency.value)}."
            )
        facts.append("R takes it back to 0 % at any moment.")
        seen = f"{gate.met} of {gate.total} met; {v.health_sentence}"
        field = "why past the gate (8 letters or more; it stays in the log)" if override else ""

        def go(reason: str | None) -> None:
            if reason is not None:
                self.console.act("promote", epoch=epoch, override_reason=reason, seen=seen)

        yes = (
            f"promote to {words.percent(gate.next_percent_bp)}"
            if not v.stage_percents or gate.next_stage < v.stages
            else "declare stable"
        )
        stay = f"stay at {words.percent(v.percent_bp)}"
        least = 8 if override else 0
        self.app.push_screen(Ask(f"Promote to {goal}?", facts, yes, stay, field=field, least=least, danger=True), go)

    def action_hold(self) -> None:
        self.console.ask_text(
            "Hold: nobody promotes until someone resumes",
            [],
            "why",
            lambda why: self.console.act("hold", reason=why),
            least=3,
            yes="hold",
        )

    def action_resume(self) -> None:
        v = self.sight.view
        if v is None or not (v.held or v.locked):
            self.console.say("Nothing to resume: the rollout is neither held nor locked.", "caution")
            return
        if v.locked:
            self.app.push_screen(
                Ask(
                    "Open the way up again",
                    [v.locked, "The percentage stays where it is."],
                    "resume",
                    "stay locked",
                    field="what the cause was (8 letters or more)",
                    least=8,
                    danger=True,
                ),
                lambda cause: self.console.act("resume", cause=cause, reason=cause) if cause is not None else None,
            )
        else:
            self.app.push_screen(
                Ask("Release the hold?", [v.held], "resume", "keep holding", danger=True),
                lambda typed: self.console.act("resume", cause="") if typed is not None else None,
            )


def _lines(gate: GateView) -> list[Line]:
    """Titles and lines in the order of the screen: what is measured, what people tick, who approved."""
    out: list[Line] = []
    if gate.conditions:
        met = sum(c.met is True for c in gate.conditions)
        out.append(("title", f"conditions · {met} of {len(gate.conditions)}"))
        out += [("condition", c) for c in gate.conditions]
    if gate.items:
        done = sum(i.state == "done" for i in gate.items)
        out.append(("title", f"checklist · {done} of {len(gate.items)}"))
        out += [("item", i) for i in gate.items]
    if gate.approvals_needed > 1 or gate.approvals:
        names = ", ".join(gate.approvals) or "nobody yet"
        out.append(("title", f"approvals · {len(gate.approvals)} of {gate.approvals_needed}"))
        out.append(("approval", f"approved by {names}"))
    known = {c.missing for c in gate.conditions}
    rest = [m for m in gate.missing if m not in known and "item" not in m]
    if rest:
        out.append(("title", "still missing"))
        out += [("missing", m) for m in rest]
    return out


def _who(item: ItemView, v: View | None) -> str:
    now = v.at if v else (item.at or 0.0)
    if item.state == "done":
        by = item.by or "the machine"
        return f"{by} {words.hour(item.at, now) if item.at else ''}{' · ' + item.note if item.note else ''}"
    if item.state == "failed":
        return item.evidence or "failed"
    return ("open" if item.kind == "manual" else f"open · c checks ({item.kind.replace('_', ' ')})") + (
        "" if item.required else " · optional"
    )
