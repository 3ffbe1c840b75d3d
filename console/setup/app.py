"""The first five minutes: a few questions, one per screen, and nothing is written before the last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, cast

from msgspec.structs import replace
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from console.setup import draft as drafts
from console.setup.draft import PlanDraft
from console.setup.probe import Probed, base, probe
from console.widgets.canvas import Canvas
from console.widgets.sheet import Sheet
from console.widgets.sheet_app import SheetApp
from engine.plan.problems import PlanError
from engine.text import clean_line

SETTLES_S = 0.5  # after the last key, before the address is probed
AGAIN_S = 2.0  # until one that did not answer is probed again
WIDTH = 76

REHEARSE = "rehearse"


class Question(NamedTuple):
    """`field` is the draft's, "" for a screen without a text. `lines` explain; no term is used before it is
    explained."""

    name: str
    title: str
    lines: tuple[str, ...]
    field: str = ""
    default: str = ""


STEPS = (
    Question(
        "welcome",
        "Set up a rollout",
        (
            "There is no rollout.toml in this folder or above: the file that defines what is rolled out, in "
            "which stages, and when to roll back.",
            "Five short questions create one. Nothing is written before the last, and no document goes to "
            "the LLM until a person takes the next step.",
        ),
    ),
    Question(
        "service",
        "What is the service called?",
        ("It appears at the top of every screen and in every message.",),
        "service",
        drafts.SERVICE,
    ),
    Question(
        "llm",
        "Where is the LLM?",
        ("The address of Ollama, or of any server with OpenAI's API. Its list of models is fetched as you type.",),
        "url",
        drafts.URL,
    ),
    Question(
        "model",
        "Which model?",
        ("It extracts the keywords. The rollout is for this model; changing it later restarts the evidence.",),
        "model",
        drafts.MODEL,
    ),
    Question(
        "documents",
        "Some documents to try?",
        (
            "A folder or a file of texts. They get frequency keywords, without the LLM, so that the first "
            "screens have something to show. Empty: load some later, with `rollout load`.",
        ),
        "documents",
    ),
    Question(
        "messages",
        "Where do messages go?",
        (
            "An address for alarms and daily figures, such as slack://..., mailto://... or ntfy://...; kept "
            "in a file that only you can read. Empty: nowhere for now.",
        ),
        "address",
    ),
    Question("review", "Write this plan?", (), ""),
)


class AnswerField(Input):
    """Enter turns the page at once: keys typed after it belong to the next question."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key != "enter":
            await super()._on_key(event)
            return
        event.stop()  # a binding would run after the keys that follow it
        event.prevent_default()
        cast(Setup, self.app).action_next()


