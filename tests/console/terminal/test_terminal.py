"""However the console ends, the terminal is restored and the engine keeps running; and what a terminal can do to it.

Real processes on real pseudo-terminals, one engine for all.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import sqlite3
import stat
import subprocess
import termios
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from console.terminal import escape
from engine.plan.init import set_value
from engine.plan.load import default_plan_text, load_plan
from engine.server.process import spawn, wait_until_up
from engine.store.folder import Folder
from engine.store.reader import Reader
from tests import warm
from tests.machine import crowd, patience
from tests.terminal import ROLLOUT, SlowTerminal, Terminal

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
        environ = {"XDG_CONFIG_HOME": str(self.root / "config"), **more.pop("environ", {})}  # type: ignore[dict-item]
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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    yield made
    made.engine.send_signal(signal.SIGCONT)
    made.engine.terminate()
    made.engine.wait(15)


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


def ends_well(terminal: Terminal, began: float) -> None:
    assert terminal.ended(30)
    assert time.monotonic() - began < LEAVES_WITHIN_S * crowd()
    assert modes_set(terminal.raw) == set(MODES), "the test must see each mode set before it can see it reset"
    assert left_on(terminal.raw) == []
    assert termios.tcgetattr(terminal.child_line) == terminal.line_settings


@pytest.mark.parametrize("number", escape.ENDS)
def test_a_signal_restores_the_terminal_and_leaves_the_engine(place: Place, number: signal.Signals) -> None:
    with place.console() as terminal:
        attached(terminal)
        began = time.monotonic()
        os.kill(terminal.pid, number)
        ends_well(terminal, began)
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 128 + number
    assert place.engine_lives()


def test_an_answer_that_comes_as_the_console_ends_sets_no_mode_again(place: Place) -> None:
    """A terminal at the end of a slow line answers the first frame's queries when the modes are reset already."""
    with place.console(answers=False) as terminal:
        terminal.until("STAGE")
        terminal.wrote(b"\x1b[?2048$p")
        os.kill(terminal.pid, signal.SIGTERM)
        while not terminal.ended(0.02):
            with contextlib.suppress(OSError):
                terminal.send("\x1b[?2048;2$y")
        assert left_on(terminal.raw) == []


def test_a_signal_before_the_screen_is_ready_restores_the_terminal(place: Place) -> None:
    """The first frame is up, and what continues on it is still being imported."""
    with warm.executed(), place.console() as terminal:
        terminal.until("STAGE")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.ended(30)
        assert left_on(terminal.raw) == []
        assert termios.tcgetattr(terminal.child_line) == terminal.line_settings
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 128 + signal.SIGTERM


SIGNAL_IN_A_DESTRUCTOR = """
import os, signal, sys
class Leaving:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "console.app":
            Leaving()
sys.meta_path.insert(0, Finder())
"""


def test_a_signal_whose_exception_python_drops_ends_the_console_all_the_same(place: Place) -> None:
    """One that arrives in a destructor or in a weak reference's callback, of which imports run many."""
    with warm.executed(), place.console(program=SIGNAL_IN_A_DESTRUCTOR) as terminal:
        assert terminal.ended(30)
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 128 + signal.SIGTERM
        assert left_on(terminal.raw) == []
        assert termios.tcgetattr(terminal.child_line) == terminal.line_settings


def test_keys_before_the_screen_is_ready_act_one_after_the_other(place: Place) -> None:
    with warm.executed(), place.console() as terminal:
        terminal.until("STAGE")
        terminal.type("38qq")  # back from the log, and out
        assert terminal.ended(30)
        assert left_on(terminal.raw) == []
        assert termios.tcgetattr(terminal.child_line) == terminal.line_settings
        assert terminal.status == 0


def test_quitting_restores_the_terminal_and_states_that_the_engine_keeps_running(place: Place) -> None:
    with place.console() as terminal:
        attached(terminal)
        began = time.monotonic()
        terminal.send("q")
        ends_well(terminal, began)
        assert "The engine keeps running" in terminal.text
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 0
    assert place.engine_lives()


def test_keys_typed_while_it_starts_are_reported_and_dropped(place: Place) -> None:
    """On the line itself, before anyone reads it: the unfinished line too."""
    with warm.executed(), place.console() as terminal:
        terminal.send("ls\nR")
        terminal.until("STAGE", "R was pressed before this screen was ready and IGNORED")
        assert "ROLLING BACK" not in terminal.text


