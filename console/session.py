"""A console on this terminal, from the first look at the terminal to the last word after it."""

from __future__ import annotations

import os
from pathlib import Path

from console import themes
from console.app import Console
from console.context import Manner
from console.link import StoreLink
from console.terminal import escape
from console.terminal.type_ahead import key_names
from console.widgets import words
from engine.plan.model import Plan

SIGNALLED = 128  # exit codes above it: ended by a signal


def run(folder: Path, plan: Plan, manner: Manner, rehearsal: bool = False) -> int:
    """Show the console until it is left; the exit code. The engine is not touched."""
    why = escape.unusable()
    if why:
        print(why)
        return 1
    with escape.left_as_found() as typed:
        app = Console(
            StoreLink(folder, plan),
            plan,
            rehearsal=rehearsal,
            read_only=manner.read_only,
            ascii_only=manner.ascii_only or escape.ascii_only(),
            theme=themes.choose(manner.theme),
            typed_before=key_names(typed),
        )
        app.run(mouse=manner.mouse)
    if rehearsal and app.ending is not None:
        app.ending.call_off()  # its engine and its store end after the screen, which takes a moment
    code = app.return_code or 0
    if code > SIGNALLED and not rehearsal:
        os._exit(code)  # the terminal is in order; what Python does at its end has hung with threads that still wait
    v = app.sight.view
    if code == 0 and not rehearsal and v is not None:
        print(
            f"The engine goes on: {words.stage(v)}, {words.percent(v.effective_bp)}, process {v.engine.pid}. "
            "`rollout` attaches again, `rollout stop` ends it."
            if app.sight.fresh
            else app.sight.pulse.sentence
        )
    return code
