"""A rehearsal: a throw-away store, the plan on a simulated LLM service, an engine whose calendar runs faster.

The engine is the real one, in its own process; it exits when this process does, however that happens, because its
standard input closes.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.client.client import EngineClient
from engine.client.identity import whoami
from engine.clock import SystemClock
from engine.gameday import debrief, journal
from engine.gameday.debrief import Debrief
from engine.gameday.journal import JournalEntry, Kind
from engine.gameday.scenario import SPEED, Scenario
from engine.plan.init import set_value
from engine.plan.load import PlanError, default_plan_text, load_plan
from engine.plan.locate import store_of
from engine.plan.model import Plan
from engine.rehearsal.record import PassedRehearsal, passed
from engine.server.spawning import spawn, wait_until_up
from engine.store.folder import Folder, StoreError
from engine.store.reader import Reader

ROOM = 32 << 20  # bytes, for some minutes of documents


class Rehearsal:
    """A context: `start`, then use `folder` and `plan` as with any store."""

    prefix = "rollout-rehearsal-"

    def __init__(self, speed: float = 60.0, keep: Path | None = None) -> None:
        self._speed = speed
        self._keep = keep
        self._root = Path(keep).absolute() if keep else Path(tempfile.mkdtemp(prefix=self.prefix))
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Folder(self._root / "store")
        self.plan_path = self._root / "rollout.toml"
        self.plan: Plan

    def start(self) -> str:
        """Write the plan, or keep an earlier rehearsal's, and start the engine. Returns "", or a sentence on why it did
        not start."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(self._root).free
        if free < ROOM:
            return (
                f"{self._root} has {free >> 20} MiB free; its store needs {ROOM >> 20}. Free some space, set TMPDIR or "
                "name another folder with --keep."
            )
        if not self.plan_path.exists():
            text = default_plan_text()
            text = set_value(text, "environment", "rehearsal")
            # the addresses in the real variable are for real messages only
            text = set_value(text, "notify.urls_env", "ROLLOUT_REHEARSAL_NOTIFY_URLS")
            text = self._with_its_store(text)
            self.plan_path.write_text(self._adapted(text))
        try:
            self.plan = load_plan(self.plan_path)
        except PlanError as error:
            return str(error)
        if self.plan.environment != "rehearsal":
            return f"{self.plan_path} is the plan of a real rollout; give --keep another folder."
        if store_of(self.plan_path).resolve() != self.folder.path.resolve():  # kept by an older version
            self.plan_path.write_text(self._with_its_store(self.plan_path.read_text()))
            self.plan = load_plan(self.plan_path)
        return self._start_engine()

    def _with_its_store(self, text: str) -> str:
        """Make the plan name the store beside it, so that `rollout --plan` finds it from any folder."""
        return set_value(text, "store.path", self.folder.path.name)

    @property
    def again(self) -> str:
        """How to look at a kept rehearsal, and how to continue it; "" for one that is not kept."""
        if self._keep is None:
            return ""
        plan, root = shlex.quote(str(self.plan_path.resolve())), shlex.quote(str(self._root.resolve()))
        return (
            f"`rollout --plan {plan} status` reads it (log, report too), `rollout rehearse --keep {root}` continues it."
        )

    def _start_engine(self) -> str:
        self._process = self._spawned("--speed", str(self._speed))
        return wait_until_up(self.folder, self._process)

    def _spawned(self, *options: str) -> subprocess.Popen[bytes]:
        return spawn(self.plan_path, self.folder, *options, attached=True)

    def _adapted(self, plan: str) -> str:
        """The text of the plan."""
        return plan

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()

    def passed(self) -> PassedRehearsal | None:
        """The record of this rehearsal, once a trigger and a person have each rolled back and both were proven."""
        reader = Reader(self.folder)
        try:
            return reader.read(lambda conn: passed(conn, whoami().name, SystemClock().now()))
        except StoreError:
            return None
        finally:
            reader.close()

    def __enter__(self) -> Self:
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


