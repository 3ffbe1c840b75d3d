"""The plan's command lines for this stage, to copy or to run after confirmation, and the monitoring that is due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

from msgspec import Struct
from textual.binding import BindingType

from console import explain
from console.plan_commands import localized
from console.screens.ask import QuestionDialog
from console.screens.asking import READ_ONLY
from console.screens.fetching import matches
from console.screens.ordering import Order, Ordered
from console.screens.page import LIST_KEYS, Hint, key
from console.screens.rows import draw
from console.screens.work import Work
from console.widgets import blocks, words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from engine.plan.durations import format_duration
from engine.plan.model import MonitoringCommand, Plan
from engine.text import clean_block, clean_line
from engine.view.model import ReminderView, View

NO_MATCH = "No command matches; esc shows all."
LISTED: tuple[Hint, ...] = (("S", "sort", "sort"), ("/", "filter", "search"), ("j k", "move", ""))


class StoredRun(Struct, frozen=True):
    """A command's last run, from the store."""

    at: float
    actor: str
    exit: int | None
    ms: float
    output: str


Line = tuple[str, MonitoringCommand | ReminderView | str]  # title, command or reminder


class CommandRow(NamedTuple):
    """A line with its command's last run, to sort by."""

    line: Line
    ran: StoredRun | None


def lines(plan: Plan, v: View) -> list[Line]:
    """What is due, then the stage's validation, monitoring and sampling commands."""
    out: list[Line] = []
    if v.reminders:
        out += [("title", "monitoring to tick off"), *(("reminder", r) for r in v.reminders)]
    if v.stage < len(plan.stages):
        stage = plan.stages[v.stage]
        sampling = stage.sampling.commands if stage.sampling else ()
        for title, commands in (
            ("validation", stage.validation),
            ("monitoring", stage.monitoring),
            ("quality", sampling),
        ):
            if commands:
                out += [("title", title), *(("command", command) for command in commands)]
    return out


def listed(plan: Plan, v: View, ran: Mapping[str, StoredRun], wanted: str, order: Order) -> list[Line]:
    """What the filter leaves, in groups with their titles, or in one list if it is sorted. Pure."""
    left: list[Line] = []
    for line in lines(plan, v):
        kind, of = line
        if kind == "title" or matches(wanted, _name(line), of.run if isinstance(of, MonitoringCommand) else ""):
            if kind == "title" and left and left[-1][0] == "title":
                left.pop()  # a group that the filter leaves empty
            left.append(line)
    if left and left[-1][0] == "title":
        left.pop()
    if order.by is None:
        return left
    rows = [CommandRow(line, ran.get(_run(line))) for line in left if line[0] != "title"]
    return [row.line for row in order.sort(rows)]


