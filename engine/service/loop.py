"""The engine's control loop: once a second triggers, switch and view."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import msgspec

from engine.clock import EARLIEST, LATEST, PROVEN_S, STEP_S, BelievedClock
from engine.cluster.lag import BEAT_S
from engine.cluster.leases import LOOK_S
from engine.messages import outbox
from engine.plan.durations import format_duration, iso
from engine.rollout.control import note
from engine.rollout.corrections import clock_step
from engine.rollout.state import Ask, Decision, State
from engine.routing.switch import TAKEN_OVER
from engine.service import pinning, retention, rollback, sd_notify, snapshot, startup
from engine.service.deferred import DeferredRecords
from engine.service.engine import Engine, machine_time
from engine.service.escalation import Escalation
from engine.service.integrity import Integrity
from engine.service.log_memory import LogMemory
from engine.service.notifier import Notifier
from engine.service.trials import Trials
from engine.store import future, lease, live, ownership
from engine.text import spoken

TICK_S = 1.0
LAPSED_TICK_S = 0.25
RETAIN_EVERY_S = 60.0
REMOVAL_GRACE_S = 2.0
MAIL_S = 1.0
FILES_S = 2.0  # interval between two checks of the plan's and the program's files
OBSERVATIONS = ("blind", "seen")  # log rows about what the monitor sees


class ControlLoop:
    """Ticks for an opened engine until it stops. Without it the lease expires and every router is at 0 %."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last_retained = 0.0
        self._retention: retention.Retention | None = None
        self._more_to_retain = False
        self._removed_at: float | None = None
        self._removed_how = ""
        self._wall_s: float | None = None  # offset of the wall clock from the machine's, as last seen
        self._remembering = LogMemory(engine)
        self._integrity = Integrity(engine)
        self._trials = Trials(engine)
        self.deferred = DeferredRecords(engine)

    async def start(self) -> None:
        """Process what was left over, start the parts, tick once, and keep ticking in the background."""
        engine = self._engine
        await startup.settle(engine, self._remembering, self.deferred)
        engine.applier.catch_up(engine.environment())
        await asyncio.to_thread(engine.folder.lay_ballast)
        self._retention = retention.Retention(engine.clock, engine.conn)
        engine.monitor.restore(engine.state)
        await engine.pool.start()
        engine.monitor.probing.start()
        engine.dispatcher.start()
        self._trials.restore()
        self._notifier = Notifier(engine)
        self._escalation = Escalation(engine)
        self._check_writer()
        await self.tick()
        if engine.switch.read().open:
            engine.background(engine.pool.preload())
        engine.background(self._run())
        engine.background(self._send_messages())
        engine.background(self._watch_files())
        engine.background(self._watch_leases())
        engine.background(self._beat())

    async def _run(self) -> None:
        engine = self._engine
        period = LAPSED_TICK_S if engine.rehearsal else TICK_S
        while True:
            began = engine.clock.real()
            try:
                await self.tick()
            except Exception as error:
                engine.trouble(error)  # without `evaluated` the lease expires
                engine.view = snapshot.last(engine, error)
            await asyncio.sleep(max(0.05, period - (engine.clock.real() - began)))

    async def _send_messages(self) -> None:
        """Send messages, apart from the ticks, which they must not delay."""
        while True:
            try:
                await self._notifier.tick()
                await self._escalation.tick()
            except sqlite3.Error as error:
                self._engine.event(f"Messages cannot be checked now: {error}.")
            except Exception as error:
                self._engine.trouble(error)
            await asyncio.sleep(MAIL_S)

    async def tick(self) -> None:
        """One tick: intents, the armed file, the triggers, then the view for the consoles."""
        engine = self._engine
        if engine.writer.fenced:
            engine.event("Another engine has taken over; this one is stopping.")
            engine.ending.set()
            return
        if self._is_replaced():
            engine.switch.evaluated()
            engine.view = snapshot.view_or_last(engine)  # for requests only; nothing is written
            sd_notify.notify(sd_notify.ALIVE)
            return
        if engine.folder.has_intents():
            await rollback.apply_intents(engine)
        self._integrity.check()
        await self._watch_row()
        await self._watch_armed_file()
        await self._watch_clock()
        lapsed_s = self._lapsed_s()
        if lapsed_s:
            engine.monitor.unwatched()
        await self._check_model()
        await self._apply_triggers()
        if lapsed_s:
            await self._report_lapse(lapsed_s)
        engine.switch.evaluated()
        sd_notify.notify(sd_notify.ALIVE)
        self._trials.tick()
        self._publish()
        self._remembering.keep()

    async def _watch_files(self) -> None:
        """The plan's file, and the program's."""
        while True:
            await asyncio.to_thread(self._engine.plan_watch.check)
            await asyncio.to_thread(self._engine.program_watch.check)
            await asyncio.sleep(FILES_S)

    async def _beat(self) -> None:
        """Measures how late this loop runs."""
        engine = self._engine
        while True:
            engine.monitor.lag.beat(engine.clock.real())
            await asyncio.sleep(BEAT_S)

    async def _watch_leases(self) -> None:
        """While workers hold leases, see at once when routers obey something else: the armed file removed, a lapsed
        evaluation. Rollbacks do not wait for this."""
        engine = self._engine
        while True:
            if engine.leases.any:
                engine.leases.refresh()
            elif engine.leases.idle and engine.folder.has_workers():
                engine.leases.forget()
                engine.folder.unmark_workers()
            await asyncio.sleep(LOOK_S if engine.leases.any else TICK_S)

    async def _check_model(self) -> None:
        ask = self._engine.ask()
        decide = None if self.deferred.waiting else pinning.model_change(self._engine, ask)
        if decide is not None:
            await self.deferred.record(ask, decide)

    async def _apply_triggers(self) -> None:
        """Evaluate the triggers and carry out the result, decided again inside the transaction that records it."""
        engine = self._engine
        decision = engine.monitor.evaluate(engine.state, engine.ask())
        if decision is None:
            return
        ask = Ask(decision.actor, decision.at, decision.request_id, decision.reason)
        verdict = engine.monitor.verdict

        def decide(state: State) -> Decision | None:
            return engine.monitor.decide(state, ask, verdict)

        if decision.kind in OBSERVATIONS:
            engine.event(spoken(decision.sentence))
            await self.deferred.record(
                ask, lambda state: note(state, ask, decision.kind, decision.sentence, decision.evidence)
            )
            if decision.kind == "blind" and self.deferred.waiting and engine.writer.problem:
                engine.background(self._alert_past_the_store(decision))
        elif decision.kind != "trigger":
            await self.deferred.record(ask, decide)
        elif engine.switch.would_lower(decision.percent_bp):
            await rollback.roll_back(engine, ask, automatic=decide)

    async def _alert_past_the_store(self, decision: Decision) -> None:
        if await self._notifier.past_the_queue(decision.kind, decision.sentence):
            decision.evidence["told"] = True  # so that no second message is sent once it is recorded

    def _is_replaced(self) -> bool:
        """Whether the files under this engine are not the ones it opened. If so it stays at 0 % and writes nothing
        until it is restarted: the files there now are not its own."""
        engine = self._engine
        if not engine.switch.shut and (why := engine.writer.opened.files.differs()):
            self._shut(why)
        if engine.switch.shut:
            engine.event(f"ALARM: {engine.switch.shut}. `rollout stop`, repair the store, then start it.")
        return bool(engine.switch.shut)

    def _shut(self, why: str) -> None:
        engine = self._engine
        if engine.switch.shut or engine.switch.read().why == TAKEN_OVER:
            return
        engine.switch.shut = f"{why}: nothing is recorded and 0 % is in force until the engine is restarted"
        engine.calls_ended += engine.pipeline.cancel_calls()

    def _check_writer(self) -> None:
        """The writer may see replaced files before the next tick does. What it then refuses is answered after this, so
        0 % is in force and shown before anyone reads the reason."""
        running = asyncio.get_running_loop()

        def shut(why: str) -> None:
            if self._engine.switch.shut:
                return
            self._shut(why)
            if self._is_replaced():
                self._engine.view = snapshot.view_or_last(self._engine)

        def replaced(why: str) -> None:  # in the writer's thread
            with contextlib.suppress(RuntimeError):  # the loop has ended
                running.call_soon_threadsafe(shut, why)

        self._engine.writer.opened.replaced = replaced

    async def _watch_row(self) -> None:
        """Report what went wrong in the writer's thread. If the schema, the control row or the last decision is not
        what this engine made, go to 0 % and log why."""
        engine = self._engine
        while engine.writer.faults:
            engine.trouble(engine.writer.faults.popleft())
        while engine.writer.opened.altered:
            await rollback.alarm(engine, engine.writer.opened.altered.popleft())
        differs = engine.trust.check(engine.conn, engine.token)
        if differs and not engine.switch.pending:
            await rollback.alarm(self._engine, differs)

    async def _watch_armed_file(self) -> None:
        """If the armed file is gone, send no more calls and end those in flight, even at 0 %.

        A command removes the file first and then sends its rollback. If none arrives within REMOVAL_GRACE_S, a person
        removed the file, or the command is slow: the log claims neither.
        """
        engine = self._engine
        state = engine.switch.armed_file
        if state == "foreign":
            engine.event(
                f"{engine.folder.armed} is not the file that the engine created: it permits nothing and is removed."
            )
            with contextlib.suppress(OSError):
                engine.folder.disarm()
        in_force = bool(engine.state.percent_bp)
        gone = (
            state == "removed"
            or (state == "out" and in_force)
            or (state == "foreign" and (in_force or engine.switch.armed))
        )
        if not gone or not engine.switch.would_lower(0):
            self._removed_at = None
            return
        engine.calls_ended += engine.pipeline.cancel_calls()
        if self._removed_at is None:
            self._removed_at = engine.clock.real()
            self._removed_how = "replaced or changed" if state == "foreign" else "removed"
        elif engine.clock.real() - self._removed_at > REMOVAL_GRACE_S:
            why = f"the armed file was {self._removed_how}, and no command followed within {REMOVAL_GRACE_S:g} s"
            await rollback.roll_back(engine, engine.ask(why))

    def _lapsed_s(self) -> float:
        """How long every router was at 0 % because nothing was evaluated; 0 while the lease is valid."""
        age, settings = self._engine.switch.lease_age_s, self._engine.plan.trigger_settings
        return age if settings.lease_s < age < 1e9 and self._engine.state.percent_bp else 0.0

    async def _report_lapse(self, age_s: float) -> None:
        """Runs only once the triggers are evaluated again: if every evaluation failed, each tick would report it,
        wrongly."""
        sentence = (
            f"the triggers were not evaluated for {age_s:.0f} s, so every router was at 0 %; they are evaluated "
            "again, and earlier failures do not count"
        )
        self._engine.event(spoken(sentence))
        ask = self._engine.ask()
        await self.deferred.record(ask, lambda state: note(state, ask, "lease", sentence, {"age_s": age_s}))

    async def _watch_clock(self) -> None:
        """Handles a change of the wall clock, by a person or NTP. Timers use the monotonic clock; end times are
        shifted."""
        engine = self._engine
        if engine.rehearsal:
            return
        self._report_doubt()
        before, self._wall_s = self._wall_s, engine.clock.now() - engine.clock.real()
        step = 0.0 if before is None else self._wall_s - before
        if abs(step) < STEP_S:
            return
        ask = engine.ask()
        engine.event(spoken(clock_step(engine.state, ask, step).sentence))
        await self.deferred.record(ask, lambda state: clock_step(state, ask, step))
        engine.monitor.clock_was_set(ask.at, step)
        self._trials.clock_was_set(ask.at, step)
        engine.writer.later(lambda conn: future.bring_back(conn, ask.at, step))
        engine.writer.later(lambda conn: outbox.bring_back(conn, ask.at))
        engine.monitor.observations.complained(engine.state)

    def _report_doubt(self) -> None:
        clock = self._engine.clock
        if not isinstance(clock, BelievedClock) or (wall := clock.doubted) is None:
            return
        until = f" After {format_duration(PROVEN_S)} the engine follows it." if EARLIEST <= wall <= LATEST else ""
        self._engine.event(
            f"The machine's clock reads {iso(wall)}, and the engine continues with {iso(clock.now())}. Check it with "
            f"`timedatectl`.{until}",
            "clock",
        )

    def _publish(self) -> None:
        engine = self._engine
        if engine.proof is not None and engine.state.percent_bp <= engine.proof.of.target_bp:
            engine.proof.refresh()
        engine.view = snapshot.view(engine)
        now, beat, body = engine.clock.now(), machine_time(), msgspec.json.encode(engine.view)

        def write(conn: sqlite3.Connection) -> None:
            live.write(conn, now, body)
            lease.beat(conn, beat, now)

        engine.writer.later(write)
        if self._more_to_retain or engine.clock.real() - self._last_retained > RETAIN_EVERY_S:
            self._last_retained, self._more_to_retain = engine.clock.real(), False
            self._retention = self._retention or retention.Retention(engine.clock, engine.conn)
            reached = self._retention.reached()
            engine.writer.later(lambda conn: self._retain(conn, reached))
            engine.background(asyncio.to_thread(self._do_housekeeping))

    def _do_housekeeping(self) -> None:
        self._engine.folder.lay_ballast()
        ownership.give_back(self._engine.folder.path)

    def _retain(self, conn: sqlite3.Connection, reached: float) -> None:
        """A small step; while more is left, the next follows at the next tick, however fast documents arrive."""
        retention.keep(conn, reached)
        self._more_to_retain = self._engine.monitor.retain(conn, reached) > 0
