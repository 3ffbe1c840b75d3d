"""A process from the server of warm ones beside one that was executed: nothing that the product reads differs."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.extraction.keywords import Budget
from engine.routing.reader import ReadRequest, framed
from tests import warm
from tests.engine.service.rig import COMMAND
from tests.terminal import Terminal
from tests.warm import client

LLM_SERVER = [sys.executable, "-m", "engine.rehearsal.llm_server"]
STATUS = ("PPid", "Uid", "Gid", "Groups", "Umask", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs")
PARENT, GROUP, SESSION, NICE = 1, 2, 3, 16


def facts(process: subprocess.Popen[bytes]) -> Mapping[str, Any]:
    """What others see of a process, its id as 0."""
    own = Path(f"/proc/{process.pid}")
    status = dict(line.split(":", 1) for line in (own / "status").read_text().splitlines())
    fields = (own / "stat").read_text().rpartition(")")[2].split()
    return {
        "words": (own / "cmdline").read_bytes().rstrip(b"\0").split(b"\0"),
        "folder": os.readlink(own / "cwd"),
        "program": os.readlink(own / "exe"),
        "streams": [os.readlink(own / "fd" / str(number)).split(":")[0] for number in range(3)],
        "limits": (own / "limits").read_text(),
        "alone": [0 if int(fields[at]) == process.pid else int(fields[at]) for at in (PARENT, GROUP, SESSION)],
        "nice": fields[NICE],
        **{name: status[name].strip() for name in STATUS},
    }


def served(folder: Path, is_warm: bool, **more: Any) -> tuple[Mapping[str, Any], int]:
    """A long-lived process: what is seen of it while it serves, and how a SIGKILL ends it."""
    process = subprocess.Popen(LLM_SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, **more)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["pid"] == process.pid
    began_as = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    assert (b"ROLLOUT_TESTS_WARM=1" in began_as) is is_warm
    seen = facts(process)
    process.kill()
    process.communicate()
    return seen, process.returncode


def test_a_long_lived_process_looks_like_one_that_was_executed(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    mask = os.umask(0o027)
    try:
        for more in ({}, {"start_new_session": True, "stderr": subprocess.DEVNULL}, {"process_group": 0}):
            with warm.executed():
                executed = served(tmp_path, False, **more)
            assert served(tmp_path, True, **more) == executed
    finally:
        os.umask(mask)
        signal.signal(signal.SIGHUP, before)


def test_a_file_that_is_passed_keeps_its_number(tmp_path: Path) -> None:
    def answered(is_warm: bool) -> tuple[bytes, Mapping[str, Any], int]:
        near, far = socket.socketpair()
        with near:
            with far:
                number = fcntl.fcntl(far, fcntl.F_DUPFD, 100)  # the same in both
            reader = [sys.executable, "-P", "-m", "engine.routing.reader", str(number)]
            process = subprocess.Popen(reader, stdin=subprocess.DEVNULL, cwd=tmp_path, pass_fds=[number])
            os.close(number)
            near.sendall(framed(ReadRequest(Budget(), [])))
            answer = near.recv(64)
            assert (b"ROLLOUT_TESTS_WARM=1" in Path(f"/proc/{process.pid}/environ").read_bytes()) is is_warm
            seen = facts(process)
        return answer, seen, process.wait(30)

    with warm.executed():
        executed = answered(False)
    assert executed[0] == framed([])
    assert answered(True) == executed


def test_a_verb_prints_and_ends_as_one_that_was_executed(tmp_path: Path) -> None:
    for words in (["--version"], ["status"], ["no-such-verb"], ["check", "--help"]):
        with warm.executed():
            executed = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, check=False)
        done = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (executed.returncode, executed.stdout, executed.stderr)


def test_output_without_a_reader_ends_both_alike(tmp_path: Path) -> None:
    def closed() -> tuple[int, bytes]:
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([*COMMAND, "--help"], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, check=False)
        os.close(write)
        return done.returncode, done.stderr

    with warm.executed():
        executed = closed()
    assert closed() == executed


def test_on_a_terminal_it_leads_the_session_and_takes_the_line_s_signals(tmp_path: Path) -> None:
    def interrupted() -> tuple[bool, bool, int | None]:
        with Terminal(LLM_SERVER, cwd=tmp_path) as terminal:
            terminal.until('"port"')
            leads = os.getsid(terminal.pid) == terminal.pid == os.tcgetpgrp(terminal.line)
            terminal.press("\x03")
            return leads, terminal.ended(10.0), terminal.status

    with warm.executed():
        executed = interrupted()
    assert interrupted() == executed


@pytest.mark.skipif(client.WORKER is None, reason="this execnet starts its workers in another way")
def test_a_worker_of_pytest_has_the_tests_imported_and_else_nothing_differs(tmp_path: Path) -> None:
    source = (
        "import json, os, sys; own = os.stat(0).st_mode, os.getcwd(), os.getppid(), sys.argv, sys.orig_argv, sys.path, "
        "sys.stdout.write_through, __name__; print(json.dumps([own, 'tests.test_names' in sys.modules])); sys.exit(3)"
    )

    def started() -> tuple[list[object], bool, int]:
        done = subprocess.run(
            [sys.executable, "-u", "-c", client.WORKER],
            input=f"{source!r}\n".encode(),
            capture_output=True,
            check=False,
        )
        own, imported = json.loads(done.stdout)
        return own, imported, done.returncode

    with warm.executed():
        executed = started()
    warm.fork_workers([str(Path(__file__).with_name("test_names.py"))])
    try:
        forked = started()
    finally:
        warm.fork_workers(None)
    assert executed[1:] == (False, 3)
    assert forked == (executed[0], True, 3)