@pytest.mark.parametrize("ignored", [False, True], ids=["", "SIGHUP ignored"])
def test_a_hung_up_line_ends_the_console_and_nothing_spins(place: Place, ignored: bool) -> None:
    program = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)" if ignored else ""
    with place.console(program=program) as terminal:
        attached(terminal)
        began = time.monotonic()
        terminal.hang_up()
        while time.monotonic() - began < 30 and terminal.status is None:
            pid, status = os.waitpid(terminal.pid, os.WNOHANG)
            terminal.status = status if pid else None
            time.sleep(0.01)
        assert terminal.status is not None
        assert time.monotonic() - began < LEAVES_WITHIN_S * crowd()
    assert place.engine_lives()


SIGNALS: dict[str, tuple[signal.Signals | None, ...]] = {  # None: the line hangs up
    "closed": (None,),
    "SIGCONT first": (signal.SIGCONT, None),
    "SIGCONT last": (signal.SIGHUP, signal.SIGCONT),
    "SIGTERM too": (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT),
    "after SIGCONT": (signal.SIGCONT, signal.SIGTERM),
    "stopped": (signal.SIGSTOP, None, signal.SIGCONT),
    "paused": (signal.SIGTSTP, None),
    "paused as it ends": (signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT),
    "paused and continued at once": (signal.SIGTSTP, signal.SIGCONT, signal.SIGTERM),
}


@pytest.mark.parametrize("numbers", SIGNALS.values(), ids=SIGNALS.keys())
def test_a_console_ends_with_its_terminal_whatever_the_order_of_signals(
    place: Place, numbers: tuple[signal.Signals | None, ...]
) -> None:
    with place.console() as terminal:
        attached(terminal)
        began = time.monotonic()
        for number in numbers:
            if number is None:
                terminal.hang_up()
            else:
                os.kill(terminal.pid, number)
        while time.monotonic() - began < 30 and terminal.status is None:
            if None not in numbers:
                terminal.read(0)
            pid, status = os.waitpid(terminal.pid, os.WNOHANG)
            terminal.status = status if pid else None
            time.sleep(0.01)
        assert terminal.status is not None, "it outlives its terminal"
        assert time.monotonic() - began < LEAVES_WITHIN_S * crowd()
    assert place.engine_lives()


def test_a_stopped_console_returns_the_terminal_and_resumes_where_it_was(place: Place) -> None:
    with place.console() as terminal:
        attached(terminal)
        os.kill(terminal.pid, signal.SIGTSTP)
        for _ in patience(30.0):
            if left_on(terminal.raw) in ([], ["title"]):
                break
            terminal.read()
        assert left_on(terminal.raw) in ([], ["title"])
        terminal.read(0.3)
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.until("STAGE", "what happens next")
        terminal.press("3")
        terminal.until("error_critical")
        terminal.press("q", "q")
        assert terminal.ended(30)
        assert left_on(terminal.raw) == []


def test_ctrl_z_gives_the_shell_its_terminal_and_fg_brings_the_console_back(place: Place) -> None:
    environ = {"XDG_CONFIG_HOME": str(place.root / "config"), "PS1": "shell> "}
    with Terminal(["/bin/bash", "--norc", "-i"], cwd=place.root, environ=environ) as terminal:
        terminal.until("shell>")
        terminal.send(f"{shlex.join(ROLLOUT)}\r")
        terminal.until("STAGE", "what happens next")
        terminal.read(0.4)
        terminal.press("\x1a")
        terminal.until("Stopped", "shell>")
        assert set(left_on(terminal.raw)) <= {"title", "paste"}, "the shell itself turns on paste"
        terminal.send("fg\r")
        terminal.until("STAGE", "what happens next")
        terminal.press("3")
        terminal.until("error_critical")
        terminal.press("q", "q")
        terminal.until("shell>")
        terminal.send("exit\r")
        assert terminal.ended(30)


def test_ctrl_z_stops_no_console_that_no_shell_could_continue(place: Place) -> None:
    with place.console() as terminal:
        attached(terminal)
        terminal.press("\x1a")
        terminal.until("No shell is behind this console")
        terminal.press("q")
        assert terminal.ended(30)


CRASH = """
from console.screens.triggers import Triggers
def paint(self, c, v, y):
    password = "hunter2-in-a-local"
    raise RuntimeError("the screen is broken")
Triggers.paint = paint
"""


