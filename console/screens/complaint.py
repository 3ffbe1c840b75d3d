"""Record a complaint about search quality: the same question on every screen that offers it."""

from __future__ import annotations

from console.screens.app_api import AppApi


def complain(console: AppApi, document: str = "", title: str = "") -> None:
    """Ask what was complained about; `document` is its id, "" for none in particular."""
    about = title or document or "no document in particular"
    console.ask_text(
        "A complaint about search quality",
        [about, "More than 5 pause the rollout, more than 10 roll it back."],
        "the complaint in their words",
        lambda text: console.act("complaint", text=text, document=document),
        least=1,
        yes="record",
    )
