"""The console's link to a store and its engine: reads and commands, and the last view corrected by what the disk
shows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from msgspec import Struct, structs

from console.liveness import Liveness, SeenEngine, judge, process
from engine.client import engine_process
from engine.client.client import EngineClient, Reply
from engine.client.without_engine import RollbackResult
from engine.rollout.state import State
from engine.store.folder import Folder, StoreError
from engine.store.reader import EngineRecord, Reader
from engine.text import percent
from engine.view.model import Health, View

if TYPE_CHECKING:
    from engine.plan.model import Plan

T = TypeVar("T")

ASK_S = 0.3
OTHER_VERSION = (
    "NOT CERTAIN what is in force: the engine runs and answers in a format that this version does not know; use the "
    "version that it was started with"
)


class EngineSnapshot(Struct, frozen=True):
    """Everything a screen paints from. `view` is the last one that could be read."""

    view: View | None
    liveness: Liveness
    at: float  # when it was read, real epoch seconds
    corrected: bool = False  # corrected from the disk, ahead of the engine's view

    @property
    def fresh(self) -> bool:
        return self.liveness.state in ("well", "late")


class Link(Protocol):
    """What the console needs from a store; on disk in the product, samples in tests."""

    @property
    def folder(self) -> Folder: ...
    @property
    def reader(self) -> Reader: ...
    @property
    def who(self) -> str: ...
    @property
    def terminal(self) -> str: ...
    @property
    def acting_name(self) -> str: ...
    def act_as(self, name: str) -> None: ...
    def poll(self) -> EngineSnapshot: ...
    def command(self, kind: str, /, **fields: Any) -> Reply: ...
    def rollback(self, reason: str = "", seen: str = "") -> RollbackResult: ...
    def apply_to_neighbour(self) -> tuple[str, str]: ...
    def out_of_reach(self) -> bool: ...
    def start_engine(self) -> str: ...


def corrected(view: View, state: State | None, armed: bool) -> View:
    """The engine's last view, lowered by what the disk shows: a recorded decision holds and a missing armed file stops
    every call, even if no engine has published it. `state` is None while the store can't be read. Never raises a
    percentage. Pure."""
    lower = state is not None and state.rev > view.rev and state.percent_bp < view.percent_bp
    out = view.armed and not armed and view.effective_bp > 0
    if not lower and not out:
        return view
    if state is not None and lower and not state.percent_bp:
        health: Health = "rolled_back"
        sentence = "ROLLED BACK to 0 %, in the log; not yet confirmed by the engine: old figures"
    elif out:
        health = "alert"
        sentence = f"0 % IN FORCE, {percent(view.percent_bp)} decided: the armed file is missing; figures may be stale"
    else:
        health, sentence = ("alert", "ALERT: lowered, in the log; not yet confirmed by the engine: old figures")
    percent_bp, stage = view.percent_bp, view.stage
    if state is not None and lower:
        percent_bp, stage = state.percent_bp, state.stage
    gate = structs.replace(
        view.gate, open=False, blocked=("the percentage was lowered; the engine hasn't confirmed it yet",)
    )
    return structs.replace(
        _in_stage(view, stage),
        percent_bp=percent_bp,
        effective_bp=0 if out else min(view.effective_bp, percent_bp),
        stable=view.stable and stage == view.stage,
        shadow_bp=0 if out else view.shadow_bp,
        why_effective="the armed file is missing" if out and percent_bp else "",
        health=health,
        health_sentence=sentence,
        gate=gate,
        triggers=(),
        undo_until=None,
        armed=armed,
        rolled_back=lower and not percent_bp,
    )


def uncertain(view: View, state: State | None, armed: bool) -> View:
    """The last view of an engine that does not answer, never below what may be in force: what was recorded, whatever
    held it down when the view was made. `armed`: whether the armed file may exist. Pure."""
    most = view.percent_bp if state is None else min(max(view.percent_bp, state.percent_bp), state.ceiling_bp)
    if not armed or most <= view.effective_bp:
        return view
    recorded = f" (decision {state.rev})" if state is not None and state.rev else ""
    sentence = (
        f"NOT CERTAIN: {percent(most)} may be in force, as recorded{recorded}; the engine's last figures, "
        f"{percent(view.effective_bp)}, may be older. R makes sure"
    )
    stage = state.stage if state is not None and state.rev > view.rev else view.stage
    return structs.replace(
        _in_stage(view, stage),
        percent_bp=most,
        effective_bp=most,
        why_effective="",
        health="alert",
        health_sentence=sentence,
    )


def _in_stage(view: View, stage: int) -> View:
    """The view with another stage, and its name and percentage where the view knows them."""
    if stage >= len(view.stage_names):
        return structs.replace(view, stage=stage)
    name, percent_bp = view.stage_names[stage], view.stage_percents[stage]
    return structs.replace(view, stage=stage, stage_name=name, stage_percent_bp=percent_bp)


def _newer(asked: View | None, kept: View | None) -> View | None:
    """The newer of the engine's last answer and its last view in the store, which is older on a full disk. Pure."""
    if asked is None or kept is None:
        return kept or asked
    same = asked.engine.pid == kept.engine.pid
    return asked if same and (asked.rev, asked.at) >= (kept.rev, kept.at) else kept


