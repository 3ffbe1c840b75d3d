"""A rollback is proven, not assumed: a stopwatch runs until 0 % is observed in routed documents and the last LLM call
has ended.

Observed means: no call is in flight, none may be sent, and every document routed since (without traffic: every probe
document) went to the frequency arm. Probes take the path of real documents, `Pipeline.route`. Each worker outside the
engine has acknowledged it with nothing in flight, or its lease has ended. If that is not observed within 5 s, the
result is a prominent failure.
"""

from __future__ import annotations

import asyncio
import shlex
import uuid

from msgspec import Struct
from msgspec.structs import replace

from engine.clock import Clock
from engine.cluster.lease import Version
from engine.cluster.leases import Leases
from engine.plan.durations import iso
from engine.rollout.state import State
from engine.routing.pipeline import Pipeline, Routed
from engine.routing.switch import Switch
from engine.text import counted, percent, took
from engine.view.model import ProofView

LIMIT_S = 5.0
PROBE_AFTER_S = 0.02
PROBES = 20
STEP_S = 0.002
FAST_S, SLOW_STEP_S = 0.2, 0.01  # a slow proof must not take the loop's time, which documents need


class ToProve(Struct, frozen=True):
    """The rollback that is to be proven.

    `leads_to`: the state once it is recorded. `pressed`: when R was pressed, in the machine's monotonic seconds, so
    that the stopwatch starts at the key press and not when the engine receives it. `request`: the request's digest.
    """

    actor: str
    reason: str
    automatic: bool
    target_bp: int
    leads_to: State
    pressed: float | None = None
    request: str = ""


class Proof:
    """The proof of one rollback, `of`. `view` is the result so far."""

    def __init__(
        self, pipeline: Pipeline, switch: Switch, leases: Leases, clock: Clock, armed_path: str, of: ToProve
    ) -> None:
        self._pipeline = pipeline
        self._switch = switch
        self._leases = leases
        self._version: Version = (0, 0)  # that workers have to acknowledge
        self._effect_at = clock.real()
        self._clock = clock
        self._armed_path = armed_path
        self._began = clock.real() if of.pressed is None else of.pressed
        self._before: Routed = pipeline.routed
        self._requests = pipeline.calls.requests_sent
        self._raised_to: int | None = None  # before it was observed
        self.of = of
        self.is_kept_nowhere = False  # neither its record nor its intent could be written
        self.view = ProofView(
            rev=0,
            at=clock.now(),
            actor=of.actor,
            reason=of.reason,
            automatic=of.automatic,
            effective_ms=None,
            last_call=pipeline.calls.last_sent,
            last_call_ended=pipeline.calls.last_ended,
            cancelled=0,
            documents_since=0,
            llm_since=0,
            probes=0,
            overdue=False,
            sentence=_waits("waiting for the first document routed since"),
        )

    def effect(self, ended_before: int = 0) -> None:
        """The moment of the rollback, in this instruction: calls in flight end, no new one starts.

        `ended_before`: calls that already ended because the armed file was found removed.
        """
        self._before = self._pipeline.routed
        self._requests = self._pipeline.calls.requests_sent
        self._effect_at = self._clock.real()
        self._version = self._leases.refresh()  # wakes the workers
        if self.of.target_bp == 0:
            self.view = replace(self.view, cancelled=ended_before + self._pipeline.cancel_calls())

    def raised(self, to_bp: int, rev: int) -> None:
        """Decision `rev` raised the percentage again: what is not observed by now never will be."""
        if self.view.rev and rev > self.view.rev and self.view.effective_ms is None and not self.view.overdue:
            self._raised_to = to_bp

    def recorded(self, rev: int, at: float) -> None:
        """The rollback is in the log as `rev` since `at` (seconds of `Clock.real`)."""
        self.view = replace(self.view, rev=rev, recorded_ms=round((at - self._began) * 1000, 2))

    async def run(self) -> ProofView:
        """Watch until observed, or for 5 s from now. A suspended engine gets its full 5 s too."""
        late = self._clock.real() + LIMIT_S
        while True:
            elapsed = self._clock.real() - self._began
            if self._raised_to is not None:
                return self._conclude(None, 0, f"{percent(self._raised_to)} was decided before it was observed")
            asks = elapsed > PROBE_AFTER_S and not self._since().frequency and not self._contradicted()
            probes = self._probe() if asks else 0
            own = self._unproven_here(probes)
            why = own or self._workers()
            if not why or self._clock.real() > late:
                return self._conclude(None if why else elapsed, probes, why)
            if not own:
                self.view = replace(self.view, sentence=_waits(why))
            await asyncio.sleep(STEP_S if elapsed < FAST_S else SLOW_STEP_S)

    def _since(self) -> Routed:
        now = self._pipeline.routed
        return Routed(now.llm - self._before.llm, now.frequency - self._before.frequency)

    def _unproven(self, probes: int) -> str:
        """What is missing; "" when it is observed."""
        return self._unproven_here(probes) or self._workers()

    def _unproven_here(self, probes: int) -> str:
        """What the engine itself has not proven yet."""
        why = self._contradicted()
        if why or self.of.target_bp or self._since().frequency or probes >= PROBES:
            return why
        return f"only {probes} of {PROBES} probe documents went to frequency"

    def _contradicted(self) -> str:
        """What contradicts it here; "" when only documents are missing."""
        if self._switch.read().percent_bp > self.of.target_bp:
            return f"routers still obey {percent(self._switch.read().percent_bp)}"
        if self.of.target_bp:
            return ""
        if llm := self._since().llm:
            return f"{counted(llm, 'document was', 'documents were')} routed to the LLM since"
        if sent := self._pipeline.calls.requests_sent - self._requests:
            return f"{counted(sent, 'request was', 'requests were')} sent to the LLM service since"
        if self._pipeline.calls.requests_open:
            return f"{counted(self._pipeline.calls.requests_open, 'request')} to the LLM service not closed yet"
        if self._pipeline.in_flight:
            return f"{counted(self._pipeline.in_flight, 'LLM call is', 'LLM calls are')} still in flight"
        if self._switch.may_call():
            return "LLM calls may still be sent"
        return ""

    def _workers(self) -> str:
        """The worker that may still call the LLM, and until when; "" if none can."""
        return self._leases.unproven(self._version, not self.of.target_bp)

    @property
    def _last_call(self) -> float | None:
        """The last LLM call of the engine or of a worker."""
        calls = (self._pipeline.calls.last_sent, self._leases.last_call)
        return max((at for at in calls if at is not None), default=None)

    def _probe(self) -> int:
        """Route probe documents like real ones; return how many went to frequency."""
        routes = [self._pipeline.route(f"probe-{uuid.uuid4().hex}") for _ in range(PROBES)]
        return sum(route.arm == "control" for route in routes)

    def _conclude(self, elapsed: float | None, probes: int, why: str) -> ProofView:
        self.view = replace(
            self.view,
            effective_ms=None if elapsed is None else round(elapsed * 1000, 2),
            last_call=self._last_call,
            last_call_ended=self._pipeline.calls.last_ended,
            probes=probes,
            overdue=elapsed is None,
            raised=self._raised_to is not None,
            workers=self._leases.acknowledged(self._version),
            silent=self._leases.ended_since(self._version, self._effect_at),
        )
        self.refresh(why)
        return self.view

    def refresh(self, why: str = "") -> None:
        """Update the count of routed documents and the sentence, unless the percentage has been raised again."""
        since = self._since()
        view = replace(self.view, documents_since=since.llm + since.frequency, llm_since=since.llm)
        if view.effective_ms is None and not view.overdue:
            self.view = view  # its sentence names what `run` waits for
            return
        text = sentence(view, self.of.target_bp, self._armed_path, why or self._unproven(view.probes))
        self.view = replace(view, sentence=text)