class Setup(SheetApp[str | PlanDraft | None]):
    """Returns the draft to write, `REHEARSE`, or None: nothing."""

    AUTO_FOCUS = ""
    CSS = SheetApp.CSS + "Input { width: 74; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "leave; nothing is written", priority=True),
        Binding("enter", "next", "next"),
        Binding("shift+tab", "before", "back", priority=True),
        Binding("down,j", "choose(1)", "next model"),
        Binding("up,k", "choose(-1)", "model before"),
        Binding("r", "rehearse", "rehearse first"),
    ]

    def __init__(self, folder: Path, theme: str = "dark", ascii_only: bool = False) -> None:
        super().__init__(theme, ascii_only)
        self.folder = folder
        self.draft = PlanDraft()
        self.at = 0
        self.chosen = 0
        self.probed = Probed("", "none", "")
        self._listed = False  # the models are a list, not a text: settled as their question is shown
        self.trouble = ""
        self._refused: str | None = None  # the text that the trouble is about

    def compose(self) -> ComposeResult:
        yield Sheet(id="sheet")
        yield AnswerField(max_length=400)

    @property
    def step(self) -> Question:
        return STEPS[self.at]

    @property
    def lists_models(self) -> bool:
        return self.step.name == "model" and self._listed

    def on_mount(self) -> None:
        self.call_after_refresh(self._shown)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "choose":
            return self.lists_models
        return self.step.name == "welcome" if action == "rehearse" else True

    def action_leave(self) -> None:
        self.exit(None)

    def action_rehearse(self) -> None:
        self.exit(REHEARSE)

    def action_choose(self, by: int) -> None:
        self.chosen = max(0, min(len(self.probed.models) - 1, self.chosen + by))
        self.repaint()

    def action_before(self) -> None:
        if self.at:
            self._take()
            self.at -= 1
            self._shown()

    def action_next(self) -> None:
        self._take()
        self._refused = self.screen.query_one(Input).value if self.trouble else None
        if self.trouble:
            self.repaint()
            return
        if self.step.name == "review":
            self._write()
            return
        self.at += 1
        self._shown()

    def _write(self) -> None:
        """Hand the plan to the caller to write, if nothing prevents it; a refusal here keeps the answers."""
        try:
            drafts.plan_text(self.draft, self.folder)
            self.trouble = drafts.writing_trouble(self.draft, self.folder)
        except (PlanError, KeyError, ValueError) as error:
            self.trouble = str(error)
        if self.trouble:
            self.trouble = f"Not written: {self.trouble}"
            self.repaint()
        else:
            self.exit(self.draft)

    def _take(self) -> None:
        """Put what was typed or chosen into the draft. A folder that takes no plan is reported before any question."""
        self.trouble = drafts.writing_trouble(PlanDraft(), self.folder) if self.step.name == "welcome" else ""
        if not self.step.field:
            return
        line = self.screen.query_one(Input)
        text = self.probed.models[self.chosen] if self.lists_models else clean_line(line.value, 400).strip()
        if self.step.name == "llm":
            text = base(text)
            self.trouble = drafts.url_trouble(text)
            self._ask()  # also what was typed so fast that its message comes after the step
        elif self.step.name == "documents":
            self.trouble = drafts.folder_trouble(text, self.folder)
        elif self.step.name == "messages":
            self.trouble = drafts.address_trouble(text)
        self.draft = replace(self.draft, **{self.step.field: text})

    def _shown(self) -> None:
        """Show a step."""
        step, line = self.step, self.screen.query_one(Input)
        self._listed = bool(self.probed.models)
        typed = bool(step.field) and not self.lists_models
        line.set_class(typed, "open")
        line.password = step.name == "messages"
        if typed:
            line.value = getattr(self.draft, step.field)
            line.cursor_position = len(line.value)  # not where it was in another answer
            line.placeholder = step.default
            line.styles.offset = (2, self._field_row())
            line.focus()
        else:
            self.set_focus(None)
        if step.name == "llm":
            self._ask()
        if step.name == "review":  # not earlier: another program may have taken it while the questions were answered
            api = self.probed.api if self.probed.url == (self.draft.url or drafts.URL) else ""
            self.draft = replace(self.draft, port=drafts.free_port() or drafts.PORT, api=api)
        if self.lists_models:
            known = self.draft.model or drafts.MODEL
            self.chosen = self.probed.models.index(known) if known in self.probed.models else 0
        self.refresh_bindings()
        self.repaint()

    # -- the LLM service -----------------------------------------------------------------------------------------------

    @on(Input.Changed)
    def _typed(self, _: Input.Changed) -> None:
        if self.screen.query_one(Input).value != self._refused:  # this message may come after the answer to Enter
            self.trouble = ""
        if self.step.name == "llm":
            self._ask()
        self.repaint()

    def _ask(self) -> None:
        """Probe the address once typing has stopped, and until it answers; a later one replaces it."""
        url = base(self.screen.query_one(Input).value) or drafts.URL
        if url == self.probed.url:
            return
        self.probed = Probed(url, "asking", f"Asking {url} ...")

        async def ask() -> None:
            import asyncio

            await asyncio.sleep(SETTLES_S)
            self.probed = await probe(url)
            while self.probed.state == "none" and self.step.name == "llm":  # the server may be starting
                self.repaint()
                await asyncio.sleep(AGAIN_S)
                self.probed = await probe(url)
            typed = self.step.name == "model" and self.screen.query_one(Input).value
            if self.step.name in ("model", "review") and not typed:  # an answer that came after its question
                self._shown()
            else:
                self.repaint()

        self.run_worker(ask(), exit_on_error=False, group="probe", exclusive=True)

    # -- painting ------------------------------------------------------------------------------------------------------

    def _field_row(self) -> int:
        """The row of the input: below its explanation."""
        return self._top(Canvas(self.size.width or 80, self.size.height or 24, self.ascii_only))

    def _top(self, c: Canvas) -> int:
        """Title and explanation; returns the row below."""
        c.bar(0, "rollout: set-up", "bar")
        if self.at:
            asked = sum(bool(step.field) for step in STEPS)
            c.right(c.width - 1, 0, f"{self.at} of {asked}" if self.step.field else "all answered", "bar")
        c.put(2, 2, self.step.title, "strong", c.width - 4)
        y = 4
        for line in self.step.lines:
            y += c.block(2, y, min(WIDTH, c.width - 4), 6, line) + 1
        return y

    def paint(self, c: Canvas) -> None:
        y = self._top(c)
        if self.step.field and not self.lists_models:
            c.put(1, y, ">", "accent")
            y += 2
        y = self._below(c, y)
        if self.trouble:
            c.block(2, y + 1, min(WIDTH, c.width - 4), max(1, c.height - y - 3), self.trouble, "bad")
        self._keys(c)

    def _below(self, c: Canvas, y: int) -> int:
        match self.step.name:
            case "llm":
                style = {"ok": "ok", "asking": "dim", "key": "warn", "none": "warn", "wrong": "warn"}[self.probed.state]
                y += c.block(2, y, min(WIDTH, c.width - 4), 3, self.probed.sentence, style)
                if self.probed.state == "none":
                    y += c.block(
                        2, y, min(WIDTH, c.width - 4), 2, "You can continue anyway and change it later.", "dim"
                    )
            case "model" if self.probed.models:
                return self._models(c, y)
            case "review":
                return self._review(c, y)
        return y

    def _models(self, c: Canvas, y: int) -> int:
        rows = max(1, c.height - y - 3)
        first = max(0, min(self.chosen - rows // 2, len(self.probed.models) - rows))
        for row, name in enumerate(self.probed.models[first : first + rows]):
            chosen = first + row == self.chosen
            c.put(2, y + row, f"{'>' if chosen else ' '} {name}", "tab" if chosen else "text", c.width - 4)
        return y + rows

    def _review(self, c: Canvas, y: int) -> int:
        for name, value in summary(self.draft, self.folder, self.probed):
            c.put(2, y, name, "dim")
            y += c.block(14, y, min(WIDTH, c.width - 16), 2, value, "text" if name else "warn")
        y += 1
        return y + c.block(
            2,
            y,
            min(WIDTH, c.width - 4),
            3,
            "Then the engine starts, at 0 %, and the console opens. It shows what to do next; ? explains "
            "what it shows.",
        )

    def _keys(self, c: Canvas) -> None:
        does = {"welcome": "begin", "review": "write it, open the console"}.get(self.step.name, "next")
        keys: list[tuple[str, str]] = [("enter", does)]
        if self.step.name == "welcome":
            keys.append(("r", "rehearse first, simulated"))
        if self.lists_models:
            keys.append(("up down", "choose"))
        if self.at:
            keys.append(("shift+tab", "back"))
        keys.append(("esc", "leave"))  # the first step explains that nothing is written before the last
        spans = [part for name, what in keys for part in ((name, "key"), (f" {what}   ", "text"))]
        c.spans(1, c.height - 1, spans, c.width - 2)


def summary(draft: PlanDraft, folder: Path, probed: Probed) -> Sequence[tuple[str, str]]:
    """A summary of what will be written. A row without a name warns about the one above it."""
    unanswered = probed.state != "ok" and probed.sentence
    rows = [
        ("file", str(folder / "rollout.toml")),
        ("service", draft.service or drafts.SERVICE),
        ("LLM", f"{draft.url or drafts.URL}, {draft.model or drafts.MODEL}"),
        *([("", f"{unanswered} `rollout check` asks again.")] if unanswered else []),
        ("documents", draft.documents or "none now"),
        (
            "messages",
            f"to {draft.address.partition('://')[0]}://..., in {drafts.ADDRESSES}"
            if draft.address
            else "nowhere for now",
        ),
    ]
    if draft.port != drafts.PORT:
        rows.append(("port", f"{draft.port}, because {drafts.PORT} is taken"))
    return rows
