"""The Live screen."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.live import Live
from console.screens.page import Page, key


class Dashboard(Live, Page):
    TITLE: ClassVar[str] = "Live"
    ABOUT: ClassVar[str] = "stage, health, the four gauges, what happens next, what waits for you, the log"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("s", "app.servers", "the LLM servers: errors by kind, documents, one request"),
        key("p", "app.on_gate('promote')", "promote (on the gate; asks)"),
        key("o", "app.on_gate('override')", "override the gate, with a written reason (on the gate)"),
        key("e", "app.on_gate('resume')", "resume after a hold or an automatic rollback (on the gate)"),
    ]

    def explained(self) -> list[explain.Explained]:
        return explain.gauges()
