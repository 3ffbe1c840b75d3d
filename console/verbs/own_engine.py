"""The engine for a command: the one that runs, or a private one that stops with the command."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

from console.context import CliContext
from console.output import fail, notice
from engine.client.client import EngineClient, unanswered, unanswered_code
from engine.store.folder import Folder

PATIENCE_S = 10.0  # how long an engine that starts may take to answer
RETRY_S = 0.05
END_S = 15.0  # for an engine of our own to stop


@contextlib.contextmanager
def engine_for(context: CliContext) -> Iterator[None]:
    """Ensure that an engine answers before the first document, so that a thousand files don't fail one by one. If none
    runs, start one that stops with this command, even when this process is killed: its end of the pipe closes then."""
    from engine.client import engine_process

    try:
        runs = engine_process.runs(context.folder)
    except OSError:  # another user's store
        runs = True
    if runs:
        if (error := _unreachable(context.client)) is not None:
            fail(unanswered(context.folder, error), code=unanswered_code(error))
        yield
        return
    from engine.server.spawning import spawn, wait_until_up

    plan = context.file_plan  # an engine that is started reads the file
    notice(f"No engine runs in {context.folder.path}: starting one for this load; it stops with it.")
    process = spawn(context.plan_path.resolve(), Folder(context.folder.path, plan.store.group), attached=True)
    if trouble := wait_until_up(context.folder, process):
        fail(trouble, code="no_engine")
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            notice(
                f"The engine started for this load has not stopped within {END_S:g} s; see {context.folder.engine_log}."
            )


def _unreachable(client: EngineClient) -> Exception | None:
    """Why the engine that runs does not answer; None when it does. One that starts has no socket yet."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            client.request("GET", "/healthz", timeout_s=PATIENCE_S)
            return None
        except (ConnectionRefusedError, FileNotFoundError) as error:
            if time.monotonic() >= until:
                return error
        except (OSError, ValueError) as error:
            return error
        time.sleep(RETRY_S)
