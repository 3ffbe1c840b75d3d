"""The Live screen."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from console import explain
from console.screens.live import Live
from console.screens.page import Page, key
from console.widgets import words


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
        """What stands out: before the first LLM document that is the way up, not the gauges."""
        v = self.snapshot.view
        if v is not None and not self._has_curves(v):
            return [*explain.terms("stage", "gate", "bake"), *explain.gauges()]
        shadow = explain.terms("shadow") if v is not None and words.watched_arm(v) == "shadow" else []
        return [*shadow, *explain.gauges()]
