"""Text that tries to act: on the terminal, on Textual, on whoever reads a line. Used by the tests, and as a program it shows a
console in which every free text is hostile: `python -m tests.console.hostile [gallery]`."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from typing import Any

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import (
    Button,
    Checkbox,
    DataTable,
    Input,
    Label,
    Log,
    Markdown,
    OptionList,
    RichLog,
    Static,
    TextArea,
    Tree,
)

from console.app import Console
from engine.store.documents import Document
from engine.view.model import DecisionView, View
from tests.console.samples import PLAN, STATES, FakeLink

ATTACKS = (
    "\x1b]0;PWNED\x07\x1b[2J\x1b[?1049l\x1bc",  # title, clear, out of the alternate screen, reset
    "\x9b2J\x9d0;PWNED\x9c\x90q\x9c",  # the same in C1
    "\x1b]52;c;UFdORUQ=\x07\x1b[6n\x1b]8;;http://evil\x1b\\",  # clipboard, an answer typed for us, a link
    "\u202edrowssap\u2066\u200b\u2060\ufeff\U000e0041",  # the text shown differs from the bytes
    "[@click=app.leave]x[/] [/] [/b] [b $x [[ \\[",  # Textual's markup: acts, or ends the app
    "a\rb\x08c\x0bd\x0ce\x00f\x7fg",  # overwrites its own line
    "日本e\u0301\u0301\u0301👩\u200d👩\u200d👧🏳️‍🌈",  # wide, combining, joined
    "=HYPERLINK(1)\t|x| `y` <script>z</script>",
)
PAYLOAD = " ".join(ATTACKS)

# what a console may send: places, colours, modes, its own title and notices, the clipboard by the person's own key
ALLOWED = re.compile(
    r"\x1b\[[\d;]*[HCmKX]|\x1b\[\?[\d;]+[hl]|\x1b\[\?\d+\$p|\x1b\[[<>=]\d*u|\x1b\[\d+;2t"
    r"|\x1b\](?:2|9|22|777);(?P<words>[^\x00-\x1f\x7f-\x9f]*)(?:\x07|\x1b\\)|\x1b\]52;c;[A-Za-z0-9+/=]*\x07|[\x07\r\n\x18]"
)
HIDDEN = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)

WORDS_OF_THE_ENGINE = frozenset(
    [
        "health",
        "verdict",
        "severity",
        "action",
        "state",
        "kind",
        "op",
        "metric",
        "rule",
        "bound_name",
        "environment",
        "where",
        "address",
        "version",
        "arm",
    ]
)


def hostile(value: Any, key: str = "") -> Any:
    """The same value with an attack at the end of every text that people, documents or servers can write."""
    if isinstance(value, dict):
        return {k: hostile(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [hostile(v, key) for v in value]
    if isinstance(value, str) and key not in WORDS_OF_THE_ENGINE:
        return value + PAYLOAD
    return value


class HostileLink(FakeLink):
    def __init__(self, state: str) -> None:
        super().__init__(state)
        view, liveness = STATES[state]
        self.view = msgspec.convert(hostile(msgspec.to_builtins(view)), View, strict=False)
        self.liveness = msgspec.structs.replace(liveness, sentence=PAYLOAD if liveness.sentence else "")
        self.docs = tuple(msgspec.convert(hostile(msgspec.to_builtins(d)), Document) for d in self.docs)
        self.reply = msgspec.structs.replace(self.reply, sentence=PAYLOAD)
        self.result = msgspec.structs.replace(self.result, sentence=PAYLOAD, ways=(PAYLOAD,))

    who = "alice" + PAYLOAD  # type: ignore[assignment]

    def log(self, limit: int = 100, before: int | None = None, text: str = "", kind: str = "") -> list[DecisionView]:
        return list(self.view.log)[:limit] if self.view else []

    def evidence(self, rev: int) -> dict[str, Any]:
        return {PAYLOAD: PAYLOAD}


class Gallery(ModalScreen[None]):
    """Each of Textual's widgets with text that was put in the careless way that still does not raise."""

    def compose(self) -> ComposeResult:
        yield Static(Content(PAYLOAD))
        yield Label(PAYLOAD, markup=False)
        yield Button(Content(PAYLOAD))
        yield Checkbox(Content(PAYLOAD))
        yield Input(value=PAYLOAD, placeholder=PAYLOAD)
        yield OptionList(Content(PAYLOAD))
        yield TextArea(PAYLOAD)
        yield Log()
        yield RichLog()
        yield Markdown(PAYLOAD)
        yield Tree(Text(PAYLOAD))
        yield DataTable()

    def on_mount(self) -> None:
        for widget in self.query("*"):
            if not isinstance(widget, Markdown):
                widget.styles.height = 3
        self.query_one(Static).border_title = Content(PAYLOAD)  # type: ignore[assignment]
        self.query_one(Log).write_line(PAYLOAD)
        self.query_one(RichLog).write(PAYLOAD)
        table = self.query_one(DataTable)
        table.add_column(Text(PAYLOAD))
        table.add_row(Text(PAYLOAD))
        self.notify(PAYLOAD, title=PAYLOAD, markup=False)


class Attacked(Console):
    def on_mount(self) -> None:
        super().on_mount()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        if "gallery" in sys.argv:
            self.set_timer(0.3, lambda: self.push_screen(Gallery()))


if __name__ == "__main__":
    app = Attacked(HostileLink("rehearsal_alert"), PLAN, rehearsal=True)
    app.run()
    print(app.crash)
    raise SystemExit(app.return_code or 0)
