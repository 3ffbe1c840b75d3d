"""The engine's heart: what must be true before the first document, then once a second triggers, switch and view."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable

import msgspec

from engine.client.identity import whoami
from engine.plan.environment import PERCENTAGE, ceiling
from engine.rollout.control import Ask, Decision, State, clock_step, in_the_future, note, percent, set_ceiling
from engine.routing.switch import TAKEN_OVER
from engine.service import pinning, retention, rollback, sd_notify, snapshot
from engine.service.engine import REASON_LIMIT, Engine, machine_time
from engine.service.notifier import Mailing
from engine.service.trials import Trials
from engine.store import future, log, ownership, plans
from engine.text import clean_line, spoken
from engine.view.model import ProofView

TICK_S = 1.0
LAPSED_TICK_S = 0.25
RETAIN_EVERY_S = 60.0
CLOCK_STEP_S = 2.0
KEY_GRACE_S = 2.0
MAIL_S = 1.0
PLAN_S = 2.0  # between two looks at the plan file
OWED_S = 1.0
TOLD = ("blind", "seen")  # rows that say what the monitor sees


class Heart:
    """Beats for an opened engine until the engine is stopped. Without it the lease runs out and every router is at 0 %."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last_retained = 0.0
        self._retention: retention.Retention | None = None
        self._more_to_retain = False
        self._key_gone_at: float | None = None
        self._wall_s: float | None = None  # the wall clock against the machine's own, as last seen
        self._trials = Trials(engine)
        self._owed: deque[tuple[Ask, Callable[[State], Decision | None]]] = deque()
        self._paying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Settle what waits, start the parts, beat once, and go on."""
        engine = self._engine
        self._recall_proof()
        await self._settle()
        engine.applier.catch_up(engine.environment())
        await asyncio.to_thread(engine.folder.lay_ballast)
        self._retention = retention.Retention(engine.clock, engine.conn)
        engine.monitor.restore(engine.state)
        await engine.pool.start()
        engine.monitor.start()
        engine.post.start()
        self._trials.restore()
        self._mailing = Mailing(engine)
        await self.tick()
        if engine.switch.read().open:
            engine.background(engine.pool.preload())
        engine.background(self._beat())
        engine.background(self._mail())
        engine.background(self._watch_plan())

    def _recall_proof(self) -> None:
        """The last rollback's proof, shown until there is another."""
        engine = self._engine
        row = log.last(engine.conn, ("proof",))
        if row is not None:
            with contextlib.suppress(msgspec.ValidationError):
                engine.last_proof = msgspec.convert(row.decision.evidence, ProofView)

    async def _settle(self) -> None:
        """What must be true before the first document: intents applied, the switch consistent, the log begun."""
        engine = self._engine
        self._accept_armed_file()
        if not engine.verified.ok:
            await self._alarm(engine.verified.sentence)
        if engine.state.rev == 0:
            ask = engine.ask()
            await engine.commit(ask, lambda state: pinning.begins(engine, ask))
        await self._come_back()
        await rollback.apply_intents(engine)
        if not engine.clean_start and engine.state.percent_bp and engine.plan.store.resume == "safe":
            await rollback.roll_back(engine, engine.ask("the engine ended uncleanly and [store] resume is safe"))
        elif engine.state.percent_bp and engine.from_backup:
            await rollback.roll_back(engine, engine.ask("a backup was put back, and its percentage is an old one"))
        elif engine.state.percent_bp and engine.switch.armed is None:
            await rollback.roll_back(engine, engine.ask("the armed file was removed while no engine ran"))
        await self._pin()
        if not engine.clean_start:
            engine.event("The engine before this one ended uncleanly; nothing acknowledged is lost.")
        await self._record_ceiling()
        limits = ceiling(engine.environ)
        if limits.percent_bp is not None and limits.percent_bp < engine.state.percent_bp:
            engine.event(
                f"The environment caps the percentage at {percent(limits.percent_bp)}; decided is {percent(engine.state.percent_bp)}."
            )

    def _accept_armed_file(self) -> None:
        """What the engine before this one left in is accepted; a file that outlived a rollback, or came after it, opens nothing."""
        engine = self._engine
        if not engine.rolled_back() and engine.state.stage > 0:
            engine.switch.armed = engine.folder.armed_stamp()

    async def _record_ceiling(self) -> None:
        """Record the environment's ceiling. A higher one counts only where somebody set it and nothing in force rises by it: the plan's
        `export` and restart before the promotion. Else a person raises it (`rollout ceiling`)."""
        engine = self._engine
        environment_bp, recorded_bp = engine.switch.ceiling_bp, engine.state.ceiling_bp
        exported = PERCENTAGE in engine.environ and engine.state.percent_bp <= recorded_bp
        if environment_bp < recorded_bp or (environment_bp > recorded_bp and exported):
            ask = engine.ask(f"{PERCENTAGE}={environment_bp / 100:g}", whoami())
            await engine.commit(ask, lambda state: set_ceiling(state, ask, environment_bp, state.epoch, ""))
        elif environment_bp > recorded_bp:
            engine.event(
                f"The recorded ceiling is {percent(recorded_bp)}, and the environment now allows {percent(environment_bp)}: "
                f"`rollout ceiling {environment_bp / 100:g}` raises it."
            )

    async def _beat(self) -> None:
        engine = self._engine
        period = LAPSED_TICK_S if engine.rehearsal else TICK_S
        while True:
            began = engine.clock.real()
            try:
                await self.tick()
            except Exception as error:
                engine.trouble(error)  # without `evaluated` the lease runs out by itself
            await asyncio.sleep(max(0.05, period - (engine.clock.real() - began)))

    async def _mail(self) -> None:
        """Beside the beat, which no message may delay."""
        while True:
            try:
                await self._mailing.look()
            except sqlite3.Error as error:
                self._engine.event(f"Messages are not looked at now: {error}.")
            except Exception as error:
                self._engine.trouble(error)
            await asyncio.sleep(MAIL_S)

    async def tick(self) -> None:
        """One beat: intents, the keyed switch, the triggers, then the view for the consoles."""
        engine = self._engine
        if engine.writer.fenced:
            engine.event("Another engine has taken over; this one ends.")
            engine.ending.set()
            return
        if self._is_replaced():
            engine.switch.evaluated()
            engine.view = snapshot.view(engine)  # for whoever asks; nothing is written
            sd_notify.tell(sd_notify.ALIVE)
            return
        if engine.folder.has_intents():
            await rollback.apply_intents(engine)
        await self._watch_row()
        await self._watch_key()
        await self._watch_clock()
        lapsed_s = self._lapsed_s()
        if lapsed_s:
            engine.monitor.unwatched()
        await self._look_at_model()
        await self._judge()
        if lapsed_s:
            await self._say_lapsed(lapsed_s)
        engine.switch.evaluated()
        sd_notify.tell(sd_notify.ALIVE)
        self._trials.tick()
        self._publish()

    async def _watch_plan(self) -> None:
        while True:
            await asyncio.to_thread(self._engine.plan_watch.look)
            await asyncio.sleep(PLAN_S)

    async def _come_back(self) -> None:
        """What an engine wrote while the machine's clock was ahead would be the newest until then: cool-downs, complaints, messages."""
        engine = self._engine
        if engine.rehearsal:
            return
        ask, found = engine.ask(), 0
        with contextlib.suppress(sqlite3.OperationalError):  # tried again at the next start
            found = await asyncio.wrap_future(engine.writer.write(lambda conn: future.bring_back(conn, ask.at)))
        decision = in_the_future(engine.plan, engine.state, ask, found)
        if decision is not None:
            engine.event(spoken(decision.sentence))
            await self._owe(ask, lambda state: in_the_future(engine.plan, state, ask, found))

    async def _pin(self) -> None:
        """Under which plan the rollout runs, and what changed in it since the last start."""
        engine = self._engine
        ask, plan = engine.ask(), engine.file_plan
        engine.writer.later(lambda conn: plans.keep(conn, plan, ask.at))
        if (decide := pinning.at_start(engine, ask)) is not None:
            await self._owe(ask, decide)

    async def _look_at_model(self) -> None:
        ask = self._engine.ask()
        decide = None if self._owed else pinning.model_change(self._engine, ask)
        if decide is not None:
            await self._owe(ask, decide)

    async def _judge(self) -> None:
        """Evaluate the triggers and carry out what follows, decided anew inside the transaction that records it."""
        engine = self._engine
        decision = engine.monitor.evaluate(engine.state, engine.ask())
        if decision is None:
            return
        ask = Ask(decision.actor, decision.at, decision.request_id, decision.reason)
        verdict = engine.monitor.verdict

        def decide(state: State) -> Decision | None:
            return engine.monitor.decide(state, ask, verdict)

        if decision.kind in TOLD:
            engine.event(spoken(decision.sentence))
            await self._owe(ask, lambda state: note(state, ask, decision.kind, decision.sentence, decision.evidence))
            if decision.kind == "blind" and self._owed and engine.writer.problem:
                engine.background(self._tell_past_the_store(decision))
        elif decision.kind != "trigger":
            await self._owe(ask, decide)
        elif engine.switch.lowers(decision.percent_bp):
            await rollback.roll_back(engine, ask, automatic=decide)

    async def _tell_past_the_store(self, decision: Decision) -> None:
        if await self._mailing.past_the_queue(decision.kind, decision.sentence):
            decision.evidence["told"] = True  # so that it is not told again once it is recorded

    async def _owe(self, ask: Ask, decide: Callable[[State], Decision | None]) -> None:
        """Record what lowers nothing. A store that takes no writes must not stop the beat, and with it the lease: it is tried on."""
        self._owed.append((ask, decide))
        if self._paying is None or self._paying.done():
            self._paying = self._engine.background(self._pay())
        await asyncio.wait([self._paying], timeout=rollback.ANSWER_S)

    async def _pay(self) -> None:
        while self._owed:
            ask, decide = self._owed[0]
            try:
                await self._engine.commit(ask, decide)
            except sqlite3.OperationalError:
                await asyncio.sleep(OWED_S)
                continue
            except Exception as error:  # it will not do better a second time, and others wait behind it
                self._engine.trouble(error)
            self._owed.popleft()

    def _is_replaced(self) -> bool:
        """Whether the files under this engine are not the ones it opened. It stays at 0 % and writes nothing until it is restarted:
        whatever lies there now is somebody's, and not what this engine knows."""
        engine = self._engine
        if not engine.switch.shut:
            why = engine.writer.files.differs()
            if not why or engine.switch.read().why == TAKEN_OVER:
                return False
            engine.switch.shut = f"{why}: nothing is recorded and 0 % is in force until the engine is restarted"
            engine.calls_ended += engine.pipeline.cancel_calls()
        engine.event(f"ALARM: {engine.switch.shut}. `rollout stop`, put the store in order, then start it.")
        return True

    async def _watch_row(self) -> None:
        """The control row and the last decision are what this engine recorded; else it is 0 %, and the log says why."""
        engine = self._engine
        differs = engine.trust.check(engine.conn, engine.token)
        if differs and not engine.switch.lowering:
            await self._alarm(differs)

    async def _alarm(self, what: str) -> None:
        """Recording a rollback also sets the row right."""
        engine = self._engine
        engine.event(f"ALARM: {what}. Someone who may write the store changed it; 0 % is in force.")
        await rollback.roll_back(engine, engine.ask(clean_line(f"the store was changed: {what}", REASON_LIMIT)))

    async def _watch_key(self) -> None:
        """The armed file is gone: no call is sent from then on, and those in flight end now. Whoever removed it may be about to say
        so, as a command does that removes it first; without that it was a person in a shell. Also at 0 %: it ends what was begun before."""
        engine = self._engine
        state = engine.switch.armed_file
        if state == "foreign":
            engine.event(
                f"{engine.folder.armed} is not the file that the engine put there: it opens nothing and is removed."
            )
            with contextlib.suppress(OSError):
                engine.folder.disarm()
        in_force = bool(engine.state.percent_bp)
        gone = (
            state == "removed"
            or (state == "out" and in_force)
            or (state == "foreign" and (in_force or engine.switch.armed))
        )
        if not gone or not engine.switch.lowers(0):
            self._key_gone_at = None
            return
        engine.calls_ended += engine.pipeline.cancel_calls()
        if self._key_gone_at is None:
            self._key_gone_at = engine.clock.real()
        elif engine.clock.real() - self._key_gone_at > KEY_GRACE_S:
            await rollback.roll_back(engine, engine.ask("the armed file was removed manually"))

    def _lapsed_s(self) -> float:
        """For how long every router was at 0 % because nothing was evaluated; 0 while the lease holds."""
        age, settings = self._engine.switch.lease_age_s, self._engine.plan.trigger_settings
        return age if settings.lease_s < age < 1e9 and self._engine.state.percent_bp else 0.0

    async def _say_lapsed(self, age_s: float) -> None:
        """Only now that they are evaluated again: where every evaluation fails it would be said, and wrongly, with each beat."""
        sentence = (
            f"the triggers were not evaluated for {age_s:.0f} s, so every router was at 0 %; they are evaluated again, "
            "and what failed before does not count"
        )
        self._engine.event(spoken(sentence))
        ask = self._engine.ask()
        await self._owe(ask, lambda state: note(state, ask, "lease", sentence, {"age_s": age_s}))

    async def _watch_clock(self) -> None:
        """Somebody, or NTP, set the wall clock. Timers run on the monotonic one; what ends at a time is moved along."""
        engine = self._engine
        if engine.rehearsal:
            return
        before, self._wall_s = self._wall_s, engine.clock.now() - engine.clock.real()
        step = 0.0 if before is None else self._wall_s - before
        if abs(step) < CLOCK_STEP_S:
            return
        ask = engine.ask()
        engine.event(spoken(clock_step(engine.state, ask, step).sentence))
        await self._owe(ask, lambda state: clock_step(state, ask, step))
        engine.monitor.clock_was_set(ask.at)
        self._trials.clock_was_set(ask.at)
        engine.writer.later(lambda conn: future.bring_back(conn, ask.at))
        engine.monitor.complained(engine.state)

    def _publish(self) -> None:
        engine = self._engine
        if engine.proof is not None and engine.state.percent_bp <= engine.proof.target_bp:
            engine.proof.refresh()
        engine.view = snapshot.view(engine)
        now, beat, body = engine.clock.now(), machine_time(), msgspec.json.encode(engine.view)

        def write(conn: sqlite3.Connection) -> None:
            conn.execute(
                "INSERT INTO live VALUES (1,?,?) ON CONFLICT(id) DO UPDATE SET at = excluded.at, body = excluded.body",
                (now, body),
            )
            conn.execute("UPDATE lease SET heartbeat = ?, evaluated = ? WHERE id = 1", (beat, now))

        engine.writer.later(write)
        if self._more_to_retain or engine.clock.real() - self._last_retained > RETAIN_EVERY_S:
            self._last_retained, self._more_to_retain = engine.clock.real(), False
            self._retention = self._retention or retention.Retention(engine.clock, engine.conn)
            reached = self._retention.reached()
            engine.writer.later(lambda conn: self._retain(conn, reached))
            engine.background(asyncio.to_thread(self._keep_house))

    def _keep_house(self) -> None:
        self._engine.folder.lay_ballast()
        ownership.give_back(self._engine.folder.path)

    def _retain(self, conn: sqlite3.Connection, reached: float) -> None:
        """A small step; the next follows with the next beat while there is more, however fast documents come."""
        retention.keep(conn, reached)
        self._more_to_retain = self._engine.monitor.retain(conn, reached) > 0