class StoreLink:
    """A store folder on this machine."""

    def __init__(self, folder: Path | Folder, plan: Plan, acting_name: str = "") -> None:
        self.folder = folder if isinstance(folder, Folder) else Folder(folder, plan.store.group)
        self.plan = plan
        self.reader = Reader(self.folder)
        self.client = EngineClient(self.folder, plan, acting_name=acting_name)
        self._last: View | None = None
        self._asked: View | None = None  # the engine's own answer, while its store took no writes

    @property
    def who(self) -> str:
        return self.client.actor.name

    @property
    def terminal(self) -> str:
        return self.client.actor.terminal

    @property
    def acting_name(self) -> str:
        return self.client.acting_name

    def act_as(self, name: str) -> None:
        self.client.act_as(name)

    def poll(self) -> EngineSnapshot:
        """Read the store once, waiting at most 0.2 s for a lock. Never raises."""
        now = time.time()
        try:
            armed = not self.folder.is_surely_out()  # a file that can't be checked may exist
        except OSError:
            armed = True  # unknown: no basis for a correction
        silent = False
        try:
            record = self.reader.engine_record()
        except StoreError as error:
            state, (asked, other) = None, self._engine_view()
            self._last, silent = asked or self._last, asked is None
            seen = "The figures are the engine's own answer" if asked else "You see the last figures that could be read"
            vanished = self._last is not None and self.folder.missing
            liveness = Liveness("gone", self._vanished() if vanished else f"{error} Retrying. {other or seen}.")
        else:
            self._last = record.view or self._last
            state, liveness = record.state, self._judge(record, now, armed)
            if liveness.state == "frozen":
                view, other = self._engine_view()
                silent = view is None
                if view is not None:
                    self._last, self._asked, liveness = view, view, Liveness("well")
                else:
                    self._last = _newer(self._asked, self._last)
                    if other:
                        liveness = Liveness("frozen", f"{other}. R still works.", liveness.age_s)
        if self._last is None:
            return EngineSnapshot(None, liveness, now)
        shown = corrected(self._last, state, armed)
        shown = uncertain(shown, state, armed) if silent else shown
        return EngineSnapshot(shown, liveness, now, shown is not self._last)

    def _vanished(self) -> str:
        """The store that this console was reading is gone, and with it the way to an engine that may still run."""
        pid = self._last.engine.pid if self._last is not None else 0
        runs = f" The engine still runs: `kill {pid}`." if process(pid) != "ended" else ""
        return (
            f"The folder {self.folder.path} is gone, and the armed file with it: no LLM call can start.{runs} Put "
            "back the folder or a `rollout backup`, then start the engine."
        )

    def _engine_view(self) -> tuple[View | None, str]:
        """Ask the engine itself: if only the store refuses writes (the view, the heartbeat), the engine isn't
        frozen. Without a view, the second is what its answer says; "" for no answer."""
        try:
            return engine_process.view_of(self.client, ASK_S), ""
        except OSError:
            return None, ""
        except ValueError:
            return None, OTHER_VERSION

    def _judge(self, record: EngineRecord, now: float, armed: bool) -> Liveness:
        view = record.view
        exercise: Literal["", "rehearsal", "game day"] = ""
        if view is not None and view.rehearsal:
            exercise = "game day" if view.game else "rehearsal"
        lease_s = self.plan.trigger_settings.lease_s
        seen = SeenEngine(record.heartbeat, record.pid, process(record.pid), lease_s, view is not None, exercise)
        return judge(seen, now, armed)

    def command(self, kind: str, /, **fields: Any) -> Reply:
        return self.client.command(kind, **fields)

    def rollback(self, reason: str = "", seen: str = "") -> RollbackResult:
        return self.client.rollback(reason, seen)

    def apply_to_neighbour(self) -> tuple[str, str]:
        from console.neighbour import apply_to_neighbour

        return apply_to_neighbour(self.folder, self.client.plan)

    def start_engine(self) -> str:
        """Start one that outlives this console, and wait until it answers; "" or the sentence why there is none."""
        from engine.plan.load import load_plan
        from engine.plan.problems import PlanError
        from engine.server.spawning import spawn, wait_until_up

        source = Path(self.plan.source).resolve()
        try:
            load_plan(source)
        except (PlanError, OSError) as error:
            return str(error)
        return wait_until_up(self.folder, spawn(source, self.folder))

    def out_of_reach(self) -> bool:
        """Whether armed file and engine are both gone: nothing can call the LLM."""
        try:
            return self.folder.is_surely_out() and engine_process.ask(self.folder).state == "none"
        except OSError:
            return False
