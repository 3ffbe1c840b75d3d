"""A console on this terminal, from checking the terminal to the closing line."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from console import first_paint, themes
from console.bug_report import write_traceback
from console.context import DisplayOptions
from console.link import StoreLink
from console.output import Failed
from console.terminal import escape
from console.terminal.type_ahead import key_names
from console.widgets import words
from engine.plan.model import Plan

if TYPE_CHECKING:
    from console.app import Console
    from console.gameday import Game

SIGNALLED = 128  # higher exit codes: ended by a signal
GONE_S = 0.3  # a busy engine forgets the console 15 s after its last sign of life


def _run(app: Console, display: DisplayOptions) -> None:
    """Whatever interrupts the screen while it starts, its modes are reset, and its thread does not hold up the end."""
    try:
        app.run(mouse=display.mouse)
    except BaseException:
        if app.terminal is not None:
            app.terminal.exit_event.set()
            app.terminal.restore_now()
        raise


def _console_class() -> type[Console]:
    """Loaded under the first frame. An installation in which it does not load can still roll back.

    What it loads is never freed, so the garbage collector does not look at it: not while it loads, and not in a later
    collection, which would delay a key.
    """
    gc.disable()
    try:
        from console.app import Console
    except Exception as error:
        name = write_traceback(error)
        details = f" Details, for a bug report: {name}" if name else ""
        raise Failed(
            f"The console cannot start: {type(error).__name__}: {error}. The engine keeps running; `rollout "
            f"rollback` rolls back.{details}",
            "internal",
        ) from None
    finally:
        gc.enable()
    gc.freeze()
    return Console


def run(
    folder: Path,
    plan: Plan,
    display: DisplayOptions,
    rehearsal: bool = False,
    game: Game | None = None,
    again: str = "rollout",
) -> int:
    """Run the console until the user quits; return the exit code. The engine keeps running; `again` reattaches."""
    why = escape.unusable()
    if why:
        print(why)
        return 1
    with escape.left_as_found() as typed:
        shows = {"read_only": display.read_only, "ascii_only": display.ascii_only or escape.ascii_only()}
        theme = themes.choose(display.theme)
        if game is not None:
            from console.gameday import GameConsole

            app: Console = GameConsole(game, display.acting_name, theme=theme, typed_before=key_names(typed), **shows)
            app.run(mouse=display.mouse)
        else:
            link = StoreLink(folder, plan, display.acting_name)
            onlooker = first_paint.PaintContext(link, plan, rehearsal=rehearsal, **shows)
            with first_paint.shown(onlooker, theme) as first:
                before = key_names(typed + (first.typed if first is not None else ""))
                app = _console_class()(
                    link, plan, rehearsal=rehearsal, theme=theme, typed_before=before, first=first, **shows
                )
                _run(app, display)
    passing = rehearsal or game is not None
    if passing and app.ending is not None:
        app.ending.cancel()  # its engine and store end after the screen, which takes a moment
    # otherwise a person who attaches after a dropped line reads that a console that has ended is open in the account
    if not passing:
        app.report_presence(timeout_s=GONE_S, gone=True)
    code = app.return_code or 0
    if code > SIGNALLED and not passing:
        os._exit(code)  # the terminal is restored; Python's own shutdown can hang on waiting threads
    v = app.snapshot.view
    if code == 0 and not passing and v is not None:
        ends = "It ends with its rehearsal." if v.rehearsal else f"`{again} stop` ends it."
        print(
            f"The engine keeps running: {words.stage(v)}, {words.percent(v.effective_bp)}, process {v.engine.pid}. "
            f"`{again}` reattaches. {ends}"
            if app.snapshot.fresh
            else f"{app.snapshot.liveness.sentence} {app.snapshot.liveness.in_shell}".strip()
        )
    return code
