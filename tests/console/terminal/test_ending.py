"""However the console ends, the terminal is restored and the engine keeps running."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import stat
import time
from pathlib import Path

import pytest

from console.terminal import escape
from tests import warm
from tests.console.terminal.place import Place, assert_restored, attached, ends_well, exited, left_on
from tests.machine import patience
from tests.terminal import ROLLOUT, Terminal


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
        assert_restored(terminal)
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
        assert_restored(terminal)


def test_keys_before_the_screen_is_ready_act_one_after_the_other(place: Place) -> None:
    with warm.executed(), place.console() as terminal:
        terminal.until("STAGE")
        terminal.type("38qq")  # back from the log, and out
        assert terminal.ended(30)
        assert_restored(terminal)
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
        terminal.hang_up()
        assert exited(terminal)
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
        for number in numbers:
            if number is None:
                terminal.hang_up()
            else:
                os.kill(terminal.pid, number)
        assert exited(terminal, reading=None not in numbers), "it outlives its terminal"
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
        terminal.until("This console was not started from a shell")
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
        assert_restored(terminal)
        after = terminal.raw.rpartition(b"\x1b[?1049l")[2].decode()
        assert "The console cannot start: ModuleNotFoundError" in after
        assert "`rollout rollback` rolls back" in after
        assert "Traceback" not in after
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 1
    assert [*tmp_path.glob("rollout-*.traceback")]


def test_a_line_that_stalls_does_not_keep_the_console_from_ending(place: Place) -> None:
    with place.console() as terminal:
        attached(terminal)
        for number in range(60):
            terminal.send("3" if number % 2 else "8")
            time.sleep(0.02)
        os.kill(terminal.pid, signal.SIGTERM)
        assert exited(terminal)
