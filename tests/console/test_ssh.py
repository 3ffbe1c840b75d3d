"""The console over a real ssh connection: attach, resize, lose the line, attach again; single commands; odd terminals; the clipboard."""

from __future__ import annotations

import base64
import contextlib
import getpass
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console import sshd
from tests.console.sshd import SSH, SSHD
from tests.engine.service.rig import EngineRig
from tests.machine import crowd, free_port, patience
from tests.terminal import ROOT, Terminal

pytestmark = pytest.mark.skipif(
    SSHD is None or SSH is None or shutil.which("ssh-keygen") is None, reason="openssh is not installed"
)
SEPARATION = Path("/run/sshd")  # sshd wants this empty folder when it runs as root


class Host:
    """An sshd on loopback that lets this user in by key, with `rollout` on the PATH and the rig's plan."""

    def __init__(self, folder: Path, rig: EngineRig) -> None:
        self.rig, self.folder = rig, folder
        sshd.make_keys(folder)
        programs = folder / "bin"
        programs.mkdir()
        sshd.install_rollout(programs)
        self.port = free_port()
        given = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "ROLLOUT_PLAN": str(rig.plan_path),
            "ROLLOUT_STORE": str(rig.folder.path),
            "XDG_STATE_HOME": str(folder / "state"),
            "LANG": "C.UTF-8",
        }
        sshd.write_config(folder, self.port, given)
        assert SSHD is not None
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stdout=log, stderr=log)
        assert rig.until(lambda: sshd.listens(self.port), 30), (folder / "log").read_text()

    def ssh(self, *words: str) -> list[str]:
        return sshd.command(self.folder, self.port, getpass.getuser(), *words)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.ssh(*words), capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )

    def attach(self, term: str = "xterm-256color", **more: int) -> Terminal:
        command = self.ssh("rollout")
        return Terminal([command[0], "-tt", *command[1:]], environ={"TERM": term}, **more)

    def sessions(self) -> list[int]:
        """The processes of sshd that carry a line, the parent of each login included."""
        return descendants(self.process.pid, "sshd")

    def drop(self) -> None:
        """Every line at once; one that ends with another is gone already."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        self.drop()
        self.process.terminate()
        self.process.wait(10)


def descendants(pid: int, name: str = "") -> list[int]:
    """The processes below `pid`, of that name."""
    parents: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            comm, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
            parents.setdefault(int(rest[1]), []).append((int(entry.name), comm))
    results, left = [], [pid]
    while left:
        for child, comm in parents.get(left.pop(), ()):
            left.append(child)
            if not name or comm.startswith(name):
                results.append(child)
    return results


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    if os.geteuid() == 0:
        SEPARATION.mkdir(mode=0o755, exist_ok=True)  # it stays: the sshd of another test may be using it
    with EngineRig(tmp_path_factory.mktemp("ssh"), speed=None) as rig:
        rig.engine()
        made = Host(tmp_path_factory.mktemp("sshd"), rig)
        try:
            yield made
        finally:
            made.close()


def test_single_commands_run_and_their_exit_code_comes_back(host: Host) -> None:
    shown = host.run("rollout", "status")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "STAGE 0" in shown.stdout.upper()
    assert "\x1b" not in shown.stdout
    assert json.loads(host.run("rollout", "status", "--json").stdout)["stage"] == 0
    assert host.run("rollout", "gate").returncode == 1
    assert host.run("rollout", "no-such-verb").returncode == 2


def test_the_log_has_the_address_that_a_person_came_from(host: Host) -> None:
    done = host.run("rollout", "note", "lesson", "'written over ssh'")
    assert done.returncode == 0, done.stderr
    (*_, row) = json.loads(host.run("rollout", "log", "--json").stdout)
    assert "127.0.0.1" in json.dumps(row)


def test_a_dropped_line_leaves_the_engine_and_no_console_and_the_next_is_there_in_two_seconds(host: Host) -> None:
    engine = host.rig.pid
    took = []
    for _ in range(3):
        with host.attach() as terminal:
            terminal.until("STAGE 0")
            terminal.read(0.5)
            consoles = [pid for pid in descendants(host.process.pid) if pid not in host.sessions()]
            assert consoles
            host.drop()
            assert terminal.ended(30)
        assert host.rig.until(lambda of=consoles: not any(Path(f"/proc/{pid}").exists() for pid in of), 30)
        began = time.monotonic()
        with host.attach() as again:
            again.until("STAGE 0")
            took.append(time.monotonic() - began)
            again.leaves()
        assert host.rig.pid == engine
        if took[-1] < 2 * crowd():
            break
    assert min(took) < 2 * crowd(), took  # others' work on this machine is not the console's


def test_it_follows_the_window_s_size(host: Host) -> None:
    with host.attach() as terminal:
        terminal.until("STAGE 0")
        terminal.resize(140, 40)
        terminal.until("STAGE 0")
        for _ in patience(30.0):
            if max(len(line.rstrip()) for line in terminal.text.splitlines()) > 80:
                break
            terminal.read(0.1)
        assert max(len(line.rstrip()) for line in terminal.text.splitlines()) > 80, terminal.text
        terminal.resize(80, 24)
        terminal.until("STAGE 0")


def test_a_terminal_that_no_one_knows_gets_a_screen_and_its_line_back(host: Host) -> None:
    """What its name changes is the same without ssh: terminal/test_terminal.py has more of them."""
    with host.attach("no-such-terminal") as terminal:
        terminal.until("STAGE 0")
        terminal.leaves()
        assert os.waitstatus_to_exitcode(terminal.status or 0) == 0
        assert b"Traceback" not in terminal.raw


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_without_cursor_control_gets_the_command_to_run(host: Host, term: str) -> None:
    with host.attach(term) as terminal:
        terminal.until("rollout status")
        assert terminal.ended(30)
        assert b"Traceback" not in terminal.raw


def test_a_copied_decision_reaches_the_clipboard_at_the_other_end(host: Host) -> None:
    with host.attach() as terminal:
        terminal.until("STAGE 0")
        terminal.until_keys_act()
        terminal.press("8")
        terminal.until("the engine started", "y copy the line")  # the first is on the live screen too
        terminal.press("y")
        terminal.until("OSC 52")
        sent = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)\x07", terminal.raw)
        assert len(sent) == 1
        assert b"Z " in base64.b64decode(sent[0])
        terminal.press("q")
