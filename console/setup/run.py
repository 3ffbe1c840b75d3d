"""Setup from the command line: asks, then writes everything or nothing."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from console import themes
from console.context import DisplayOptions
from console.output import Failed
from console.setup import draft as drafts
from console.setup.draft import PlanDraft
from engine.files import write_whole


def ask(folder: Path, display: DisplayOptions) -> PlanDraft | str | None:
    """The draft, "rehearse", or None if the person left."""
    from console.setup.app import Setup
    from console.terminal import escape

    if why := escape.unusable():
        raise Failed(why)
    with escape.left_as_found():
        app = Setup(folder, themes.choose(display.theme), display.ascii_only or escape.ascii_only())
        return app.run(mouse=False)


def write(draft: PlanDraft, folder: Path) -> Path:
    """Write the plan, and the file of addresses if there is one. Never replaces an existing file."""
    plan = folder / "rollout.toml"
    text = drafts.plan_text(draft, folder)
    addresses = folder / drafts.ADDRESSES
    made = False
    try:
        if draft.address:
            descriptor = os.open(addresses, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            made = True
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{draft.address}\n")
        if plan.exists():
            raise FileExistsError(17, "it exists now", str(plan))
        write_whole(plan, text.encode())
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                addresses.unlink()
        which = addresses if draft.address and not made else plan
        raise Failed(f"{which} could not be written: {error.strerror}. There is no plan yet.") from None
    return plan


def load_beside(draft: PlanDraft, plan: Path, store: Path) -> None:
    """Load the documents to try, in the background; its output goes to a file in the store's folder."""
    if not draft.documents:
        return
    run = ("-P", "-c", "from console.cli import main; main()")
    command = [sys.executable, *run, "--plan", str(plan), "load", "--verbose", "--", draft.documents]
    with contextlib.suppress(OSError), open(store / "first-load.log", "wb") as out:
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=plan.parent
        )