def test_a_crash_in_a_screen_is_one_sentence_and_a_file_that_only_its_owner_reads(place: Place, tmp_path: Path) -> None:
    with place.console(program=CRASH, environ={"TMPDIR": str(tmp_path)}) as terminal:
        attached(terminal)
        began = time.monotonic()
        terminal.send("3")
        ends_well(terminal, began)
        after = terminal.raw.rpartition(b"\x1b[?1049l")[2].decode()
        assert "The engine keeps running" in after
        assert "Traceback" not in after
        assert "hunter2" not in terminal.raw.decode()
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 1
    (file,) = tmp_path.glob("rollout-*.traceback")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "the screen is broken" in file.read_text()
    assert place.engine_lives()


def test_an_installation_whose_screens_do_not_load_shows_how_to_roll_back(place: Place, tmp_path: Path) -> None:
    halted = "import sys; sys.modules['console.app'] = None"  # an import of it fails, as after half an upgrade
    with place.console(program=halted, environ={"TMPDIR": str(tmp_path)}) as terminal:
        assert terminal.ended(60.0)
        assert left_on(terminal.raw) == []
        assert termios.tcgetattr(terminal.child_line) == terminal.line_settings
        after = terminal.raw.rpartition(b"\x1b[?1049l")[2].decode()
        assert "The console cannot start: ModuleNotFoundError" in after
        assert "`rollout rollback` rolls back" in after
        assert "Traceback" not in after
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 1
    assert [*tmp_path.glob("rollout-*.traceback")]


def test_a_line_that_stalls_freezes_no_key_and_recovers(place: Place) -> None:
    """Nothing is read from the terminal; R must act all the same, and what comes after is the whole screen."""
    with place.console() as terminal:
        attached(terminal)
        known = Reader(place.folder).engine_record().state.rev
        for number in range(60):  # far more than a pseudo-terminal's buffer and the driver's queue hold
            terminal.send("3" if number % 2 else "8")
            time.sleep(0.035)
        acted = False
        for _ in range(5):  # a busy machine may read R in one lump with the keys before it, as if pasted: once more
            time.sleep(0.5)
            terminal.send("R")
            end = time.monotonic() + 6
            while not (acted := Reader(place.folder).engine_record().state.rev > known) and time.monotonic() < end:
                time.sleep(0.02)
            if acted:
                break
        assert acted
        terminal.until("PROVEN", "what was done", "STAGE 0")
        terminal.press("1")
        terminal.until("error rate", "latency", "what happens next")


def test_a_line_that_stalls_does_not_keep_the_console_from_ending(place: Place) -> None:
    with place.console() as terminal:
        attached(terminal)
        for number in range(60):
            terminal.send("3" if number % 2 else "8")
            time.sleep(0.02)
        began = time.monotonic()
        os.kill(terminal.pid, signal.SIGTERM)
        while terminal.status is None and time.monotonic() - began < 30:
            pid, status = os.waitpid(terminal.pid, os.WNOHANG)
            terminal.status = status if pid else None
            time.sleep(0.01)
        assert terminal.status is not None
        assert time.monotonic() - began < LEAVES_WITHIN_S * crowd()


def test_on_a_slow_late_line_each_screen_comes_and_a_rollback_is_proven_within_seconds(place: Place) -> None:
    """4 KB a second, 150 ms each way: what a phone gives in a cellar."""
    with place.console(terminal=SlowTerminal) as terminal:
        attached(terminal)
        for key, words in (
            ("2", "GATE"),
            ("3", "rollback decision matrix"),
            ("4", "cache hits"),
            ("7", "documents"),
            ("8", "decisions"),
            ("1", "what happens next"),
        ):
            pressed = time.monotonic()
            terminal.press(key)
            terminal.until(words)
            assert time.monotonic() - pressed < 2.0 * crowd()
        pressed = time.monotonic()
        terminal.press("R")
        terminal.until("PROVEN", "what was done")
        assert time.monotonic() - pressed < 3.0 * crowd()
        terminal.press("q", "q")
        assert terminal.ended(30)
    assert place.engine_lives()


def test_a_frozen_engine_is_reported_within_two_seconds_of_silence(place: Place) -> None:
    with place.console() as terminal:
        attached(terminal)
        place.engine.send_signal(signal.SIGSTOP)
        try:
            terminal.until("process", "stopped", f"kill -CONT {place.engine.pid}", seconds=2.0)
        finally:
            place.engine.send_signal(signal.SIGCONT)
        terminal.until_gone("stopped")


