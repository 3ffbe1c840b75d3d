"""A real engine process on a store of its own, and the ways to reach it and to hurt it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.client.client import EngineClient
from engine.plan.init import set_value
from engine.plan.load import default_plan_text, load_plan
from engine.plan.model import Plan
from engine.server.spawning import spawn, wait_until_up
from engine.store import database, documents, log
from engine.store.folder import Folder
from engine.store.reader import Reader
from engine.view.model import View
from tests.machine import crowd, patience

TEXT = "The scheduler assigns each task to a worker pool and retries failed tasks with exponential backoff. " * 4
COMMAND = [sys.executable, "-c", "from console.cli import main; main()"]
QUIET = 1.0  # a rehearsal's speed at which hardly any document arrives: forty a second cost a fifth of a core
LATE_NOTE = "not_noted"  # a busy disk took two seconds for a promotion's note outside the store: it is asked for again
SETTINGS: Mapping[str, object] = {"environment": "test", "http.port": 0}


def plan_with(settings: Mapping[str, object]) -> str:
    """The text of the default plan with these settings."""
    return _plan_with(tuple((place, json.dumps(value)) for place, value in settings.items()))


@cache
def _plan_with(settings: tuple[tuple[str, str], ...]) -> str:
    """A key takes 30 ms, and many rigs begin with the same ones."""
    if not settings:
        return default_plan_text()
    place, value = settings[-1]
    return set_value(_plan_with(settings[:-1]), place, json.loads(value))


class EngineRig:
    """A plan with `settings`, its store under `root`, and the engines that ran on it.

    With a `speed` it is a rehearsal's engine: a simulated LLM service, documents that arrive, a calendar that runs faster.
    """

    def __init__(self, root: Path, speed: float | None = 60.0, settings: Mapping[str, object] = SETTINGS) -> None:
        self.root = root
        self.speed = speed
        root.mkdir(parents=True, exist_ok=True)
        self.plan_path = root / "rollout.toml"
        self.plan_path.write_text(plan_with({**SETTINGS, **settings}))
        self.plan: Plan = load_plan(self.plan_path)
        self.folder = Folder(root / "store", self.plan.store.group)
        self.client = EngineClient(self.folder, self.plan)
        self.reader = Reader(self.folder)
        self.processes: list[subprocess.Popen[bytes]] = []

    # -- engines ---------------------------------------------------------------------------------------------------------

    def engine(self, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start an engine (a standby when one runs) that ends with this process."""
        options = () if self.speed is None else ("--speed", str(self.speed))
        if not self.folder.path.exists():
            database.create(self.folder)  # here sqlite-utils is loaded once, in the engine at each first start: 0.2 s
        process = spawn(self.plan_path, self.folder, *options, attached=True)
        self.processes.append(process)
        if wait:
            trouble = wait_until_up(self.folder, process, 30.0 * crowd())
            assert trouble == "", trouble
            assert self.until(lambda: self.reader.engine_record().pid == process.pid)
        return process

    def running(self) -> subprocess.Popen[bytes]:
        """The engine that runs, or a new one."""
        pid = self.pid if self.folder.exists and self.folder.is_locked() else 0
        return next((p for p in self.processes if p.pid == pid and p.poll() is None), None) or self.engine()

    def serve(self) -> subprocess.Popen[bytes]:
        """`rollout serve`, as a service manager runs it."""
        with self.folder.engine_log.open("ab") as output:
            process = subprocess.Popen(
                [*COMMAND, *self._where, "serve"], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.processes.append(process)
        return process

    def stop_between_writes(self, process: subprocess.Popen[bytes]) -> None:
        """SIGSTOP, at a moment when the engine holds no transaction: that would keep every other process from writing."""

        def stopped() -> bool:
            process.send_signal(signal.SIGSTOP)
            tasks = Path(f"/proc/{process.pid}/task")
            assert self.until(lambda: all(" T " in (task / "stat").read_text() for task in tasks.iterdir()))
            with contextlib.closing(sqlite3.connect(self.folder.database, 0.0, isolation_level=None)) as conn:
                try:
                    conn.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
                except sqlite3.OperationalError:
                    process.send_signal(signal.SIGCONT)
                    return False
            return True

        assert self.until(stopped)

    def end(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            process.wait()
        self.reader.close()

    def __enter__(self) -> EngineRig:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.end()

    def cli(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """`rollout WORDS` as a process of its own."""
        command = [*COMMAND, *self._where, *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.root, **more)

    @property
    def _where(self) -> list[str]:
        return ["--store", str(self.folder.path), "--plan", str(self.plan_path)]

    # -- what is seen ----------------------------------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """Of the last engine to take the lease, with every decision that is in the log: both come a moment later."""

        def has_come() -> bool:
            record = self.reader.engine_record()
            view = record.view
            if view is None or view.engine.token != record.token:
                return False
            return view.rev >= record.state.rev or not self.folder.is_locked()

        self.until(has_come, 20)
        result = self.reader.engine_record().view
        assert result is not None
        return result

    @property
    def pid(self) -> int:
        return self.reader.engine_record().pid

    @property
    def epoch(self) -> int:
        """Of the last decision; the view's comes a moment later."""
        return self.reader.state().epoch

    @property
    def percent_bp(self) -> int:
        return self.reader.state().percent_bp

    def kinds(self) -> list[str]:
        """The log, oldest first."""
        return [row.decision.kind for row in self.reader.read(lambda conn: list(log.every(conn)))]

    def until(self, holds: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Whether it holds within that many seconds of a quiet machine."""
        for _ in patience(seconds):
            if holds():
                return True
            time.sleep(0.02)
        return False

    # -- what is done ----------------------------------------------------------------------------------------------------

    def climb(self, stage: int) -> None:
        """Up to a stage, each gate overridden with a reason."""
        while (state := self.reader.state()).stage < stage:
            if state.locked:
                assert self.until(
                    lambda: self.client.command("resume", reason="the test continues", epoch=state.epoch).ok, 60
                )
            fields = {"epoch": state.epoch, "override": True, "reason": "climbing in a test"}
            reply = self.client.command("promote", **fields)
            if reply.data.get("code") in ("moved", "rolling_back", LATE_NOTE):
                # the record of the rollback before it came between the look and the promotion, or is still to come
                time.sleep(0.1)
                continue
            assert reply.ok, reply.sentence

    def extract(self, name: str, text: str = TEXT) -> dict[str, Any]:
        status, answer = self.client.request("POST", "/v1/extract", {"id": name, "text": text}, 20.0)
        assert status == 200, answer
        return answer

    def proof(self, request_id: str, recorded: bool = False) -> dict[str, Any]:
        """When it is proven or overdue, and where asked for recorded too."""
        by_name: dict[str, Any] = {}

        def proven() -> bool:
            nonlocal by_name
            by_name = self.client.command("proof", of=request_id).data.get("proof") or {}
            done = by_name.get("effective_ms") is not None or bool(by_name.get("overdue"))
            return done and (not recorded or by_name["recorded_ms"] is not None)

        assert self.until(proven, 8)
        return by_name


def kill_mid_write(rig: EngineRig) -> int:
    """kill -9 while four clients extract and one decides. How much was acknowledged; AssertionError for anything lost.

    What is acknowledged must be in the store with the keywords that were answered, and every decision in the log.
    """
    kept: dict[str, list[str]] = {}
    decided: list[str] = []
    going = threading.Event()
    going.set()
    tag = time.monotonic_ns()

    def extract(number: int) -> None:
        while going.is_set():
            name = f"kill-{tag}-{number}-{len(kept)}"
            with contextlib.suppress(OSError, ValueError, AssertionError, http.client.HTTPException):
                kept[name] = rig.extract(name)["keywords"]

    def decide() -> None:
        while going.is_set():
            name = f"kill-{tag}-note-{len(decided)}"
            if rig.client.command("note", request_id=name, kind="lesson", text="written in a test").ok:
                decided.append(name)

    clients = [threading.Thread(target=extract, args=(n,)) for n in range(4)] + [threading.Thread(target=decide)]
    for one in clients:
        one.start()
    assert rig.until(lambda: len(kept) > 20 and len(decided) > 5)
    os.kill(rig.pid, signal.SIGKILL)
    going.clear()
    for one in clients:
        one.join()
    assert rig.until(lambda: not rig.folder.is_locked())

    def check(conn: sqlite3.Connection) -> None:
        for name, keywords in kept.items():
            document = documents.get(conn, name)
            assert document is not None, f"{name} was acknowledged and is lost"
            assert list(document.keywords) == keywords
        for name in decided:
            assert conn.execute("SELECT 1 FROM decision WHERE request_id = ?", (name,)).fetchone(), f"{name} is lost"

    conn = database.open_writer(rig.folder, "NORMAL")  # as the next engine does: it finds the dead one's log
    check(conn)
    assert conn.execute("PRAGMA quick_check").fetchone() == ("ok",)
    conn.close()
    return len(kept) + len(decided)


NOBODY = 65534


def as_nobody(work: Callable[[], dict[str, Any]], groups: tuple[int, ...] = ()) -> dict[str, Any]:
    """What `work` returns in a child process of another user, who may read neither this user's files nor its modules.

    Only for root. The modules must be loaded before.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(write, json.dumps(work()).encode())
        except BaseException as error:
            os.write(write, json.dumps({"raised": repr(error)}).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        body = answer.read()
    os.waitpid(child, 0)
    parsed: dict[str, Any] = json.loads(body)
    return parsed
