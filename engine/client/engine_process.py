"""Whether an engine runs for a store: determined from the process, never from the store's files.

A lock file can be removed and a heartbeat can stop (a full disk) while the engine keeps calling the LLM.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from engine.client.client import EngineClient
from engine.decoding import convert
from engine.store import running
from engine.store.folder import Folder, StoreError
from engine.store.holders import holders, is_ours, locks_a_file, numbers

if TYPE_CHECKING:
    from engine.view.model import View

ASK_S = 0.5
STARTING = (503,)  # what an engine without a view answers


class EngineProcess(Struct, frozen=True):
    """`running`: it answered, with its current `view` (None while it starts). `other_version`: it answered in a format
    that this version does not know. `silent`: a process exists but does not answer. `none`: no process can exist.
    `unknown`: this user cannot tell; `why` gives the obstacle.
    """

    state: Literal["running", "other_version", "silent", "none", "unknown"]
    view: View | None = None
    pid: int = 0
    why: str = ""


def listens(folder: Folder) -> bool:
    """Whether a process takes connections on the engine's socket, so an engine runs, even one that does not answer.
    False means only that `ask` must find out. Without a request, because that loads an HTTP client and waits for a busy
    engine, before the console's first frame."""
    try:
        folder.connect(ASK_S).close()
    except OSError:
        return False
    return True


def runs(folder: Folder) -> bool:
    """Whether an engine runs, so that none is to be started. Asks the process, because its lock file may have been
    removed; where this user cannot see it, the lock decides. OSError."""
    if listens(folder):
        return True
    state = ask(folder).state
    return folder.is_locked() if state == "unknown" else state != "none"


def ask(folder: Folder, pid: int = 0, heartbeat: float = 0.0, timeout_s: float = ASK_S) -> EngineProcess:
    """`pid` and `heartbeat` (epoch seconds) are the last ones the store has for an engine, 0 if it cannot be read."""
    why = ""
    try:
        return EngineProcess("running", view_of(EngineClient(folder), timeout_s))
    except TimeoutError:
        return EngineProcess("silent", pid=pid, why="it does not answer")
    except PermissionError:
        why = f"this user has no access to the engine's socket in {folder.path}"
    except OSError:  # it ends now, or has ended
        pass
    except ValueError:
        return EngineProcess("other_version", pid=pid, why="it answers in a format that this version does not know")
    if (lives := running.process_of(folder.path)) and (there := running.moved_to(folder.path, lives)) is not None:
        return _elsewhere(folder, Folder(there), lives, timeout_s)
    return _unanswered(folder, pid, heartbeat, why)


def _unanswered(folder: Folder, pid: int, heartbeat: float, why: str) -> EngineProcess:
    """What the machine shows of an engine whose socket gives no answer. `why`: what keeps this user from it."""
    held, hidden = holders(folder)
    if held:
        return EngineProcess("silent", pid=held[0], why="it does not answer")
    with contextlib.suppress(OSError):
        if folder.is_locked():
            return EngineProcess("silent", pid=pid, why="it holds the store's lock and does not answer")
    if pid and _is_still(pid, heartbeat):
        return EngineProcess("silent", pid=pid, why="it does not answer")
    recorded = pid or (_recorded(folder) if hidden else 0)
    if recorded:  # an engine that another one has succeeded makes no LLM call
        hidden = [process for process in hidden if recorded in numbers(process)]
    if why or hidden:
        return EngineProcess("unknown", why=why or f"this user cannot see which files process {hidden[0]} has open")
    if not os.path.isdir("/proc/self/fd"):
        return EngineProcess("unknown", why="this system does not show which process has a file open")
    return EngineProcess("none")


def _recorded(folder: Folder) -> int:
    """The engine that last took this store; 0 if the store cannot be read."""
    from engine.store.reader import Reader

    reader = Reader(folder)
    try:
        return reader.engine_record().pid
    except StoreError:
        return 0
    finally:
        reader.close()


def _elsewhere(folder: Folder, there: Folder, pid: int, timeout_s: float) -> EngineProcess:
    """The engine of a folder that was moved away under it."""
    moved = f"the folder {folder.path} was moved to {there.path} under process {pid}, whose engine runs"
    try:
        return EngineProcess("running", view_of(EngineClient(there), timeout_s), pid, moved)
    except (OSError, ValueError):
        return EngineProcess("silent", pid=pid, why=f"{moved} and does not answer")


def view_of(client: EngineClient, timeout_s: float) -> View | None:
    """The engine's own answer; None while it starts. ValueError when it is in another format."""

    from engine.view.model import View

    status, answer = client.request("GET", "/v1/status?times=epoch", timeout_s=timeout_s)
    if status == 200:
        return convert(answer, View)
    if status in STARTING:
        return None
    raise ValueError(f"HTTP {status}")


def _is_still(pid: int, heartbeat: float) -> bool:
    """Whether the process with that number is the engine that wrote the heartbeat, not a later process with the same
    number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    try:
        state, tick = running.stat(pid)
        with open("/proc/stat") as file:
            boot = next(int(line.split()[1]) for line in file if line.startswith("btime"))
    except (OSError, ValueError, IndexError, StopIteration):
        return is_ours(pid) or locks_a_file(pid)
    began = boot + tick / os.sysconf("SC_CLK_TCK")
    return state not in "ZX" and (not heartbeat or began <= heartbeat + 1.0) and is_ours(pid)