def sentence(view: ProofView, target_bp: int, armed_path: str, why: str = "") -> str:
    """ "Effective in 38 ms; last LLM call 14:03:07.112Z; 214 documents since, all by frequency." """
    if view.raised:
        return f"Not observed: {why}."
    if view.overdue:
        return (
            f"NOT OBSERVED within {LIMIT_S:g} s{f': {why}' if why else ''}. Now, in any shell: rm "
            f"{shlex.quote(armed_path)}"
        )
    if view.effective_ms is None:
        return _waits("waiting for the first document routed since")
    if target_bp:
        return (
            "; ".join([f"Effective in {took(view.effective_ms)}: routers obey {percent(target_bp)}", *_outside(view)])
            + "."
        )
    parts = [
        f"Effective in {took(view.effective_ms)}",
        f"last LLM call {iso(view.last_call, ms=True)[11:]}"
        if view.last_call
        else "no LLM call since the engine started",
    ]
    if view.cancelled:
        parts.append(f"{counted(view.cancelled, 'call')} in flight ended")
    if view.documents_since:
        how = "all by frequency" if not view.llm_since else f"{view.llm_since} of them still by the LLM"
        parts.append(f"{counted(view.documents_since, 'document')} since, {how}")
    elif view.probes:
        parts.append(f"no document arrived since, so the engine routed {view.probes} probes, all to frequency")
    return "; ".join([*parts, *_outside(view)]) + "."


def _waits(why: str) -> str:
    return f"Proving: {why}."


def _outside(view: ProofView) -> list[str]:
    """What is known of the workers outside the engine."""
    obeying = [f"acknowledged by {counted(view.workers, 'worker')}"] if view.workers else []
    return [*obeying, *view.silent]