def test_a_storm_of_sizes_ends_in_a_screen_that_fits(place: Place) -> None:
    with place.console() as terminal:
        attached(terminal)
        for columns, rows in [(40, 10), (20, 5), (300, 80), (81, 25), (60, 15), (120, 40), (10, 3), (80, 24)] * 3:
            terminal.resize(columns, rows)
            terminal.read(0.01)
        terminal.until("STAGE", "what happens next")
        terminal.resize(40, 10)
        terminal.until("R rollback", "error rate")
        terminal.resize(20, 5)
        terminal.read(0.3)
        terminal.send("R")
        terminal.until("0 %")
        assert terminal.status is None


ODD = (
    "xterm",
    "xterm-16color",
    "screen",
    "screen.xterm-256color",
    "linux",
    "vt100",
    "xterm-kitty",
    "tmux-direct",
    "none-such",
)


@pytest.mark.parametrize("name", ODD)
def test_old_and_odd_terminals_show_the_same_words_and_are_restored(place: Place, name: str) -> None:
    with place.console(environ={"TERM": name}, answers=False) as terminal:
        terminal.until("STAGE", "error rate", "what happens next")
        if name == "linux":
            assert all(ord(char) < 0x2500 for char in terminal.text)
        terminal.leaves()
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 0
        assert left_on(terminal.raw) == []
        assert termios.tcgetattr(terminal.child_line) == terminal.line_settings
        assert b"Traceback" not in terminal.raw


def test_with_no_color_no_colour_is_sent(place: Place) -> None:
    with place.console(environ={"NO_COLOR": "1", "COLORTERM": "truecolor"}) as terminal:
        terminal.until("STAGE", "error rate")
        colours = re.findall(rb"\x1b\[(?:[\d;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[\d;]*)?m", terminal.raw)
        assert colours == []


def test_without_the_mouse_the_terminal_keeps_it_to_select_text(place: Place) -> None:
    with place.console("--no-mouse") as terminal:
        attached(terminal)
        assert not {name for name in modes_set(terminal.raw) if "mouse" in name}


def test_the_c_locale_gets_ascii(place: Place) -> None:
    environ = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with place.console(environ=environ) as terminal:
        terminal.until("STAGE", "error rate")
        assert terminal.raw.isascii()
        assert b"\\u" not in terminal.raw


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": ""}], ids=["dumb", "unset"])
def test_a_terminal_without_cursor_control_is_pointed_to_the_verbs(place: Place, environ: dict[str, str]) -> None:
    with place.console(environ=environ) as terminal:
        assert terminal.ended(30)
        assert "rollout status --watch" in terminal.raw.decode()
        assert b"\x1b" not in terminal.raw
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 1


def test_standard_error_in_a_file_does_not_blank_the_screen(place: Place, tmp_path: Path) -> None:
    with place.console(stderr=tmp_path / "log") as terminal:
        assert terminal.ended(30)
        assert "standard error" in terminal.raw.decode() + (tmp_path / "log").read_text()


def test_without_a_terminal_the_console_names_the_verbs(place: Place) -> None:
    done = subprocess.run(
        [*ROLLOUT], cwd=place.root, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 1
    assert "rollout status --watch" in done.stderr


@pytest.mark.parametrize("how", ["away", "replaced"])
def test_a_store_that_is_gone_is_a_message_and_comes_back(tmp_path: Path, how: str) -> None:
    made = Place(tmp_path)
    try:
        with made.console() as terminal:
            attached(terminal)
            store = made.folder.path
            moved = store.with_name("moved")
            store.rename(moved)
            if how == "replaced":
                store.mkdir()
                (store / "store.db").write_bytes(b"this is not a database at all" * 100)
            terminal.until("NO STORE")
            if how == "replaced":
                store.rename(store.with_name("replaced"))
            moved.rename(store)
            terminal.until_gone("NO STORE")
    finally:
        made.engine.terminate()
        made.engine.wait(15)


def test_an_engine_of_another_version_is_a_message(place: Place) -> None:
    with place.console() as terminal:
        attached(terminal)
        place.engine.send_signal(signal.SIGSTOP)
        try:
            with contextlib.closing(sqlite3.connect(place.folder.database)) as conn, conn:
                conn.execute("UPDATE live SET body = ?", (b'{"at": "of another shape"}',))
            terminal.until("differ in version")
        finally:
            place.engine.send_signal(signal.SIGCONT)
    assert place.engine_lives()
