"""An engine and its consoles on pseudo-terminals, and which modes a console left on."""

from __future__ import annotations

import contextlib
import os
import re
import termios
import time
from functools import partial
from pathlib import Path

from engine.plan.init import set_value
from engine.plan.load import default_plan_text, load_plan
from engine.server.spawning import spawn, wait_until_up
from engine.store.folder import Folder
from engine.store.reader import Reader
from tests.machine import crowd, patience
from tests.terminal import ROLLOUT, Terminal

LEAVES_WITHIN_S = 0.5

# mode -> what sets it, what resets it
MODES = {
    "alternate screen": (rb"\x1b\[\?1049h", rb"\x1b\[\?1049l"),
    "hidden cursor": (rb"\x1b\[\?25l", rb"\x1b\[\?25h"),
    "mouse": (rb"\x1b\[\?1000h", rb"\x1b\[\?1000l"),
    "mouse moves": (rb"\x1b\[\?1003h", rb"\x1b\[\?1003l"),
    "pixel mouse": (rb"\x1b\[\?1016h", rb"\x1b\[\?1016l"),
    "paste": (rb"\x1b\[\?2004h", rb"\x1b\[\?2004l"),
    "focus": (rb"\x1b\[\?1004h", rb"\x1b\[\?1004l"),
    "resize reports": (rb"\x1b\[\?2048h", rb"\x1b\[\?2048l"),
    "no wrap": (rb"\x1b\[\?7l", rb"\x1b\[\?7h"),
    "kitty keys": (rb"\x1b\[>\d+u", rb"\x1b\[<u"),
    "title": (rb"\x1b\[22;2t", rb"\x1b\[23;2t"),
}


class Place:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = Folder(root / ".rollout")
        text = set_value(set_value(default_plan_text(), "http.port", 0), "llm.url", "http://127.0.0.1:9")
        (root / "rollout.toml").write_text(text)
        self.plan = load_plan(root / "rollout.toml")
        self.engine = spawn(root / "rollout.toml", self.folder)
        assert wait_until_up(self.folder, self.engine, 20.0 * crowd()) == ""

    def console(
        self, *options: str, program: str = "", terminal: type[Terminal] = Terminal, **more: object
    ) -> Terminal:
        """The console on this place's engine; `program` runs before it in the same process."""
        command = list(ROLLOUT)
        if program:
            command[2] = f"{program}\n{command[2]}"
        # with a name: a console that was killed shows for 15 s, and the next one of its account is offered to set one
        environ = {"XDG_CONFIG_HOME": str(self.root / "config"), "ROLLOUT_AS": "sre", **more.pop("environ", {})}  # type: ignore[dict-item]
        return terminal([*command, *options], cwd=self.root, environ=environ, **more)  # type: ignore[arg-type]

    def engine_lives(self) -> bool:
        with contextlib.closing(Reader(self.folder)) as reader:  # not the view, which may be of another version
            beat = partial(reader.read, lambda conn: conn.execute("SELECT heartbeat FROM lease").fetchone()[0])
            before = beat()
            for _ in patience(30.0):
                if beat() > before:
                    return self.engine.poll() is None
                time.sleep(0.05)
        return False


def attached(terminal: Terminal) -> None:
    """Painted, and the screen that follows the first frame has set its modes, the last of them in answer to queries."""
    terminal.until("STAGE")
    terminal.wrote(b"\x1b[?7l")
    terminal.read(0.4)
    assert terminal.raw.count(b"\x1b[?1049h") == 1, "the first frame was cleared"


def left_on(raw: bytes) -> list[str]:
    """The modes that were set and not reset after that."""
    results = []
    for name, (on, off) in MODES.items():
        last_on = [m.end() for m in re.finditer(on, raw)]
        last_off = [m.end() for m in re.finditer(off, raw)]
        if last_on and (not last_off or last_off[-1] < last_on[-1]):
            results.append(name)
    return results


def modes_set(raw: bytes) -> set[str]:
    return {name for name, (on, _) in MODES.items() if re.search(on, raw)}


def assert_restored(terminal: Terminal) -> None:
    assert left_on(terminal.raw) == []
    assert termios.tcgetattr(terminal.child_line) == terminal.line_settings


def exited(terminal: Terminal, reading: bool = False) -> bool:
    """Whether the console ends at once, though nothing more is read from its terminal unless `reading`."""
    began = time.monotonic()
    while terminal.status is None and time.monotonic() - began < 30:
        if reading:
            terminal.read(0)
        pid, status = os.waitpid(terminal.pid, os.WNOHANG)
        terminal.status = status if pid else None
        time.sleep(0.01)
    return terminal.status is not None and time.monotonic() - began < LEAVES_WITHIN_S * crowd()


def ends_well(terminal: Terminal, began: float) -> None:
    assert terminal.ended(30)
    assert time.monotonic() - began < LEAVES_WITHIN_S * crowd()
    assert modes_set(terminal.raw) == set(MODES), "the test must see each mode set before it can see it reset"
    assert_restored(terminal)
