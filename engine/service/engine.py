"""The engine: takes documents, watches the triggers, carries out decisions. One object, one loop, one writer.

What is where: a document's way is `pipeline`, what the triggers see and decide is `monitor`, who may do what is `control`; this
file holds them together, keeps the order of effects, and beats once a second.

The order of effects is the safety: down takes effect first and is recorded second; up is recorded first and takes effect second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from engine import showing
from engine.apply import Applier
from engine.client import Reply
from engine.clock import Clock, LapseClock
from engine.control import ENGINE, Actor, Ask, Decision, Refusal, State, note, percent, roll_back
from engine.extraction.llm import LlmPool
from engine.feedback import Door
from engine.monitor import Monitor
from engine.notify import Post
from engine.pipeline import Extracted, MethodAsked, Pipeline
from engine.plan.environment import ceiling, environment
from engine.plan.model import Plan
from engine.proof import Proof
from engine.service import commands
from engine.store import database, documents, log
from engine.store.folder import Folder
from engine.store.log import Outcome
from engine.store.writer import Writer
from engine.switch import Switch
from engine.view import ProofView, View

if TYPE_CHECKING:
    from engine.rehearsal.world import World

journal = logging.getLogger("rollout.engine")

TICK_S = 1.0
LAPSED_TICK_S = 0.25
RETAIN_EVERY_S = 60.0


class Engine:
    """Create it with the folder's lock held; `start`, then `extract` and `command`; `stop` writes what waits."""

    def __init__(
        self,
        plan: Plan,
        folder: Folder,
        clock: Clock,
        environ: Mapping[str, str] | None = None,
        ending: asyncio.Event | None = None,
        world: World | None = None,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.clock = clock
        self.environ = dict(environ or {})
        self.ending = ending or asyncio.Event()
        self.world = world  # of a rehearsal
        self.door = Door()
        self.state = State()
        self.address = ""
        self.token = 0
        self.started = clock.now()
        self.events: deque[tuple[float, str]] = deque(maxlen=50)
        self.proof: Proof | None = None
        self.proofs: dict[str, Proof] = {}
        self.stopping = False
        self._view: View | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._last_retained = 0.0
        self._lapsed = False  # the lease ran out and has not come back yet

    @property
    def rehearsal(self) -> bool:
        return isinstance(self.clock, LapseClock)

    # -- life ------------------------------------------------------------------------------------------------------------

    async def start(self, address: str = "") -> None:
        """Open the store, apply what waits, begin to beat. StoreError when the store cannot be used."""
        self.address = address
        await asyncio.to_thread(database.create, self.folder)
        clean = self._take_token()
        self.conn = database.open_reader(self.folder)
        limits = ceiling(self.environ)
        self.switch = Switch(
            self.folder, self.conn, self.clock, self.plan.trigger_settings.lease_s,
            10_000 if limits.percent_bp is None else limits.percent_bp,
        )  # fmt: skip
        self.writer = Writer(self.folder, self.token)
        self.writer.start()
        key = os.environ.get(self.plan.llm.api_key_env) if self.plan.llm.api_key_env else None
        self.pool = LlmPool(self.plan.llm, self.clock, api_key=key)
        self.applier = Applier(self.plan.apply)
        self.post = Post(self.plan, self.clock, self.conn, self.writer, self.environ)
        self.state = log.read_state(self.conn)
        self.monitor = Monitor(self.plan, self.clock, self.conn, self.writer, self.pool)
        self.pipeline = Pipeline(
            self.plan,
            self.clock,
            self.writer,
            self.switch,
            self.conn,
            self.pool,
            lambda: self.state,
            self.monitor.observe,
        )
        await self._settle(clean)
        self.folder.lay_ballast()
        self.monitor.restore(self.state)
        await self.pool.start()
        self.monitor.start()
        self.post.start()
        await self.tick()
        self.background(self._beat())

    def _take_token(self) -> bool:
        """Bump the fencing token; whether the engine before ended cleanly."""
        conn = database.open_writer(self.folder, "FULL")
        try:
            log.begin(conn, None)
            row = conn.execute("SELECT token, clean FROM lease WHERE id = 1").fetchone()
            self.token = (row[0] if row else 0) + 1
            now = self.clock.now()
            conn.execute(
                "INSERT INTO lease VALUES (1,?,?,?,?,?,0) ON CONFLICT(id) DO UPDATE SET token = excluded.token, pid = excluded.pid, "
                "started = excluded.started, heartbeat = excluded.heartbeat, evaluated = excluded.evaluated, clean = 0",
                (self.token, os.getpid(), now, self.machine_time(), now),
            )
            conn.execute("COMMIT")
            return bool(row[1]) if row else True
        finally:
            conn.close()

    @staticmethod
    def machine_time() -> float:
        """The heartbeat is in the machine's own time even in a time lapse: consoles compare it with theirs."""
        from engine.clock import SystemClock

        return SystemClock().now()

    async def _settle(self, clean: bool) -> None:
        """What must be true before the first document: intents applied, the switch consistent, the log begun."""
        if self.state.rev == 0:
            await self.commit(
                self.ask(), lambda state: note(state, self.ask(), "start", f"the rollout of {self.plan.name} begins")
            )
        await self._apply_intents()
        if not clean and self.state.percent_bp and self.plan.store.resume == "safe":
            await self.roll_back(self.ask("the engine ended uncleanly and [store] resume is safe"))
        elif self.state.percent_bp and not self.folder.is_armed():
            await self.roll_back(self.ask("the armed file was removed while no engine ran"))
        if not clean:
            self.event("The engine before this one ended uncleanly; nothing acknowledged is lost.")
        limits = ceiling(self.environ)
        if limits.percent_bp is not None and limits.percent_bp < self.state.percent_bp:
            self.event(
                f"The environment caps the percentage at {percent(limits.percent_bp)}; decided is {percent(self.state.percent_bp)}."
            )

    def ends(self) -> None:
        """No new documents from here on."""
        self.stopping = True

    async def stop(self) -> None:
        """Finish what is in flight (the servers have drained), write it, mark the end as clean."""
        self.stopping = True
        await self.pipeline.drain(2.0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.monitor.stop()
        await self.applier.stop()
        await self.post.stop()
        await self.pool.close()
        token = self.token
        with contextlib.suppress(Exception):
            done = self.writer.control(
                lambda conn: conn.execute("UPDATE lease SET clean = 1 WHERE token = ?", (token,))
            )
            await asyncio.wait_for(asyncio.wrap_future(done), 2.0)
        await asyncio.to_thread(self.writer.stop)
        self.conn.close()

    def background(self, work: Any) -> None:
        """A task whose failure is written down and shown, never silent."""
        task = asyncio.create_task(work)
        self._tasks.add(task)

        def ended(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self.trouble(error)

        task.add_done_callback(ended)

    def trouble(self, error: BaseException) -> None:
        journal.error("%s", "".join(traceback.format_exception(error)))
        self.event(f"The engine had trouble: {type(error).__name__}: {error}. Details in engine.log.")

    def event(self, sentence: str) -> None:
        """Something people should see that is no decision."""
        if not self.events or self.events[-1][1] != sentence:
            journal.info("%s", sentence)
            self.events.append((self.clock.now(), sentence))

    # -- documents ---------------------------------------------------------------------------------------------------------

    async def extract(self, document_id: str, text: str, title: str = "", method: MethodAsked = "auto") -> Extracted:
        """Keywords for one document; returns when they are stored. Refused, or OSError when the store takes nothing."""
        if self.stopping:
            raise OSError("the engine is stopping; send the document again")
        return await self.pipeline.extract(document_id, text, title, method)

    # -- decisions ---------------------------------------------------------------------------------------------------------

    def ask(self, reason: str = "", actor: Actor = ENGINE, request_id: str = "", seen: str = "") -> Ask:
        return Ask(actor, self.clock.now(), request_id or uuid.uuid4().hex, reason, seen)

    async def commit(
        self,
        ask: Ask,
        decide: Callable[[State], Decision | Refusal | None],
        also: Callable[[sqlite3.Connection, int], None] | None = None,
        insist: bool = False,
    ) -> Outcome:
        """Record a decision, then follow it: state, evidence, service beside the engine. sqlite3.Error, Fenced."""
        job = self.writer.control(lambda conn: log.commit(conn, ask.request_id, decide, self.token, also), insist)
        outcome = await asyncio.wrap_future(job)
        self._follow(outcome)
        return outcome

    def _follow(self, outcome: Outcome) -> None:
        if outcome.state.rev < self.state.rev:
            return
        changed = outcome.state.epoch != self.state.epoch
        self.state = outcome.state
        if changed:
            self.monitor.changed(self.state)
            self.applier.start(
                environment(self.plan, min(self.state.stage, self.plan.last_stage), self.state.percent_bp)
            )

    async def command(self, kind: str, fields: dict[str, Any], actor: Actor) -> Reply:
        """Carry out a request of a person; every refusal and failure is a sentence."""
        try:
            if kind == "rollback":
                return await self._rollback_command(fields, actor)
            return await commands.carry_out(self, kind, fields, actor)
        except (sqlite3.Error, log.Fenced) as error:
            return Reply(False, f"Not recorded: {error}. Nothing has changed; try again.")

    async def arm(self) -> None:
        """Put the key in after a decision upward; never against a rollback that came meanwhile."""
        generation = self.switch.generation
        stage = self.plan.stages[self.state.stage] if self.state.stage < len(self.plan.stages) else self.plan.stages[-1]
        if not self.state.percent_bp and not stage.shadow_bp:
            return
        if self.folder.has_intents():
            await self._apply_intents()
            return
        try:
            self.folder.arm(f"stage {self.state.stage}, {percent(self.state.percent_bp)}, epoch {self.state.epoch}")
        except OSError as error:
            self.event(
                f"The armed file could not be written ({error.strerror}): the LLM stays at 0 %. Free the disk, then resume."
            )
            return
        if self.switch.generation != generation or self.folder.has_intents():
            self.folder.disarm()

    # -- rollback ----------------------------------------------------------------------------------------------------------

    async def roll_back(
        self, ask: Ask, to_stage: int | None = None, automatic: Decision | None = None
    ) -> tuple[Outcome | None, Proof]:
        """Effect first, record second, proof third. The outcome is None while the store does not take it (it is tried on).

        `automatic` is a trigger's decision, made from the same state, instead of a person's.
        """
        target = automatic.percent_bp if automatic is not None else self._target(ask, to_stage)
        to_zero = target == 0
        proof = Proof(
            self.pipeline, self.switch, self.clock, self.plan.salt, str(self.folder.armed),
            actor=ask.actor.name, reason=ask.reason, automatic=automatic is not None, target_bp=target,
        )  # fmt: skip
        if to_zero:
            self.switch.zero()
            with contextlib.suppress(OSError):
                self.folder.disarm()
        proof.effect()
        self.proof = proof
        self.proofs[ask.request_id] = proof
        while len(self.proofs) > 32:
            self.proofs.pop(next(iter(self.proofs)))
        epoch = self.state.epoch

        def decide(state: State) -> Decision | None:
            if automatic is None:
                return roll_back(self.plan, state, ask, to_stage)
            return automatic if state.epoch == epoch else None  # it was made for a percentage that is gone

        recording = asyncio.create_task(self._record_rollback(ask, decide, to_zero, proof))
        self._tasks.add(recording)
        recording.add_done_callback(self._tasks.discard)
        if not to_zero:
            await recording  # a smaller percentage is in force when the row says so
        self.background(self._prove(proof, recording))
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(recording), 0.1), proof
        return None, proof

    def _target(self, ask: Ask, to_stage: int | None) -> int:
        return roll_back(self.plan, self.state, ask, to_stage).percent_bp

    async def _record_rollback(
        self, ask: Ask, decide: Callable[[State], Decision | None], zeroed: bool, proof: Proof
    ) -> Outcome | None:
        try:
            outcome = await self.commit(ask, decide, insist=True)
        except (sqlite3.Error, log.Fenced) as error:
            self.event(f"The rollback is in force and not yet recorded: {error}.")
            return None  # `zero` stays: 0 % in this process whatever the row says
        if zeroed:
            self.switch.recorded()
        proof.view = msgspec.structs.replace(proof.view, rev=outcome.state.rev)
        self.folder.lay_ballast()
        return outcome

    async def _prove(self, proof: Proof, recording: asyncio.Task[Outcome | None]) -> None:
        seen: list[ProofView] = []
        await proof.run(seen.append)
        if proof.view.overdue:
            self.event(proof.view.sentence)
        outcome = await recording
        if outcome is None:
            return
        rev = outcome.state.rev
        proof.view = msgspec.structs.replace(proof.view, rev=rev)
        now, body = self.clock.now(), log.json_body(proof.view)
        self.writer.later(lambda conn: conn.execute("INSERT OR REPLACE INTO proof VALUES (?,?,?)", (rev, now, body)))

    async def _rollback_command(self, fields: dict[str, Any], actor: Actor) -> Reply:
        ask = commands.ask_of(self, fields, actor)
        to_stage = fields.get("to_stage")
        if to_stage is not None and not isinstance(to_stage, int):
            return Reply(False, "to_stage is a stage's number, or absent for 0 %.")
        was = self.state.percent_bp
        outcome, proof = await self.roll_back(ask, to_stage)
        recorded = outcome is not None
        after = outcome.state.percent_bp if outcome else 0
        how = "recorded" if recorded else "in force; the store does not take the record yet, it is tried on"
        return Reply(
            True,
            f"Rolled back from {percent(was)} to {percent(after)}, {how}.",
            {"rev": outcome.state.rev if outcome else None, "recorded": recorded, "request_id": ask.request_id,
             "proof": msgspec.to_builtins(proof.view)},
        )  # fmt: skip

    async def _apply_intents(self) -> None:
        for path, intent in self.folder.intents():
            known = {k: v for k, v in intent.actor.items() if k in ("name", "uid", "ssh", "terminal")}
            try:
                actor = msgspec.convert({"name": "unknown", **known}, Actor)
            except msgspec.ValidationError:
                actor = Actor("unknown")
            ask = Ask(
                actor,
                self.clock.now(),
                intent.request_id,
                intent.reason or "left while the engine did not answer",
                intent.seen,
            )
            outcome, _ = await self.roll_back(ask)
            if outcome is not None:
                with contextlib.suppress(OSError):
                    path.unlink()
            self.event(f"A rollback by {actor.name}, left while the engine did not answer, was applied.")

    # -- the beat ----------------------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        period = LAPSED_TICK_S if self.rehearsal else TICK_S
        while True:
            began = self.clock.real()
            try:
                await self.tick()
            except Exception as error:
                self.trouble(error)  # without `evaluated` the lease runs out by itself
            await asyncio.sleep(max(0.05, period - (self.clock.real() - began)))

    async def tick(self) -> None:
        """One beat: intents, the keyed switch, the triggers, then the view for the consoles."""
        if self.writer.fenced:
            self.switch.fenced = True
            self.event("Another engine has taken over; this one ends.")
            self.ending.set()
            return
        if self.folder.has_intents():
            await self._apply_intents()
        if (
            self.state.percent_bp
            and not self.folder.is_armed()
            and self.switch.read().why == "the armed file is not there"
        ):
            await self.roll_back(self.ask("the armed file was removed by hand"))
        self._watch_lease()
        decision = self.monitor.evaluate(self.state, self.ask())
        if decision is not None:
            if decision.percent_bp < self.state.percent_bp or decision.kind == "trigger":
                await self.roll_back(
                    Ask(decision.actor, decision.at, decision.request_id, decision.reason), automatic=decision
                )
            else:
                await self.commit(self.ask(decision.reason), lambda state: decision)
        self.switch.evaluated()
        self._publish()

    def _watch_lease(self) -> None:
        age = self.switch.lease_age_s
        if age > self.plan.trigger_settings.lease_s and age < 1e9 and self.state.percent_bp:
            sentence = (
                f"the triggers were not evaluated for {age:.0f} s, so every router was at 0 %; they are evaluated again"
            )
            self.event(sentence[0].upper() + sentence[1:] + ".")
            ask = self.ask()
            self.background(self.commit(ask, lambda state: note(state, ask, "lease", sentence, {"age_s": age})))

    def _publish(self) -> None:
        if self.proof is not None:
            self.proof.refresh()
        self._view = showing.view(self)
        now, beat, body = self.clock.now(), self.machine_time(), msgspec.json.encode(self._view)

        def write(conn: sqlite3.Connection) -> None:
            conn.execute(
                "INSERT INTO live VALUES (1,?,?) ON CONFLICT(id) DO UPDATE SET at = excluded.at, body = excluded.body",
                (now, body),
            )
            conn.execute("UPDATE lease SET heartbeat = ?, evaluated = ? WHERE id = 1", (beat, now))

        self.writer.later(write)
        if self.clock.real() - self._last_retained > RETAIN_EVERY_S:
            self._last_retained = self.clock.real()
            self.writer.later(lambda conn: self.monitor.retain(conn, now))

    # -- what others read ----------------------------------------------------------------------------------------------------

    def view(self) -> View | None:
        return self._view

    def healthy(self) -> tuple[bool, str]:
        if self.writer.problem:
            return False, self.writer.problem
        if not self.switch.lease_valid:
            return False, f"the triggers were not evaluated for {self.switch.lease_age_s:.0f} s"
        return True, "the engine runs"

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """(body, content type) of GET /metrics: JSON, or Prometheus text when that is asked for."""
        return self.monitor.exposition(self.state, self.switch.read().percent_bp, accept)

    def drill(self) -> None:
        """Take the key out and put it back, if it is there: the first step of a rollback, without the rest."""
        trial = self.folder.path / "armed.drill"
        trial.write_text("drill\n")
        trial.unlink()

    def restorable(self) -> tuple[documents.Affected, tuple[int, int] | None]:
        return documents.affected(self.conn), documents.last_restore(self.conn)
