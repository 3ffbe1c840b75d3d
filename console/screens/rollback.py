"""After R: the stopwatch until 0 % is observed, what was done, what to do if it isn't observed, and the way back."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.ask import TextField
from console.screens.asking import ask_text, complain
from console.screens.page import Hint, Page, key
from console.widgets import blocks, contacts, logs, numerals, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, wrapped
from engine.plan.durations import clock
from engine.text import counted, took
from engine.view.model import ProofView, View

WAYS_ROWS, PROOF_ROWS, BACK_ROWS = 6, 10, 11
MORE_ROWS, ROWS_OF_TWO = 9, 14  # of the log and one chart; of two
CHARTS = ("llm_documents", "error_rate")
LEAST = ("calls cancelled", "last LLM call")  # rows of the proof that give way where a banner takes their room


def ways_back(v: View | None) -> list[Hint]:
    """What can be taken back or restored just now."""
    out: list[Hint] = []
    if v and v.undo_until is not None and v.undo_until > v.at:
        out.append(("u", "undo", "app.undo"))
    if v and v.restore and v.restore.documents:
        out.append(("t", "restore keywords", "restore"))
    return out


class Rollback(Page):
    NUMBER: ClassVar[int] = 11
    TITLE: ClassVar[str] = "Rollback"
    ABOUT: ClassVar[str] = "the proof of the last rollback, restore, undo"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("w", "why", "write why (optional)"),
        key("e", "app.on_gate('resume')", "resume with the cause (on the gate)"),
        key("t", "restore", "restore frequency keywords where the LLM wrote"),
        key("b", "restore_bad_window", "the same, only for the bad window before the rollback"),
        key("T", "undo_restore", "undo the restore"),
        key("c", "complaint", "record a complaint", show=False),
    ]

    def on_mount(self) -> None:
        self.set_interval(0.1, self._tick)

    def _tick(self) -> None:
        attempt = self.console.attempt
        if self.is_current and attempt is not None and attempt.proven_s is None:
            self.repaint()

    def explained(self) -> list[explain.Explained]:
        return explain.terms("proof", "armed file", "restore", "roll back")

    def hints(self) -> tuple[Hint, ...]:
        v, out = self.snapshot.view, ways_back(self.snapshot.view)
        if v is not None and v.rollback is None and self.console.attempt is None:
            return (*out, ("esc", "back to Live", "app.back"))
        if v and v.restore and v.restore.undoable:
            out.append(("T", "undo the restore", "undo_restore"))
        if v and v.locked:
            out.append(("e", "resume", "app.on_gate('resume')"))
        return (*out, ("w", "write why", "why"), ("i", "incident", "app.incident"), ("esc", "back to Live", "app.back"))

    def nothing(self, c: Canvas, y: int) -> None:
        """A rollback works without a view: show the attempt and its steps anyway."""
        y = self._watch(c, y + 1, None)
        self._ways(c, Area(1, y, c.width - 2, 6))

    def paint(self, c: Canvas, v: View, y: int) -> None:
        y = self._watch(c, y, v)
        area = self.area(c, y)
        last = self._last(v)
        if c.width < 70:
            proof, back = blocks.stack(area, (len(_facts(last)) + 1 if last else 0, 0))
            self._proof(c, last, proof)
            self._back(c, v, back)
            return
        people = contacts.rows(c, self.console.plan.contacts) + 1
        facts = max(PROOF_ROWS + (WAYS_ROWS if self.console.attempt else 0), people + BACK_ROWS)
        if area.height >= facts + MORE_ROWS:
            area, more = blocks.stack(area, (facts, 0))
            self._more(c, v, more)
        right = area
        if last is not None or self.console.attempt is not None:
            left, right = blocks.beside(area, (1, 1), 2 if c.width < blocks.BOXED else 1)
            ways, proof = blocks.stack(left, (WAYS_ROWS if self.console.attempt else 0, 0))
            self._ways(c, ways)
            self._proof(c, last, proof)
        back, call_area = blocks.stack(right, (max(8, area.height - people), 0))
        self._back(c, v, back)
        contacts.panel(c, call_area, self.console.plan.contacts)

    def _last(self, v: View | None) -> ProofView | None:
        """The proof of the attempt that was made here, else of the last rollback."""
        attempt = self.console.attempt
        if attempt is not None:
            return attempt.proof(self.snapshot)
        return v.rollback if v is not None else None

    def _watch(self, c: Canvas, y: int, v: View | None) -> int:
        """The large stopwatch and the main sentence. Returns the next free row."""
        state, after, sentence = self._standing(v)
        style = {"none": "dim", "proven": "ok+", "running": "warn+", "overdue": "bad+"}[state]
        if state == "none":
            c.put(1, y + 1, sentence, "text", c.width - 2)
            return y + 3
        x = 3
        raised = state == "overdue" and v is not None and v.rollback is not None and v.rollback.raised
        again = (state == "proven" or raised) and v is not None and v.percent_bp > 0 and not self._unrecorded(v)
        if again and v is not None:  # the proof is history: a green 0 % here would be a lie
            c.put(
                c.put(1, y, " ▲ RAISED AGAIN ", "caution") + 1,
                y,
                f"{words.percent(v.percent_bp)} now; the rollback was {'not observed before' if raised else 'proven'}",
                "strong",
            )
            return y + 1 + c.block(1, y + 1, c.width - 2, 3, sentence, "dim") + 1
        if c.height >= 20:
            x = numerals.put(c, 3, y, after, style) + 2
        badge = {"proven": " ✔ PROVEN ", "running": " ROLLING BACK TO 0 % ", "overdue": " ✖ NOT OBSERVED "}[state]
        at = c.put(x, y, badge, {"proven": "fine", "running": "caution", "overdue": "alarm"}[state])
        c.put(
            at + 1,
            y,
            {
                "proven": f"0 % was observed after {after}",
                "running": f"{after}, waiting until 0 % is observed",
                "overdue": f"after {after}",
            }[state],
            "strong",
        )
        used = 1 + c.block(x, y + 1, c.width - x - 1, 3, sentence, "text")
        y += max(used, numerals.ROWS) if c.height >= 20 else used
        for line in self._warnings(v, state, c.width - 2):
            c.bar(y, line, "alarm")
            y += 1
        return y + 1

    def _warnings(self, v: View | None, state: str, width: int) -> list[str]:
        """The lines that must fit."""
        lines: list[str] = []
        last = self._last(v)
        if last is not None and last.applied == "failed":
            lines += wrapped(f"Proven for this engine only. {last.applied_sentence}", width)[:2]
        if state == "overdue":
            folder = self.console.link.folder
            gone = (
                "The armed file is gone, so no LLM call can start; the proof is missing. To see that it is gone:  "
                f"ls {folder.armed}"
            )
            run = f"Run in any shell:  {folder.armed_removal}"
            lines += wrapped(gone if v is not None and not v.armed else run, width)
        return lines

    def _standing(self, v: View | None) -> tuple[str, str, str]:
        """(none, running, proven or overdue; the elapsed time; the sentence)."""
        attempt, snapshot = self.console.attempt, self.snapshot
        if attempt is None:
            proof = self._last(v)
            if proof is None:
                return "none", "", "No rollback yet. R goes to 0 % now, from every screen, without asking."
            if proof.effective_ms is not None:
                return "proven", took(proof.effective_ms), proof.sentence
            return "overdue" if proof.overdue else "running", "…", proof.sentence
        return attempt.state(snapshot), attempt.clock(), attempt.sentence(snapshot)

    def _ways(self, c: Canvas, area: Area) -> None:
        attempt = self.console.attempt
        if attempt is None or area.height < 2:
            return
        ways = list(attempt.result.ways) if attempt.result else ["removing the armed file, calling the engine …"]
        inner = blocks.panel(c, area, "what was done")
        blocks.bullets(c, inner, ways, "·", "dim")  # steps, of which some may have failed

    def _proof(self, c: Canvas, proof: ProofView | None, area: Area) -> None:
        if area.height < 2 or (proof is None and self.console.attempt is None):
            return
        x, y, width, rows = blocks.panel(c, area, "proof")
        if proof is None:
            if self._standing(None)[0] == "running":
                none = "the engine will observe it in a moment"
            elif self.console.attempt is not None and self.console.attempt.unreachable:
                none = "No engine is running to observe it. Without an engine and an armed file no LLM call can start."
            else:
                none = "No engine has observed this rollback."
            c.block(x, y, width, rows, none, "dim")
            return
        facts = _facts(proof, self.acts)
        for least in LEAST[: max(0, len(facts) - rows)]:
            facts = [fact for fact in facts if fact[0] != least]
        for row, (name, value, good) in enumerate(facts[:rows]):
            sign, style = words.mark(good)
            c.spans(x, y + row, [(f"{sign} ", style), (f"{name:<16}", "dim"), (value, "text")], width)

    def _back(self, c: Canvas, v: View, area: Area) -> None:
        x, y, width, rows = blocks.panel(c, area, "the way back")
        end = y + rows
        acts = self.acts
        if acts and y < end and v.undo_until is not None and v.undo_until > v.at:
            left = (v.undo_until - v.at) / v.speed  # real seconds, even in a time lapse
            blocks.meter(c, x, y, 10, left / 60.0, "warn")
            c.spans(x + 11, y, [("u", "key"), (f" undoes it, {clock(left)} left", "text")], width - 11)
            y += 1
        if v.restore is not None and (v.restore.documents or v.restore.undoable):
            y += c.block(x, y, width, min(3, end - y), v.restore.sentence, "text")
            if acts and v.restore.documents and y < end:
                c.spans(
                    x,
                    y,
                    [("t", "key"), (" restores all, ", "text"), ("b", "key"), (" the bad window only", "text")],
                    width,
                )
                y += 1
            if acts and v.restore.undoable and y < end:
                c.spans(x, y, [("T", "key"), (" undoes the restore", "text")], width)
                y += 1
        if v.locked and y < end:
            y += c.block(x, y, width, min(3, end - y), f"locked: {v.locked}", "warn")
        if y < end:
            text, style = self._up(v)
            c.block(x, y, width, end - y, text, style)

    def _unrecorded(self, v: View) -> bool:
        """Whether the store's view is older than the key press."""
        attempt = self.console.attempt
        return attempt is not None and v.rev <= attempt.rev

    def _up(self, v: View) -> tuple[str, str]:
        """How the percentage can rise again, or that it has; and the style."""
        attempt = self.console.attempt
        if attempt is not None and self._unrecorded(v):
            if attempt.result is None or not attempt.result.ok:  # promise only what is known
                return "The figures are older than the rollback.", "dim"
            recorded = attempt.result.rev is not None or (self.snapshot.corrected and not v.percent_bp)
            reading = "It is in the log" if recorded else "The store has not recorded it yet"
            return f"{reading}; the figures here are older. 0 % is in force anyway.", "strong"
        if v.percent_bp and v.rollback is not None:
            where = f"{words.percent(v.percent_bp)}, {words.stage(v, brief=True).replace('STAGE', 'stage')}"
            return f"▲ Raised again since: {where}.", "strong"
        if attempt is None and v.rollback is None:
            return "After a rollback a person promotes again, through the gate (2).", "dim"
        if v.locked:
            return "To go up again, a person resumes with the cause (e), then promotes through the gate (2).", "strong"
        return "To go up again, a person promotes through the gate (2).", "dim"

    def _more(self, c: Canvas, v: View, area: Area) -> None:
        """On a tall screen, what the rollback does to documents and errors, and the log."""
        charts, log = blocks.beside(area, (1, 1), 1)
        shown = CHARTS[: 2 if area.height >= ROWS_OF_TWO else 1]
        for metric, spot in zip(shown, blocks.grid(charts, len(shown), 1), strict=True):
            self.curve(c, v, metric, spot)
        logs.tail(c, blocks.panel(c, log, "log"), v)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def action_why(self) -> None:
        attempt, v = self.console.attempt, self.snapshot.view
        rev = attempt.result.rev if attempt and attempt.result else None
        if rev is None and v and v.rollback:
            rev = v.rollback.rev
        if rev is None:
            self.console.refuse_text("The log has no rollback yet.")
            return
        ask_text(
            self.console,
            "Why was it rolled back?",
            ["The rollback is done; this only adds the reason to the log."],
            TextField("reason"),
            lambda text: self.console.act("rollback_reason", rev=rev, reason=text),
        )

    def action_restore(self) -> None:
        self.console.restore()

    def action_restore_bad_window(self) -> None:
        self.console.act("restore", bad_window=True)

    def action_undo_restore(self) -> None:
        self.console.act("undo_restore")

    def action_complaint(self) -> None:
        complain(self.console)


def _facts(p: ProofView, acts: bool = True) -> list[tuple[str, str, bool | None]]:
    def at(moment: float | None) -> str:
        return words.NO_DATA if moment is None else words.moment(moment) + "Z"

    seen = p.effective_ms is not None
    probed = f", {counted(p.probes, 'probe')}" if p.probes else ""  # else the documents get their own row
    return [
        ("decided", f"{at(p.at)} by {words.brief_name(p.actor)}", None),
        (
            "0 % observed",
            f"in {took(p.effective_ms)}{probed}" if p.effective_ms is not None else "not yet",
            seen or None,
        ),
        ("last LLM call", at(p.last_call) if p.last_call else "none since", None),
        ("calls cancelled", words.count(p.cancelled), None),
        (
            "documents since",
            f"{words.count(p.documents_since)}, by LLM {p.llm_since}",
            p.llm_since == 0 if p.documents_since else None,
        ),
        *([("service", p.applied_sentence, {"done": True, "failed": False}.get(p.applied))] if p.applied else []),
        ("reason", p.reason or ("none; w adds one" if acts else "none"), None),
    ]
