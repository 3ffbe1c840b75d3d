"""The title shows the state, the bell rings for new critical events, a copy reports which clipboard it used."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.attention import QUIET_S, Attention
from console.link import EngineSnapshot
from console.terminal import escape
from tests.console.samples import NOW, STATES


class Line:
    def __init__(self) -> None:
        self.written: list[str] = []
        self.now = 1000.0
        self.attention = Attention(self.written.append, lambda: self.now)

    def see(self, state: str, after: float = 1.0) -> str:
        self.now += after
        self.written.clear()
        view, liveness = STATES[state]
        self.attention.notice(EngineSnapshot(view, liveness, NOW))
        return "".join(self.written)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "VTE_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_the_title_states_stage_and_health_and_only_when_they_change() -> None:
    line = Line()
    assert "\x1b]2;" in line.see("normal")
    assert line.see("normal") == ""
    assert "\x1b]2;" in line.see("alert")
    assert "dead" in line.see("dead")


def test_a_critical_trigger_rings_once_and_a_rollback_after_it_once_more() -> None:
    line = Line()
    assert "\x1b]9;" not in line.see("normal")
    first = line.see("alert", QUIET_S)
    assert "\x1b]9;" in first
    assert "\x1b]9;" not in line.see("alert")
    assert "\x1b]9;" in line.see("rolled_back", QUIET_S)


def test_a_bell_that_comes_too_soon_is_delayed_and_not_dropped() -> None:
    line = Line()
    assert "\x1b]9;" in line.see("alert")
    assert "\x1b]9;" not in line.see("rolled_back", 1.0)
    assert "\x1b]9;" in line.see("rolled_back", QUIET_S)
    assert "\x1b]9;" not in line.see("rolled_back", QUIET_S)


def test_a_rollback_rings_whatever_else_is_wrong() -> None:
    line = Line()
    view, liveness = STATES["normal"]
    assert view is not None
    refusing = replace(view, health="alert", health_sentence="ALERT: documents get 503: the disk is full")
    line.attention.notice(EngineSnapshot(refusing, liveness, NOW))
    line.written.clear()
    line.attention.notice(EngineSnapshot(replace(refusing, rolled_back=True, percent_bp=0), liveness, NOW))
    assert "rolled back to 0 %" in "".join(line.written)


@pytest.mark.parametrize("state", ["dead", "frozen"])
def test_an_engine_that_is_gone_rings(state: str) -> None:
    assert "\x1b]9;" in Line().see(state)


def test_no_state_below_a_critical_alert_rings() -> None:
    line = Line()
    for state in ("watch", "held", "blind", "idle", "ready"):
        assert "\x1b]9;" not in line.see(state, QUIET_S)


def test_in_tmux_a_notice_is_wrapped_so_that_it_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    output = escape.notification("error rate; 20 %")
    assert output.startswith("\x07\x1bPtmux;\x1b\x1b]9;")
    assert output.endswith("\x1b\\")
    assert ";20" not in output.replace("; 20", "")


def test_vte_terminals_get_their_own_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTE_VERSION", "7200")
    assert "\x1b]777;notify;rollout;" in escape.notification("error rate")


def test_copying_goes_by_osc_52_and_reports_it() -> None:
    written: list[str] = []
    assert "OSC 52" in escape.copy("the screen", written.append)
    assert written == ["\x1b]52;c;dGhlIHNjcmVlbg==\x07"]


def test_in_a_real_tmux_the_text_is_in_its_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmux = ["tmux", "-S", str(tmp_path / "s"), "-f", "/dev/null"]
    try:
        subprocess.run([*tmux, "new-session", "-d", "sleep 60"], check=True, timeout=10)
    except FileNotFoundError:
        pytest.skip("no tmux here")
    try:
        monkeypatch.setenv("TMUX", f"{tmp_path / 's'},1,0")
        written: list[str] = []
        assert "tmux" in escape.copy("the screen\n", written.append)
        assert written == []
        shown = subprocess.run([*tmux, "show-buffer"], capture_output=True, text=True, check=True, timeout=10)
        assert shown.stdout == "the screen\n"
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, timeout=10)


def test_a_text_screenshot_is_a_file_that_only_its_owner_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = escape.keep("the screen")
    assert path is not None
    assert path.read_text() == "the screen"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