class Commands(Ordered, Work):
    TAB: ClassVar[int] = 1
    TITLE: ClassVar[str] = "Commands"
    ABOUT: ClassVar[str] = "the plan's commands: copy or run; monitoring that is due"
    PROMPT: ClassVar[str] = "filter the commands"
    ORDERS: ClassVar[tuple[Order, ...]] = (
        Order(),  # in the plan's groups
        Order("name", lambda row: _name(row.line).lower()),
        Order("last run", lambda row: row.ran.at if row.ran is not None else 0.0, largest=True),
        Order("failed first", lambda row: row.ran is None or row.ran.exit == 0),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        key("r,enter", "run", "run the command (asks; y confirms)"),
        key("c", "copy", "copy the command"),
        key("x", "cancel", "kill the running command"),
        key("d", "tick", "tick off the monitoring as done"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.ran: dict[str, StoredRun] = {}

    def wanted(self) -> Any:
        v = self.snapshot.view
        return (v.stage, v.rev) if v else None

    def fetch(self, wanted: Any) -> Callable[[], None]:
        rows = self.console.link.reader.read(
            lambda conn: conn.execute(
                "SELECT command, at, actor, exit, ms, output FROM run WHERE id IN (SELECT max(id) FROM run "
                "GROUP BY command)"
            ).fetchall()
        )

        def put() -> None:
            self.ran = {row[0]: StoredRun(*row[1:]) for row in rows}

        return put

    def explained(self) -> list[explain.Explained]:
        line = self._selected()
        if line is not None and isinstance(line[1], ReminderView):
            return explain.task("monitoring")
        return [] if line is None else explain.command(_name(line))

    def entries(self, v: View | None) -> list[Line]:
        return listed(self.console.plan, v, self.ran, self.text_wanted, self.sorted_by) if v is not None else []

    # -- painting ------------------------------------------------------------------------------------------------------

    def hints(self) -> tuple[Hint, ...]:
        if self.console.runner.busy:
            return (("x", "end it", "cancel"), ("c", "copy", "copy"), self.turn_hint())
        line = self._selected()
        if line is None:
            return (self.turn_hint(), *LISTED)
        if line[0] == "reminder":
            return (("d", "done", "tick"), self.turn_hint(), *LISTED)
        return (("r", "run", "run"), ("c", "copy", "copy"), self.turn_hint(), *LISTED)

    def paint(self, c: Canvas, v: View, y: int) -> None:
        y = self.tabs(c, y)
        entries = self.entries(v)
        self._hold(entries)
        area = self.area(c, y)
        if c.width >= 140:
            upper, detail = blocks.beside(area, (1, 1))
        else:
            rows = max(5, min(len(entries) + 1, area.height - max(4, area.height // 3)))
            upper, detail = blocks.stack(area, (min(rows, area.height), 0))
        inner = blocks.panel(c, upper, self.titled("the plan's commands for this stage"))
        if not entries:
            none = "The plan has no commands and no monitoring for this stage."
            c.block(inner.x, inner.y, inner.width, 2, NO_MATCH if self.text_wanted else none, "dim")
        draw(
            c,
            inner,
            self.rows,
            len(entries),
            lambda index, y: self._line(c, Area(inner.x, y, inner.width, 1), v, entries[index]),
        )
        self._detail(c, detail, v)

    def _line(self, c: Canvas, area: Area, v: View, line: Line) -> None:
        x, y, width, _ = area
        of = line[1]
        if isinstance(of, str):
            c.rule(x, y, width, of)
        elif isinstance(of, ReminderView):
            when = (
                f"due since {words.hour(of.due, v.at)}"
                if of.overdue
                else f"in {format_duration(max(60.0, of.due - v.at))}"
            )
            sign, style = ("●", "warn") if of.overdue else ("○", "dim")
            c.spans(x, y, [(f" {sign} ", style), (f"{when:<16} ", style), (of.text, "text")], width)
        else:
            last = self.ran.get(of.run)
            sign, style = ("·", "dim") if last is None else words.mark(last.exit == 0)
            name = width // 2
            c.spans(x, y, [(f" {sign} ", style), (of.text, "text")], name)
            c.put(x + name + 1, y, clean_line(of.run, 300), "dim", width - name - 1)

    def _detail(self, c: Canvas, area: Area, v: View) -> None:
        """The running command's output wherever the cursor is, else the selected command and its last output."""
        if area.height < 2:
            return
        running, line = self.console.runner.last, self._selected()
        if running is not None and (running.done is None or _run(line) == running.command.run):
            limit = f"running for {running.seconds:.0f} s, at most {running.command.timeout_s:.0f} s; x kills it"
            x, y, width, rows = blocks.panel(c, area, clean_line(running.done.sentence if running.done else limit, 200))
            c.put(x, y, f"$ {clean_line(running.line, 300)}", "strong", width)
            self._output(c, Area(x, y + 1, width, rows - 1), running.output)
        elif line is not None and isinstance(line[1], ReminderView):
            x, y, width, rows = blocks.panel(c, area, "monitoring")
            c.block(x, y, width, rows, f"{line[1].text}. Look, then press d to tick it off in your name.", "text")
        elif line is not None and isinstance(line[1], MonitoringCommand):
            self._last_run(c, area, v, line[1])

    def _last_run(self, c: Canvas, area: Area, v: View, command: MonitoringCommand) -> None:
        last = self.ran.get(command.run)
        title = "not run yet: press r"
        if last is not None:
            how = "was killed" if last.exit is None else f"ended with {last.exit}"
            title = f"{how}, {words.hour(last.at, v.at)} by {clean_line(last.actor, 40)}"
        x, y, width, rows = blocks.panel(c, area, title)
        used = c.block(x, y, width, min(4, rows), "$ " + command.run.strip(), "strong")
        if last is not None:
            self._output(c, Area(x, y + used, width, rows - used), clean_block(last.output, 20_000))

    def _output(self, c: Canvas, area: Area, text: str) -> None:
        """Tail of the output: failures show there."""
        if area.height > 0:
            for row, line in enumerate(text.splitlines()[-area.height :]):
                c.put(area.x, area.y + row, line.replace("\t", "    "), "text", area.width)

    # -- selection -----------------------------------------------------------------------------------------------------

    def _selected(self) -> Line | None:
        v = self.snapshot.view
        entries = self.entries(v)
        self._hold(entries)
        return entries[self.rows.at] if entries and entries[self.rows.at][0] != "title" else None

    def _hold(self, entries: list[Line]) -> None:
        """Keep the cursor on its line when a reminder appears or disappears above it, and never on a title."""
        keys = [_key(line) for line in entries]
        self.rows.hold(keys)
        if entries and entries[self.rows.at][0] == "title":
            self.rows.place(min(len(entries) - 1, self.rows.at + 1))
            self.rows.hold(keys)

    def action_move(self, by: int) -> None:
        v = self.snapshot.view
        entries = self.entries(v)
        self.rows.move(by, len(entries))
        if entries and entries[self.rows.at][0] == "title":
            self.rows.move(1 if by > 0 or self.rows.at == 0 else -1, len(entries))
        self.repaint()

    # -- acting --------------------------------------------------------------------------------------------------------

    def _command(self) -> MonitoringCommand | None:
        line = self._selected()
        if line is not None and isinstance(line[1], MonitoringCommand):
            return line[1]
        self.console.say("Select a command first (j, k).", "caution")
        return None

    def _text(self, command: MonitoringCommand) -> str:
        v = self.snapshot.view
        return localized(command.run.strip(), self.console.plan, v.engine.address if v else "")

    def action_copy(self) -> None:
        command = self._command()
        if command is not None:
            self.console.say(self.console.copy(self._text(command) + "\n"))

    def action_run(self) -> None:
        line = self._selected()
        if line is not None and line[0] == "reminder":
            self.console.say("Look at the figures first, then press d to tick it off in your name.", "caution")
            return
        command = self._command()
        if command is None:
            return
        if self.console.read_only:
            self.console.say(READ_ONLY, "caution")
            return
        if self.console.runner.busy:
            self.console.say("A command is already running; x kills it.", "caution")
            return
        text = self._text(command)
        where = self.console.runner.folder or "this folder"
        facts = [text, f"As {self.console.who}, in {where}, for at most {format_duration(command.timeout_s)}."]
        if self.console.rehearsal:
            facts.append("This is not simulated: the command runs on this machine.")

        def go(typed: str | None) -> None:
            if typed is not None:
                self.console.runner.start(command, text)
                self.repaint()

        self.console.push_screen(QuestionDialog("Run this command?", facts, "run it", "cancel"), go)

    def action_cancel(self) -> None:
        if not self.console.runner.busy:
            self.console.say("No command is running.")
        self.console.runner.cancel()

    def action_tick(self) -> None:
        line = self._selected()
        if line is not None and isinstance(line[1], ReminderView):
            self.console.act("remind", id=line[1].id)
        else:
            self.console.say("Select what to tick off first (j, k).", "caution")


def _run(line: Line | None) -> str:
    return line[1].run if line is not None and isinstance(line[1], MonitoringCommand) else ""


def _name(line: Line) -> str:
    return line[1] if isinstance(line[1], str) else line[1].text


def _key(line: Line) -> tuple[str, str]:
    kind, of = line
    if isinstance(of, str):
        return kind, of
    return kind, of.run if isinstance(of, MonitoringCommand) else of.id
