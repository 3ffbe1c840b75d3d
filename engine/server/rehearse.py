"""A rehearsal: a throw-away store, the plan on a simulated LLM service, an engine whose calendar runs faster.

The engine is the real one, in its own process; it ends when this process does, however this ends, because its standard
input closes.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from engine.client.identity import whoami
from engine.clock import SystemClock
from engine.plan.init import set_value
from engine.plan.load import PlanError, default_plan_text, load_plan
from engine.plan.model import Plan
from engine.rehearsal.record import Passed, passed
from engine.server.process import spawn, wait_until_up
from engine.store.folder import Folder, StoreError
from engine.store.reader import Reader


class Rehearsal:
    """A context: `start`, then use `folder` and `plan` as with any store."""

    def __init__(self, speed: float = 60.0, keep: Path | None = None) -> None:
        self._speed = speed
        self._keep = keep
        self._root = Path(keep) if keep else Path(tempfile.mkdtemp(prefix="rollout-rehearsal-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Folder(self._root / "store")
        self.plan_path = self._root / "rollout.toml"
        self.plan: Plan

    def start(self) -> str:
        """Write the plan, or keep the one of an earlier rehearsal, and start the engine; "" or a sentence on why it did not start."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.plan_path.exists():
            text = default_plan_text()
            text = set_value(text, "environment", "rehearsal")
            # the addresses in the real variable are for real messages only
            text = set_value(text, "notify.urls_env", "ROLLOUT_REHEARSAL_NOTIFY_URLS")
            self.plan_path.write_text(text)
        try:
            self.plan = load_plan(self.plan_path)
        except PlanError as error:
            return str(error)
        if self.plan.environment != "rehearsal":
            return f"{self.plan_path} is the plan of a real rollout; give --keep another folder."
        self._process = spawn(self.plan_path, self.folder, "--speed", str(self._speed), attached=True)
        return wait_until_up(self.folder, self._process, 30.0)

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()

    def passed(self) -> Passed | None:
        """The record of this rehearsal, once a trigger and a person have each rolled back and both were proven."""
        reader = Reader(self.folder)
        try:
            return reader.read(lambda conn: passed(conn, whoami().name, SystemClock().now()))
        except StoreError:
            return None
        finally:
            reader.close()

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            if self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()
            try:
                self._process.wait(timeout=12)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._keep is None:
            shutil.rmtree(self._root, ignore_errors=True)
