"""Ask for a text: the same small question on every screen that wants one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from console.screens.app_api import AppApi
from console.screens.ask import QuestionDialog, TextField
from engine.triggers.complaints import consequences

READ_ONLY = "This console is read-only; only R acts."


def ask_text(
    console: AppApi, title: str, facts: Sequence[str], field: TextField, then: Callable[[str], None], yes: str = "send"
) -> None:
    """`then` gets the text; leaving the question does nothing."""
    if console.read_only:
        console.refuse_text(READ_ONLY)
        return
    console.push_screen(
        QuestionDialog(title, facts, yes, "cancel", field), lambda answer: then(answer) if answer is not None else None
    )


def complain(console: AppApi, document: str = "", title: str = "") -> None:
    """Record a complaint about search quality; `document` is its id, "" for none in particular."""
    limits = consequences(console.plan)
    ask_text(
        console,
        "A complaint about search quality",
        [
            title or document or "no document in particular",
            *([f"Complaints in a stage: {limits[0].lower()}{limits[1:]}"] if limits else []),
        ],
        TextField("the complaint, in the user's words", least=1),
        lambda text: console.act("complaint", text=text, document=document),
        "record",
    )
