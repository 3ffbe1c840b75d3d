"""What a terminal, its line and the engine can do to a console. Real processes on real pseudo-terminals."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from engine.store.reader import Reader
from tests.console.terminal.place import Place, assert_restored, attached, modes_set
from tests.machine import crowd
from tests.terminal import ROLLOUT, SlowTerminal


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


def test_on_a_slow_late_line_each_screen_comes_and_a_rollback_is_proven_within_seconds(place: Place) -> None:
    """4 KB a second, 150 ms each way: what a phone gives in a cellar."""
    with place.console(terminal=SlowTerminal) as terminal:
        attached(terminal)
        for key, words in (  # words of no other screen: a key that follows another at once counts as pasted
            ("2", "GATE"),
            ("3", "rollback decision matrix"),
            ("4", "LLM arm · "),
            ("7", "documents · all"),
            ("8", "decisions ─"),
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
        assert_restored(terminal)
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
