"""The context of a command: its plan and its store."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from console.output import Failed, notice, refuse, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.client.client import EngineClient
    from engine.plan.locate import CandidateStores
    from engine.plan.model import Plan
    from engine.store.folder import Folder
    from engine.store.reader import Reader


ACTING_NAME = "ROLLOUT_AS"  # environment variable with the same as --as


class DisplayOptions(NamedTuple):
    """Display options of the console, from the command line."""

    read_only: bool = False
    ascii_only: bool = False
    mouse: bool = True
    theme: str | None = None
    acting_name: str = ""  # the person's name, where several share the account


class CliContext:
    """Plan and store, resolved on first use, so that `rollout --help` works anywhere."""

    def __init__(
        self, plan: Path | None = None, store: Path | None = None, display: DisplayOptions | None = None
    ) -> None:
        self.display = display or DisplayOptions()
        self._plan = plan
        self._store = store

    def take(self, given: Mapping[str, Any]) -> None:
        """Apply the global options, by name. Call this before anything is resolved."""
        self._plan, self._store = given.get("plan"), given.get("store")
        self.display = DisplayOptions(
            bool(given.get("read_only")),
            bool(given.get("ascii")),
            not given.get("no_mouse"),
            given.get("theme"),
            given.get("acting_name") or os.environ.get(ACTING_NAME, ""),
        )

    @cached_property
    def plan_path(self) -> Path:
        found = self._named_plan or self._nearest_plan()
        if found is None:
            from engine.plan.locate import strange_plan

            if (strange := strange_plan(Path.cwd())) is not None:
                raise Failed(
                    f"{strange} is another user's, in a folder that everyone may write to, so it is not used: its "
                    f"commands would run as you. If you trust it, name it with `--plan {shlex.quote(str(strange))}`.",
                    "no_plan",
                )
            raise Failed(
                "No rollout.toml in this folder or above. `rollout init` writes one, `rollout rehearse` needs none, "
                "--plan FILE names another.",
                "no_plan",
            )
        return found

    @property
    def _named_plan(self) -> Path | None:
        """The plan named by --plan or ROLLOUT_PLAN."""
        named = os.environ.get("ROLLOUT_PLAN")
        return self._plan or (Path(named) if named else None)

    def _nearest_plan(self) -> Path | None:
        from engine.plan.locate import find_plan

        return find_plan(Path.cwd())

    @property
    def lacks_plan(self) -> bool:
        """Whether no plan or store is named and none is found: nothing was set up here."""
        return self._named_plan is None and self._given is None and self._nearest_plan() is None

    @property
    def again(self) -> str:
        """The command that names the same rollout again, from this folder."""
        plan = f" --plan {shlex.quote(str(self._plan))}" if self._plan is not None else ""
        store = f" --store {shlex.quote(str(self._store))}" if self._store is not None else ""
        return f"rollout{plan}{store}"

    @cached_property
    def file_plan(self) -> Plan:
        """The plan in the file now, which a new engine would read."""
        from engine.plan.load import PlanError, load_plan

        try:
            return load_plan(self.plan_path)
        except PlanError as error:
            raise Failed(str(error), "plan") from None

    @cached_property
    def plan(self) -> Plan:
        """The plan in force: a running engine follows the plan it read, whatever was written into the file since,
        mistakes included."""
        running = self._plan_of_the_store()
        if running is not None and (self._may_run() or self._broken()):
            self._name_lost_plan()
            return running
        return self.file_plan

    def _name_lost_plan(self) -> None:
        from engine.plan.locate import is_lost

        with contextlib.suppress(Failed, OSError):
            if is_lost(self.plan_path):
                notice(
                    f"{self.plan_path} is gone; the plan that the last engine read from it is used. No engine can "
                    "start without the file: put it back."
                )

    def _plan_of_the_store(self) -> Plan | None:
        """The plan as the last engine read it, with the pinned stages; None if the store doesn't have it."""
        from engine.store import plans
        from engine.store.folder import StoreError
        from engine.store.reader import Reader

        try:
            if not self.store.exists:
                return None
            reader = Reader(self.store)
            try:
                return reader.read(lambda conn: plans.running(conn, self._source()))
            finally:
                reader.close()
        except (StoreError, Failed, OSError):
            return None

    def _may_run(self) -> bool:
        """Whether an engine may hold the store. A lock that cannot be tried, such as a planted pipe, does not stop
        a rollback."""
        try:
            return self.store.is_locked()
        except OSError:
            return True

    def _source(self) -> str:
        try:
            return str(self.plan_path)
        except Failed:
            return "rollout.toml"

    def _broken(self) -> bool:
        try:
            return self.file_plan is None
        except Failed:
            return True

    @property
    def _given(self) -> Path | None:
        """The store named by --store, or by ROLLOUT_STORE for plan commands run from the console."""
        named = os.environ.get("ROLLOUT_STORE")
        return self._store or (Path(named) if named else None)

    @cached_property
    def folder(self) -> Folder:
        from engine.plan.locate import store_of
        from engine.store.folder import Folder

        if self._given is not None:
            return Folder(self._given, self.plan_or_none.store.group if self.plan_or_none is not None else "")
        return Folder(store_of(self.plan_path), self.plan.store.group)

    @cached_property
    def place(self) -> Folder:
        """The store's folder for a look at what runs there, which needs the plan's path and not the plan."""
        from engine.plan.locate import store_of
        from engine.store.folder import Folder

        return Folder(self._given if self._given is not None else store_of(self.plan_path))

    @property
    def store(self) -> Folder:
        """The store's folder for a rollback, located without loading the plan, which may be broken."""
        from engine.store.folder import Folder

        return Folder(self.candidate_stores.first)

    @cached_property
    def candidate_stores(self) -> CandidateStores:
        """Every store that a rollback here may mean."""
        from engine.plan.locate import CandidateStores, candidate_stores, lost_plan

        if self._given is not None:
            return CandidateStores(self._given)
        try:
            return candidate_stores(self.plan_path)
        except Failed as error:
            if (lost := lost_plan(Path.cwd())) is not None:
                return candidate_stores(lost)
            raise Failed(
                f"{error.message} A rollback needs only the store: --store DIR, or rm DIR/armed.", error.code
            ) from None

    @cached_property
    def plan_or_none(self) -> Plan | None:
        try:
            return self.plan
        except (Failed, OSError):
            return None

    @property
    def plan_exists(self) -> bool:
        """Whether there is a plan to read, broken or not."""
        try:
            return self.plan_path.exists()
        except Failed:
            return False

    @cached_property
    def client(self) -> EngineClient:
        from engine.client.client import EngineClient

        return EngineClient(self.folder, self.plan, acting_name=self.display.acting_name)

    @cached_property
    def reader(self) -> Reader:
        from engine.store.reader import Reader

        return Reader(self.folder)

    @cached_property
    def place_reader(self) -> Reader:
        from engine.store.reader import Reader

        return Reader(self.place)

    def now(self) -> float:
        """Epoch seconds by the engine's clock, which runs ahead of the machine's in a rehearsal."""
        view = self.reader.engine_record().view
        return max(time.time(), view.at) if view is not None else time.time()


def started_s() -> float | None:
    """When this command started, on the monotonic clock: the stopwatch runs from the Enter key."""
    from engine.store import running

    try:
        return running.stat(os.getpid())[1] / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def send_command(context: CliContext, kind: str, /, **fields: Any) -> None:
    """Send a command to the engine; print its answer, or exit with its refusal."""
    reply = context.client.command(kind, **fields)
    if not reply.ok:
        refuse(reply, reply.data)
    say({"ok": True, "sentence": reply.sentence, **reply.data}, reply.sentence)
