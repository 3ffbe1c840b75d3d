"""The gate: checklist, conditions, bake time, approvals, and blockers. Promoting asks, and another key confirms."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console import explain
from console.screens import gate_questions
from console.screens.ask import TextField
from console.screens.asking import ask_text
from console.screens.drill.counted import behind
from console.screens.page import LIST_KEYS, Hint, Page, key
from console.screens.rows import Rows, draw
from console.widgets import blocks, checklist, logs, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from console.widgets.checklist import ChecklistLine
from engine.client.client import Reply
from engine.plan.durations import clock
from engine.view.model import ItemView, View


class Gate(Page):
    NUMBER: ClassVar[int] = 2
    TITLE: ClassVar[str] = "Gate"
    TRAVELS: ClassVar[bool] = True
    ENTER: ClassVar[str] = "open"
    ABOUT: ClassVar[str] = "checklist, conditions, approvals; promote, hold, resume"
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("enter", "open", "what a condition counted; on an item, sign it"),
        key("s", "sign", "sign the item, with a note"),
        key("c", "check_item", "run the item's check"),
        key("x", "revoke", "withdraw a signature"),
        key("a", "approve", "approve the next step"),
        key("p", "promote", "promote (asks; y confirms)"),
        key("o", "override", "override the gate, with a written reason"),
        key("H", "hold", "hold: block promotion"),
        key("e", "resume", "resume after a hold or an automatic rollback"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self._stage = -1  # the stage whose first open line the cursor was put on

    def hints(self) -> tuple[Hint, ...]:
        v = self.snapshot.view
        if v is None:
            return ()
        line = self._selected(v)
        out: list[Hint] = []
        if line is not None and line.condition is not None:
            out.append(("enter", "what it counted", "open"))
        if line is not None and line.item is not None:
            item = line.item
            out.append(("x", "withdraw", "revoke") if item.state == "done" else ("s", "sign", "sign"))
            if item.kind != "manual":
                out.append(("c", "check", "check_item"))
        if v.gate.approvals_needed > 1:  # if one approval is enough, promoting approves
            out.append(("a", "approve", "approve"))
        if not v.stable and not v.gate.blocked:  # nothing overrides what blocks it; the keys still show why
            out.append(("p", "promote", "promote"))
        if not v.stable and v.gate.missing and not v.gate.blocked:
            out.append(("o", "override", "override"))
        if v.held or v.locked or v.resumes:
            out.append(("e", "resume", "resume"))
        elif not v.stable:  # then there is no gate any more
            out.append(("H", "hold", "hold"))
        return tuple(out)

    def explained(self) -> list[explain.Explained]:
        v = self.snapshot.view
        items = checklist.lines(v.gate) if v is not None else []
        chosen = items[min(self.rows.at, len(items) - 1)] if items else ChecklistLine()
        if chosen.condition is not None:
            return explain.condition(chosen.condition)
        return explain.item(chosen.item) if chosen.item is not None else explain.terms("gate", "bake")

    # -- painting ------------------------------------------------------------------------------------------------------

    def paint(self, c: Canvas, v: View, y: int) -> None:
        y += self._head(c, y, v)
        area = self.area(c, y)
        items = checklist.lines(v.gate)
        if self._stage != v.stage:
            self._stage, self.rows.at = v.stage, checklist.first_open(items)
        self.rows.at = checklist.selectable(items, min(self.rows.at, max(0, len(items) - 1)), 1)
        chosen = items[self.rows.at] if items else ChecklistLine()
        about = checklist.detail(chosen, v.at, self.acts)
        if c.width < 120 or area.height < 20:
            detail_rows = min(7, max(2, area.height // 4, area.height - len(items)))
            below = self._list(c, Area(area.x, y, area.width, area.height - detail_rows), v, items)
            detail = Area(area.x, y + area.height - detail_rows, area.width, detail_rows)
            inner = blocks.panel(c, detail, checklist.heading(chosen), f"{below} more below" if below else "", "dim")
            checklist.paragraphs(c, inner, about)
            return
        left, right = blocks.beside(area, (12, 7))  # at 120 columns the plan's items fit whole
        up = len(items) + 2 if area.height >= len(items) + 14 else area.height  # below it there is room for more
        listed = Area(left.x, y, left.width, up)
        inner = blocks.panel(c, listed, "to promote", f"{v.gate.met} of {v.gate.total} met")
        self._list(c, inner, v, items)
        self._more(c, blocks.below(left, up), v)
        selected, done = blocks.stack(right, (12, 0))
        inner = blocks.panel(c, selected, "selected")
        checklist.paragraphs(c, inner, [(checklist.heading(chosen), "strong"), *about])
        logs.tail(c, blocks.panel(c, done, "log"), v)

    def _head(self, c: Canvas, y: int, v: View) -> int:
        """Open or shut, the next stage, how much is met; the plan's words for the gate; blockers. Returns the rows
        used."""
        gate, start = v.gate, y
        if v.stable:
            return c.block(1, y, c.width - 2, 2, "Stable: every gate is passed. To do: lessons, report (9).", "ok") + 1
        goal = f"{words.short(gate.next_name)}, {words.percent(gate.next_percent_bp)}" if gate.next_name else "stable"
        badge, style = (" ✔ GATE OPEN ", "fine") if gate.open else (" ○ GATE SHUT ", "caution")
        x = c.put(1, y, badge, style)
        x = c.spans(
            x + 1,
            y,
            [
                ("back to " if gate.returns else "to ", "dim"),
                (goal, "strong"),
                (f"   {gate.met} of {gate.total} met", "text"),
            ],
        )
        bake = words.bake(gate)
        cells = min(10, c.width - x - 5 - len(bake))
        if gate.bake_s and cells >= 4:
            done = gate.baked_s / gate.bake_s
            blocks.meter(c, x + 3, y, cells, done, "ok" if done >= 1 else "accent")
            x += cells + 1
        if gate.bake_s:
            c.put(x + 3, y, bake, "text")
        y += 1
        y += c.block(1, y, c.width - 2, 2 if c.height >= 20 else 0, gate.sentence, "dim")
        for text in gate.blocked:
            if y < c.height - 5:
                c.put(1, y, "■", "bad")
                y += c.block(3, y, c.width - 4, 3, text, "bad")
        unarmed = next((task for task in v.inbox or () if task.kind == "resume" and task.id == "armed"), None)
        if unarmed is not None and self.acts and y < c.height - 5:
            c.put(1, y, "e", "key")
            y += c.block(3, y, c.width - 4, 1, unarmed.sentence, "warn")
        return y - start

    def _list(self, c: Canvas, area: Area, v: View, items: list[ChecklistLine]) -> int:
        """The lines around the selected one, and how many are below."""
        acts = self.acts
        shown = draw(
            c,
            area,
            self.rows,
            len(items),
            lambda index, y: checklist.put(c, Area(area.x, y, area.width, 1), items[index], v.at, acts),
        )
        return len(items) - shown.stop if shown else 0

    def _more(self, c: Canvas, area: Area, v: View) -> None:
        """On a tall screen, the stage's purpose and the curves of its figures."""
        if area.height < 8:
            return
        purpose, curve = blocks.stack(area, (4, 0))
        inner = blocks.panel(c, purpose, f"what {words.stage(v, brief=True).lower()} is for")
        c.block(inner.x, inner.y, inner.width, inner.height, v.stage_objective, "text")
        shown = self.console.series_cache.metrics[: 2 if curve.height < 24 else 4]
        for metric, spot in zip(shown, blocks.grid(curve, len(shown), 2), strict=True):
            self.curve(c, v, metric, spot)

    # -- selection -----------------------------------------------------------------------------------------------------

    def _selected(self, v: View) -> ChecklistLine | None:
        items = checklist.lines(v.gate)
        return items[checklist.selectable(items, min(self.rows.at, len(items) - 1), 1)] if items else None

    def choose(self, item: str) -> None:
        """Put the cursor on an item of the checklist."""
        v = self.snapshot.view
        items = checklist.lines(v.gate) if v else []
        at = next((i for i, line in enumerate(items) if line.item is not None and line.item.id == item), None)
        if at is not None and v is not None:
            self._stage = v.stage
            self.rows.place(at)
            self.repaint()

    def action_move(self, by: int) -> None:
        v = self.snapshot.view
        if v is None:
            return
        items = checklist.lines(v.gate)
        self.rows.move(by, len(items))
        self.rows.at = checklist.selectable(items, self.rows.at, by)
        self.repaint()

    def _select_next_open(self, done: ItemView) -> None:
        """Move to the next open item, wrapping around. Stay if the user has moved the cursor or no item is open."""
        v = self.snapshot.view
        items = checklist.lines(v.gate) if v else []
        here = items[self.rows.at].item if self.rows.at < len(items) else None
        if here is None or here.id != done.id:
            return
        order = [*range(self.rows.at + 1, len(items)), *range(self.rows.at)]
        still = ((i, items[i].item) for i in order)
        self.rows.at = next(
            (i for i, item in still if item and item.state != "done" and item.id != done.id), self.rows.at
        )
        self.repaint()

    def _item(self) -> ItemView | None:
        v = self.snapshot.view
        line = self._selected(v) if v else None
        if line is not None and line.item is not None:
            return line.item
        self.console.refuse_text("Select a checklist item first (j, k).")
        return None

    async def action_open(self) -> None:
        """Go deeper: the documents and samples that a condition counted. On an item Enter signs."""
        v = self.snapshot.view
        line = self._selected(v) if v else None
        if v is None or line is None:
            return
        if line.condition is None:
            if line.item is not None and self.check_action("sign", ()):
                self.action_sign()
            return
        page = behind(line.condition, v)
        if page is not None:
            self.console.push_screen(page)
        elif line.condition.metric.startswith("ab_"):
            await self.app.run_action("go(6)")
        else:
            self.console.say(f"No list behind this: {line.condition.sentence}", "caution")

    # -- acting --------------------------------------------------------------------------------------------------------

    def action_sign(self) -> None:
        item = self._item()
        if item is not None:
            ask_text(
                self.console,
                "Sign with your name",
                [item.text],
                TextField("note (optional), then enter"),
                lambda note: self.console.act(
                    "sign", lambda reply: self._select_next_open(item) if reply.ok else None, item=item.id, note=note
                ),
                "sign",
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
            self.console.say("This item has no automatic check: sign it (s).", "caution")
            return
        self.console.say(f"Checking: {item.text} …")
        self.console.act("check", lambda reply: self._select_next_open(item) if reply.ok else None, item=item.id)

    def action_approve(self) -> None:
        self.console.act("approve")

    def action_promote(self) -> None:
        v = self.snapshot.view
        if v is None or not self._may(v):
            return
        if v.gate.missing:
            more = f" (and {len(v.gate.missing) - 2} more)" if len(v.gate.missing) > 2 else ""
            self.console.say(
                f"The gate is not open. Missing: {'; '.join(v.gate.missing[:2])}{more}. o overrides it with a "
                "written reason.",
                "caution",
            )
            return
        self._ask(v, override=False)

    def action_override(self) -> None:
        v = self.snapshot.view
        if v is not None and self._may(v):
            self._ask(v, override=bool(v.gate.missing))

    def _may(self, v: View) -> bool:
        if not self.snapshot.fresh:
            liveness = self.snapshot.liveness
            self.console.refuse_text(f"Not now: these figures are stale. {liveness.sentence} {liveness.remedy}".strip())
            return False
        if v.gate.blocked:
            self.console.refuse_text("Not now: " + "; ".join(v.gate.blocked) + ".")
            return False
        return True

    def _ask(self, v: View, override: bool) -> None:
        seen = f"{v.gate.met} of {v.gate.total} met; {v.health_sentence}"

        def go(reason: str | None) -> None:
            if reason is not None:
                self.console.act("promote", epoch=v.epoch, override_reason=reason, seen=seen)

        self.app.push_screen(gate_questions.promotion(v, override), go)

    def action_hold(self) -> None:
        ask_text(
            self.console,
            "Hold: block promotion until someone resumes",
            [],
            TextField("why", least=3),
            lambda why: self.console.act("hold", reason=why),
            "hold",
        )

    def _resume_with(self, cause: str | None) -> None:
        """Keep the cause until the engine accepts it: during the cool-down, and after a refusal."""
        v = self.snapshot.view
        if cause is None or v is None:
            return
        self.console.texts["resume"] = cause
        left = gate_questions.cooldown_left(v)
        if left > 0:
            self.console.say(f"Saved: press e in {clock(left)} to resume with it.", "caution")
            return

        def taken(reply: Reply) -> None:
            if reply.ok:
                self.console.texts.pop("resume", None)

        self.console.act("resume", taken, cause=cause, reason=cause, epoch=v.epoch)

    def action_resume(self) -> None:
        v = self.snapshot.view
        if v is not None and v.locked:
            cause = self.console.texts.get("resume", "")
            self.app.push_screen(gate_questions.unlock(v, cause), self._resume_with)
        elif v is not None and (v.held or v.resumes):
            self.app.push_screen(
                gate_questions.release(v) if v.held else gate_questions.rearm(v),
                lambda typed: self.console.act("resume", cause="", epoch=v.epoch) if typed is not None else None,
            )
        else:
            self.console.refuse_text("Nothing to resume: the rollout is neither held nor locked.")
