"""After R: the stopwatch until 0 % is observed, what was done, what to do if it is not, and the way back."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console.screens.page import Hint, Page, key
from console.widgets import blocks, words
from console.widgets.canvas import Canvas, columns
from engine.plan.durations import clock
from engine.view import ProofView, View


class Rollback(Page):
    NUMBER: ClassVar[int] = 11
    TITLE: ClassVar[str] = "Rollback"
    ABOUT: ClassVar[str] = "the proof of the last rollback, restore, undo"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("w", "why", "write why (optional)"),
        key("t", "restore", "serve frequency keywords again for what the LLM wrote"),
        key("T", "undo_restore", "take the restore back"),
        key("c", "complaint", "record a complaint", show=False),
    ]

    def on_mount(self) -> None:
        self.set_interval(0.1, self._tick)

    def _tick(self) -> None:
        rolling = self.console.rolling
        if self.is_current and rolling is not None and rolling.proven_s is None:
            self.repaint()

    def hints(self) -> tuple[Hint, ...]:
        v = self.sight.view
        out: list[Hint] = []
        if v and v.undo_until is not None and v.undo_until > v.at:
            out.append(("u", "take it back", "app.undo"))
        if v and v.restore and v.restore.documents:
            out.append(("t", "restore keywords", "restore"))
        if v and v.restore and v.restore.undoable:
            out.append(("T", "take the restore back", "undo_restore"))
        return (*out, ("w", "write why", "why"), ("esc", "back to Live", "app.back"))

    def nothing(self, c: Canvas, y: int) -> None:
        """Rollback works without a view: the press and its ways are shown all the same."""
        self._watch(c, y + 1, None)
        self._ways(c, 2, y + 6, c.width - 4, 5)

    def paint(self, c: Canvas, v: View, y: int) -> None:
        blocks.stage_line(c, y, v)
        y = self._watch(c, y + 2, v)
        (left, lw), (right, rw) = columns(c.width - 4, (1, 1), 3)
        bottom = c.height - 2
        ways = self._ways(c, 2 + left, y, lw, max(4, (bottom - y) // 2))
        self._proof(c, v, 2 + left, y + ways + 1, lw, bottom - y - ways - 1)
        used = self._back(c, v, 2 + right, y, rw, bottom - y - 2)
        self._contacts(c, 2 + right, y + used + 1, rw, bottom - y - used - 1)

    def _watch(self, c: Canvas, y: int, v: View | None) -> int:
        """The stopwatch and the one sentence that counts; the next free row."""
        rolling, sight = self.console.rolling, self.sight
        armed = self.console.link.folder.armed
        if rolling is None:
            proof = v.rollback if v else None
            if proof is None:
                c.put(2, y, "No rollback yet. R goes to 0 % at once, from every screen.", "dim")
                return y + 2
            state = "proven" if proof.effective_ms is not None else "overdue" if proof.overdue else "running"
            took = f"{proof.effective_ms / 1000:.2f} s" if proof.effective_ms is not None else "…"
            sentence = proof.sentence
        else:
            state, took = rolling.state(sight), rolling.clock()
            proof = rolling.proof(sight)
            sentence = (
                proof.sentence
                if proof
                else (rolling.result.sentence if rolling.result else "The key is being taken out …")
            )
        if state == "proven":
            head = f" ✔ PROVEN  0 % observed, effective in {took} "
            if rolling is not None and rolling.unreachable and (proof is None or proof.effective_ms is None):
                head = " ✔ 0 %  no engine runs and the key is out: nothing can call the LLM "
            c.put(2, y, head, "fine")
        elif state == "running":
            c.put(2, y, f" ROLLING BACK TO 0 %  {took} ", "caution")
            c.put(2 + len(f" ROLLING BACK TO 0 %  {took} ") + 1, y, "waiting until it is observed", "text")
        else:
            c.fill(0, y, c.width, "alarm")
            c.put(2, y, f"✖ NOT OBSERVED AFTER {took}.  Now, in any shell:", "alarm")
            c.fill(0, y + 1, c.width, "alarm")
            c.put(4, y + 1, f"rm {armed}", "alarm")
            y += 1
        c.block(2, y + 1, c.width - 4, 2, sentence, "text")
        return y + 4

    def _ways(self, c: Canvas, x: int, y: int, width: int, rows: int) -> int:
        rolling = self.console.rolling
        if rolling is None:
            return 0
        ways = list(rolling.result.ways) if rolling.result else ["taking the key out, telling the engine …"]
        blocks.bullets(c, x, y, width, rows - 1, "what was done", ways, "✔" if rolling.result else "·", "ok", "")
        return min(rows, 1 + len(ways))

    def _proof(self, c: Canvas, v: View, x: int, y: int, width: int, rows: int) -> None:
        proof = v.rollback
        if proof is None or rows < 2:
            return
        c.rule(x, y, width, "proof")
        for i, (name, value, good) in enumerate(_facts(proof, v)[: rows - 1]):
            sign, style = words.mark(good)
            c.spans(x, y + 1 + i, [(f"{sign} ", style), (f"{name:<16}", "dim"), (value, "text")], width)

    def _back(self, c: Canvas, v: View, x: int, y: int, width: int, rows: int) -> int:
        c.rule(x, y, width, "the way back")
        row = 1
        if v.undo_until is not None and v.undo_until > v.at:
            blocks.meter(c, x, y + row, 10, (v.undo_until - v.at) / 60.0, "warn")
            c.spans(
                x + 11,
                y + row,
                [("u", "key"), (f" takes it back, {clock(v.undo_until - v.at)} left", "text")],
                width - 11,
            )
            row += 1
        if v.restore is not None and (v.restore.documents or v.restore.undoable):
            row += c.block(x, y + row, width, 3, v.restore.sentence, "text")
            if v.restore.documents:
                c.spans(x, y + row, [("t", "key"), (" restores their frequency keywords", "text")], width)
                row += 1
        if v.locked:
            row += c.block(x, y + row, width, 2, v.locked, "warn")
        row += c.block(x, y + row, width, 2, "Up again: only through the gate (2), by a person.", "dim")
        return min(row, max(rows, 1))

    def _contacts(self, c: Canvas, x: int, y: int, width: int, rows: int) -> None:
        contacts = self.console.plan.contacts
        if rows < 2 or not contacts:
            return
        c.rule(x, y, width, "whom to call")
        for i, contact in enumerate(contacts[: rows - 1]):
            c.spans(
                x,
                y + 1 + i,
                [
                    (f"{contact.role}  ", "dim"),
                    (f"{contact.name}  ", "text"),
                    (contact.phone or contact.email, "strong"),
                ],
                width,
            )

    # -- keys --------------------------------------------------------------------------------------------------------------

    def action_why(self) -> None:
        rolling, v = self.console.rolling, self.sight.view
        rev = (
            rolling.result.rev
            if rolling and rolling.result and rolling.result.rev is not None
            else v.rollback.rev
            if v and v.rollback
            else None
        )
        if rev is None:
            self.console.say("There is no rollback in the log yet to write a reason for.", "caution")
            return
        self.console.ask_text(
            "Why was it rolled back?",
            ["It is done; this only adds to the log."],
            "reason",
            lambda text: self.console.act("rollback_reason", rev=rev, reason=text),
        )

    def action_restore(self) -> None:
        self.console.restore()

    def action_undo_restore(self) -> None:
        self.console.act("undo_restore")

    def action_complaint(self) -> None:
        self.console.ask_text(
            "A complaint about search quality",
            ["It counts towards the triggers."],
            "what was said",
            lambda text: self.console.act("complaint", text=text, document=""),
            least=1,
        )


def _facts(p: ProofView, v: View) -> list[tuple[str, str, bool | None]]:
    def at(moment: float | None) -> str:
        return words.NO_DATA if moment is None else words.moment(moment) + "Z"

    return [
        ("decided", f"{at(p.at)} by {p.actor}", None),
        (
            "0 % observed",
            words.NO_DATA if p.effective_ms is None else f"in {p.effective_ms / 1000:.2f} s, {p.probes} probes",
            p.effective_ms is not None or None,
        ),
        ("last LLM call", at(p.last_call) if p.last_call else "none since", None),
        ("calls cancelled", str(p.cancelled), None),
        (
            "documents since",
            f"{p.documents_since}, by LLM {p.llm_since}",
            p.llm_since == 0 if p.documents_since else None,
        ),
        ("reason", p.reason or "none; w writes one", None),
    ]