RUNBOOK = """
    [[stages.monitoring]]
    text = "When the store refuses writes (full disk): remove old core dumps"
    run = "rm -f {folder}/core.*"

"""
REAL = ("XZE_", "ROLLOUT_", "OTEL_", "NOTIFY_SOCKET")
LIMITED = '    [[stages.monitoring]]\n    text = "Daily metrics snapshot: the date"'


class GameDay(Rehearsal):
    """A rehearsal in which a scenario is played: `start`, `begin` when the player is ready, `debrief` after the end."""

    prefix = "rollout-gameday-"

    def __init__(self, scenario: Scenario, speed: float = SPEED, keep: Path | None = None) -> None:
        super().__init__(speed, keep)
        self.scenario = scenario
        self.speed = speed
        self.player = whoami().name
        self.finished: Debrief | None = None  # once the shift is over

    def _spawned(self, *options: str) -> subprocess.Popen[bytes]:
        """The scenario's name goes through the pipe, where `ps` does not show it. What the player's shell sets for a
        real engine is left out: a ceiling, addresses for messages, a collector, a service manager."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(REAL)}
        process = spawn(self.plan_path, self.folder, *options, "--scenario", attached=True, environ=environ)
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already; its last words give the reason
            process.stdin.write(f"{self.scenario.name}\n".encode())
            process.stdin.flush()
        return process

    def _adapted(self, plan: str) -> str:
        """Any free port, for the plan's may be the real engine's, and the runbook's command, which names this game's
        folder because it runs in the player's."""
        assert LIMITED in plan
        plan = set_value(plan, "http.port", 0)
        folder = shlex.quote(str(self._root.absolute())).replace("\\", "\\\\").replace('"', '\\"')
        return plan.replace(LIMITED, RUNBOOK.lstrip("\n").format(folder=folder) + LIMITED)

    @property
    def lasts_s(self) -> float:
        """The shift, in the player's seconds."""
        return self.scenario.lasts_s / self.speed

    @property
    def ready(self) -> bool:
        """Whether the shift can begin."""
        return journal.first(journal.read(self._root), "ready") is not None

    def begin(self) -> tuple[bool, str]:
        """Whether the shift has begun, and a sentence."""
        reply = EngineClient(self.folder).command("begin_shift")
        return reply.ok, reply.sentence

    def restart(self) -> str:
        """A new engine after a killed one; "" or the sentence why there is none."""
        if self._process is not None and self._process.poll() is None:
            return "Not needed: an engine runs."
        self._note("start")
        return self._start_engine()

    def screen_opened(self, screen: str) -> None:
        """The player opened a screen."""
        self._note("look", screen)

    def _note(self, kind: Kind, text: str = "") -> None:
        """What the player did, at the calendar's time; nothing before the shift."""
        began, now = self.began, time.time()
        if began is not None:
            journal.note(self._root, JournalEntry(now, began.at + (now - began.real) * self.speed, kind, text))

    @property
    def began(self) -> JournalEntry | None:
        return journal.first(journal.read(self._root), "begun")

    def left_s(self) -> float | None:
        """Seconds of the player's until the shift is over; None before it begins."""
        began = self.began
        return None if began is None else began.real + self.scenario.lasts_s / self.speed - time.time()

    def finish(self) -> Debrief | None:
        """The shift is over, now or by its time."""
        self.finished = self.finished or self.debrief()
        return self.finished

    def debrief(self) -> Debrief | None:
        """What happened and how it was played, up to now or to the end of the shift; None if it did not begin."""
        reader = Reader(self.folder)
        try:
            return reader.read(
                lambda conn: debrief.debrief(
                    conn, self.plan, self.scenario, journal.read(self._root), self.speed, self.player
                )
            )
        except StoreError:
            return None
        finally:
            reader.close()
