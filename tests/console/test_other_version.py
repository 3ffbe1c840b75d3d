"""An engine that answers in another version's format runs; what it has in force is not known here."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from console.link import StoreLink
from engine.client import engine_process
from engine.plan.load import default_plan_text, load_plan
from engine.store import database, lease, live
from engine.store.folder import Folder
from tests.console.samples import NORMAL
from tests.engine.service.rig import COMMAND

VIEW = msgspec.to_builtins(NORMAL)
ANSWERS = {  # name: (status line and body)
    "without a field": ("200 OK", json.dumps({k: v for k, v in VIEW.items() if k != "effective_bp"})),
    "a field of another type": ("200 OK", json.dumps({**VIEW, "percent_bp": "10 %"})),
    "another shape": ("200 OK", "[1, 2]"),
    "not JSON": ("200 OK", "effective: 10 %"),
    "another route": ("404 Not Found", '{"code": "path"}'),
}


class Engine(socketserver.ThreadingUnixStreamServer):
    """Answers every request with `answer`."""

    daemon_threads = True
    answer = b""


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        assert isinstance(self.server, Engine)
        self.wfile.write(self.server.answer)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "rollout.toml").write_text(default_plan_text())
    folder = Folder(tmp_path / ".rollout")
    database.create(folder)
    folder.prepare_armed_file("x")
    folder.arm()
    lock = folder.try_lock()
    assert lock is not None
    conn = database.open_writer(folder, "FULL")
    lease.take(conn, os.getpid(), time.time(), time.time() - 60.0)
    live.write(conn, time.time() - 60.0, msgspec.json.encode(NORMAL))
    conn.close()
    with lock, Engine(str(folder.socket), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_an_answer_in_another_format_is_not_taken_for_this_engine_s_figures(engine: Engine, tmp_path: Path) -> None:
    folder = Folder(tmp_path / ".rollout")
    link = StoreLink(folder, load_plan(tmp_path / "rollout.toml"))
    for name, (status, body) in ANSWERS.items():
        engine.answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        assert engine_process.ask(folder).state == "other_version", name
        snapshot = link.poll()
        assert not snapshot.fresh, name
        assert "NOT CERTAIN what is in force" in snapshot.liveness.sentence, name
        assert "format that this version does not know" in snapshot.liveness.sentence, name
        assert "frozen" not in snapshot.liveness.sentence, name
        assert not link.out_of_reach()
    engine.answer = b"+OK ready\r\n"  # nor HTTP at all
    assert engine_process.ask(folder).state == "other_version"
    body = json.dumps(VIEW)
    engine.answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    assert engine_process.ask(folder).view == NORMAL


def test_the_verbs_report_that_it_runs_and_no_more(engine: Engine, tmp_path: Path) -> None:
    engine.answer = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"percent":9'
    engine.answer += b"}"
    for words in (["status"], ["gate"], ["rollback", "--dry-run"]):
        done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert "format that this version does not know" in done.stdout + done.stderr, words
        assert "does not answer" not in done.stdout
        assert "Traceback" not in done.stderr
    done = subprocess.run([*COMMAND, "status", "--json"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert json.loads(done.stdout)["engine_state"] == "other_version"
    assert done.returncode == 1
