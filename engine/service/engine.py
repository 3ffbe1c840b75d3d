"""The engine's parts, its state, and the only way to record a decision.

Where to find things: a document's path in `pipeline`, what the triggers see and decide in `monitor`, the state machine
in `control`. Above this file, each importing only what is below it: `rollback` (down, and the armed file), `requests`
(what people ask for), `loop` (once a second), `http` and `process`.

Safety is the order of effects: lowering takes effect first and is recorded second; raising is recorded first and takes
effect second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from engine.clock import BelievedClock, Clock, LapseClock, SystemClock, pace
from engine.cluster.identity import version
from engine.cluster.lease import LeaseTerms, WorkerIdentity
from engine.cluster.leases import Leases
from engine.cluster.window_shares import WindowShares
from engine.extraction.llm import LlmPool
from engine.messages.dispatcher import Dispatcher
from engine.plan.environment import ceiling, environment, secret
from engine.plan.model import Plan
from engine.plan.pins import misplaced
from engine.rollout.control import note
from engine.rollout.state import ENGINE, Actor, Ask, Decision, Refusal, State
from engine.routing.document_run import Extracted
from engine.routing.pipeline import KEPT_WITHIN_S, Pipeline
from engine.routing.ports import Ports
from engine.routing.reading import AskedDocument, BulkDocument, ReadDocument
from engine.routing.switch import Switch
from engine.service.apply import Applied, Applier
from engine.service.background import BackgroundTasks
from engine.service.exercise import FaultSwitches, Player
from engine.service.feedback import RateLimiter
from engine.service.jobs import JobDesk
from engine.service.monitor import Monitor
from engine.service.notices import Notices
from engine.service.plan_watch import PlanWatch
from engine.service.program_watch import ProgramWatch
from engine.service.proof import Proof
from engine.service.restorable import Restorable, RestorableCount
from engine.store import database, lease, log, ownership, plans
from engine.store.folder import Folder
from engine.store.head_memory import HeadMemory
from engine.store.log import Outcome
from engine.store.reader import decision_view
from engine.store.writer import Writer
from engine.text import percent
from engine.trial import ledger
from engine.view.model import ProofView, View

journal = logging.getLogger("rollout.engine")

REASON_LIMIT = 500
COMPLAINTS = "complaints"  # the id under which people tick off that they read the complaints
LOG_ROWS = 30  # of a view
T = TypeVar("T")


class Engine:
    """Create it with the folder's lock held and `open` it; a `ControlLoop` makes it live; `stop` writes what is
    queued."""

    failed = "The engine failed on this {}; the reason is in engine.log in the store folder."

    def __init__(
        self,
        plan: Plan,
        folder: Folder,
        clock: Clock,
        environ: Mapping[str, str] | None = None,
        ending: asyncio.Event | None = None,
        world: FaultSwitches | None = None,
    ) -> None:
        self.plan = plan  # in force: with the pinned stages and salt
        self.file_plan = plan  # as its file defines it
        self.plan_watch = PlanWatch(plan)
        self.program_watch = ProgramWatch()
        # why the rollout's stage differs in the file; promotion is held until a person names the stage
        self.misplaced = ""
        self.folder = folder
        self.clock = clock
        self.environ = dict(environ or {})
        self.ending = ending or asyncio.Event()
        self.world = world  # of a rehearsal
        self.director: Player | None = None  # of a game day
        self.feedback_limit = RateLimiter()
        self.raising = asyncio.Lock()  # held while the armed file is made and a raise recorded
        self.state = State()
        self.heads: HeadMemory | None = None  # None in a rehearsal
        self.address = ""
        self.token = 0
        self.clean_start = True  # the previous engine ended cleanly
        self.seen_before: float | None = None  # when the previous engine was last alive, by the machine's clock
        self.evaluated_before: float | None = None  # the same by its calendar, as the log has it
        self.from_backup = False  # the store is a restored backup
        self.altered = ""  # what had been put into its schema when it was opened
        self.end_cause = ""  # why a person or another engine ends this one
        self.started = clock.now()
        self.notices = Notices(clock, journal, lambda text: self.pool.redactor.text(text))
        self.newest = log.Newest(LOG_ROWS, decision_view)
        self.jobs = JobDesk(self)
        self.proof: Proof | None = None  # of the last rollback
        self.calls_ended = 0  # because the armed file was removed, before the rollback request arrived
        self.last_proof: ProofView | None = None  # of a rollback before this engine
        self.proofs: dict[str, Proof] = {}  # by request id
        self.stopping = False
        self.moved_at = 0.0  # when the epoch last changed under this engine, on the machine's clock
        self.view: View | None = None  # as last shown
        self._restorable = RestorableCount(folder, clock, self.background)
        self.judged: dict[str, str] = {}  # results of measurements and judgements, in sentences, by the gate's metric
        self.measuring: float | None = None  # the share of a search-quality measurement that is done
        self.search_asked: Ask | None = None  # a request to measure search quality at the next tick
        self._tasks = BackgroundTasks(self.trouble)

    @property
    def rehearsal(self) -> bool:
        return isinstance(self.clock, LapseClock)

    @property
    def exercise(self) -> str:
        """As in a view: "GAME DAY", "REHEARSAL", or "" for a real rollout."""
        if not self.rehearsal:
            return ""
        return "GAME DAY" if self.world is not None and self.world.hidden else "REHEARSAL"

    # -- life ----------------------------------------------------------------------------------------------------------

    async def open(self, address: str = "") -> None:
        """Open the store and create the parts; nothing runs yet. StoreError when the store cannot be used."""
        self.address = address
        created = await asyncio.to_thread(database.create, self.folder)
        self.from_backup, self.altered = created.from_backup, created.altered
        taken = lease.taken(self.folder, self.clock.now(), machine_time())
        self.token, self.clean_start = taken.token, taken.clean
        self.seen_before, self.evaluated_before = taken.heartbeat, taken.evaluated
        self.conn = database.open_reader(self.folder)
        # a kept rehearsal continues where it was, and so does an engine whose machine's clock reads earlier, until that
        # lasts: its log never runs backwards
        if isinstance(self.clock, LapseClock | BelievedClock):
            (last,) = self.conn.execute(
                "SELECT max(at) FROM (SELECT at FROM live UNION ALL SELECT max(at) FROM decision)"
            ).fetchone()
            self.clock.not_before(last or 0.0)
            self.started = self.clock.now()
        self.trust, self.verified = log.trusted(self.conn)
        self.state = self.trust.head.state
        if not self.rehearsal:
            self.heads = HeadMemory(self.folder.path)
            self.trust.before_commit = self.heads.before
        pins = plans.known(self.conn, self.plan, self.state)
        if pins is not None and (why := misplaced(self.plan, pins, self.state.stage)):
            self.plan, self.misplaced = plans.in_force(self.conn, self.plan, pins), why
        self.limits = ceiling(self.environ)
        self.switch = Switch(
            self.folder,
            self.conn,
            self.clock,
            self.plan.trigger_settings.lease_s,
            10_000 if self.limits.percent_bp is None else self.limits.percent_bp,
            self.token,
            self.trust,
        )
        self._make_parts()

    def _make_parts(self) -> None:
        """Everything that works on the open store."""
        self.writer = Writer(self.folder, self.token, ledger.fold)
        self.writer.start()
        key = secret(self.environ, self.plan.llm.api_key_env)
        self.pool = LlmPool(self.plan.llm, self.clock, api_key=key or None, permit=self.may_generate)
        self.leases = Leases(
            self.clock,
            self.token,
            self.terms,
            self.folder.mark_workers,
            WindowShares(lambda: self.pool.windows, lambda: self.pool.waiting, self.clock.real),
            inherited=self.folder.has_workers(),
        )
        self.applier = Applier(self.plan.apply, self.folder.path / "applied", self._applied)
        self.dispatcher = Dispatcher(self.plan, self.clock, self.conn, self.writer, self.environ, self.exercise)
        self.monitor = Monitor(
            plan=self.plan,
            clock=self.clock,
            conn=self.conn,
            writer=self.writer,
            pool=self.pool,
            waiting=lambda: self.calls_open,
            obeyed=lambda: self.switch.read().percent_bp,
            limits=self.limits,
            trouble=self.trouble,
        )
        self.monitor.gatekeeper.misplaced = self.misplaced
        self.pipeline = Pipeline(
            Ports(
                plan=self.plan,
                clock=self.clock,
                store=self.writer,
                switch=self.switch,
                conn=self.conn,
                pool=self.pool,
                state=lambda: self.state,
                observe=self.monitor.observations.add,
                trouble=self.trouble,
                kept_within_s=KEPT_WITHIN_S,
            )
        )

    def run_under(self, plan: Plan) -> None:
        """Another plan is in force: the file's, which a person has adopted."""
        self.plan, self.misplaced = plan, ""
        self.monitor.use(plan)
        self.pipeline.use(plan)

    def ends(self) -> None:
        """Accept no new documents from here on."""
        self.stopping = True
        self.leases.close()

    async def stop(self) -> None:
        """Finish what is in flight (the servers have drained), write it, and mark the shutdown as clean."""
        self.stopping = True
        await self.pipeline.drain(2.0)
        await self._tasks.end()
        await self.monitor.probing.stop()
        await self.applier.stop()
        await self.dispatcher.stop()
        await self.pool.close()
        with contextlib.suppress(Exception):
            done = self.writer.write(lease.ended)
            await asyncio.wait_for(asyncio.wrap_future(done), 2.0)
        await asyncio.to_thread(self.writer.stop)
        if self.heads is not None:
            await asyncio.to_thread(self.heads.close)
        if self.switch.shut and (kept := self.writer.opened.files.set_aside()) is not None:
            journal.info("Changes from this engine's log that were not carried over are kept in %s.", kept)
        await self._tasks.end()  # work started in the meantime must not read a closed store
        self.conn.close()
        ownership.give_back(self.folder.path)

    def background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task whose failure is logged and shown, never silent."""
        return self._tasks.start(work)

    def trouble(self, error: BaseException) -> None:
        """Log an internal fault, and show it as an event."""
        self.notices.trouble(error)

    def event(self, sentence: str, about: str = "") -> None:
        """Record something that people should see and that is not a decision. Repeats are shown once a minute."""
        self.notices.event(sentence, about)

    @property
    def calls_open(self) -> int:
        """LLM calls in flight, its workers' included."""
        return self.pipeline.in_flight + self.leases.live_in_flight

    @property
    def unfinished(self) -> int:
        """LLM documents, or their calls, that have not ended yet."""
        return self.calls_open + self.pipeline.backlog.waiting

    @property
    def events(self) -> Sequence[tuple[float, str]]:
        """(when, sentence), the latest last."""
        return self.notices.events

    # -- documents -----------------------------------------------------------------------------------------------------

    async def extract(self, asked: AskedDocument, read: ReadDocument | None = None) -> Extracted:
        """Keywords for one document; returns when they are stored. Refused, Busy, or OSError when the store refuses
        writes."""
        if self.stopping:
            raise OSError("the engine is stopping; send the document again")
        if self.switch.shut:
            raise OSError(self.switch.shut)
        return await self.pipeline.extract(asked, read)

    async def extract_many(self, documents: Sequence[BulkDocument]) -> list[Extracted | BaseException]:
        """Extract the documents of a batch; an error that `extract` would raise becomes that document's result."""
        if self.stopping or self.switch.shut:
            why = self.switch.shut or "the engine is stopping; send the document again"
            return [OSError(why) for _ in documents]
        return await self.pipeline.extract_many(documents)

    def terms(self) -> LeaseTerms:
        """What routers obey, for workers outside the engine. A stopping engine grants nothing."""
        permit, state = self.switch.read(), self.state
        epoch = max(permit.epoch, state.epoch)  # a store that cannot be read has none, and a worker's never goes back
        if self.stopping:
            return LeaseTerms(0, False, "the engine is stopping", epoch, state.stage, state.rev, state.last_rev)
        return LeaseTerms(permit.percent_bp, permit.open, permit.why, epoch, state.stage, state.rev, state.last_rev)

    def identity(self) -> WorkerIdentity:
        """What a worker must run to work for this engine."""
        return WorkerIdentity(version(), self.file_plan.digest, self.pool.model_digest if self.pool.all_known else "")

    def may_generate(self) -> bool:
        """Whether any request may use a model. In Preparation no document does; a person's check may, until a
        rollback."""
        if self.switch.may_call():
            return True
        if self.state.stage or self.switch.pending or self.switch.shut or self.trust.broken or self.trust.differs:
            return False
        return not self.rolled_back()

    def rolled_back(self) -> bool:
        """Whether the last change to the armed file was a rollback to 0 %."""
        return log.rolled_back(self.conn)

    # -- decisions -----------------------------------------------------------------------------------------------------

    def ask(
        self, reason: str = "", actor: Actor = ENGINE, request_id: str = "", seen: str = "", request: str = ""
    ) -> Ask:
        return Ask(actor, self.clock.now(), request_id or uuid.uuid4().hex, reason, seen, pace(self.clock), request)

    async def commit(
        self,
        ask: Ask,
        decide: Callable[[State], Decision | Refusal | None],
        within: Callable[[sqlite3.Connection, int], object] | None = None,
        insist: bool = False,
    ) -> Outcome:
        """Record a decision, then follow it. sqlite3.Error, Fenced."""
        return await self.record(lambda conn: self.commit_on(conn, ask, decide, within), insist)

    async def note(
        self,
        ask: Ask,
        kind: str,
        sentence: str,
        evidence: dict[str, Any] | None = None,
        within: Callable[[sqlite3.Connection], object] | None = None,
        insist: bool = False,
    ) -> Outcome:
        """Record what changes no state, and run `within` in the same transaction. sqlite3.Error, Fenced."""
        more = None if within is None else lambda conn, rev: within(conn)
        return await self.commit(ask, lambda state: note(state, ask, kind, sentence, evidence), more, insist)

    def commit_on(
        self,
        conn: sqlite3.Connection,
        ask: Ask,
        decide: Callable[[State], Decision | Refusal | None],
        within: Callable[[sqlite3.Connection, int], object] | None = None,
    ) -> Outcome:
        """Commit a decision inside a job of the writer."""
        return log.commit(conn, ask.request_id, decide, self.token, within, request=ask.request, trust=self.trust)

    async def record(self, job: Callable[[sqlite3.Connection], Outcome], insist: bool = False) -> Outcome:
        """Run a job that commits a decision, then act on its outcome: state, evidence, the neighbouring service."""
        return await self.follow(self.writer.control(job, insist))

    async def follow(self, job: Future[Outcome]) -> Outcome:
        """Act on the outcome of a job that the writer has already."""
        outcome = await asyncio.wrap_future(job)
        self._follow(outcome)
        return outcome

    def _follow(self, outcome: Outcome) -> None:
        if outcome.state.rev < self.state.rev:
            return
        earlier, self.state = self.state, outcome.state
        changed = self.state.epoch != earlier.epoch
        if changed:
            self.moved_at = self.clock.real()
            self.monitor.changed(self.state)
            if self.proof is not None and self.state.percent_bp > self.proof.of.target_bp:
                self.proof.raised(self.state.percent_bp, self.state.rev)
        elif self.state.entered_at != earlier.entered_at:  # moved back to now: the clock had been ahead
            self.monitor.observations.complained(self.state)
        same = (outcome.state.stage, outcome.state.percent_bp) == (outcome.before.stage, outcome.before.percent_bp)
        if changed and not (same and outcome.state.restart_rev == outcome.state.rev):
            self.applier.start(self.environment())

    def _applied(self, applied: Applied) -> None:
        """Log that the neighbouring service did not follow, or follows again."""
        ask = self.ask()
        of = percent(self.state.percent_bp)
        sentence = (
            f"apply failed at {of}: {applied.sentence} Retrying."
            if applied.state == "failed"
            else f"applied at {of} after a failure: {applied.sentence}"
        )
        self.background(self.note(ask, "apply", sentence, {"state": applied.state}))

    def environment(self) -> list[str]:
        """The `export` lines for a neighbouring service."""
        return environment(self.plan, self.state.stage, self.state.percent_bp, self.limits)

    # -- what others read ----------------------------------------------------------------------------------------------

    def healthy(self) -> tuple[bool, str]:
        if self.switch.shut:
            return False, self.switch.shut
        if self.writer.problem:
            return False, self.writer.problem
        if not self.switch.lease_valid:
            return False, f"the triggers were not evaluated for {self.switch.lease_age_s:.0f} s"
        return True, "the engine runs"

    def restorable(self) -> Restorable:
        """What a restore would serve again."""
        return self._restorable.get(self.conn, self.state)


def machine_time() -> float:
    """The heartbeat uses the machine's own time even in a time lapse: consoles compare it with theirs."""
    return SystemClock().now()
